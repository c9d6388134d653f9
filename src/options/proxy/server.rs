//! One proxy, as a URL names it.

use std::fmt;

use crate::options::{OptionsError, authority, percent};

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyScheme {
    /// HTTP CONNECT (RFC 9110 §9.3.6).
    Http,
    /// HTTP CONNECT over TLS.
    Https,
    /// SOCKS4: IPv4 addresses.
    Socks4,
    /// SOCKS4a: names, too.
    Socks4a,
    /// SOCKS5 (RFC 1928): addresses.
    Socks5,
    /// SOCKS5: names, which the proxy resolves.
    Socks5h,
}

impl ProxyScheme {
    fn parse(text: &str) -> Option<Self> {
        let all = [
            Self::Http,
            Self::Https,
            Self::Socks4,
            Self::Socks4a,
            Self::Socks5,
            Self::Socks5h,
        ];
        let mut all = all.into_iter();
        all.find(|scheme| scheme.name().eq_ignore_ascii_case(text))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks4 => "socks4",
            Self::Socks4a => "socks4a",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks4 | Self::Socks4a | Self::Socks5 | Self::Socks5h => 1080,
        }
    }
}

/// A proxy; prints as its URL, without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyServer {
    scheme: ProxyScheme,
    host: String,
    port: u16,
    credentials: Option<Credentials>,
}

/// Whom the proxy is asked by, as octets.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: Vec<u8>,
    pub(crate) password: Vec<u8>,
}

impl ProxyServer {
    /// Reads the URL of a proxy; errors name this option.
    pub(super) fn parse(option: &'static str, url: &str) -> Result<Self, OptionsError> {
        Self::read(url).map_err(|allowed| OptionsError::text(option, &redacted(url), allowed))
    }

    fn read(url: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.split_once("://").ok_or(URL)?;
        let scheme = ProxyScheme::parse(scheme).ok_or(URL)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user_information, place) = match rest.rsplit_once('@') {
            Some((user_information, place)) => (Some(user_information), place),
            None => (None, rest),
        };
        let (host, port) = authority(place).ok_or(URL)?;
        let credentials = user_information.map(|text| Credentials::read(scheme, text));
        Ok(Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port: port.unwrap_or(scheme.default_port()),
            credentials: credentials.transpose()?,
        })
    }

    /// Returns how the proxy is spoken to.
    #[must_use]
    pub fn scheme(&self) -> ProxyScheme {
        self.scheme
    }

    /// Returns the host in lower case, an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }
}

impl Credentials {
    fn read(scheme: ProxyScheme, text: &str) -> Result<Self, &'static str> {
        let (user, password) = match text.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (text, None),
        };
        let (user, password) = (percent::decode(user), password.map(percent::decode));
        let has = |octet: fn(&u8) -> bool| user.iter().chain(password.iter().flatten()).any(octet);
        match scheme {
            // RFC 7617 §2: "a user-id containing a colon character is invalid".
            ProxyScheme::Http | ProxyScheme::Https
                if user.contains(&b':') || has(u8::is_ascii_control) =>
            {
                Err("a URL whose user has no colon, and no control characters with the password")
            }
            ProxyScheme::Socks4 | ProxyScheme::Socks4a
                if password.is_some() || user.contains(&0) =>
            {
                Err("a URL with a user alone: SOCKS4 knows no password")
            }
            // RFC 1929 §2: lengths are an octet.
            ProxyScheme::Socks5 | ProxyScheme::Socks5h
                if user.is_empty()
                    || user.len() > 255
                    || password.as_ref().is_some_and(|it| it.len() > 255) =>
            {
                Err("a URL with a user of 1 to 255 octets and a password of at most 255")
            }
            _ => Ok(Self {
                user,
                password: password.unwrap_or_default(),
            }),
        }
    }
}

impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.name(), self.host, self.port)
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProxyServer")
            .field(&self.to_string())
            .finish()
    }
}

/// Returns a URL without what may be user and password, however malformed it is.
fn redacted(url: &str) -> String {
    let Some((before, place)) = url.rsplit_once('@') else {
        return url.to_owned();
    };
    let is_scheme = |text: &str| text.bytes().all(|octet| octet.is_ascii_alphanumeric());
    match before.split_once("://") {
        Some((scheme, _)) if is_scheme(scheme) => format!("{scheme}://…@{place}"),
        _ => format!("…@{place}"),
    }
}

const URL: &str = "a URL such as http://host:port, with one of the schemes http, https, socks4, \
     socks4a, socks5 and socks5h, and no path";

#[cfg(test)]
mod tests {
    use super::{ProxyScheme, ProxyServer};

    #[test]
    fn urls_of_proxies_are_read() {
        for (url, scheme, printed) in [
            ("http://a", ProxyScheme::Http, "http://a:80"),
            ("HTTP://A:3128/", ProxyScheme::Http, "http://a:3128"),
            ("https://a", ProxyScheme::Https, "https://a:443"),
            ("socks4://a", ProxyScheme::Socks4, "socks4://a:1080"),
            ("socks4a://u@a", ProxyScheme::Socks4a, "socks4a://a:1080"),
            ("socks5://[::1]:9", ProxyScheme::Socks5, "socks5://[::1]:9"),
            ("socks5h://u:p@a", ProxyScheme::Socks5h, "socks5h://a:1080"),
            ("http://u:p@w/x#@a:1", ProxyScheme::Http, "http://a:1"),
        ] {
            let server = ProxyServer::parse("proxy", url).unwrap();
            assert_eq!(
                (server.scheme(), server.to_string().as_str()),
                (scheme, printed)
            );
        }
        let server = ProxyServer::parse("proxy", "http://a%20b:%C3%BC%3a:c@x").unwrap();
        let credentials = server.credentials().unwrap();
        assert_eq!(credentials.user, b"a b");
        assert_eq!(credentials.password, "ü::c".as_bytes());
    }

    #[test]
    fn what_is_no_url_of_a_proxy_is_refused_without_telling_secrets() {
        let long = "x".repeat(256);
        for url in [
            "",
            "a",
            "a:80",
            "ftp://secret:secret@a",
            "http://",
            "http://a:0",
            "http://a/secret@",
            "http://a/path",
            "secret:secret@a:80",
            "secret:se://cret@a:80",
            "http://se%3Acret:secret@a",
            "http://secret:secret%0a@a",
            "socks4://secret:secret@a",
            "socks4a://secret%00@a",
            "socks5://:secret@a",
            &format!("socks5://{long}secret:secret@a"),
            &format!("socks5h://secret:{long}secret@a"),
            "socks://a",
        ] {
            let error = ProxyServer::parse("proxy", url).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(!text.contains("secret"), "{text}");
            assert_eq!(error.option(), "proxy");
        }
    }

    #[test]
    fn printed_and_debugged_it_tells_no_secret() {
        let server = ProxyServer::parse("proxy", "socks5h://secret:secret@a:1").unwrap();
        assert_eq!(format!("{server:?}"), r#"ProxyServer("socks5h://a:1")"#);
    }
}
