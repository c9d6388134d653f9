//! Connections that did not open, and who is told.

use super::WebSocketServerProtocol;
use super::factory::Settings;
use super::protocol::ServerHandler;
use crate::connection::{CloseInfo, Endpoint};
use crate::error::Error;
use crate::handshake::HandshakeError;
use crate::observe::tell_observer;
use crate::peer::Peer;
use crate::transport::{Handler, catch_panic};

/// Logs why a connection did not open, and tells the observer.
pub(super) fn report(settings: &Settings, peer: &Peer, error: &Error) {
    log_failure(peer, error);
    if let Some(observer) = &settings.observer {
        tell_observer(&**observer, |observer| observer.refused(peer, error));
    }
}

fn log_failure(peer: &Peer, error: &Error) {
    match error {
        Error::Io(error) => tracing::debug!(%peer, %error, "opening handshake broke off"),
        Error::Handshake(error) if **error == HandshakeError::UpgradeRequired => {
            tracing::debug!(%peer, "plain request answered");
        }
        error => {
            tracing::info!(%peer, error = error as &dyn std::error::Error, "opening handshake failed");
        }
    }
}

/// Tells an instance that its connection did not open.
pub(super) async fn never_opened<P: WebSocketServerProtocol>(
    handler: &mut ServerHandler<P>,
    error: &Error,
) {
    // Whatever comes of these, there is nothing left to close.
    let is_denied = |error: &HandshakeError| matches!(error, HandshakeError::Denied { .. });
    if !matches!(error, Error::Handshake(error) if is_denied(error)) {
        let _ = catch_panic(handler.on_error(error)).await;
    }
    let info = CloseInfo::never_opened(error.to_string(), Endpoint::Local);
    let _ = catch_panic(handler.on_close(info)).await;
}

pub(super) fn gone() -> Error {
    std::io::Error::from(std::io::ErrorKind::NotConnected).into()
}
