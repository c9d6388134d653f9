//! Tunnels through proxies, octet by octet (RFC 9110 §9.3.6, RFC 1928, RFC 1929, SOCKS4a).

use motorway::handshake::HeadLimits;
use motorway::handshake::tunnel::{SocksReply, Step, Tunnel, TunnelError};
use motorway::{HandshakeError, Proxy};

/// Talks to a proxy that answers each write with the next of these; returns what was written and
/// what is left at the end. With `one` the answers come an octet at a time.
fn talk(url: &str, host: &str, answers: &[&[u8]]) -> Result<(Vec<Vec<u8>>, Vec<u8>), TunnelError> {
    let whole = converse(url, host, (answers, usize::MAX));
    // What is behind the answer may not have come yet.
    match (&whole, converse(url, host, (answers, 1))) {
        (Ok((written, _)), Ok((same, _))) => assert_eq!(*written, same),
        (Err(error), Err(same)) => assert_eq!(*error, same),
        different => panic!("{different:?}"),
    }
    whole
}

fn converse(
    url: &str,
    host: &str,
    (answers, size): (&[&[u8]], usize),
) -> Result<(Vec<Vec<u8>>, Vec<u8>), TunnelError> {
    let proxy = Proxy::new(url).unwrap();
    let server = proxy.server("wss", host, 443).unwrap();
    let mut tunnel = Tunnel::new(server, (host, 443), HeadLimits::default())?;
    assert_eq!(format!("{tunnel:?}"), "Tunnel { .. }");
    let (mut written, mut received) = (Vec::new(), Vec::new());
    let mut answers = answers.iter();
    let mut coming: &[u8] = &[];
    loop {
        match tunnel.advance(&mut received)? {
            Step::Write(octets) => {
                written.push(octets);
                assert!(coming.is_empty(), "{coming:?}");
                coming = answers.next().copied().unwrap_or_default();
            }
            Step::Read => {
                assert!(!coming.is_empty(), "more is wanted: {received:?}");
                let (now, later) = coming.split_at(coming.len().min(size));
                received.extend_from_slice(now);
                coming = later;
            }
            Step::Done => return Ok((written, received)),
        }
    }
}

#[test]
fn connect_asks_for_host_and_port() {
    for (url, host, expected) in [
        (
            "http://p",
            "example.com",
            "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
        ),
        (
            "http://p",
            "[::1]",
            "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n",
        ),
        // The example of RFC 7617 §2.
        (
            "http://Aladdin:open%20sesame@p",
            "10.0.0.1",
            "CONNECT 10.0.0.1:443 HTTP/1.1\r\nHost: 10.0.0.1:443\r\n\
             Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n",
        ),
    ] {
        let (written, left) = talk(url, host, &[b"HTTP/1.1 200 OK\r\n\r\n"]).unwrap();
        assert_eq!(String::from_utf8_lossy(&written.concat()), expected);
        assert!(left.is_empty());
    }
}

#[test]
fn connect_takes_any_2xx_and_keeps_what_follows() {
    for answer in [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200 OK\r\nProxy-Agent: old\r\n\r\n",
        "HTTP/1.1 204 \r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        // §9.3.6: "A client MUST ignore any Content-Length or Transfer-Encoding header fields".
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ] {
        let whole = format!("{answer}\x16\x03hello");
        let proxy = Proxy::new("http://p").unwrap();
        let server = proxy.server("ws", "a", 80).unwrap();
        let mut tunnel = Tunnel::new(server, ("a", 80), HeadLimits::default()).unwrap();
        let mut received = Vec::new();
        assert!(matches!(tunnel.advance(&mut received), Ok(Step::Write(_))));
        received.extend_from_slice(whole.as_bytes());
        assert_eq!(tunnel.advance(&mut received), Ok(Step::Done));
        assert_eq!(received, b"\x16\x03hello");
        talk("http://p", "a", &[answer.as_bytes()]).unwrap();
    }
}

