//! Patterns of origins, against a matcher that goes label by label, without expressions.

use motorway::AllowedOrigins;

/// A pattern allows what its documentation says, and nothing besides.
pub fn origins(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.lines();
    let (pattern, origin) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    if let Ok(allowed) = AllowedOrigins::new([pattern]) {
        assert_eq!(allowed.is_any(), pattern == "*");
        assert_eq!(allowed.allows(origin), allows(pattern, origin), "{text}");
        // Who is named is let in, whatever is behind the name.
        let is_name = !pattern.contains('*') && pattern != "self";
        assert!(!is_name || allowed.allows(pattern), "{pattern}");
    }
    let none: [&str; 0] = [];
    let nobody = AllowedOrigins::new(none).expect("an empty list is one");
    assert!(!nobody.allows(origin));
}

fn allows(pattern: &str, origin: &str) -> bool {
    let origin = origin.to_ascii_lowercase();
    let pattern = pattern.to_ascii_lowercase();
    if origin == "null" || origin.starts_with("file:") {
        return pattern == "*";
    }
    let Some((scheme, host, port)) = parts(&origin).filter(|(scheme, host, port)| {
        is_scheme(scheme) && is_host(host) && port.is_none_or(is_port)
    }) else {
        return false;
    };
    if pattern == "*" {
        return true;
    }
    let Some((scheme_pattern, host_pattern, port_pattern)) = parts(&pattern) else {
        return false;
    };
    let port = match port {
        Some(port) => Some(port.parse::<u16>().expect("a port")),
        None => default_port(scheme),
    };
    let fits_port = match port_pattern {
        None => port == default_port(scheme),
        Some("*") => true,
        Some(text) if text.contains('*') => {
            port.is_some_and(|port| glob(text.as_bytes(), port.to_string().as_bytes()))
        }
        Some(text) => text.parse().ok() == port,
    };
    let pattern: Vec<_> = host_pattern.split('.').collect();
    let host: Vec<_> = host.split('.').collect();
    let fits_scheme = scheme_pattern == "*" || is_like(scheme_pattern, scheme);
    fits_port && fits_scheme && fits_labels(&pattern, &host)
}

/// Scheme, host and port, of which none is checked.
fn parts(text: &str) -> Option<(&str, &str, Option<&str>)> {
    let (scheme, rest) = text.split_once("://")?;
    let port_at = match rest.rfind(']') {
        Some(end) => rest[end..].find(':').map(|at| end + at),
        None => rest.rfind(':'),
    };
    Some(match port_at {
        Some(at) => (scheme, &rest[..at], Some(&rest[at + 1..])),
        None => (scheme, rest, None),
    })
}

fn is_scheme(text: &str) -> bool {
    let mut letters = text.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|it| it.is_ascii_alphanumeric() || "+-.".contains(it))
}

fn is_host(text: &str) -> bool {
    if let Some(literal) = text.strip_prefix('[') {
        let literal = literal.strip_suffix(']');
        return literal.is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let is_fine = |it: char| it.is_ascii_alphanumeric() || "-._~".contains(it);
    (1..=255).contains(&text.len()) && text.chars().all(is_fine)
}

fn is_port(text: &str) -> bool {
    let digits = (1..=5).contains(&text.len()) && text.chars().all(|it| it.is_ascii_digit());
    digits && text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn default_port(scheme: &str) -> Option<u16> {
    [("http", 80), ("ws", 80), ("https", 443), ("wss", 443)]
        .into_iter()
        .find_map(|(name, port)| (name == scheme).then_some(port))
}

/// A lone `*` is one label or more; others are matched one to one.
fn fits_labels(pattern: &[&str], host: &[&str]) -> bool {
    match (pattern, host) {
        ([], []) => true,
        (["*", rest @ ..], host) => (1..=host.len()).any(|some| {
            host[..some].iter().all(|it| !it.is_empty()) && fits_labels(rest, &host[some..])
        }),
        ([first, rest @ ..], [label, host @ ..]) => {
            is_like(first, label) && fits_labels(rest, host)
        }
        _ => false,
    }
}

/// `*` within is anything but dots.
fn is_like(pattern: &str, text: &str) -> bool {
    glob(pattern.as_bytes(), text.as_bytes())
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    // For each beginning of the pattern, which beginnings of the text it matches.
    let mut fits = vec![false; text.len() + 1];
    fits[0] = true;
    for letter in pattern {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = match letter {
                b'*' => fits[at] || at > 0 && text[at - 1] != b'.' && next[at - 1],
                letter => at > 0 && text[at - 1] == *letter && fits[at - 1],
            };
        }
        fits = next;
    }
    fits[text.len()]
}
