//! The options of a server.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::compression::{OfferPolicy, PerMessageDeflateOffer, PerMessageDeflateOfferAccept};
use super::setters::shared_setters;
use super::shared::{header_text, on};
use super::{AllowedOrigins, CommonOptions, DeflateOptions, Networks, OptionsError, RateLimit};

/// The options of a server.
///
/// `default()` is safe for a public address and strict about RFC 6455.
///
/// ```
/// use std::time::Duration;
/// use motorway::{DeflateOptions, ServerOptions};
///
/// let options = ServerOptions::default()
///     .auto_ping_interval(Duration::from_secs(10))
///     .auto_ping_timeout(Duration::from_secs(5))
///     .max_message_payload_size(1 << 20)
///     .allowed_origins(["https://*.example.com:443"])
///     .protocols(["chat.v2", "chat.v1"])
///     .per_message_deflate(DeflateOptions::default());
/// options.validate()?;
/// # Ok::<(), motorway::OptionsError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ServerOptions {
    pub(crate) common: CommonOptions,
    pub(crate) per_message_compression_accept: Option<OfferPolicy>,
    pub(crate) require_masked_client_frames: bool,
    pub(crate) mask_server_frames: bool,
    pub(crate) versions: Vec<u8>,
    pub(crate) allowed_origins: Result<AllowedOrigins, OptionsError>,
    pub(crate) allow_null_origin: Option<bool>,
    pub(crate) max_connections: Option<u32>,
    pub(crate) max_handshaking: Option<u32>,
    pub(crate) memory_budget: Option<u64>,
    pub(crate) trust_x_forwarded_for: u32,
    pub(crate) trust_forwarded: u32,
    pub(crate) proxy_protocol: Result<Networks, OptionsError>,
    pub(crate) backlog: u32,
    pub(crate) reuse_port: bool,
    pub(crate) web_status: bool,
    pub(crate) web_status_redirect: bool,
    pub(crate) server: Option<String>,
    pub(crate) external_port: Option<u16>,
    pub(crate) serve_flash_socket_policy: bool,
    pub(crate) flash_socket_policy: String,
    pub(crate) url: Option<String>,
    /// Whether refusals have Autobahn's status, 400, where ours is clearer.
    pub(crate) autobahn_status: bool,
}

impl ServerOptions {
    /// Returns Autobahn's own defaults, as its source has them.
    ///
    /// Without limits on what a peer may send, thus unfit for a public address.
    #[must_use]
    pub fn autobahn() -> Self {
        Self {
            common: CommonOptions::autobahn(),
            versions: vec![8, 13],
            allow_null_origin: Some(true),
            autobahn_status: true,
            ..Self::default()
        }
    }

    /// Returns options for a server that anybody may connect to: the defaults, with the limits on that
    /// depend on the application there.
    ///
    /// - messages and frames of at most 1 MiB, in at most 4,096 fragments, each message within 60
    ///   seconds;
    /// - a ping every 30 seconds, and 20 seconds for its answer;
    /// - 30 seconds for a peer that takes nothing;
    /// - at most 1,024 connections whose request has not come yet (`max_handshaking`), with heads of at
    ///   most 16 KiB and 64 headers;
    /// - 200 messages, 1 MiB and 20 control frames a second, in bursts of 5 seconds' worth, beyond which
    ///   reading pauses.
    ///
    /// How many connections there may be (`max_connections`), which origins (`allowed_origins`) and
    /// which proxies are to be trusted only you know; [a page](crate::guide::public) is about that.
    ///
    /// ```
    /// use motorway::ServerOptions;
    ///
    /// let options = ServerOptions::public_server()
    ///     .max_connections(10_000)
    ///     .allowed_origins(["https://example.com"]);
    /// options.validate()?;
    /// # Ok::<(), motorway::OptionsError>(())
    /// ```
    #[must_use]
    pub fn public_server() -> Self {
        let seconds = Duration::from_secs;
        let rates = RateLimit::pause()
            .messages(200)
            .octets(1 << 20)
            .control_frames(20);
        Self::default()
            .max_message_payload_size(1 << 20)
            .max_frame_payload_size(1 << 20)
            .max_fragments(4096)
            .message_timeout(seconds(60))
            .auto_ping_interval(seconds(30))
            .auto_ping_timeout(seconds(20))
            .write_stall_timeout(seconds(30))
            .max_handshaking(1024)
            .max_header_size(16 << 10)
            .max_headers(64)
            .rate_limit(rates.burst(seconds(5)))
    }

    shared_setters!();

