//! How heads are found among the octets that come in (RFC 9112).

use motorway::handshake::server;
use motorway::handshake::{HandshakeError, HeadLimits, HeadReader};
use motorway::{ClientOptions, Peer, ServerOptions};

use crate::handshake_server::{UPGRADE, read};

#[test]
fn limits_of_heads() {
    let limits = HeadLimits {
        size: 300,
        line: 100,
        headers: 3,
    };
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(length - 14));
    let header = |length: usize| format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(length - 3));
    // 16 for the request line, 2 for the last line, the rest in three headers.
    let size = |length: usize| {
        let line = format!("X: {}\r\n", "a".repeat(95));
        let last = format!("X: {}\r\n", "a".repeat(length - 16 - 200 - 2 - 5));
        format!("GET / HTTP/1.1\r\n{line}{line}{last}\r\n")
    };
    for (octets, expected) in [
        (target(100), None),
        (target(101), Some(414)),
        (header(100), None),
        (header(101), Some(431)),
        (size(300), None),
        (size(301), Some(431)),
        (
            "GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n".to_owned(),
            None,
        ),
        (
            "GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n".to_owned(),
            Some(431),
        ),
        // Without an end in sight.
        ("a".repeat(101), Some(414)),
        (format!("GET / HTTP/1.1\r\n{}", "a".repeat(101)), Some(431)),
    ] {
        let status = read(octets.as_bytes(), limits).map_err(|error| error.status().as_u16());
        assert_eq!(status.err(), expected, "{octets}");
    }
}

#[test]
fn many_headers_take_linear_time() {
    let limits = HeadLimits {
        size: 1 << 20,
        line: 1 << 20,
        headers: 1 << 16,
    };
    let mut octets = b"GET / HTTP/1.1\r\n".to_vec();
    while octets.len() < (1 << 20) - 8 {
        octets.extend_from_slice(b"a:\r\n");
    }
    let mut reader = HeadReader::new(limits);
    for length in 0..octets.len() {
        if reader.request(&octets[..length]).is_err() {
            break;
        }
    }
}

#[test]
fn octets_behind_the_head_are_left() {
    let octets = [UPGRADE.as_bytes(), b"\x81\x00\r\n\r\n"].concat();
    let (_, length) = read(&octets, HeadLimits::default()).unwrap().unwrap();
    assert_eq!(length, UPGRADE.len());
}

#[test]
fn options_set_the_limits() {
    let options = ServerOptions::default()
        .max_header_size(600)
        .max_header_line(500);
    let limits = HeadLimits::from(&options.max_headers(9));
    assert_eq!((limits.size, limits.line, limits.headers), (600, 500, 9));
    assert_eq!(
        HeadLimits::from(&ClientOptions::default()),
        HeadLimits::default()
    );
}

#[test]
fn one_wrong_octet_is_never_fatal() {
    let options = ServerOptions::default();
    for position in 0..UPGRADE.len() {
        for octet in *b"\0\r\n\t :;,=\"\\#%/a\x7f\x80\xff" {
            let mut octets = UPGRADE.as_bytes().to_vec();
            octets[position] = octet;
            // `read` compares what comes of it at once and octet by octet.
            if let Ok(Some((head, _))) = read(&octets, HeadLimits::default()) {
                drop(server::check(head, &options, Peer::Unknown));
            }
        }
    }
}

/// RFC 9112 §2.2 and RFC 9110 §5.5: wherever they stand, and however the head comes in.
#[test]
fn stray_line_ends_and_nuls_are_refused_wherever_they_stand() {
    let head = UPGRADE.as_bytes();
    for at in 0..head.len() {
        for stray in [b'\r', b'\n', 0] {
            let mut octets = head.to_vec();
            octets.insert(at, stray);
            // A line end is one only as a whole; two of them end the head before its time.
            let splits = octets.windows(4).position(|four| four == b"\r\n\r\n");
            if splits != Some(octets.len() - 4) {
                continue;
            }
            for step in [1, 7, octets.len()] {
                let mut reader = HeadReader::new(HeadLimits::default());
                let steps = (1..=octets.len().div_ceil(step)).map(|n| (n * step).min(octets.len()));
                let fault = steps
                    .map(|end| reader.request(&octets[..end]))
                    .find_map(Result::err);
                let fault = fault.unwrap_or_else(|| panic!("{stray:#x} at {at}, by {step}"));
                assert!(
                    matches!(
                        fault,
                        HandshakeError::BareLineEnd
                            | HandshakeError::Nul
                            | HandshakeError::MalformedHead
                    ),
                    "{fault:?}: {stray:#x} at {at}, by {step}"
                );
            }
        }
    }
}
