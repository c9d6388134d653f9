//! Heads of requests that are not to pass, and the status that each gets.

use crate::octets::request;

/// Heads that end at the limits of size, line and number, or beyond them, and the answer to each.
pub(crate) fn long() -> Vec<(String, u16)> {
    let line = |length: usize| format!("X: {}\r\n", "a".repeat(length - 3));
    let lines = |count: usize| request("").lines().count() - 2 + count;
    let size = |size: usize| {
        let rest = size - request(&line(8192).repeat(3)).len() - 2;
        request(&(line(8192).repeat(3) + &line(rest)))
    };
    let target = |length: usize| {
        request("").replacen("GET /", &format!("GET /{}", "a".repeat(length - 14)), 1)
    };
    vec![
        (request(&line(8192)), 101),
        (request(&line(8193)), 431),
        (target(8192), 101),
        (target(8193), 414),
        (size(32 << 10), 101),
        (size((32 << 10) + 1), 431),
        (request(&"a: b\r\n".repeat(128 - lines(0))), 101),
        (request(&"a: b\r\n".repeat(129 - lines(0))), 431),
        // Without an end in sight.
        ("a".repeat(100_000), 414),
        (format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(100_000)), 431),
        (
            format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(100_000)),
            431,
        ),
    ]
}

/// Requests that others may take for two, and the answer to each; [`SECOND`] follows them.
pub(crate) fn smuggled() -> Vec<(String, u16)> {
    vec![
        (
            request(&format!("Content-Length: {}\r\n", SECOND.len())),
            400,
        ),
        (request("Content-Length: 0\r\nContent-Length: 5\r\n"), 400),
        (request("Content-Length: 0, 5\r\n"), 400),
        (request("Content-Length: -0\r\n"), 400),
        (request("Content-Length: +0\r\n"), 400),
        (request("Content-Length: 0x0\r\n"), 400),
        (request("Content-Length:\r\n"), 400),
        (request("Transfer-Encoding: chunked\r\n"), 400),
        (request("Transfer-Encoding: identity\r\n"), 400),
        (request("Transfer-Encoding:\r\n"), 400),
        (
            request("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
            400,
        ),
        (
            request("").replace("Connection: Upgrade", "Connection: keep-alive"),
            400,
        ),
        (request("").replace("Connection: Upgrade\r\n", ""), 400),
        (
            request("").replace("Upgrade: websocket", "Upgrade: h2c"),
            400,
        ),
        (request("").replacen("GET", "POST", 1), 405),
        (request("").replacen("GET", "CONNECT", 1), 405),
    ]
}

/// What comes behind a request that is smuggled.
pub(crate) const SECOND: &str = "GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// HTTP that two readers may read in two ways (RFC 9112 §2.2, §3.2, §5.1, §5.2), and the answer to each.
pub(crate) fn lenient() -> Vec<(String, u16)> {
    vec![
        (request("X: a\0b\r\n"), 400),
        (request("X: a\rb\r\n"), 400),
        (request("X: a\nY: b\r\n"), 400),
        (request("X: a\r\n folded\r\n"), 400),
        (request("X: a\r\n\tfolded\r\n"), 400),
        (request("X : a\r\n"), 400),
        (request("X\t: a\r\n"), 400),
        (request(" X: a\r\n"), 400),
        (request(": a\r\n"), 400),
        (request("no colon\r\n"), 400),
        (request("X: \u{7f}\r\n"), 400),
        (request("X: \u{b}\r\n"), 400),
        (request("").replace("\r\n", "\n"), 400),
        (request("").replace("Host: localhost\r\n", ""), 400),
        (request("Host: localhost\r\n"), 400),
        (request("Host: other\r\n"), 400),
        (request("").replace("Host: localhost", "Host:"), 400),
        (request("").replace("Host: localhost", "Host: a b"), 400),
        (request("").replace("Host: localhost", "Host: a, b"), 400),
        (request("").replace("Host: localhost", "Host: u@a"), 400),
        (request("").replace("Host: localhost", "Host: a/b"), 400),
        (request("").replace("GET / ", "GET  / "), 400),
        (request("").replace("GET / ", "GET /\t"), 400),
        (request("").replace("GET / ", "GET /a b "), 400),
        (request("").replace("GET / ", "GET http://other/ "), 400),
        (request("").replace("GET / ", "GET /#a "), 400),
        (request("").replace("GET /", " GET /"), 400),
        (format!("\r\n{}", request("")), 400),
        // Refused with the status for it (RFC 9110 §15.6.6).
        (request("").replace("HTTP/1.1", "HTTP/1.0"), 505),
        (request("").replace("HTTP/1.1", "HTTP/0.9"), 505),
        (request("").replace("HTTP/1.1", "HTTP/2.0"), 505),
        (request("").replace("GET / HTTP/1.1", "GET /"), 400),
    ]
}
