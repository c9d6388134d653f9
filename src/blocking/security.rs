//! What is between a stream and the opening handshake: nothing, or TLS.

use super::opening::Shaking;
#[cfg(feature = "rustls")]
use super::secure::Tls;
use super::transport::Transport;
use crate::error::Result;
use crate::handshake::TransportDetails;
#[cfg(feature = "rustls")]
use crate::tls::{ClientTls, ServerTls, describe_connection};
use std::time::Instant;

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
    /// Makes the TLS handshake, where there is one, until the deadline, which is that of what follows,
    /// too.
    pub(super) fn shake_hands(
        &self,
        transport: Box<dyn Transport>,
        details: TransportDetails,
        deadline: Option<Instant>,
    ) -> Result<(Shaking, TransportDetails)> {
        #[cfg(feature = "rustls")]
        let connection = match self {
            Self::None => None,
            Self::Client(tls, host) => Some(tls.begin(host)?),
            Self::Server(tls) => Some(tls.begin()?),
        };
        #[cfg(feature = "rustls")]
        if let Some(connection) = connection {
            let tls = Tls::shake_hands(transport, connection, deadline)?;
            let details = tls.with(|connection| describe_connection(details, connection));
            let transport = Box::new(tls);
            let shaking = Shaking {
                transport,
                deadline,
            };
            return Ok((shaking, details));
        }
        let shaking = Shaking {
            transport,
            deadline,
        };
        Ok((shaking, details))
    }
}
