//! How a request is accepted.

use http::HeaderValue;

use super::ConnectionRequest;
use crate::options::{ExtraHeaders, ServerOptions};

/// Accepts a connection, perhaps with a subprotocol and headers (RFC 6455 §4.2.2).
///
/// ```
/// use motorway::ConnectionAccept;
///
/// let offered = ["chat.v1", "chat.v2"];
/// let accept = ConnectionAccept::select(&offered, ["chat.v2", "chat.v1"])
///     .header("set-cookie", "seen=1")
///     .header("set-cookie", "again=2");
/// assert_eq!(accept.subprotocol(), Some("chat.v1"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ConnectionAccept {
    pub(super) protocol: Option<String>,
    pub(super) headers: ExtraHeaders,
    pub(super) options: Option<Box<ServerOptions>>,
}

impl ConnectionAccept {
    /// Accepts without a subprotocol.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts with the first subprotocol offered that is supported; with none if there is none.
    ///
    /// The client's order decides.
    pub fn select<S: AsRef<str>>(
        offered: &[impl AsRef<str>],
        supported: impl IntoIterator<Item = S>,
    ) -> Self {
        let supported: Vec<S> = supported.into_iter().collect();
        let is_supported = |offer: &&str| supported.iter().any(|name| name.as_ref() == *offer);
        let protocol = offered.iter().map(AsRef::as_ref).find(is_supported);
        Self {
            protocol: protocol.map(ToOwned::to_owned),
            ..Self::default()
        }
    }

    /// Accepts as a server does that does not decide for itself: with the first subprotocol
    /// offered that is one of the option
    /// [`protocols`](crate::ServerOptions::protocols).
    #[must_use]
    pub fn default_for(request: &ConnectionRequest, options: &ServerOptions) -> Self {
        Self::select(request.protocols(), &options.common.protocols)
    }

    /// Sets the subprotocol, which must be one that the client offered.
    #[must_use]
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        self.protocol = Some(protocol.into());
        self
    }

    /// Adds a header to the response; one line for each call, also of the same name.
    ///
    /// One that is not valid, or that is the handshake's own, fails the handshake with 500.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl TryInto<HeaderValue>) -> Self {
        self.headers.append(name.as_ref(), value);
        self
    }

    /// Gives this one connection options of its own, instead of those of the factory.
    ///
    /// What comes after the request follows them: limits, compression, timeouts, pings, headers of
    /// the response. What came before, such as the time for the opening handshake, does not. Options
    /// out of their range fail the handshake with 500.
    ///
    /// ```
    /// use motorway::{ConnectionAccept, ConnectionRequest, ServerOptions};
    ///
    /// fn accept(request: &ConnectionRequest, options: &ServerOptions) -> ConnectionAccept {
    ///     match request.path() {
    ///         "/upload" => {
    ///             let options = options.clone().max_message_payload_size(1 << 30);
    ///             ConnectionAccept::new().options(options)
    ///         }
    ///         _ => ConnectionAccept::new(),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn options(mut self, options: ServerOptions) -> Self {
        self.options = Some(Box::new(options));
        self
    }

    /// Returns the options of this one connection, if it has any.
    #[cfg_attr(
        not(any(feature = "tokio", feature = "blocking")),
        expect(dead_code, reason = "for servers")
    )]
    pub(crate) fn own_options(&self) -> Option<&ServerOptions> {
        self.options.as_deref()
    }

    /// Returns the subprotocol chosen.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }
}
