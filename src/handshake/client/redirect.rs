//! Redirects of the opening handshake (RFC 9110 §15.4): where to, and what must not go there.

use http::{HeaderMap, HeaderName, StatusCode, header};

use super::ConnectingRequest;
use crate::handshake::url::join;
use crate::handshake::{HandshakeError, ResponseHead, Url};
use crate::options::ClientOptions;

/// The URLs that an opening handshake leads through, and what it asks for at the last of them.
///
/// ```
/// use motorway::handshake::client::Journey;
/// use motorway::{ClientOptions, Url};
///
/// let url: Url = "ws://example.com/old".parse()?;
/// let options = ClientOptions::default().max_redirects(3).header("authorization", "Bearer 0123");
/// let mut journey = Journey::new(url, options);
/// journey.follow("new?a=1")?;
/// assert_eq!(journey.url().to_string(), "ws://example.com/new?a=1");
/// journey.follow("https://example.org/chat")?;
/// assert_eq!(journey.url().to_string(), "wss://example.org/chat");
/// assert!(journey.follow("http://example.org/chat").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Journey {
    url: Url,
    options: ClientOptions,
    connecting: Option<ConnectingRequest>,
    /// The URLs before the last.
    before: Vec<Url>,
    has_crossed: bool,
}

impl Journey {
    /// Begins at this URL.
    #[must_use]
    pub fn new(url: Url, options: ClientOptions) -> Self {
        Self {
            url,
            options,
            connecting: None,
            before: Vec::new(),
            has_crossed: false,
        }
    }

    /// Sets what is asked for besides the options.
    pub fn set_connecting(&mut self, connecting: Option<ConnectingRequest>) {
        self.connecting = connecting;
    }

    /// Returns the URL to connect to.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the options for that URL.
    #[must_use]
    pub fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// Returns what is asked for besides the options.
    #[must_use]
    pub fn connecting(&self) -> Option<&ConnectingRequest> {
        self.connecting.as_ref()
    }

    /// Goes on to where an answer leads: a URL, or a part of one (RFC 3986 §4.2).
    ///
    /// `http` and `https` stand for `ws` and `wss`. To another scheme, host or port
    /// `Authorization`, `Cookie` and `Proxy-Authorization` do not go along, and `connect_to` does not
    /// hold; host, port and resource that were asked for apart from the URL go nowhere.
    ///
    /// # Errors
    ///
    /// Fails beyond `max_redirects`, where it has been before, from `wss` to `ws`, and where there
    /// is no URL of a WebSocket.
    pub fn follow(&mut self, location: &str) -> Result<(), HandshakeError> {
        let limit = self.options.max_redirects;
        if self.before.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
            let chain = self.chain();
            return Err(HandshakeError::TooManyRedirects { chain, limit });
        }
        let next = join(&self.url, location).map_err(|fault| HandshakeError::InvalidRedirect {
            chain: self.chain(),
            fault,
        })?;
        let crosses = next.origin() != self.url.origin();
        let was_secure = self.url.is_secure();
        self.before.push(std::mem::replace(&mut self.url, next));
        if was_secure && !self.url.is_secure() {
            let chain = self.chain();
            return Err(HandshakeError::InsecureRedirect { chain });
        }
        if self.before.contains(&self.url) {
            let chain = self.chain();
            return Err(HandshakeError::RedirectLoop { chain });
        }
        if let Some(connecting) = &mut self.connecting {
            (connecting.host, connecting.port, connecting.resource) = (None, None, None);
        }
        if crosses {
            self.has_crossed = true;
            self.options.connect_to = None;
            self.options.common.headers.remove(&SECRET);
            if let Some(connecting) = &mut self.connecting {
                connecting.headers.remove(&SECRET);
            }
        }
        Ok(())
    }

    /// Tells whether it has led to another scheme, host or port.
    #[must_use]
    pub fn has_crossed(&self) -> bool {
        self.has_crossed
    }

    fn chain(&self) -> Vec<Url> {
        let all = self.before.iter().chain([&self.url]);
        all.cloned().collect()
    }
}

/// Returns where an answer leads, if it leads elsewhere.
#[must_use]
pub fn location(head: &ResponseHead) -> Option<&str> {
    let leads = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    let headers: &HeaderMap = head.headers();
    let location = headers.get(header::LOCATION)?.to_str().ok()?;
    leads.contains(&head.status()).then_some(location)
}

