//! The options of a client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

use super::compression::{
    PerMessageDeflateOffer, PerMessageDeflateResponse, PerMessageDeflateResponseAccept,
    ResponsePolicy,
};
use super::setters::shared_setters;
use super::shared::{duration, header_text, on};
use super::{CommonOptions, DeflateOptions, OptionsError, Proxy, authority};

/// The options of a client.
///
/// ```
/// use std::time::Duration;
/// use motorway::ClientOptions;
///
/// let options = ClientOptions::default()
///     .protocols(["chat.v2", "chat.v1"])
///     .header("Authorization", "Bearer 0123")
///     .connect_timeout(Duration::from_secs(3));
/// options.validate()?;
/// # Ok::<(), motorway::OptionsError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ClientOptions {
    pub(crate) common: CommonOptions,
    pub(crate) per_message_compression_offers: Vec<PerMessageDeflateOffer>,
    pub(crate) per_message_compression_accept: Option<ResponsePolicy>,
    pub(crate) accept_masked_server_frames: bool,
    pub(crate) mask_client_frames: bool,
    pub(crate) server_connection_drop_timeout: Option<Duration>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) local_addr: Option<SocketAddr>,
    pub(crate) connect_to: Option<String>,
    pub(crate) proxy: Result<Proxy, OptionsError>,
    pub(crate) max_redirects: u32,
    pub(crate) origin: Option<String>,
    pub(crate) useragent: Option<String>,
    pub(crate) version: u8,
}

impl ClientOptions {
    /// Returns Autobahn's own defaults, as its source has them.
    ///
    /// Without limits on what a peer may send, thus unfit for servers that are not trusted.
    #[must_use]
    pub fn autobahn() -> Self {
        Self {
            common: CommonOptions::autobahn(),
            ..Self::default()
        }
    }

    shared_setters!();

    /// Sets the offers of permessage-deflate, the preferred one first, in place of the one that
    /// [`per_message_deflate`](Self::per_message_deflate) makes, of which then only the level, the
    /// memory, the threshold and the limit hold.
    ///
    /// Default: none, which leaves it to `per_message_deflate`.
    ///
    /// ```
    /// use motorway::{ClientOptions, PerMessageDeflateOffer};
    ///
    /// let offer = PerMessageDeflateOffer::new();
    /// let small = offer.with_request_max_window_bits(10)?;
    /// let options = ClientOptions::default().per_message_compression_offers([small, offer]);
    /// # Ok::<(), motorway::PerMessageDeflateError>(())
    /// ```
    #[must_use]
    pub fn per_message_compression_offers(
        mut self,
        offers: impl IntoIterator<Item = PerMessageDeflateOffer>,
    ) -> Self {
        self.per_message_compression_offers = offers.into_iter().collect();
        self
    }

    /// Sets a closure that judges a server's response to the offers of permessage-deflate; `None`
    /// fails the opening handshake.
    ///
    /// It is called only for a response that fits one of the offers, and not if the server declines
    /// them all. Must not block. Default: every such response is accepted.
    ///
    /// ```
    /// use motorway::{ClientOptions, PerMessageDeflateOffer, PerMessageDeflateResponseAccept};
    ///
    /// // No compression at all rather than a window for each connection.
    /// let options = ClientOptions::default()
    ///     .per_message_compression_offers([PerMessageDeflateOffer::new()])
    ///     .per_message_compression_accept(|response| {
    ///         let accept = PerMessageDeflateResponseAccept::new(response);
    ///         response.server_no_context_takeover().then_some(accept)
    ///     });
    /// ```
    #[must_use]
    pub fn per_message_compression_accept(
        mut self,
        accept: impl Fn(&PerMessageDeflateResponse) -> Option<PerMessageDeflateResponseAccept>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.per_message_compression_accept = Some(ResponsePolicy::new(Arc::new(accept)));
        self
    }

    /// Sets whether a frame of a server may be masked, which RFC 6455 §5.1 forbids.
    ///
    /// Default: false; a masked one then fails the connection with close code 1002.
    #[must_use]
    pub fn accept_masked_server_frames(mut self, accept: bool) -> Self {
        self.accept_masked_server_frames = accept;
        self
    }

    /// Sets whether frames to the server are masked, as RFC 6455 §5.1 demands.
    ///
    /// Default: true.
    #[must_use]
    pub fn mask_client_frames(mut self, mask: bool) -> Self {
        self.mask_client_frames = mask;
        self
    }

