//! Opening handshakes over HTTP/2 (RFC 8441), judged without a connection.

use motorway::handshake::server::{self, Checked};
use motorway::handshake::{HandshakeError, RequestHead};
use motorway::http::{HeaderMap, Method, Version};
use motorway::{
    ConnectionAccept, ConnectionDeny, DeflateOptions, HeaderName, HeaderValue, Peer, ServerOptions,
    StatusCode,
};

/// The request of RFC 8441 §5.1, without its extensions, and these fields more.
fn head(more: &[(&str, &str)]) -> RequestHead {
    let mut headers = HeaderMap::new();
    let fields = [
        ("host", "server.example.com"),
        ("sec-websocket-protocol", "chat, superchat"),
        ("sec-websocket-version", "13"),
        ("origin", "http://www.example.com"),
    ];
    for (name, value) in fields.iter().chain(more) {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    RequestHead::new(
        Method::CONNECT,
        "/chat".to_owned(),
        Version::HTTP_2,
        headers,
    )
    .with_protocol("websocket".to_owned())
}

fn without(name: &str) -> RequestHead {
    let head = head(&[]);
    let mut headers = head.headers().clone();
    headers.remove(name);
    RequestHead::new(
        Method::CONNECT,
        "/chat".to_owned(),
        Version::HTTP_2,
        headers,
    )
    .with_protocol("websocket".to_owned())
}

fn refused(head: RequestHead) -> HandshakeError {
    match server::check(head, &ServerOptions::default(), Peer::Unknown) {
        Checked::Refused { error, .. } => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_sample_of_the_rfc_is_accepted_with_200() {
    let options = ServerOptions::default().per_message_deflate(DeflateOptions::default());
    let asked = head(&[("sec-websocket-extensions", "permessage-deflate")]);
    let Checked::Upgrade(request) = server::check(asked, &options, Peer::Unknown) else {
        panic!("refused");
    };
    assert_eq!(request.http_version(), Version::HTTP_2);
    assert_eq!(
        (request.path(), request.host()),
        ("/chat", "server.example.com")
    );
    assert_eq!(request.origin(), Some("http://www.example.com"));
    let accept = ConnectionAccept::new()
        .protocol("chat")
        .header("x-own", "1");
    let (octets, agreed) = server::accept(&request, &accept, &options).unwrap();
    let response = server::into_http(&octets, Version::HTTP_2).unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    assert_eq!(
        response.headers()["sec-websocket-extensions"],
        "permessage-deflate"
    );
    assert_eq!(response.headers()["x-own"], "1");
    // RFC 8441 §5: these are not used.
    for name in ["upgrade", "connection", "sec-websocket-accept"] {
        assert!(!response.headers().contains_key(name), "{name}");
    }
    assert_eq!(agreed.subprotocol.as_deref(), Some("chat"));
    assert!(agreed.deflate.is_some());
}

#[test]
fn no_key_is_asked_for_and_one_does_not_matter() {
    let options = ServerOptions::default();
    for asked in [head(&[]), head(&[("sec-websocket-key", "nonsense")])] {
        let checked = server::check(asked, &options, Peer::Unknown);
        assert!(matches!(checked, Checked::Upgrade(_)), "{checked:?}");
    }
}

#[test]
fn other_protocols_are_not_implemented() {
    let asked = head(&[]).with_protocol("connect-udp".to_owned());
    let error = refused(asked);
    assert_eq!(error, HandshakeError::UnsupportedProtocol);
    // RFC 9220 §3.
    assert_eq!(error.status(), StatusCode::NOT_IMPLEMENTED);
}

#[test]
fn a_connect_for_a_proxy_is_no_method_of_ours() {
    let error = refused(head(&[]).with_protocol(None));
    assert_eq!(error, HandshakeError::UnsupportedMethod);
}

#[test]
fn only_version_13_is_spoken() {
    let options = ServerOptions::default().versions([8, 13]);
    let mut headers = head(&[]).headers().clone();
    headers.insert("sec-websocket-version", HeaderValue::from_static("8"));
    let asked = RequestHead::new(Method::CONNECT, "/".to_owned(), Version::HTTP_2, headers)
        .with_protocol("websocket".to_owned());
    let Checked::Refused {
        error, response, ..
    } = server::check(asked, &options, Peer::Unknown)
    else {
        panic!("accepted");
    };
    assert_eq!(error, HandshakeError::UnsupportedVersion);
    let response = server::into_http(&response, Version::HTTP_2).unwrap();
    // There is nothing to upgrade in HTTP/2, so 426 is no answer.
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(response.headers().contains_key("sec-websocket-version"));
    assert!(!response.headers().contains_key("upgrade"));
}

#[test]
fn what_is_missing_or_doubled_is_refused() {
    for name in ["host", "sec-websocket-version"] {
        let error = refused(without(name));
        let named = matches!(&error, HandshakeError::MissingHeader { name: missing, .. } if *missing == name);
        assert!(named, "{error}");
    }
    for (field, status) in [
        (("host", "elsewhere.example"), 400),
        (("sec-websocket-version", "13"), 400),
        (("origin", "http://www.example.com"), 400),
        (("content-length", "4"), 400),
        (("sec-websocket-protocol", "chat"), 400),
        (("sec-websocket-extensions", "permessage-deflate; ="), 400),
    ] {
        assert_eq!(refused(head(&[field])).status(), status, "{field:?}");
    }
}

#[test]
fn plain_requests_get_pages() {
    let headers = head(&[]).headers().clone();
    for (method, is_page) in [
        (Method::GET, true),
        (Method::HEAD, true),
        (Method::POST, false),
    ] {
        let asked = RequestHead::new(method, "/".to_owned(), Version::HTTP_2, headers.clone());
        let checked = server::check(asked, &ServerOptions::default(), Peer::Unknown);
        assert_eq!(matches!(checked, Checked::Http(_)), is_page, "{checked:?}");
    }
}

#[test]
fn http_1_knows_no_extended_connect() {
    let headers = head(&[]).headers().clone();
    let asked = RequestHead::new(Method::CONNECT, "/".to_owned(), Version::HTTP_11, headers)
        .with_protocol("websocket".to_owned());
    assert_eq!(refused(asked), HandshakeError::UnsupportedMethod);
}

#[test]
fn responses_become_fields() {
    let refusal = server::refuse(
        &HandshakeError::UnsupportedVersion,
        &ServerOptions::default(),
    );
    let response = server::into_http(&refusal, Version::HTTP_11).unwrap();
    assert_eq!(response.status(), 426);
    assert_eq!(response.headers()["upgrade"], "websocket");
    assert_eq!(response.headers()["connection"], "upgrade");
    let length = response.body().len().to_string();
    assert_eq!(response.headers()["content-length"], length.as_str());
    let refusal = server::refuse(&HandshakeError::OriginRefused, &ServerOptions::default());
    let response = server::into_http(&refusal, Version::HTTP_11).unwrap();
    assert!(!response.headers().contains_key("connection"));
    assert!(server::into_http(b"HTTP/1.1 200", Version::HTTP_11).is_err());
    // RFC 9113 §8.2.2: a response with one of these is malformed.
    let deny = ConnectionDeny::new(StatusCode::UPGRADE_REQUIRED)
        .header("keep-alive", "timeout=5")
        .header("proxy-connection", "keep-alive")
        .header("x-own", "1");
    let response = server::into_http(&server::deny(&deny), Version::HTTP_2).unwrap();
    assert_eq!(response.status(), 400);
    let mut names: Vec<_> = response
        .headers()
        .keys()
        .map(|name| name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type", "x-own"]);
}