/// What is for one server alone.
const SECRET: [HeaderName; 3] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
];

#[cfg(test)]
mod tests {
    use super::Journey;
    use crate::handshake::HandshakeError;
    use crate::handshake::client::ConnectingRequest;
    use crate::options::ClientOptions;

    fn journey(url: &str) -> Journey {
        let options = ClientOptions::default().max_redirects(3);
        let options = options.header("cookie", "a").header("x", "y");
        let mut journey = Journey::new(url.parse().unwrap(), options);
        let connecting = ConnectingRequest::new()
            .header("authorization", "b")
            .header("proxy-authorization", "c")
            .header("z", "z")
            .resource("/mine")
            .host("mine")
            .port(1);
        journey.set_connecting(Some(connecting));
        journey
    }

    #[test]
    fn locations_are_resolved() {
        for (url, location, expected) in [
            ("ws://a/b/c?d", "e", "ws://a/b/e"),
            ("ws://a/b/c?d", "/e?f", "ws://a/e?f"),
            ("ws://a/b/c?d", "?f", "ws://a/b/c?f"),
            ("ws://a/b/c?d", "../e/./f", "ws://a/e/f"),
            ("ws://a/b/c?d", "../../../e", "ws://a/e"),
            ("ws://a/b/c?d", ".", "ws://a/b/"),
            ("ws://a/b/c", "//e/f", "ws://e/f"),
            ("wss://a/b/c", "//e:1", "wss://e:1/"),
            ("ws://a/b", "http://e", "ws://e/"),
            ("ws://a/b", "HTTPS://e/f#g", "wss://e/f"),
            ("wss://a/b", "wss://a:444/b", "wss://a:444/b"),
            ("ws://a/b", "e:f", ""),
            ("ws://a/b", "./e:f", "ws://a/e:f"),
            ("ws://a/b", "ftp://e", ""),
            ("ws://a/b", "http://u:p@e", ""),
            ("ws://a/b", "ws://unix:/run/x.sock", ""),
            ("ws://a/b", "http://", ""),
            ("ws://unix:/run/x.sock", "/e", "ws://unix:/run/x.sock"),
        ] {
            let mut journey = journey(url);
            match journey.follow(location) {
                Ok(()) => assert_eq!(journey.url().to_string(), expected, "{location}"),
                Err(error) => {
                    let invalid = matches!(error, HandshakeError::InvalidRedirect { .. });
                    assert!(invalid && expected.is_empty(), "{location} {error}");
                }
            }
        }
    }

    #[test]
    fn secrets_stay_at_their_origin() {
        for (url, location, kept) in [
            ("ws://a/b", "/c", true),
            ("ws://a/b", "ws://A:80/c", true),
            ("ws://a/b", "ws://a:81/b", false),
            ("ws://a/b", "wss://a/b", false),
            ("ws://a/b", "ws://b/b", false),
        ] {
            let mut journey = journey(url);
            journey.follow(location).unwrap();
            let connecting = journey.connecting().unwrap();
            let options = journey.options().common.headers.map();
            assert_eq!(options.contains_key("cookie"), kept, "{location}");
            let asked = connecting.headers.map();
            assert_eq!(asked.contains_key("authorization"), kept);
            assert_eq!(asked.contains_key("proxy-authorization"), kept);
            assert!(options.contains_key("x") && asked.contains_key("z"));
            let parts = (&connecting.host, connecting.port, &connecting.resource);
            assert_eq!(parts, (&None, None, &None));
        }
    }

    #[test]
    fn loops_downgrades_and_endless_chains_are_named() {
        let mut first = journey("ws://a/1");
        first.follow("/2").unwrap();
        let error = first.follow("/1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "redirected in a loop: ws://a/1 -> ws://a/2 -> ws://a/1"
        );
        let mut second = journey("wss://a/1");
        let error = second.follow("ws://a/1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "redirected away from tls: wss://a/1 -> ws://a/1"
        );
        let mut third = journey("ws://a/1");
        for place in ["/2", "/3", "/4"] {
            third.follow(place).unwrap();
        }
        let error = third.follow("/5").unwrap_err();
        assert_eq!(
            error.to_string(),
            "more than 3 redirects: ws://a/1 -> ws://a/2 -> ws://a/3 -> ws://a/4"
        );
    }
}
