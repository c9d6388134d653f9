//! Requests: heads of any length, and whatever is ambiguous in HTTP.

use crate::heads::{SECOND, lenient, long, smuggled};
use crate::world::{KEY, ask, echo_server, field, request};
use motorway::handshake::server::{self, Checked};
use motorway::handshake::{HeadLimits, HeadReader};
use motorway::{Peer, ServerOptions};
use std::time::{Duration, Instant};

/// A head of a length of one's choice (CVE-2023-43669): 32 KiB in all, 8 KiB a line, 128 headers.
#[tokio::test]
async fn a_head_of_any_length_is_cut_off() {
    let (server, _world) = echo_server().await;
    for (octets, expected) in long() {
        let (status, head) = ask(&server, &octets).await;
        assert_eq!(status, expected, "{} octets: {head}", octets.len());
    }
}

/// A head that comes octet by octet: parsing goes on where it stopped, so that it takes linear time.
#[test]
fn a_head_octet_by_octet_is_parsed_once() {
    let limits = HeadLimits {
        size: 1 << 20,
        line: 1 << 20,
        headers: 1 << 18,
    };
    for line in ["a:\r\n", "a", "a, "] {
        let octets = format!(
            "GET / HTTP/1.1\r\nX: {}",
            line.repeat((128 << 10) / line.len())
        );
        let (start, mut reader) = (Instant::now(), HeadReader::new(limits));
        for length in 0..(128 << 10) - 64 {
            assert!(
                reader
                    .request(&octets.as_bytes()[..length])
                    .unwrap()
                    .is_none()
            );
            // To read it again at each octet takes 8 thousand million steps.
            assert!(start.elapsed() < Duration::from_secs(10), "{length} octets");
        }
    }
}

/// Lists that take quadratic time (CVE-2020-7662, CVE-2020-7663, CVE-2021-32640).
#[test]
fn lists_are_parsed_in_linear_time() {
    let limits = HeadLimits {
        size: 1 << 20,
        line: 1 << 20,
        headers: 128,
    };
    let options = ServerOptions::default().per_message_deflate(motorway::DeflateOptions::default());
    let distinct: String = (0..30_000).map(|number| format!("p{number}, ")).collect();
    for (name, list) in [
        ("Extensions", "a;".repeat(120_000)),
        ("Extensions", "a; b=\"\\".repeat(100_000)),
        ("Extensions", "permessage-deflate, ".repeat(12_000) + "a"),
        (
            "Extensions",
            "permessage-deflate; server_max_window_bits=8, ".repeat(5_000) + "a",
        ),
        ("Extensions", " \t".repeat(100_000) + ";"),
        ("Protocol", distinct + "p"),
        ("Protocol", ", ".repeat(100_000)),
        ("Protocol", "a, ".repeat(80_000) + "a"),
    ] {
        let octets = request(&format!("Sec-WebSocket-{name}: {list}\r\n"));
        let start = Instant::now();
        let (head, _) = HeadReader::new(limits)
            .request(octets.as_bytes())
            .unwrap()
            .unwrap();
        drop(server::check(head, &options, Peer::Unknown));
        let taken = start.elapsed();
        assert!(taken < Duration::from_secs(20), "{name}: {taken:?}");
    }
}

/// A body on an upgrade (CVE-2026-69243), an upgrade without its tokens (GHSA-4mp9-239f-g9hg), another
/// method: one answer, no 101, and nothing of what follows is taken for a request.
#[tokio::test]
async fn smuggling_gets_one_refusal() {
    let (server, _world) = echo_server().await;
    for (octets, expected) in smuggled() {
        let (status, answer) = ask(&server, octets.clone() + SECOND).await;
        assert_eq!(status, expected, "{octets}{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{octets}{answer}");
        assert!(!answer.contains("admin"), "{answer}");
    }
    // Nothing to read is no body (RFC 9112 §6.3).
    assert_eq!(ask(&server, request("Content-Length: 0\r\n")).await.0, 101);
}

/// A request that another stack has read is checked no less, without a socket.
#[test]
fn smuggling_through_another_server_is_refused() {
    for line in [
        "Content-Length: 1\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Host: two\r\n",
    ] {
        let octets = request(line);
        let read = HeadReader::new(HeadLimits::default()).request(octets.as_bytes());
        let (head, _) = read.unwrap().unwrap();
        let checked = server::check(head, &ServerOptions::default(), Peer::Unknown);
        assert!(matches!(checked, Checked::Refused { .. }), "{line}");
    }
}

