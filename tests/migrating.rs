//! What the guide says of tokio-tungstenite and of axum, on which it compares: they are dependencies of the
//! tests only, and may change.

#![cfg(test)]
#![cfg(feature = "tokio")]

use axum::Router;
use axum::routing::any;
use futures_util::{SinkExt, StreamExt};
use motorway::{ClientOptions, CloseCode, Connector, Message, WebSocketServerFactory};
use motorway::{WebSocketStream, http};
use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError, SubProtocolError};
use tokio_tungstenite::{accept_async, client_async};
use tungstenite::protocol::{CloseFrame, WebSocketConfig};

/// Waits for what must happen.
async fn soon<F: Future>(future: F) -> F::Output {
    let waited = timeout(Duration::from_secs(30), future).await;
    waited.expect("it takes too long")
}

/// A client of this crate on a stream.
async fn client(stream: DuplexStream) -> WebSocketStream {
    let connector = Connector::new("ws://localhost/").unwrap();
    connector.connect_stream(stream).await.unwrap()
}

/// Both ends of a stream, one of which a server of tokio-tungstenite has accepted.
async fn accepted(
    config: WebSocketConfig,
) -> (
    tokio_tungstenite::WebSocketStream<DuplexStream>,
    WebSocketStream,
) {
    let (near, far) = duplex(1 << 20);
    let accepting = tokio_tungstenite::accept_async_with_config(near, Some(config));
    let (theirs, ours) = tokio::join!(accepting, client(far));
    (theirs.unwrap(), ours)
}

