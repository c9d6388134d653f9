//! Hosts that are connected to without a proxy: what `no_proxy` lists.
//!
//! Such lists are shared with other programs, so that what is not understood is passed over.

use std::net::IpAddr;

use crate::options::{authority, networks};

/// A list of hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exceptions(Vec<(Pattern, Option<u16>)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    All,
    /// This host and all below it.
    Domain(String),
    Network(IpAddr, u8),
}

impl Exceptions {
    pub(super) fn add(&mut self, text: &str) {
        let text = text.trim();
        if text == "*" {
            return self.0.push((Pattern::All, None));
        }
        if let Some((address, length)) = networks::parse(bare(text)) {
            return self.0.push((Pattern::Network(address, length), None));
        }
        let text = text.strip_prefix('*').unwrap_or(text);
        let text = text.strip_prefix('.').unwrap_or(text);
        let Some((host, port)) = authority(text) else {
            return;
        };
        let pattern = match networks::parse(bare(host)) {
            Some((address, length)) => Pattern::Network(address, length),
            None => Pattern::Domain(host.trim_end_matches('.').to_ascii_lowercase()),
        };
        self.0.push((pattern, port));
    }

    pub(super) fn cover(&self, host: &str, port: u16) -> bool {
        let host = bare(host).trim_end_matches('.').to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        let mut patterns = self.0.iter();
        patterns.any(|(pattern, only)| {
            let covers = match pattern {
                Pattern::All => true,
                Pattern::Domain(domain) => is_below(&host, domain),
                Pattern::Network(network, length) => address
                    .is_some_and(|it| networks::is_within(it.to_canonical(), *network, *length)),
            };
            covers && only.is_none_or(|only| only == port)
        })
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    match host.strip_suffix(domain) {
        Some(labels) => !domain.is_empty() && (labels.is_empty() || labels.ends_with('.')),
        None => false,
    }
}

fn bare(host: &str) -> &str {
    let inside = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    inside.unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::Exceptions;

    #[test]
    fn hosts_are_covered() {
        for (list, host, expected) in [
            ("", "a", false),
            ("*", "a", true),
            ("example.com", "example.com", true),
            ("example.com", "EXAMPLE.com.", true),
            ("example.com", "www.example.com", true),
            ("example.com", "badexample.com", false),
            (".example.com", "example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("www.example.com", "example.com", false),
            ("com", "example.com", true),
            ("a, b", "b", true),
            ("a b", "b", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "10.example.com", false),
            ("::1", "[::1]", true),
            ("[::1]", "[::1]", true),
            ("fd00::/8", "[fd12::1]", true),
            ("example.com:81", "example.com", false),
            ("example.com:80", "www.example.com", true),
            ("127.0.0.1:80", "127.0.0.1", true),
            ("127.0.0.1:81", "127.0.0.1", false),
            ("http://example.com", "example.com", false),
            ("<local>", "local", false),
            (".", "a", false),
        ] {
            let mut exceptions = Exceptions::default();
            list.split([',', ' ']).for_each(|it| exceptions.add(it));
            assert_eq!(exceptions.cover(host, 80), expected, "{list} {host}");
        }
    }
}
