//! The opening handshake, and what can be wrong with it.

use crate::server::{Server, URL, builder, connected, duplex, pair, status};
use crate::wire::within;
use h2::Reason;
use h2::ext::Protocol;
use http::{Method, Response, Version};
use motorway::handshake::client::http2;
use motorway::{
    ClientOptions, ConnectingRequest, Connector, DeflateOptions, Error, HandshakeError, Http2Error,
    Observer, Peer, StatusCode, TimeoutKind, Url, WebSocketStream,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn connector(options: ClientOptions) -> Connector {
    let mut connector = Connector::new(URL).unwrap();
    connector.set_protocol_options(options).unwrap();
    connector
}

/// What comes of a request that is answered so.
async fn answered(
    options: ClientOptions,
    answer: Response<()>,
) -> Result<WebSocketStream, HandshakeError> {
    let connector = connector(options);
    let (http2, mut server) = connected(&connector, builder()).await;
    let answering = async { server.asked().await.answer(answer) };
    let (ws, _channel) = tokio::join!(within(connector.connect_over(&http2)), answering);
    ws.map_err(fault)
}

fn fault(error: Error) -> HandshakeError {
    match error {
        Error::Handshake(error) => *error,
        error => panic!("{error:?}"),
    }
}

fn http2_fault(error: Error) -> Http2Error {
    match error {
        Error::Http2(error) => *error,
        error => panic!("{error:?}"),
    }
}

// RFC 8441 §5.1, apart from the user agent.
#[tokio::test]
async fn the_request_is_that_of_the_rfc() {
    let options = ClientOptions::default()
        .protocols(["chat", "superchat"])
        .origin("http://www.example.com")
        .useragent(None::<String>)
        .per_message_deflate(DeflateOptions::default());
    let connector = connector(options);
    let (http2, mut server) = connected(&connector, builder()).await;
    let accepting = async {
        let asked = server.asked().await;
        let request = &asked.request;
        assert_eq!(request.method(), Method::CONNECT);
        assert_eq!(request.version(), Version::HTTP_2);
        assert_eq!(request.uri(), "http://server.example.com/chat");
        let protocol = request.extensions().get::<Protocol>().unwrap();
        assert_eq!(protocol.as_str(), "websocket");
        let headers = request.headers().iter();
        let mut headers: Vec<_> = headers
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        headers.sort_unstable();
        assert_eq!(
            headers,
            [
                ("origin", "http://www.example.com"),
                (
                    "sec-websocket-extensions",
                    "permessage-deflate; client_max_window_bits"
                ),
                ("sec-websocket-protocol", "chat, superchat"),
                ("sec-websocket-version", "13"),
            ]
        );
        let response = Response::builder().header("sec-websocket-protocol", "chat");
        asked.answer(response.body(()).unwrap())
    };
    let (ws, _channel) = tokio::join!(within(connector.connect_over(&http2)), accepting);
    let ws = ws.unwrap();
    assert_eq!(ws.subprotocol(), Some("chat"));
    let response = ws.response().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.header("sec-websocket-protocol"), Some("chat"));
    assert_eq!(response.url(), Some(&URL.parse().unwrap()));
    let request = ws.request();
    assert_eq!(
        (request.path(), request.host()),
        ("/chat", "server.example.com")
    );
    assert_eq!(request.origin(), Some("http://www.example.com"));
    assert_eq!(request.protocols(), ["chat", "superchat"]);
    assert_eq!(request.transport().application_protocol(), Some("h2"));
    assert!(!request.transport().is_secure());
}

