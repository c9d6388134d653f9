//! The variables of an environment that name proxies.

use std::fmt;

use super::ProxyServer;
use crate::options::OptionsError;

/// The proxies by the name of their variable, in lower case.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Variables(Vec<(&'static str, ProxyServer)>);

impl Variables {
    pub(super) fn read(lookup: &impl Fn(&str) -> Option<String>) -> Result<Self, OptionsError> {
        let is_cgi = lookup("REQUEST_METHOD").is_some();
        let mut variables = Vec::new();
        for (lower, upper) in NAMES {
            let upper = |lookup: &dyn Fn(&str) -> Option<String>| match (upper, is_cgi) {
                // A request header `Proxy` ends up there.
                ("HTTP_PROXY", true) => None,
                _ => Some((upper, lookup(upper)?)),
            };
            let found = lookup(lower).map(|value| (lower, value));
            let Some((name, value)) = found.or_else(|| upper(lookup)) else {
                continue;
            };
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            let server = match (value.contains("://"), lower) {
                (true, _) => ProxyServer::parse(name, value),
                (false, "socks_proxy") => ProxyServer::parse(name, &format!("socks5h://{value}")),
                (false, _) => ProxyServer::parse(name, &format!("http://{value}")),
            };
            variables.push((lower, server?));
        }
        Ok(Self(variables))
    }

    pub(super) fn server(&self, scheme: &str) -> Option<&ProxyServer> {
        let names: &[&str] = match scheme {
            "wss" => &["wss_proxy", "socks_proxy", "https_proxy", "all_proxy"],
            _ => &[
                "ws_proxy",
                "socks_proxy",
                "https_proxy",
                "http_proxy",
                "all_proxy",
            ],
        };
        let named = |name| self.0.iter().find(|(found, _)| *found == name);
        let (_, server) = names.iter().copied().find_map(named)?;
        Some(server)
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.0.iter();
        let entries = entries.map(|(name, server)| (name, server.to_string()));
        f.debug_map().entries(entries).finish()
    }
}

const NAMES: [(&str, &str); 6] = [
    ("ws_proxy", "WS_PROXY"),
    ("wss_proxy", "WSS_PROXY"),
    ("socks_proxy", "SOCKS_PROXY"),
    ("https_proxy", "HTTPS_PROXY"),
    ("http_proxy", "HTTP_PROXY"),
    ("all_proxy", "ALL_PROXY"),
];

#[cfg(test)]
mod tests {
    use crate::options::{OptionsError, Proxy};

    fn proxy(variables: &[(&str, &str)]) -> Result<Proxy, OptionsError> {
        Proxy::from_variables(|name| {
            let mut found = variables.iter().filter(|(key, _)| *key == name);
            found.next().map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_first_variable_for_the_scheme_is_taken() {
        let all = [
            ("ws_proxy", "http://ws"),
            ("wss_proxy", "http://wss"),
            ("SOCKS_PROXY", "socks"),
            ("HTTPS_PROXY", "https://https"),
            ("http_proxy", "http"),
            ("all_proxy", "all:1"),
        ];
        let secure = [
            "http://wss:80",
            "socks5h://socks:1080",
            "https://https:443",
            "http://all:1",
        ];
        let plain = [
            "http://ws:80",
            "socks5h://socks:1080",
            "https://https:443",
            "http://http:80",
            "http://all:1",
        ];
        for (scheme, expected) in [("wss", &secure[..]), ("ws", &plain)] {
            let mut set = all.to_vec();
            for expected in expected {
                let proxy = proxy(&set).unwrap();
                let found = proxy.server(scheme, "example.com", 80).unwrap();
                assert_eq!(found.to_string(), *expected);
                // Without that one the next counts.
                set.retain(|(_, value)| {
                    let host = found.host();
                    value
                        .trim_start_matches("http://")
                        .trim_start_matches("https://")
                        .split(':')
                        .next()
                        != Some(host)
                });
            }
            assert_eq!(proxy(&set).unwrap().server(scheme, "example.com", 80), None);
        }
    }

    #[test]
    fn lower_case_goes_before_upper_case_and_empty_is_none() {
        let both = [("ws_proxy", "http://a"), ("WS_PROXY", "http://b")];
        let server = |variables: &[_]| {
            let proxy = proxy(variables).unwrap();
            proxy.server("ws", "x", 80).map(|it| it.host().to_owned())
        };
        assert_eq!(server(&both).as_deref(), Some("a"));
        assert_eq!(server(&[("ws_proxy", " "), ("WS_PROXY", "http://b")]), None);
        assert_eq!(server(&[("WS_PROXY", "http://b")]).as_deref(), Some("b"));
    }

    #[test]
    fn http_proxy_in_upper_case_is_not_trusted_in_cgi_programs() {
        let server = |variables: &[_]| {
            let proxy = proxy(variables).unwrap();
            proxy.server("ws", "x", 80).is_some()
        };
        assert!(server(&[("HTTP_PROXY", "http://a")]));
        let cgi = ("REQUEST_METHOD", "GET");
        assert!(!server(&[("HTTP_PROXY", "http://a"), cgi]));
        assert!(server(&[("http_proxy", "http://a"), cgi]));
        assert!(server(&[("HTTPS_PROXY", "http://a"), cgi]));
    }

    #[test]
    fn a_wrong_variable_is_named_without_its_secrets() {
        for (name, value) in [
            ("WSS_PROXY", "x://secret:secret@a"),
            ("all_proxy", "secret@a/b"),
        ] {
            let error = proxy(&[(name, value)]).unwrap_err();
            assert_eq!(error.option(), name);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
