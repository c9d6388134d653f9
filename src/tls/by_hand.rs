//! Connections of TLS that somebody else drives: the blocking face, over its own socket.

use super::stream::describe;
use super::{ClientTls, ServerTls, TlsError};
use crate::handshake::TransportDetails;
use tokio_rustls::rustls::{ClientConnection, Connection, ServerConnection};

impl ClientTls {
    /// Begins a connection to a server; `host` is its name, as the host of a URL is.
    pub(crate) fn begin(&self, host: &str) -> Result<Connection, TlsError> {
        let connection = ClientConnection::new(self.config(), self.name_for(host)?);
        let connection = connection.map_err(|error| TlsError::Configuration(error.into()))?;
        Ok(connection.into())
    }
}

impl ServerTls {
    /// Begins a connection of a client.
    pub(crate) fn begin(&self) -> Result<Connection, TlsError> {
        let connection = ServerConnection::new(self.config());
        let connection = connection.map_err(|error| TlsError::Configuration(error.into()))?;
        Ok(connection.into())
    }
}

/// Adds what TLS tells about a connection whose handshake is done.
pub(crate) fn describe_connection(
    details: TransportDetails,
    connection: &Connection,
) -> TransportDetails {
    let name = match connection {
        Connection::Server(connection) => connection.server_name(),
        Connection::Client(_) => None,
    };
    describe(details, connection, name)
}