#[tokio::test]
async fn one_connection_may_ask_for_something_else() {
    let mut connector = connector(ClientOptions::default().header("x-all", "1"));
    connector.on_connecting(|details| async move {
        assert_eq!(details.application_protocol(), Some("h2"));
        Ok(ConnectingRequest::new()
            .host("other.example.com")
            .port(8080)
            .resource("/room/7?a=b")
            .header("x-one", "2")
            .useragent("mine")
            .protocols(["p"]))
    });
    let (http2, mut server) = connected(&connector, builder()).await;
    let connecting = tokio::spawn(async move { connector.connect_over(&http2).await });
    let asked = server.asked().await;
    let (uri, headers) = (asked.request.uri(), asked.request.headers());
    assert_eq!(uri, "http://other.example.com:8080/room/7?a=b");
    for (name, value) in [
        ("x-all", "1"),
        ("x-one", "2"),
        ("user-agent", "mine"),
        ("sec-websocket-protocol", "p"),
    ] {
        assert_eq!(headers[name], value);
    }
    let _channel = asked.open();
    within(connecting).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_refusal_has_status_headers_and_body() {
    let (connector, http2, mut server) = pair(builder()).await;
    let refusing = async {
        let response = Response::builder().status(403).header("x-why", "members");
        server
            .asked()
            .await
            .refuse(response.body("members only").unwrap());
    };
    let (ws, ()) = tokio::join!(within(connector.connect_over(&http2)), refusing);
    let error = ws.unwrap_err();
    assert_eq!(error.status(), Some(status(403)));
    assert_eq!(error.headers().unwrap()["x-why"], "members");
    let body = error.body().unwrap();
    assert_eq!(body.text(), "members only");
    assert!(!body.is_truncated());
    // The others are not touched by it.
    assert!(http2.is_open());
    let accepting = async { server.accept().await };
    let (ws, _channel) = tokio::join!(within(connector.connect_over(&http2)), accepting);
    ws.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_is_cut_off_in_time() {
    let (connector, http2, mut server) = pair(builder()).await;
    let refusing = async {
        let asked = server.asked().await;
        let mut channel = asked.answer(Response::builder().status(500).body(()).unwrap());
        channel.write(b"half".to_vec()).await.unwrap();
        channel
    };
    let (ws, _channel) = tokio::join!(within(connector.connect_over(&http2)), refusing);
    let error = ws.unwrap_err();
    assert_eq!(error.status(), Some(status(500)));
    let body = error.body().unwrap();
    assert_eq!((&*body.text(), body.is_truncated()), ("half", true));
}

#[tokio::test]
async fn any_success_opens_and_nothing_else() {
    let with = |code: u16| Response::builder().status(code).body(()).unwrap();
    for code in [200, 201, 299] {
        let ws = answered(ClientOptions::default(), with(code))
            .await
            .unwrap();
        assert_eq!(ws.response().unwrap().status(), status(code));
    }
}

#[tokio::test]
async fn redirects_are_refusals() {
    let answer = Response::builder().status(307).header("location", "/other");
    let connector = connector(ClientOptions::default().max_redirects(5));
    let (http2, mut server) = connected(&connector, builder()).await;
    let refusing = async {
        let asked = server.asked().await;
        asked.refuse(answer.body("").unwrap());
    };
    let (ws, ()) = tokio::join!(within(connector.connect_over(&http2)), refusing);
    let error = ws.unwrap_err();
    assert_eq!(error.status(), Some(status(307)));
    assert_eq!(error.headers().unwrap()["location"], "/other");
}

#[tokio::test]
async fn what_was_not_offered_is_not_accepted() {
    let answer = |name, value| Response::builder().header(name, value).body(()).unwrap();
    let options = || ClientOptions::default().protocols(["a"]);
    let error = answered(options(), answer("sec-websocket-protocol", "b")).await;
    assert_eq!(error.unwrap_err(), HandshakeError::SubprotocolNotOffered);
    let error = answered(options(), answer("sec-websocket-extensions", "x")).await;
    assert!(
        matches!(error, Err(HandshakeError::Extensions(_))),
        "{error:?}"
    );
    let error = answered(options(), answer("x", &"y".repeat(9000))).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "line of the head is longer than 8192 octets"
    );
    let mut many = Response::new(());
    for number in 0..10 {
        many.headers_mut().append("x", number.into());
    }
    let error = answered(options().max_headers(9), many).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "head has more than 9 headers"
    );
}

