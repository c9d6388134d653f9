//! The opening handshake as a client sees it (RFC 6455 §4.1).

use motorway::handshake::client::{self, Sent};
use motorway::handshake::server::{self, Checked};
use motorway::handshake::{Agreed, HeadLimits, HeadReader, RequestHead, ResponseHead, UrlFault};
use motorway::{
    ClientOptions, ConnectingRequest, ConnectionAccept, ConnectionResponse, DeflateOptions,
    HandshakeError, Peer, ServerOptions, StatusCode, Url,
};

/// The key of RFC 6455 §1.3.
const KEY: [u8; 16] = *b"the sample nonce";

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn request(url: &str, options: &ClientOptions, connecting: &ConnectingRequest) -> (String, Sent) {
    let url = url.parse().unwrap();
    let (octets, sent) = client::request(&url, options, Some(connecting), KEY).unwrap();
    (String::from_utf8(octets).unwrap(), sent)
}

#[test]
fn urls_are_parsed() {
    for (text, printed, port, secure) in [
        ("ws://a", "ws://a/", 80, false),
        ("wss://a", "wss://a/", 443, true),
        ("WS://A.Example:80/B", "ws://a.example/B", 80, false),
        ("wss://a:80/", "wss://a:80/", 80, true),
        ("ws://a:65535/b?c=d", "ws://a:65535/b?c=d", 65535, false),
        ("ws://a?b/c", "ws://a/?b/c", 80, false),
        ("ws://[::1]:9000/", "ws://[::1]:9000/", 9000, false),
        ("ws://127.0.0.1/", "ws://127.0.0.1/", 80, false),
        (
            "ws://a/ü \"<>\\^`{|}",
            "ws://a/%C3%BC%20%22%3C%3E%5C%5E%60%7B%7C%7D",
            80,
            false,
        ),
        ("ws://a/%20?b=[c]@:", "ws://a/%20?b=[c]@:", 80, false),
    ] {
        let url = url(text);
        assert_eq!(url.to_string(), printed);
        assert_eq!((url.port(), url.is_secure()), (port, secure), "{text}");
        assert_eq!(printed.parse::<Url>().unwrap(), url);
    }
}

#[test]
fn urls_may_name_a_unix_socket() {
    for (text, socket, resource) in [
        ("ws://unix:/a b.sock?c=d", "/a b.sock", "/a%20b.sock?c=d"),
        ("wss://unix:/run/x", "/run/x", "/run/x"),
    ] {
        let url = url(text);
        assert_eq!((url.host(), url.socket()), ("unix", Some(socket)));
        assert_eq!(url.resource(), resource);
        assert_eq!(url.to_string(), text);
    }
    // Names of hosts.
    assert_eq!(url("ws://unix/a").socket(), None);
    assert_eq!(url("ws://unix:80/a").socket(), None);
    assert_eq!(
        "ws://unix:".parse::<Url>().unwrap_err(),
        UrlFault::Authority
    );
}

#[test]
fn bad_urls_are_refused() {
    for (text, fault) in [
        ("", UrlFault::Scheme),
        ("a", UrlFault::Scheme),
        ("http://a", UrlFault::Scheme),
        (" ws://a", UrlFault::Scheme),
        ("ws:/a", UrlFault::Scheme),
        ("ws://", UrlFault::Authority),
        ("ws:///a", UrlFault::Authority),
        ("ws://:80", UrlFault::Authority),
        ("ws://a:", UrlFault::Authority),
        ("ws://a:0", UrlFault::Authority),
        ("ws://a:65536", UrlFault::Authority),
        ("ws://::1/", UrlFault::Authority),
        ("ws://[::1/", UrlFault::Authority),
        ("ws://ü/", UrlFault::Authority),
        ("ws://a\r\nb/", UrlFault::Authority),
        ("ws://user@a/", UrlFault::UserInformation),
        ("ws://user:pass@a/", UrlFault::UserInformation),
        ("ws://a/#", UrlFault::Fragment),
        ("ws://a#b", UrlFault::Fragment),
        ("ws://a/\r\nX: y", UrlFault::ControlCharacter),
        ("ws://a/\0", UrlFault::ControlCharacter),
        ("ws://a/?\n", UrlFault::ControlCharacter),
    ] {
        assert_eq!(text.parse::<Url>().unwrap_err(), fault, "{text:?}");
    }
}

#[test]
fn request_has_what_the_rfc_wants() {
    let options = ClientOptions::default()
        .useragent("test/1".to_owned())
        .origin("https://a.com")
        .header("Authorization", "Bearer 1")
        .protocols(["a", "b"])
        .per_message_deflate(DeflateOptions::default());
    let (octets, _) = request(
        "ws://example.com:8080/x?y",
        &options,
        &ConnectingRequest::new(),
    );
    let expected = "GET /x?y HTTP/1.1\r\n\
        Host: example.com:8080\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Pragma: no-cache\r\n\
        Cache-Control: no-cache\r\n\
        User-Agent: test/1\r\n\
        Origin: https://a.com\r\n\
        authorization: Bearer 1\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: a, b\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
        Sec-WebSocket-Version: 13\r\n\
        \r\n";
    assert_eq!(octets, expected);
}