    /// Sets a closure that chooses among a client's offers of permessage-deflate, in place of
    /// [`per_message_deflate`](Self::per_message_deflate), of which then only the level, the memory,
    /// the threshold and the limit hold; `None` declines all.
    ///
    /// It is given the offers that are valid, in the client's order, at least one, and is not called
    /// without one. An accept of any other offer counts as `None`. Must not block. Default: none.
    ///
    /// ```
    /// use motorway::{PerMessageDeflateOfferAccept, ServerOptions};
    ///
    /// let options = ServerOptions::default().per_message_compression_accept(|offers| {
    ///     let offer = offers.iter().find(|offer| offer.accept_max_window_bits())?;
    ///     PerMessageDeflateOfferAccept::new(offer).with_request_max_window_bits(11).ok()
    /// });
    /// ```
    #[must_use]
    pub fn per_message_compression_accept(
        mut self,
        accept: impl Fn(&[PerMessageDeflateOffer]) -> Option<PerMessageDeflateOfferAccept>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.per_message_compression_accept = Some(OfferPolicy::new(Arc::new(accept)));
        self
    }

    /// Sets whether a frame of a client must be masked (RFC 6455 §5.1).
    ///
    /// Default: true; an unmasked one then fails the connection with close code 1002.
    #[must_use]
    pub fn require_masked_client_frames(mut self, require: bool) -> Self {
        self.require_masked_client_frames = require;
        self
    }

    /// Sets whether frames to clients are masked, which RFC 6455 §5.1 forbids.
    ///
    /// Default: false.
    #[must_use]
    pub fn mask_server_frames(mut self, mask: bool) -> Self {
        self.mask_server_frames = mask;
        self
    }

    /// Sets the versions of the protocol that are accepted: 13, or 8 of the drafts, which differs
    /// in the header that the origin is in (RFC 6455 §4.4).
    ///
    /// Default: 13 alone, since the drafts are dead; Autobahn's: 8 and 13.
    #[must_use]
    pub fn versions(mut self, versions: impl IntoIterator<Item = u8>) -> Self {
        self.versions = versions.into_iter().collect();
        self
    }

    /// Sets the origins from which a browser may connect (RFC 6455 §10.2), as patterns such as
    /// `https://*.example.com`, `*://localhost:*`, `self` for the server's own or `*` for all; see
    /// [`AllowedOrigins`].
    ///
    /// A request without an origin comes from no browser and is accepted. Others are refused with
    /// 403 (Autobahn's: 400). Default: `*`.
    #[must_use]
    pub fn allowed_origins(
        mut self,
        patterns: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.allowed_origins = AllowedOrigins::new(patterns);
        self
    }

    /// Sets whether a browser may connect from a page without an origin, such as a file: those
    /// send `null` (RFC 6454 §7.1).
    ///
    /// `None` allows it where all origins are allowed. Default: `None`; Autobahn's: true.
    #[must_use]
    pub fn allow_null_origin(mut self, allow: impl Into<Option<bool>>) -> Self {
        self.allow_null_origin = allow.into();
        self
    }

    /// Sets the most connections at a time; a further one is refused with 503.
    ///
    /// At least 1. Default: off.
    #[must_use]
    pub fn max_connections(mut self, connections: impl Into<Option<u32>>) -> Self {
        self.max_connections = connections.into();
        self
    }

    /// Sets how many connections of a server may be without a whole request at a time, its TLS
    /// handshake included, so that a crowd that opens connections and says nothing keeps nobody out.
    ///
    /// Where there are as many, the oldest makes room for the next: it is dropped if it had a second,
    /// and if none had, the next waits until one had, and those behind it in the queue of the system
    /// (`backlog`). Without it each has all of `open_handshake_timeout`. Who waits for `on_connect`
    /// does not count, nor what is served without a listener, nor with `accept` of a blocking server. At
    /// least 1; a few thousand suit machines that serve many. Default: off.
    #[must_use]
    pub fn max_handshaking(mut self, connections: impl Into<Option<u32>>) -> Self {
        self.max_handshaking = connections.into();
        self
    }

    /// Sets how many octets all connections of the factory may hold together: of messages that have
    /// begun to arrive, of what was read ahead, and of what is to be sent; `None` lifts it.
    ///
    /// Where it is more, those that hold the most are failed with close code 1013 until the others
    /// fit; one whose peer does not read what waits for it is dropped, as is one that closes already.
    /// Less than 4 KiB a connection is not counted, nor messages that wait in a stream to be received,
    /// nor windows of compression. Options that are set anew count anew. A connection of `blocking` is
    /// failed within 100 ms while a call waits there, or else with the next call; messages that it has
    /// read ahead stay to be received, and one that closes already is left to its deadline.
    /// [`CloseCause::MemoryBudget`](crate::connection::CloseCause::MemoryBudget). At least 65,536.
    /// Default: off.
    #[must_use]
    pub fn memory_budget(mut self, octets: impl Into<Option<u64>>) -> Self {
        self.memory_budget = octets.into();
        self
    }

