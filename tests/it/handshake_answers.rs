//! What a server answers: acceptance, denials, refusals (RFC 6455 §4.2.2).

use std::error::Error;

use motorway::handshake::Agreed;
use motorway::handshake::server;
use motorway::{ConnectionAccept, ConnectionDeny, DeflateOptions, ServerOptions, StatusCode};

use crate::handshake_server::{refused, upgraded, with};

#[test]
fn plain_requests_get_the_page_or_426() {
    let options = ServerOptions::default();
    let plain = "GET /?redirect=http://evil.com HTTP/1.1\r\nHost: a\r\n\r\n";
    let (status, page) = refused(plain, &options);
    assert_eq!(status, 200);
    assert!(page.contains("\r\ncontent-type: text/html; charset=utf-8\r\n"));
    assert!(page.contains("<title>") && !page.contains("evil"));
    let (status, response) = refused(plain, &options.web_status(false));
    assert_eq!(status, 426);
    assert!(response.contains("\r\nUpgrade: websocket\r\n"));
    assert!(response.contains("\r\nConnection: close, Upgrade\r\n"));
    for (request, expected) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", 505),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("HEAD / HTTP/1.0\r\nHost: a\r\n\r\n", 505),
    ] {
        assert_eq!(
            refused(request, &ServerOptions::default()).0,
            expected,
            "{request}"
        );
    }
    let (_, response) = refused(
        "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        &ServerOptions::default(),
    );
    assert!(response.contains("\r\nAllow: GET, HEAD\r\n"));
}

#[test]
fn refusals_reflect_nothing() {
    let options = ServerOptions::default().allowed_origins(["https://a.com"]);
    for line in [
        "Origin: https://marker.com",
        "Sec-WebSocket-Extensions: marker=",
        "X: marker\0",
    ] {
        let (status, response) = refused(&with("", line), &options);
        assert!(status >= 400 && !response.contains("marker"), "{line}");
    }
}

fn accepted(request: &str, accept: &ConnectionAccept, options: &ServerOptions) -> (String, Agreed) {
    let request = upgraded(request, options);
    let (response, agreed) = server::accept(&request, accept, options).unwrap();
    (String::from_utf8(response).unwrap(), agreed)
}

#[test]
fn response_has_its_headers_in_order() {
    let options = ServerOptions::default()
        .server("test/1".to_owned())
        .header("X-Factory", "1")
        .per_message_deflate(DeflateOptions::default());
    let accept = ConnectionAccept::new()
        .protocol("b")
        .header("Set-Cookie", "x=1")
        .header("Set-Cookie", "y=2");
    let lines = "Sec-WebSocket-Protocol: a, b\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10";
    let (response, agreed) = accepted(&with("", lines), &accept, &options);
    let expected = "HTTP/1.1 101 Switching Protocols\r\n\
        Server: test/1\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        x-factory: 1\r\n\
        set-cookie: x=1\r\n\
        set-cookie: y=2\r\n\
        Sec-WebSocket-Protocol: b\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n\
        \r\n";
    assert_eq!(response, expected);
    assert_eq!(agreed.subprotocol.as_deref(), Some("b"));
    assert_eq!(agreed.deflate.unwrap().server_max_window_bits, 10);
}

#[test]
fn response_without_options_is_short() {
    let options = ServerOptions::default().server(None);
    let lines = "Sec-WebSocket-Extensions: permessage-deflate";
    let (response, agreed) = accepted(&with("", lines), &ConnectionAccept::new(), &options);
    let expected = "HTTP/1.1 101 Switching Protocols\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        \r\n";
    assert_eq!(response, expected);
    assert_eq!(agreed, Agreed::default());
}

#[test]
fn default_subprotocol_is_the_first_of_the_client_that_is_spoken() {
    let request = with("", "Sec-WebSocket-Protocol: a, b, c");
    for (spoken, expected) in [
        (vec!["c", "b"], Some("b")),
        (vec!["d"], None),
        (vec![], None),
        (vec!["B"], None),
    ] {
        let options = ServerOptions::default().protocols(spoken);
        let request = upgraded(&request, &options);
        let accept = ConnectionAccept::default_for(&request, &options);
        assert_eq!(accept.subprotocol(), expected);
    }
}

#[test]
fn faults_of_the_caller_are_answered_with_500() {
    let options = ServerOptions::default();
    let request = upgraded(&with("", "Sec-WebSocket-Protocol: a"), &options);
    for accept in [
        ConnectionAccept::new().protocol("b"),
        ConnectionAccept::new().header("a", "b\r\nc: d"),
        ConnectionAccept::new().header("a b", "c"),
        ConnectionAccept::new().header("Sec-WebSocket-Accept", "x"),
        ConnectionAccept::new().header("Connection", "close"),
    ] {
        let error = server::accept(&request, &accept, &options).unwrap_err();
        assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR, "{error}");
        assert!(server::refuse(&error, &options).starts_with(b"HTTP/1.1 500 "));
    }
    let options = options.header("upgrade", "x");
    assert!(server::accept(&request, &ConnectionAccept::new(), &options).is_err());
}

fn denied(deny: &ConnectionDeny) -> String {
    String::from_utf8(server::deny(deny)).unwrap()
}

#[test]
fn denials() {
    let new = |code| ConnectionDeny::new(StatusCode::from_u16(code).unwrap());
    assert_eq!(
        denied(&new(404)),
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: 14\r\nConnection: close\r\n\r\n404 Not Found\n"
    );
    assert_eq!(
        denied(&new(302).header("location", "/a").body("")),
        "HTTP/1.1 302 Found\r\nlocation: /a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(
        denied(
            &new(403)
                .header("content-type", "application/json")
                .body("{}")
        ),
        "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\n\
         Content-Length: 2\r\nConnection: close\r\n\r\n{}"
    );
    let injected = denied(
        &new(400)
            .reason("a\r\nb: ü\0")
            .header("x", "y\r\nz: 1")
            .body("b"),
    );
    assert!(
        injected.starts_with("HTTP/1.1 400 a??b: ??\r\nContent-Type"),
        "{injected}"
    );
    let long = denied(
        &new(400)
            .reason("a".repeat(200))
            .header("Content-Length", "7")
            .body("b"),
    );
    assert!(long.starts_with(&format!("HTTP/1.1 400 {}\r\n", "a".repeat(128))));
    assert_eq!(long.to_lowercase().matches("content-length").count(), 1);
    for code in [100, 101, 200, 204, 600, 999] {
        assert!(denied(&new(code)).starts_with("HTTP/1.1 500 "), "{code}");
    }
    assert!(
        denied(&new(304).body("b")).ends_with("Content-Length: 0\r\nConnection: close\r\n\r\n")
    );
    assert!(denied(&new(426)).contains("\r\nUpgrade: websocket\r\n"));
}

#[test]
fn internal_errors_stay_inside() {
    let error = "secret".parse::<u8>().unwrap_err();
    let deny = ConnectionDeny::internal(error.clone());
    assert_eq!(deny.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(deny.source_error().unwrap().to_string(), error.to_string());
    assert_eq!(deny.source().unwrap().to_string(), error.to_string());
    assert!(!denied(&deny).contains("digit"));
}

#[test]
fn full_servers_answer_503() {
    let response = String::from_utf8(server::unavailable(&ServerOptions::default())).unwrap();
    assert!(response.starts_with("HTTP/1.1 503 Service Unavailable\r\nServer: motorway/"));
    assert!(response.contains("\r\nConnection: close\r\n"));
}