/// A client of this crate of a handler of this crate.
async fn ours<H, F>(handler: H) -> WebSocketStream
where
    H: Fn(WebSocketStream) -> F + Send + Sync + 'static,
    F: Future<Output = motorway::HandlerResult> + Send + 'static,
{
    let (near, far) = duplex(1 << 20);
    tokio::spawn(WebSocketServerFactory::from_handler(handler).serve_stream(near));
    client(far).await
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_there_only_while_somebody_polls() {
    let (mut theirs, ours) = accepted(WebSocketConfig::default()).await;
    let mut ping = Box::pin(ours.handle().ping("1"));
    let hour = Duration::from_secs(3600);
    // The server does something else, reads the ping, and does something else again.
    assert!(timeout(hour, &mut ping).await.is_err());
    let read = theirs.next().await.unwrap().unwrap();
    assert_eq!(read, tungstenite::Message::Ping("1".into()));
    assert!(timeout(hour, &mut ping).await.is_err());
    tokio::select! {
        answered = ping => assert!(answered.is_ok()),
        other = theirs.next() => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_here_whatever_a_handler_waits_for() {
    let ours = ours(|ws| async move {
        sleep(Duration::from_secs(3600)).await;
        drop(ws);
        Ok(())
    })
    .await;
    let pinging = timeout(Duration::from_secs(1), ours.handle().ping("1"));
    assert!(pinging.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_there_may_have_queued_its_message() {
    let (near, far) = duplex(64);
    let connecting = client_async("ws://localhost/", far);
    let (theirs, peer) = tokio::join!(accept_async(near), connecting);
    let (mut theirs, (mut peer, _)) = (theirs.unwrap(), peer.unwrap());
    let long = tungstenite::Message::text("a".repeat(1000));
    // Nobody reads, so it waits.
    let sending = timeout(Duration::from_secs(1), theirs.send(long.clone()));
    assert!(sending.await.is_err());
    let (flushed, received) = tokio::join!(theirs.flush(), peer.next());
    flushed.unwrap();
    assert_eq!(received.unwrap().unwrap(), long);
}

#[tokio::test]
async fn faults_of_the_peer_are_not_told_there() {
    let small = WebSocketConfig::default().max_message_size(Some(4));
    let (mut theirs, mut ours) = accepted(small).await;
    ours.send("hello").await.unwrap();
    let error = theirs.next().await.unwrap().unwrap_err();
    assert!(matches!(
        error,
        tungstenite::Error::Capacity(CapacityError::MessageTooLong { size: 5, .. })
    ));
    drop(theirs);
    assert!(soon(ours.recv()).await.is_err());
    assert_eq!(ours.close_info().unwrap().code, CloseCode::ABNORMAL);
}

#[tokio::test]
async fn faults_of_the_peer_are_told_here() {
    let (near, far) = duplex(1 << 20);
    let mut factory = WebSocketServerFactory::from_handler(|mut ws| async move {
        ws.recv().await?;
        Ok(())
    });
    let options = motorway::ServerOptions::default().max_message_payload_size(4);
    factory.set_protocol_options(options).unwrap();
    tokio::spawn(factory.serve_stream(near));
    let (mut theirs, _) = soon(client_async("ws://localhost/", far)).await.unwrap();
    theirs.send("hello".into()).await.unwrap();
    let told = soon(theirs.next()).await.unwrap().unwrap();
    let tungstenite::Message::Close(Some(frame)) = told else {
        panic!("{told:?}");
    };
    assert_eq!(u16::from(frame.code), 1009);
}

#[tokio::test]
async fn a_dropped_stream_says_nothing_there_and_a_handler_closes_here() {
    let (theirs, mut ours_of_theirs) = accepted(WebSocketConfig::default()).await;
    drop(theirs);
    assert!(soon(ours_of_theirs.recv()).await.is_err());
    let info = ours_of_theirs.close_info().unwrap();
    assert_eq!(info.code, CloseCode::ABNORMAL);

    let mut ours = ours(|_| async { Ok(()) }).await;
    assert_eq!(soon(ours.recv()).await.unwrap(), None);
    let info = soon(ours.handle().closed()).await;
    assert_eq!(info.code, CloseCode::NORMAL);
}

#[tokio::test(start_paused = true)]
async fn codes_that_must_not_be_sent_go_out_there() {
    let (mut theirs, mut ours) = accepted(WebSocketConfig::default()).await;
    let frame = CloseFrame {
        code: 1005.into(),
        reason: "".into(),
    };
    theirs.close(Some(frame)).await.unwrap();
    assert!(soon(ours.recv()).await.is_err());
    assert!(matches!(
        ours.close_info().unwrap().cause,
        motorway::CloseCause::Protocol(motorway::ProtocolError::InvalidCloseCode { .. })
    ));
    let refused = ours.close(1005, "").await;
    assert!(matches!(refused, Err(motorway::Error::Send(_))));
}

#[tokio::test]
async fn a_server_that_chooses_no_subprotocol_is_an_error_there() {
    let (near, far) = duplex(1 << 16);
    let factory = WebSocketServerFactory::from_handler(|_| pending());
    tokio::spawn(factory.serve_stream(near));
    let request = tungstenite::ClientRequestBuilder::new("ws://localhost/".parse().unwrap())
        .with_sub_protocol("chat");
    let error = soon(client_async(request, far)).await.unwrap_err();
    assert!(matches!(
        error,
        tungstenite::Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(
            SubProtocolError::NoSubProtocol
        ))
    ));

    let (near, far) = duplex(1 << 16);
    tokio::spawn(factory.serve_stream(near));
    let mut connector = Connector::new("ws://localhost/").unwrap();
    let options = ClientOptions::default().protocols(["chat"]);
    connector.set_protocol_options(options).unwrap();
    let ws = soon(connector.connect_stream(far)).await.unwrap();
    assert_eq!(ws.subprotocol(), None);
}

/// Reads a request and refuses it, the body of the answer in a write of its own.
async fn refuse(mut stream: DuplexStream) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await.unwrap();
    let head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\n";
    stream.write_all(head).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    // One of the clients has left.
    let _ = stream.write_all(b"no, sir").await;
    pending().await
}

#[tokio::test(start_paused = true)]
async fn the_body_of_a_refusal_is_what_came_with_the_head_there() {
    let (near, far) = duplex(1 << 16);
    tokio::spawn(refuse(near));
    let error = client_async("ws://localhost/", far).await.unwrap_err();
    let tungstenite::Error::Http(response) = error else {
        panic!("{error:?}");
    };
    assert_eq!(response.into_body(), Some(Vec::new()));

    let (near, far) = duplex(1 << 16);
    tokio::spawn(refuse(near));
    let connector = Connector::new("ws://localhost/").unwrap();
    let error = connector.connect_stream(far).await.unwrap_err();
    assert_eq!(error.body().unwrap().text(), "no, sir");
}

#[tokio::test(start_paused = true)]
async fn opening_handshakes_have_no_timeout_there() {
    let (near, _far) = duplex(1 << 16);
    let day = Duration::from_secs(24 * 60 * 60);
    assert!(timeout(day, accept_async(near)).await.is_err());
    let (near, _far) = duplex(1 << 16);
    let factory = WebSocketServerFactory::from_handler(|_| pending());
    let ended = timeout(Duration::from_secs(6), factory.serve_stream(near));
    assert!(matches!(ended.await, Ok(Err(motorway::Error::Timeout(_)))));
}

#[tokio::test]
async fn a_plain_request_gets_no_answer_there() {
    let (near, mut far) = duplex(1 << 16);
    tokio::spawn(accept_async(near));
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    far.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    soon(far.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"");
}

#[test]
fn the_limits_are_the_same() {
    let there = WebSocketConfig::default();
    assert_eq!(there.max_message_size, Some(64 << 20));
    assert_eq!(there.max_frame_size, Some(16 << 20));
    assert_eq!(there.read_buffer_size, 128 << 10);
}

/// Serves an app of axum until something has happened.
async fn serve(app: Router, stop: oneshot::Receiver<()>) -> (SocketAddr, oneshot::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ended, end) = oneshot::channel();
    tokio::spawn(async move {
        let serving = axum::serve(listener, app).with_graceful_shutdown(async {
            let _ = stop.await;
        });
        serving.await.unwrap();
        let _ = ended.send(());
    });
    (address, end)
}

fn app_of_axum() -> Router {
    use axum::extract::ws::{WebSocket, WebSocketUpgrade};
    async fn handle(mut ws: WebSocket) {
        while let Some(Ok(message)) = ws.recv().await {
            if message.to_text().is_ok_and(|text| text == "end") {
                return;
            }
            let _ = ws.send(message).await;
        }
    }
    let answer = |upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(handle) };
    Router::new().route("/", any(answer))
}

#[tokio::test]
async fn a_graceful_shutdown_of_axum_leaves_websockets_open() {
    let (stop, stopped) = oneshot::channel();
    let (address, end) = serve(app_of_axum(), stopped).await;
    let mut ws = soon(motorway::connect(format!("ws://{address}/")))
        .await
        .unwrap();
    stop.send(()).unwrap();
    soon(end).await.unwrap();
    // The server has ended, and the connection goes on.
    ws.send("hello").await.unwrap();
    let echoed = soon(ws.recv()).await.unwrap();
    assert_eq!(echoed, Some(Message::from("hello")));
}

#[tokio::test]
async fn a_handler_of_axum_ends_without_a_close_frame() {
    let (_stop, stopped) = oneshot::channel();
    let (address, _end) = serve(app_of_axum(), stopped).await;
    let mut ws = soon(motorway::connect(format!("ws://{address}/")))
        .await
        .unwrap();
    ws.send("end").await.unwrap();
    assert!(soon(ws.recv()).await.is_err());
    assert_eq!(ws.close_info().unwrap().code, CloseCode::ABNORMAL);
}

#[tokio::test]
async fn axum_answers_plain_requests_with_400() {
    use tower::ServiceExt;
    let request = http::Request::get("/").body(axum::body::Body::empty());
    let answer = app_of_axum().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 400);
}
