//! What is between TCP and the opening handshake: nothing, or TLS.

use super::opening::Shaking;
#[cfg(feature = "rustls")]
use super::secure::Tls;
use super::transport::Tcp;
use crate::error::Result;
use crate::handshake::TransportDetails;
#[cfg(feature = "rustls")]
use crate::tls::{ClientTls, ServerTls, describe_connection};
use std::time::Duration;

/// The kinds of what is between.
#[derive(Clone, Debug)]
pub(super) enum Security {
    None,
    /// TLS with a server of this name.
    #[cfg(feature = "rustls")]
    Client(ClientTls, String),
    /// TLS with clients.
    #[cfg(feature = "rustls")]
    Server(ServerTls),
}

impl Security {
    /// Makes the TLS handshake, where there is one: part of the time of the opening handshake, which
    /// begins now.
    pub(super) fn shake_hands(
        &self,
        tcp: Tcp,
        details: TransportDetails,
        time: Option<Duration>,
    ) -> Result<(Shaking, TransportDetails)> {
        let deadline = time.and_then(super::websocket::after);
        #[cfg(feature = "rustls")]
        let connection = match self {
            Self::None => None,
            Self::Client(tls, host) => Some(tls.begin(host)?),
            Self::Server(tls) => Some(tls.begin()?),
        };
        #[cfg(feature = "rustls")]
        if let Some(connection) = connection {
            let tls = Tls::shake_hands(tcp, connection, deadline)?;
            let details = tls.with(|connection| describe_connection(details, connection));
            let transport = Box::new(tls);
            let shaking = Shaking {
                transport,
                deadline,
            };
            return Ok((shaking, details));
        }
        let transport = Box::new(tcp);
        let shaking = Shaking {
            transport,
            deadline,
        };
        Ok((shaking, details))
    }
}