#[tokio::test]
async fn what_a_failed_handshake_leaves_is_reset() {
    let (connector, http2, mut server) = pair(builder()).await;
    let answering = async {
        let asked = server.asked().await;
        let answer = Response::builder().header("sec-websocket-protocol", "never offered");
        let mut channel = asked.answer(answer.body(()).unwrap());
        within(std::future::poll_fn(|context| {
            channel.outflow.poll_reset(context)
        }))
        .await
    };
    let (ws, reset) = tokio::join!(within(connector.connect_over(&http2)), answering);
    assert!(ws.is_err());
    assert_eq!(reset.unwrap(), Reason::CANCEL);
}

#[tokio::test]
async fn a_request_that_is_reset_says_why() {
    for reason in [Reason::REFUSED_STREAM, Reason::INTERNAL_ERROR] {
        let (connector, http2, mut server) = pair(builder()).await;
        let resetting = async { server.asked().await.reset(reason) };
        let (ws, ()) = tokio::join!(within(connector.connect_over(&http2)), resetting);
        let error = http2_fault(ws.unwrap_err());
        let expected = u32::from(reason);
        assert!(matches!(error, Http2Error::Reset { code, .. } if code == expected));
    }
}

// RFC 8441 §3.
#[tokio::test]
async fn a_server_without_the_setting_is_named() {
    let connector = Connector::new(URL).unwrap();
    let (near, far) = duplex();
    let _server = Server::start(h2::server::Builder::new(), far);
    let error = within(connector.connect_http2_stream(near))
        .await
        .unwrap_err();
    assert!(matches!(http2_fault(error), Http2Error::NotEnabled));
}

/// Notes what did not open.
#[derive(Clone, Debug, Default)]
struct Refusals(Arc<Mutex<Vec<String>>>);

impl Observer for Refusals {
    fn refused(&self, _: &Peer, error: &Error) {
        self.0.lock().unwrap().push(error.to_string());
    }
}

#[tokio::test]
async fn an_observer_is_told_of_a_server_without_the_setting() {
    let refusals = Refusals::default();
    let mut connector = Connector::new(URL).unwrap();
    connector.set_observer(refusals.clone());
    let (near, far) = duplex();
    let _server = Server::start(h2::server::Builder::new(), far);
    let error = within(connector.connect_http2_stream(near))
        .await
        .unwrap_err();
    assert_eq!(*refusals.0.lock().unwrap(), [error.to_string()]);
}