    /// Sets how many proxies in front of the server are trusted to add to `X-Forwarded-For`: the
    /// peer is then the address that many from the right, or the first if there are fewer.
    ///
    /// With too high a number, or if clients also reach the server past the proxies, a client can
    /// claim any address. Where the header is missing or has no address at that place, the peer is
    /// that of the socket. Default: 0, which is off.
    #[must_use]
    pub fn trust_x_forwarded_for(mut self, proxies: u32) -> Self {
        self.trust_x_forwarded_for = proxies;
        self
    }

    /// Sets how many proxies in front of the server are trusted to add to `Forwarded` (RFC 7239):
    /// the peer is then what `for` says in the element that many from the right, or in the first if
    /// there are fewer.
    ///
    /// As for [`trust_x_forwarded_for`](Self::trust_x_forwarded_for), of which only one may be on: a
    /// client could send the header that the proxies leave alone. `unknown` and names with an
    /// underscore are no addresses. Default: 0, which is off.
    #[must_use]
    pub fn trust_forwarded(mut self, proxies: u32) -> Self {
        self.trust_forwarded = proxies;
        self
    }

    /// Sets the proxies that start each connection with a header of the PROXY protocol, version 1
    /// or 2, which tells the peer: addresses, networks such as `10.0.0.0/8`, or `unix` for all
    /// peers at Unix sockets.
    ///
    /// From these the header must come, within `open_handshake_timeout`, or the connection is
    /// dropped; from all others there is none. It stands before the TLS handshake, where there is
    /// one. Default: none.
    ///
    /// ```
    /// use motorway::ServerOptions;
    ///
    /// let options = ServerOptions::default().proxy_protocol(["127.0.0.1", "10.0.0.0/8"]);
    /// assert!(options.validate().is_ok());
    /// assert!(ServerOptions::default().proxy_protocol(["10.0.0.0/33"]).validate().is_err());
    /// ```
    #[must_use]
    pub fn proxy_protocol(mut self, proxies: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.proxy_protocol = Networks::new("proxy_protocol", proxies);
        self
    }