#[test]
fn connect_tells_of_refusals_with_their_head() {
    for status in [101, 301, 400, 403, 407, 502] {
        let answer = format!(
            "HTTP/1.1 {status} No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 2\r\n\r\nno"
        );
        let error = talk("http://p", "a", &[answer.as_bytes()]).unwrap_err();
        let TunnelError::Refused {
            status: found,
            headers,
            ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(found.as_u16(), status);
        assert_eq!(headers["proxy-authenticate"], "Basic realm=\"x\"");
    }
    let endless = "HTTP/1.1 100 Continue\r\n\r\n".repeat(20);
    let error = converse("http://p", "a", (&[endless.as_bytes()], usize::MAX)).unwrap_err();
    assert!(matches!(error, TunnelError::Refused { .. }), "{error}");
}

#[test]
fn connect_refuses_nonsense_and_what_is_too_large() {
    for answer in [
        "\x05\x00\r\n\r\n",
        "SSH-2.0-OpenSSH_9\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
    ] {
        let error = talk("http://p", "a", &[answer.as_bytes()]).unwrap_err();
        assert!(
            matches!(error, TunnelError::MalformedHead(_)),
            "{answer:?} {error:?}"
        );
    }
    let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(9000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(200));
    for answer in [long, many] {
        let error = talk("http://p", "a", &[answer.as_bytes()]).unwrap_err();
        assert!(matches!(error, TunnelError::HeadTooLarge(_)), "{error:?}");
    }
    let endless = [b"HTTP/1.1 200 OK\r\n".to_vec(), b"a: b\r\n".repeat(6000)].concat();
    let error = converse("http://p", "a", (&[&endless], usize::MAX)).unwrap_err();
    let TunnelError::HeadTooLarge(source) = error else {
        panic!("{error:?}");
    };
    assert!(matches!(
        source,
        HandshakeError::TooManyHeaders { .. } | HandshakeError::HeadTooLarge { .. }
    ));
}

/// The reply of a SOCKS5 proxy that connects, with an address of each type (RFC 1928 §6).
const SOCKS5_REPLIES: [&[u8]; 3] = [
    b"\x05\x00\x00\x01\x7f\0\0\x01\x1f\x90",
    b"\x05\x00\x00\x03\x04name\x1f\x90",
    b"\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1f\x90",
];

#[test]
fn socks5_asks_by_name_or_by_address() {
    for reply in SOCKS5_REPLIES {
        for (host, request) in [
            (
                "example.com",
                &b"\x05\x01\x00\x03\x0bexample.com\x01\xbb"[..],
            ),
            ("10.0.0.1", b"\x05\x01\x00\x01\x0a\0\0\x01\x01\xbb"),
            (
                "[::1]",
                b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb",
            ),
        ] {
            let (written, left) = talk("socks5h://p", host, &[b"\x05\x00", reply]).unwrap();
            assert_eq!(written, [b"\x05\x01\x00", request]);
            assert!(left.is_empty());
        }
    }
    let behind = [SOCKS5_REPLIES[1], b"more"].concat();
    let answers: [&[u8]; 2] = [b"\x05\x00", &behind];
    let (_, left) = converse("socks5h://p", "a", (&answers, usize::MAX)).unwrap();
    assert_eq!(left, b"more");
}

#[test]
fn socks5_tells_user_and_password_if_it_is_asked() {
    let url = "socks5h://ada:s%3Acret@p";
    let answers: [&[u8]; 3] = [b"\x05\x02", b"\x01\x00", SOCKS5_REPLIES[0]];
    let (written, _) = talk(url, "a", &answers).unwrap();
    assert_eq!(written[0], b"\x05\x02\x00\x02");
    assert_eq!(written[1], b"\x01\x03ada\x06s:cret");
    assert_eq!(written[2], b"\x05\x01\x00\x03\x01a\x01\xbb");
    let (written, _) = talk(url, "a", &[b"\x05\x00", SOCKS5_REPLIES[0]]).unwrap();
    assert_eq!(written.len(), 2);
}

#[test]
fn socks5_tells_why_it_refuses() {
    let (with, without) = ("socks5h://u:p@p", "socks5h://p");
    let no = TunnelError::NoAcceptableMethod;
    assert_eq!(talk(without, "a", &[b"\x05\xff"]).unwrap_err(), no);
    assert_eq!(talk(with, "a", &[b"\x05\xff"]).unwrap_err(), no);
    let error = talk(with, "a", &[b"\x05\x02", b"\x01\x01"]).unwrap_err();
    assert_eq!(error, TunnelError::AuthenticationRefused);
    for (code, reply, text) in [
        (1, SocksReply::GeneralFailure, "general failure"),
        (2, SocksReply::NotAllowed, "not allowed by the rules"),
        (3, SocksReply::NetworkUnreachable, "network unreachable"),
        (4, SocksReply::HostUnreachable, "host unreachable"),
        (5, SocksReply::ConnectionRefused, "connection refused"),
        (6, SocksReply::TtlExpired, "ttl expired"),
        (7, SocksReply::CommandNotSupported, "command not supported"),
        (
            8,
            SocksReply::AddressTypeNotSupported,
            "address type not supported",
        ),
        (77, SocksReply::Other(77), "reply 77"),
    ] {
        let error = talk(without, "a", &[b"\x05\x00", &[5, code]]).unwrap_err();
        assert_eq!(error, TunnelError::Socks(reply));
        assert_eq!(error.to_string(), format!("proxy refused: {text}"));
    }
}

#[test]
fn socks5_refuses_nonsense() {
    for answers in [
        &[&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]][..],
        &[b"\x04\x00"],
        // Not offered.
        &[b"\x05\x02"],
        &[b"\x05\x01"],
        &[b"\x05\x00", b"\x04\x00"],
        &[b"\x05\x00", b"\x05\x00\x00\x02"],
    ] {
        let error = talk("socks5h://p", "a", answers).unwrap_err();
        assert_eq!(error, TunnelError::MalformedAnswer, "{answers:?}");
    }
    let answers: [&[u8]; 2] = [b"\x05\x02", b"\x05\x00"];
    let error = talk("socks5h://u:p@p", "a", &answers).unwrap_err();
    assert_eq!(error, TunnelError::MalformedAnswer);
}