#[test]
fn host_has_no_default_port() {
    for (url, host) in [
        ("ws://a:80/", "a"),
        ("ws://a:443/", "a:443"),
        ("wss://a:443/", "a"),
        ("wss://a:80/", "a:80"),
        ("ws://[::1]/", "[::1]"),
    ] {
        let (octets, _) = request(url, &ClientOptions::default(), &ConnectingRequest::new());
        assert!(octets.contains(&format!("\r\nHost: {host}\r\n")), "{url}");
    }
}

#[test]
fn one_connection_can_differ() {
    let options = ClientOptions::default()
        .protocols(["a"])
        .origin("https://a.com");
    let connecting = ConnectingRequest::new()
        .host("b")
        .port(81)
        .resource("/r s")
        .useragent("u")
        .origin("https://b.com")
        .protocols(["c"])
        .header("x", "y");
    let (octets, _) = request("ws://a/q", &options, &connecting);
    let expected = "GET /r%20s HTTP/1.1\r\n\
        Host: b:81\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Pragma: no-cache\r\n\
        Cache-Control: no-cache\r\n\
        User-Agent: u\r\n\
        Origin: https://b.com\r\n\
        x: y\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: c\r\n\
        Sec-WebSocket-Version: 13\r\n\
        \r\n";
    assert_eq!(octets, expected);
    let (octets, _) = request(
        "ws://a/",
        &options,
        &ConnectingRequest::new().header("Origin", "o"),
    );
    assert_eq!(octets.to_lowercase().matches("origin:").count(), 1);
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let new = ConnectingRequest::new;
    for connecting in [
        new().host("a b"),
        new().host("a:80"),
        new().host("a\r\nX: y"),
        new().port(0),
        new().resource("a"),
        new().resource("/\r\nX: y"),
        new().resource("/#a"),
        new().header("Host", "a"),
        new().header("Upgrade", "a"),
        new().header("Content-Length", "1"),
        new().header("X", "a\r\nY: z"),
        new().protocols(["a b"]),
        new().protocols(["a\r\nX: y"]),
        new().useragent("a\r\nX: y"),
        new().origin("http://\u{e9}"),
    ] {
        let options = ClientOptions::default();
        let result = client::request(&url("ws://a/"), &options, Some(&connecting), KEY);
        assert!(result.is_err(), "{connecting:?}");
    }
    // Nor can options that were never validated.
    for options in [
        ClientOptions::default().origin("a\r\nX: y"),
        ClientOptions::default().useragent("b\nZ: y".to_owned()),
    ] {
        let result = client::request(&url("ws://a/"), &options, None, KEY);
        assert!(result.is_err(), "{options:?}");
    }
}

/// Reads a head at once and octet by octet; both must come to the same.
fn read(octets: &[u8]) -> Result<Option<(ResponseHead, usize)>, HandshakeError> {
    let at_once = HeadReader::new(HeadLimits::default()).response(octets);
    let mut reader = HeadReader::new(HeadLimits::default());
    let mut slowly = Ok(None);
    for length in 0..=octets.len() {
        slowly = reader.response(&octets[..length]);
        if !matches!(slowly, Ok(None)) {
            break;
        }
    }
    assert_eq!(format!("{at_once:?}"), format!("{slowly:?}"));
    at_once
}

fn answer(response: &str) -> Result<(ConnectionResponse, Agreed), HandshakeError> {
    let options = ClientOptions::default()
        .protocols(["a", "b"])
        .per_message_deflate(DeflateOptions::default());
    let (_, sent) = request("ws://a/", &options, &ConnectingRequest::new());
    let (head, length) = read(response.as_bytes())?.expect("a whole head");
    assert_eq!(length, response.len());
    client::check(head, &sent)
}

const OK: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