    /// Sets how long the server may take to drop TCP after the closing handshake
    /// (RFC 6455 §7.1.1); with zero or `None` it has what `close_handshake_timeout` leaves.
    ///
    /// Default: 1 second.
    #[must_use]
    pub fn server_connection_drop_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.server_connection_drop_timeout = on(timeout.into());
        self
    }

    /// Sets how long it may take to resolve the name and to connect, before TLS and the opening
    /// handshake; zero or `None` for ever.
    ///
    /// Default: 30 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.connect_timeout = on(timeout.into());
        self
    }

    /// Sets the address of this machine that connections are made from; port 0 stands for any.
    ///
    /// Addresses of the server that are of the other family are left out. Does not concern Unix
    /// sockets. Default: `None`, what the system chooses.
    #[must_use]
    pub fn local_addr(mut self, address: impl Into<Option<SocketAddr>>) -> Self {
        self.local_addr = address.into();
        self
    }

    /// Sets where connections are made to, instead of the host of the URL: `host` or `host:port`, an
    /// IPv6 address in brackets, or a `SocketAddr`; without a port it is that of the URL.
    ///
    /// `Host` and the name that TLS asks for and checks are those of the URL: for a server that is to
    /// be tried before its name leads there, one of many behind a name, or a tunnel. A proxy is chosen
    /// by the URL, and asked for this place. Does not concern Unix sockets, nor where a redirect leads
    /// to another scheme, host or port. Default: the host and port of the URL.
    ///
    /// ```
    /// use motorway::ClientOptions;
    ///
    /// let options = ClientOptions::default().connect_to("127.0.0.1:8443");
    /// options.validate()?;
    /// let error = ClientOptions::default().connect_to("wss://127.0.0.1").validate().unwrap_err();
    /// assert_eq!(error.option(), "connect_to");
    /// # Ok::<(), motorway::OptionsError>(())
    /// ```
    #[must_use]
    pub fn connect_to(mut self, place: impl ToString) -> Self {
        self.connect_to = Some(place.to_string());
        self
    }

    /// Sets the proxy that connections are made through: a URL such as `http://proxy:3128`, or a
    /// [`Proxy`].
    ///
    /// Time for the proxy, its TLS and its answer included, is that of `connect_timeout`; heads that
    /// it answers with have the limits of the opening handshake. Unix sockets have no proxy, and
    /// neither have streams that are connected already.
    ///
    /// Default: none, not even one that the environment names: a library that connects elsewhere
    /// because of a variable set long ago would surprise, and whoever sets one could read along. Ask
    /// for [`Proxy::from_environment`].
    ///
    /// ```no_run
    /// use motorway::{ClientOptions, Proxy};
    ///
    /// let fixed = ClientOptions::default().proxy("http://ada:secret@proxy:3128");
    /// fixed.validate()?;
    /// let from_environment = ClientOptions::default().proxy(Proxy::from_environment()?);
    /// # Ok::<(), motorway::OptionsError>(())
    /// ```
    #[must_use]
    pub fn proxy<P>(mut self, proxy: P) -> Self
    where
        P: TryInto<Proxy>,
        OptionsError: From<P::Error>,
    {
        self.proxy = proxy.try_into().map_err(OptionsError::from);
        self
    }

    /// Sets how often an answer such as 301 with `Location` is followed to another URL
    /// (RFC 9110 §15.4); each time `connect_timeout` and `open_handshake_timeout` begin anew.
    ///
    /// `http` and `https` URLs stand for `ws` and `wss`. From `wss` it never leads to `ws`, and to
    /// another scheme, host or port never with `Authorization`, `Cookie` and `Proxy-Authorization`.
    /// Concerns what is dialed, not streams that are connected already.
    ///
    /// Range: 0 to 100. Default: 0, which takes such an answer for a refusal.
    #[must_use]
    pub fn max_redirects(mut self, redirects: u32) -> Self {
        self.max_redirects = redirects;
        self
    }

    /// Sets the `Origin` header (RFC 6455 §4.1).
    ///
    /// Printable ASCII. Default: none.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Sets the `User-Agent` header (RFC 9110 §10.1.5); `None` leaves it out.
    ///
    /// Printable ASCII. Default: `motorway/` and the version.
    #[must_use]
    pub fn useragent(mut self, useragent: impl Into<Option<String>>) -> Self {
        self.useragent = useragent.into();
        self
    }

    /// Sets the draft of the protocol that is spoken: 10 to 12 send version 8, 13 to 18 version 13,
    /// which RFC 6455 kept. Up to 10 the origin is in `Sec-WebSocket-Origin`.
    ///
    /// Frames are the same in all. Range: 10 to 18. Default: 18.
    #[must_use]
    pub fn version(mut self, draft: u8) -> Self {
        self.version = draft;
        self
    }

    /// Returns where to connect to for this host and port of a URL.
    #[cfg_attr(
        not(any(feature = "tokio", feature = "blocking")),
        expect(dead_code, reason = "nothing is dialed")
    )]
    pub(crate) fn place<'a>(&'a self, host: &'a str, port: u16) -> (&'a str, u16) {
        match self.connect_to.as_deref().and_then(authority) {
            Some((host, other)) => (host, other.unwrap_or(port)),
            None => (host, port),
        }
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    ///
    /// Fails with the name, the value and the range of the first option that is out of it.
    pub fn validate(&self) -> Result<(), OptionsError> {
        self.common.validate()?;
        if self.common.headers.map().contains_key(header::HOST) {
            let allowed = "headers other than Host";
            return Err(OptionsError::text("headers", "host", allowed));
        }
        self.proxy.as_ref().map_err(Clone::clone)?;
        if self.max_redirects > 100 {
            let (value, allowed) = (self.max_redirects, "0 to 100");
            return Err(OptionsError::value("max_redirects", value, allowed));
        }
        if let Some(place) = &self.connect_to
            && authority(place).is_none()
        {
            let allowed = "a host, or host:port, with an IPv6 address in brackets";
            return Err(OptionsError::text("connect_to", place, allowed));
        }
        header_text("origin", self.origin.as_deref())?;
        header_text("useragent", self.useragent.as_deref())?;
        if !(10..=18).contains(&self.version) {
            return Err(OptionsError::value("version", self.version, "10 to 18"));
        }
        duration("connect_timeout", self.connect_timeout)?;
        let timeout = self.server_connection_drop_timeout;
        duration("server_connection_drop_timeout", timeout)
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            common: CommonOptions::default(),
            per_message_compression_offers: Vec::new(),
            per_message_compression_accept: None,
            accept_masked_server_frames: false,
            mask_client_frames: true,
            server_connection_drop_timeout: Some(Duration::from_secs(1)),
            connect_timeout: Some(Duration::from_secs(30)),
            local_addr: None,
            connect_to: None,
            proxy: Ok(Proxy::none()),
            max_redirects: 0,
            origin: None,
            useragent: Some(concat!("motorway/", env!("CARGO_PKG_VERSION")).to_owned()),
            version: 18,
        }
    }
}