#[test]
fn socks4_asks_by_address_and_socks4a_by_name() {
    let granted: &[u8] = b"\x00\x5a\x00\x00\0\0\0\0";
    for (url, host, request) in [
        (
            "socks4://p",
            "10.0.0.1",
            &b"\x04\x01\x01\xbb\x0a\0\0\x01\0"[..],
        ),
        (
            "socks4://ada@p",
            "10.0.0.1",
            b"\x04\x01\x01\xbb\x0a\0\0\x01ada\0",
        ),
        (
            "socks4a://p",
            "[::ffff:10.0.0.1]",
            b"\x04\x01\x01\xbb\x0a\0\0\x01\0",
        ),
        (
            "socks4a://ada@p",
            "example.com",
            b"\x04\x01\x01\xbb\0\0\0\x01ada\0example.com\0",
        ),
    ] {
        let (written, _) = talk(url, host, &[granted]).unwrap();
        assert_eq!(written, [request]);
    }
    let behind = [granted, b"more"].concat();
    let (_, left) = converse("socks4a://p", "a", (&[&behind], usize::MAX)).unwrap();
    assert_eq!(left, b"more");
    let error = talk("socks4a://p", "[::1]", &[granted]).unwrap_err();
    assert!(
        matches!(error, TunnelError::UnsupportedHost { .. }),
        "{error:?}"
    );
}

#[test]
fn socks4_tells_why_it_refuses() {
    for (code, reply) in [
        (91, SocksReply::Rejected),
        (92, SocksReply::NoIdentd),
        (93, SocksReply::IdentdMismatch),
        (94, SocksReply::Other(94)),
    ] {
        let error = talk("socks4a://p", "a", &[&[0, code, 0, 0, 0, 0, 0, 0]]).unwrap_err();
        assert_eq!(error, TunnelError::Socks(reply));
    }
    let error = talk("socks4a://p", "a", &[b"HTTP/1.1 400 Bad Request\r\n\r\n"]).unwrap_err();
    assert_eq!(error, TunnelError::MalformedAnswer);
}