/// HTTP that two readers may read in two ways (RFC 9112 §2.2, §3.2, §5.1, §5.2).
#[tokio::test]
async fn lenient_http_is_refused() {
    let (server, world) = echo_server().await;
    for (octets, expected) in lenient() {
        let (status, answer) = ask(&server, &octets).await;
        assert_eq!(status, expected, "{octets:?}: {answer}");
    }
    assert!(world.told.lock().unwrap().is_empty(), "no instance is made");
}

/// Octets above ASCII: RFC 9110 §5.5 has them in values of fields, as opaque data that old programs put
/// there, so those that nobody here reads pass. In what is read into, nothing is guessed.
#[tokio::test]
async fn octets_above_ascii_are_refused_where_they_are_read() {
    let (server, _world) = echo_server().await;
    for (line, expected) in [
        ("Cookie: name=\u{e9}\r\n", 101),
        ("User-Agent: \u{e9}\r\n", 101),
        ("Origin: https://\u{e9}.com\r\n", 400),
        ("Sec-WebSocket-Protocol: \u{e9}\r\n", 400),
        ("Sec-WebSocket-Extensions: \u{e9}\r\n", 400),
        ("Content-Length: \u{e9}\r\n", 400),
        ("\u{e9}: a\r\n", 400),
    ] {
        let (status, answer) = ask(&server, request(line)).await;
        assert_eq!(status, expected, "{line:?}: {answer}");
    }
    for name in [
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Version: 13",
        KEY,
        "GET /",
    ] {
        let octets = request("").replace(name, &format!("{name}\u{e9}"));
        let (status, answer) = ask(&server, &octets).await;
        assert_eq!(status, 400, "{octets:?}: {answer}");
    }
    // Octets that are no UTF-8 either.
    for (name, expected) in [("Host: ", 400), ("GET /", 400), ("X: ", 101)] {
        let mut octets = request("X: a\r\n").into_bytes();
        let at = octets
            .windows(name.len())
            .position(|found| found == name.as_bytes());
        octets.insert(at.unwrap() + name.len(), 0xff);
        assert_eq!(ask(&server, &octets).await.0, expected, "{name:?}");
    }
}

/// The key missing, twice or of another length, the version (RFC 6455 §4.2.1, §4.2.2, §4.4).
#[tokio::test]
async fn a_key_or_version_that_is_wrong_is_refused() {
    let (server, _world) = echo_server().await;
    let keyed = |key: &str| request("").replace(KEY, key);
    let line = format!("Sec-WebSocket-Key: {KEY}\r\n");
    for (octets, expected) in [
        (request("").replace(&line, ""), 400),
        (request(&line), 400),
        (keyed(""), 400),
        (keyed("AQIDBAUGBwgJCgsMDQ4P"), 400),
        (keyed("AQIDBAUGBwgJCgsMDQ4PEBE="), 400),
        (keyed("AQIDBAUGBwgJCgsMDQ4PEBES"), 400),
        (keyed(&"A".repeat(4096)), 400),
        (keyed("AQIDBAUGBwgJCgsMDQ4-EC=="), 400),
        (keyed("\"AQIDBAUGBwgJCgsMDQ4PEC==\""), 400),
        (
            request("").replace("Sec-WebSocket-Version: 13\r\n", ""),
            400,
        ),
        (request("Sec-WebSocket-Version: 13\r\n"), 400),
        (request("").replace("Version: 13", "Version: 013"), 400),
        (request("").replace("Version: 13", "Version: 13, 8"), 400),
        (
            request("").replace("Version: 13", "Version: 4294967309"),
            400,
        ),
    ] {
        let (status, answer) = ask(&server, &octets).await;
        assert_eq!(status, expected, "{octets:?}: {answer}");
    }
    for version in [0, 7, 8, 12, 14, 255] {
        let octets = request("").replace("Version: 13", &format!("Version: {version}"));
        let (status, answer) = ask(&server, &octets).await;
        assert_eq!(status, 426, "{answer}");
        assert_eq!(
            field(&answer, "sec-websocket-version").as_deref(),
            Some("13")
        );
    }
}