#[test]
fn valid_answers_are_accepted() {
    let deflate = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=8";
    let text = format!("{OK}Sec-WebSocket-Protocol: b\r\n{deflate}\r\n\r\n");
    let (mut response, agreed) = answer(&text).unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!((response.protocol(), response.version()), (Some("b"), 13));
    assert_eq!(response.header("connection"), Some("Upgrade"));
    assert_eq!(response.extensions()[0].name, "permessage-deflate");
    assert_eq!(agreed.subprotocol.as_deref(), Some("b"));
    assert_eq!(agreed.deflate.unwrap().client_max_window_bits, 8);
    let peer = Peer::from(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    response.set_peer(peer.clone());
    assert_eq!(response.peer(), &peer);
    for line in [
        "",
        "X: y\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
    ] {
        answer(&format!("{OK}{line}\r\n")).unwrap();
    }
    for (line, other) in [
        ("Upgrade: websocket", "UPGRADE: WebSocket"),
        ("Connection: Upgrade", "Connection: keep-alive, upgrade"),
        (" Switching Protocols", " "),
        (" Switching Protocols", ""),
    ] {
        answer(&format!("{}\r\n", OK.replace(line, other))).unwrap();
    }
}

#[test]
fn invalid_answers_are_refused() {
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    for (line, replacement, expected) in [
        ("HTTP/1.1", "HTTP/1.0", "version of http is not 1.1"),
        ("HTTP/1.1", "HTTP/2.0", "version of http is not 1.1"),
        ("HTTP/1.1", "ICY", "malformed http head"),
        ("HTTP/1.1 101", "HTTP/1.1 abc", "malformed http head"),
        (
            "101 Switching Protocols",
            "200 OK",
            "server answered with status 200 OK",
        ),
        (
            "101 Switching Protocols",
            "403 No",
            "server answered with status 403 Forbidden",
        ),
        ("Upgrade: websocket\r\n", "", "header upgrade is missing"),
        (
            "Upgrade: websocket\r\n",
            "Upgrade: h2c\r\n",
            "header upgrade is invalid",
        ),
        (
            "Upgrade: websocket\r\n",
            "Upgrade: websocket, h2c\r\n",
            "header upgrade is invalid",
        ),
        (
            "Connection: Upgrade\r\n",
            "",
            "header connection is missing",
        ),
        (
            "Connection: Upgrade\r\n",
            "Connection: close\r\n",
            "header connection is invalid",
        ),
        (accept, "", "header sec-websocket-accept is missing"),
        (
            accept,
            "Sec-WebSocket-Accept: a\r\n",
            "accept key does not match",
        ),
        (
            accept,
            "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n",
            "accept key does not match",
        ),
    ] {
        let text = format!("{}\r\n", OK.replace(line, replacement));
        assert_eq!(
            answer(&text).unwrap_err().to_string(),
            expected,
            "{replacement}"
        );
    }
}

#[test]
fn answers_with_an_invalid_line_are_refused() {
    let deflate = "Sec-WebSocket-Extensions: permessage-deflate";
    let failed = "negotiation of extensions failed";
    for (line, expected) in [
        (
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "header sec-websocket-accept comes more than once",
        ),
        ("Sec-WebSocket-Extensions: foo", failed),
        ("Sec-WebSocket-Extensions: ;", failed),
        (&format!("{deflate}, permessage-deflate"), failed),
        (&format!("{deflate}\r\n{deflate}"), failed),
        (&format!("{deflate}; client_max_window_bits"), failed),
        ("Sec-WebSocket-Protocol: c", "subprotocol was not offered"),
        (
            "Sec-WebSocket-Protocol: a, b",
            "subprotocol was not offered",
        ),
        ("Sec-WebSocket-Protocol:", "subprotocol was not offered"),
        (
            "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a",
            "header sec-websocket-protocol comes more than once",
        ),
        ("X : y", "malformed http head"),
        ("X: y\r\n z", "malformed http head"),
        ("X: y\nZ: z", "head has a line that does not end in cr lf"),
        ("X: y\0", "head has a nul octet"),
        (
            &format!("X: {}", "y".repeat(8190)),
            "line of the head is longer than 8192 octets",
        ),
    ] {
        let text = format!("{OK}{line}\r\n\r\n");
        assert_eq!(answer(&text).unwrap_err().to_string(), expected, "{line}");
    }
}

#[test]
fn extensions_that_were_not_offered_are_refused() {
    let (_, sent) = request(
        "ws://a/",
        &ClientOptions::default(),
        &ConnectingRequest::new(),
    );
    for line in [
        "Sec-WebSocket-Extensions: permessage-deflate",
        "Sec-WebSocket-Protocol: a",
    ] {
        let (head, _) = read(format!("{OK}{line}\r\n\r\n").as_bytes())
            .unwrap()
            .unwrap();
        assert!(client::check(head, &sent).is_err(), "{line}");
    }
}

#[test]
fn refusals_are_told_with_status_and_headers() {
    let text = "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    let error = answer(text).unwrap_err();
    assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
    match error {
        HandshakeError::Refused { headers, .. } => assert_eq!(headers["retry-after"], "7"),
        other => panic!("{other}"),
    }
}

#[test]
fn client_and_server_understand_each_other() {
    let deflate = DeflateOptions::default().server_max_window_bits(11);
    let client_options = ClientOptions::default()
        .protocols(["a", "b"])
        .per_message_deflate(deflate);
    let (octets, sent) = request("ws://a/x", &client_options, &ConnectingRequest::new());
    let mut reader = HeadReader::new(HeadLimits::default());
    let (head, _): (RequestHead, usize) = reader.request(octets.as_bytes()).unwrap().unwrap();
    let options = ServerOptions::default()
        .protocols(["b"])
        .per_message_deflate(DeflateOptions::default());
    let Checked::Upgrade(request) = server::check(head, &options, Peer::Unknown) else {
        panic!("refused");
    };
    let accept = ConnectionAccept::default_for(&request, &options);
    let (response, at_server) = server::accept(&request, &accept, &options).unwrap();
    let (head, _) = read(&response).unwrap().unwrap();
    let (_, at_client) = client::check(head, &sent).unwrap();
    assert_eq!(at_server.subprotocol.as_deref(), Some("b"));
    assert_eq!(at_server.subprotocol, at_client.subprotocol);
    assert_eq!(at_server.deflate, at_client.deflate);
}