// The settings may come late; the request waits for them.
#[tokio::test]
async fn nothing_is_asked_before_the_settings_are_there() {
    let connector = Connector::new(URL).unwrap();
    let (near, far) = duplex();
    let (mut client, server) = (far, duplex());
    let mut server_end = server.1;
    let _server = Server::start(builder(), server.0);
    let connecting = tokio::spawn(async move { connector.connect_http2_stream(near).await });
    // Preface, SETTINGS, WINDOW_UPDATE and PING go to the server; its answer waits.
    let mut octets = vec![0; 24];
    within(client.read_exact(&mut octets)).await.unwrap();
    server_end.write_all(&octets).await.unwrap();
    tokio::task::yield_now().await;
    assert!(!connecting.is_finished());
    within(async {
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut server_end) => {}
            connected = connecting => assert!(connected.unwrap().is_ok()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_of_http1_is_no_server_of_http2() {
    let connector = Connector::new(URL).unwrap();
    let (near, mut far) = duplex();
    let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    far.write_all(answer).await.unwrap();
    let error = within(connector.connect_http2_stream(near))
        .await
        .unwrap_err();
    assert!(matches!(http2_fault(error), Http2Error::Broken { .. }));
}

#[tokio::test]
async fn a_server_that_goes_at_once_is_an_error_of_the_stream() {
    let connector = Connector::new(URL).unwrap();
    let (near, far) = duplex();
    drop(far);
    let error = within(connector.connect_http2_stream(near))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let time = Duration::from_secs(7);
    let connector = connector(ClientOptions::default().open_handshake_timeout(time));
    let (near, _far) = duplex();
    let began = tokio::time::Instant::now();
    let error = within(connector.connect_http2_stream(near))
        .await
        .unwrap_err();
    let is_timeout = matches!(error, Error::Timeout(TimeoutKind::OpeningHandshake));
    assert!(is_timeout && began.elapsed() >= time, "{error:?}");
    // The same where the answer to the request does not come.
    let (http2, mut server) = connected(&connector, builder()).await;
    let error = within(connector.connect_over(&http2)).await.unwrap_err();
    assert!(matches!(
        error,
        Error::Timeout(TimeoutKind::OpeningHandshake)
    ));
    assert_eq!(server.asked().await.given_up().await, Reason::CANCEL);
    assert!(http2.is_open());
}

#[tokio::test]
async fn old_drafts_have_no_handshake_over_http2() {
    let old = connector(ClientOptions::default().version(10));
    let (near, mut far) = duplex();
    let error = within(old.connect_http2_stream(near)).await.unwrap_err();
    assert_eq!(fault(error), HandshakeError::UnsupportedVersion);
    assert_eq!(far.read(&mut [0]).await.unwrap(), 0, "something was sent");
    let (_, http2, mut server) = pair(builder()).await;
    let error = within(old.connect_over(&http2)).await.unwrap_err();
    assert_eq!(fault(error), HandshakeError::UnsupportedVersion);
    assert!(server.was_asked().is_none());
}

#[tokio::test]
async fn headers_of_the_handshake_and_of_connections_are_refused() {
    let (_, http2, mut server) = pair(builder()).await;
    for name in [
        "host",
        "upgrade",
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "content-length",
        "sec-websocket-key",
        "sec-websocket-version",
        "not a name",
    ] {
        let mut connector = connector(ClientOptions::default());
        connector
            .on_connecting(move |_| async move { Ok(ConnectingRequest::new().header(name, "x")) });
        let error = within(connector.connect_over(&http2)).await.unwrap_err();
        assert_eq!(
            fault(error).to_string(),
            format!("header {name:?} cannot be sent")
        );
    }
    tokio::task::yield_now().await;
    assert!(server.was_asked().is_none());
}

#[tokio::test]
async fn another_server_is_not_asked_over_it() {
    let (_, http2, mut server) = pair(builder()).await;
    for url in [
        "wss://server.example.com/chat",
        "ws://server.example.com:81/chat",
        "ws://example.com/chat",
    ] {
        let connector = Connector::new(url).unwrap();
        let error = http2_fault(within(connector.connect_over(&http2)).await.unwrap_err());
        assert!(matches!(error, Http2Error::OtherServer { .. }), "{error:?}");
        assert!(!error.to_string().contains("chat"), "{error}");
    }
    assert!(server.was_asked().is_none());
    // Another path is none.
    let connector = Connector::new("ws://Server.Example.com:80/other").unwrap();
    let accepting = async {
        let asked = server.asked().await;
        assert_eq!(asked.request.uri().path(), "/other");
        asked.open()
    };
    let (ws, _channel) = tokio::join!(within(connector.connect_over(&http2)), accepting);
    ws.unwrap();
}

#[test]
fn requests_are_made_without_a_stream() {
    let url: Url = "wss://[::1]:8443/a%20b?c".parse().unwrap();
    let options = ClientOptions::default().version(13);
    let (request, sent) = http2::request(&url, &options, None).unwrap();
    assert_eq!(request.uri(), "https://[::1]:8443/a%20b?c");
    let (head, ()) = Response::new(()).into_parts();
    let limits = motorway::handshake::HeadLimits::default();
    let (response, agreed) = http2::check(head, &sent, limits).unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(agreed.subprotocol, None);
    let (head, ()) = Response::builder()
        .status(404)
        .body(())
        .unwrap()
        .into_parts();
    let error = http2::check(head, &sent, limits).unwrap_err();
    assert_eq!(error.status(), StatusCode::NOT_FOUND);
}

// An answer of HTTP/1.1 never fits a request of HTTP/2: there was no key.
#[test]
fn an_answer_of_http1_does_not_fit() {
    let url: Url = URL.parse().unwrap();
    let (_, sent) = http2::request(&url, &ClientOptions::default(), None).unwrap();
    let answer =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: \r\n\r\n";
    let mut reader = motorway::handshake::HeadReader::new(Default::default());
    let (head, _) = reader.response(answer).unwrap().unwrap();
    let error = motorway::handshake::client::check(head, &sent).unwrap_err();
    assert_eq!(error, HandshakeError::AcceptMismatch);
}