    /// Sets how many connections may wait to be accepted; the system may have a limit below it.
    ///
    /// 1 to 65535. For listeners that are bound from then on, and for a blocking server at once.
    /// Default: 1024, Autobahn's is 50.
    #[must_use]
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Sets whether other sockets, also of other processes of the same user, may listen on the
    /// same TCP port, among which the system then shares out connections (`SO_REUSEPORT`).
    ///
    /// For listeners that are bound from then on; without effect where the system knows no such
    /// thing. A blocking server refuses it, since its address is bound before. Default: false.
    #[must_use]
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.reuse_port = reuse;
        self
    }

    /// Sets whether a plain HTTP request is answered with a page that says what runs here,
    /// instead of 426.
    ///
    /// Default: true.
    #[must_use]
    pub fn web_status(mut self, show: bool) -> Self {
        self.web_status = show;
        self
    }

    /// Sets whether the status page leads to the URL that the query names, as Autobahn's does:
    /// `/?redirect=https://example.com/` at once with 303, `&after=5` after so many seconds.
    ///
    /// Default: false, since anyone can then make links that seem to lead to this server and lead
    /// elsewhere. Only `http` and `https` URLs are followed.
    #[must_use]
    pub fn web_status_redirect(mut self, redirect: bool) -> Self {
        self.web_status_redirect = redirect;
        self
    }

    /// Sets the `Server` header (RFC 9110 §10.2.4); `None` leaves it out.
    ///
    /// Default: `motorway/` and the version.
    #[must_use]
    pub fn server(mut self, server: impl Into<Option<String>>) -> Self {
        self.server = server.into();
        self
    }

    /// Sets the port that clients see, which may be that of a proxy; a request with another one
    /// in its `Host` is then refused with 400.
    ///
    /// At least 1. A `Host` without a port passes where this is 80 or 443. Default: off.
    #[must_use]
    pub fn external_port(mut self, port: impl Into<Option<u16>>) -> Self {
        self.external_port = port.into();
        self
    }

    /// Sets whether those who send `<policy-file-request/>` and a NUL instead of a request, as the
    /// Flash player did before it opened a socket, get the policy file and nothing else. No callback
    /// is called for them.
    ///
    /// Default: false; they are then answered with 400.
    #[must_use]
    pub fn serve_flash_socket_policy(mut self, serve: bool) -> Self {
        self.serve_flash_socket_policy = serve;
        self
    }

    /// Sets the policy file of Flash's sockets; its last character, and no other, is a NUL.
    ///
    /// Default: as in Autobahn, one that allows pages of all hosts to connect to all ports.
    #[must_use]
    pub fn flash_socket_policy(mut self, policy: impl Into<String>) -> Self {
        self.flash_socket_policy = policy.into();
        self
    }

    /// Sets the URL under which clients know this server: `ws://` or `wss://`, without a query or
    /// fragment (RFC 6455 §3). For the application, which gets it from the factory's `url`. Not with
    /// `blocking`, which has no factories.
    ///
    /// Default: none.
    #[must_use]
    pub fn url(mut self, url: impl Into<Option<String>>) -> Self {
        self.url = url.into();
        self
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    ///
    /// Fails with the name, the value and the range of the first option that is out of it.
    pub fn validate(&self) -> Result<(), OptionsError> {
        self.common.validate()?;
        self.allowed_origins.as_ref().map_err(Clone::clone)?;
        self.proxy_protocol.as_ref().map_err(Clone::clone)?;
        header_text("server", self.server.as_deref())?;
        let valid = self
            .versions
            .iter()
            .all(|version| [8, 13].contains(version));
        if self.versions.is_empty() || !valid {
            let versions = format!("{:?}", self.versions);
            return Err(OptionsError::value("versions", versions, "8, 13 or both"));
        }
        if self.max_connections == Some(0) {
            let error = OptionsError::value("max_connections", 0, "at least 1, or None");
            return Err(error);
        }
        if self.max_handshaking == Some(0) {
            let error = OptionsError::value("max_handshaking", 0, "at least 1, or None");
            return Err(error);
        }
        if let Some(octets) = self.memory_budget
            && octets < LEAST_BUDGET
        {
            let error = OptionsError::value("memory_budget", octets, "at least 65536, or None");
            return Err(error);
        }
        if !(1..=65_535).contains(&self.backlog) {
            let error = OptionsError::value("backlog", self.backlog, "1 to 65535");
            return Err(error);
        }
        if self.external_port == Some(0) {
            let error = OptionsError::value("external_port", 0, "1 to 65535, or None");
            return Err(error);
        }
        if self.trust_x_forwarded_for > 0 && self.trust_forwarded > 0 {
            let allowed = "0 where trust_x_forwarded_for is on";
            let error = OptionsError::value("trust_forwarded", self.trust_forwarded, allowed);
            return Err(error);
        }
        let policy = self.flash_socket_policy.as_str();
        if policy.find('\0').is_none_or(|at| at + 1 != policy.len()) {
            let allowed = "a text with one NUL, at its end";
            return Err(OptionsError::text("flash_socket_policy", policy, allowed));
        }
        match &self.url {
            Some(url) if !is_server_url(url) => {
                let allowed = "a ws:// or wss:// URL without query and fragment";
                Err(OptionsError::text("url", url, allowed))
            }
            _ => Ok(()),
        }
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            common: CommonOptions::default(),
            per_message_compression_accept: None,
            require_masked_client_frames: true,
            mask_server_frames: false,
            versions: vec![13],
            allowed_origins: Ok(AllowedOrigins::default()),
            allow_null_origin: None,
            max_connections: None,
            max_handshaking: None,
            memory_budget: None,
            trust_x_forwarded_for: 0,
            trust_forwarded: 0,
            proxy_protocol: Ok(Networks::default()),
            backlog: 1024,
            reuse_port: false,
            web_status: true,
            web_status_redirect: false,
            server: Some(concat!("motorway/", env!("CARGO_PKG_VERSION")).to_owned()),
            external_port: None,
            serve_flash_socket_policy: false,
            flash_socket_policy: FLASH_SOCKET_POLICY.to_owned(),
            url: None,
            autobahn_status: false,
        }
    }
}

/// A budget that one message of some size does not use up.
const LEAST_BUDGET: u64 = 64 << 10;
/// Autobahn's own.
const FLASH_SOCKET_POLICY: &str = "<cross-domain-policy>\n     \
    <allow-access-from domain=\"*\" to-ports=\"*\" />\n</cross-domain-policy>\0";

/// Tells whether the text is the URL of a server: scheme, authority and path, no more.
fn is_server_url(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    ["ws", "wss"].contains(&scheme.to_ascii_lowercase().as_str())
        && super::authority(authority).is_some()
        && url.bytes().all(|octet| octet.is_ascii_graphic())
        && !url.contains(['?', '#'])
}
