//! Shutdown, deadlines, faults and clients that leave.

use crate::world::{Echo, Raw, frame, request, serve, serve_until, soon, until};
use axum::Router;
use axum::routing::any;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use motorway::{
    CloseInfo, ConnectionAccept, ConnectionDeny, ConnectionRequest, Error, HandlerResult,
    HandshakeError, Message, ServerOptions, WebSocketServerFactory, WebSocketServerProtocol,
    WebSocketUpgrade,
};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

/// Takes a while to say goodbye.
struct Slow(Arc<AtomicUsize>);

impl WebSocketServerProtocol for Slow {
    async fn on_close(&mut self, _: CloseInfo) -> HandlerResult {
        sleep(Duration::from_millis(200)).await;
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test]
async fn axums_graceful_shutdown_closes_with_1001_and_waits() {
    let ended = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&ended);
    let factory = WebSocketServerFactory::new(move || Slow(Arc::clone(&counts)));
    let handlers = WebSocketServerFactory::from_handler(|_| async { Ok(()) });
    let (handled, counts) = (handlers.clone(), Arc::clone(&ended));
    let handler = any(move |upgrade: WebSocketUpgrade| async move {
        let handler = |mut ws: motorway::WebSocketStream| async move {
            while ws.recv().await?.is_some() {}
            sleep(Duration::from_millis(200)).await;
            counts.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        upgrade.on_upgrade_with(&handled, handler).await
    });
    let app = Router::new()
        .route("/handler", handler)
        .fallback_service(factory.clone().into_service());
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = factory.shutdown_after(handlers.shutdown_after(stopped));
    let (address, serving) = serve_until(app, stopped).await;
    let mut one = soon(motorway::connect(format!("ws://{address}/")))
        .await
        .unwrap();
    let mut two = soon(motorway::connect(format!("ws://{address}/handler")))
        .await
        .unwrap();
    stop.send(()).unwrap();
    for ws in [&mut one, &mut two] {
        assert_eq!(soon(ws.recv()).await.unwrap(), None);
        let info = ws.close_info().unwrap();
        assert_eq!(info.remote.as_ref().unwrap().code, 1001.into());
        assert!(info.was_clean);
    }
    soon(serving).await.unwrap();
    assert_eq!(ended.load(Ordering::SeqCst), 2);
    assert_eq!(
        (factory.connection_count(), handlers.connection_count()),
        (0, 0)
    );
}

#[tokio::test]
async fn newcomers_get_503_during_the_shutdown() {
    let factory = WebSocketServerFactory::new(|| Echo);
    let app = Router::new().fallback_service(factory.clone().into_service());
    let address = serve(app).await;
    soon(factory.shutdown(1012, "restart", Duration::from_secs(5)))
        .await
        .unwrap();
    let mut raw = Raw::connect(address).await;
    let refused = raw.ask(request("/", "")).await;
    assert!(refused.status().contains("503"), "{refused:?}");
    let unsendable = factory
        .shutdown(1006, "", Duration::ZERO)
        .await
        .unwrap_err();
    assert!(matches!(unsendable, Error::Send(_)), "{unsendable}");
}

#[tokio::test]
async fn the_deadline_of_a_shutdown_drops_what_is_left() {
    let factory = WebSocketServerFactory::new(|| Echo);
    let app = Router::new().fallback_service(factory.clone().into_service());
    let mut raw = Raw::connect(serve(app).await).await;
    assert!(raw.ask(request("/", "")).await.status().contains("101"));
    // It answers no close frame.
    soon(factory.shutdown(1001, "", Duration::from_millis(50)))
        .await
        .unwrap();
    assert_eq!(factory.connection_count(), 0);
    assert_eq!(&raw.octets(4).await[..], b"\x88\x02\x03\xe9");
}

/// Waits in `on_connect` until it is let go; tells when it starts, ends and is dropped.
struct Waiting(Arc<Told>);

#[derive(Default)]
struct Told {
    started: Notify,
    go: Notify,
    ended: AtomicUsize,
    dropped: AtomicUsize,
}

impl WebSocketServerProtocol for Waiting {
    async fn on_connect(
        &mut self,
        _: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        self.0.started.notify_one();
        self.0.go.notified().await;
        self.0.ended.fetch_add(1, Ordering::SeqCst);
        Ok(ConnectionAccept::default())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

fn waiting() -> (WebSocketServerFactory<Waiting>, Arc<Told>) {
    let told = Arc::new(Told::default());
    let shared = Arc::clone(&told);
    let factory = WebSocketServerFactory::new(move || Waiting(Arc::clone(&shared)));
    (factory, told)
}

#[tokio::test]
async fn a_callback_is_not_dropped_when_the_client_leaves_a_service() {
    let (factory, told) = waiting();
    let app = Router::new().fallback_service(factory.clone().into_service());
    let mut raw = Raw::connect(serve(app).await).await;
    raw.send(request("/", "")).await;
    soon(told.started.notified()).await;
    drop(raw);
    sleep(Duration::from_millis(50)).await;
    assert_eq!(told.dropped.load(Ordering::SeqCst), 0);
    told.go.notify_one();
    until(|| told.dropped.load(Ordering::SeqCst) == 1).await;
    assert_eq!(told.ended.load(Ordering::SeqCst), 1);
    until(|| factory.connection_count() == 0).await;
}

#[tokio::test]
async fn a_callback_that_takes_too_long_is_answered_with_503() {
    let (mut factory, told) = waiting();
    let options = ServerOptions::default().open_handshake_timeout(Duration::from_millis(50));
    factory.set_protocol_options(options).unwrap();
    let app = Router::new().fallback_service(factory.clone().into_service());
    let mut raw = Raw::connect(serve(app).await).await;
    let refused = raw.ask(request("/", "")).await;
    assert!(refused.status().contains("503"), "{refused:?}");
    assert_eq!(told.dropped.load(Ordering::SeqCst), 0);
    told.go.notify_one();
    until(|| told.dropped.load(Ordering::SeqCst) == 1).await;
    assert_eq!(told.ended.load(Ordering::SeqCst), 1);
}

/// Serves one connection of a stream in memory with hyper alone.
fn hyper_serves(
    factory: &WebSocketServerFactory<Echo>,
    upgrades: bool,
) -> (
    tokio::io::DuplexStream,
    tokio::sync::mpsc::Receiver<motorway::Result<CloseInfo>>,
) {
    let (client, server) = tokio::io::duplex(1 << 16);
    let (report, reports) = tokio::sync::mpsc::channel(1);
    let factory = factory.clone();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let (factory, report) = (factory.clone(), report.clone());
        async move {
            let (response, connection) = factory.upgrade(&mut request).await.unwrap();
            tokio::spawn(async move { report.send(connection.await).await });
            Ok::<_, Infallible>(response)
        }
    });
    let serving =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service);
    match upgrades {
        true => tokio::spawn(async move { serving.with_upgrades().await.unwrap() }),
        false => tokio::spawn(async move { drop(serving.await) }),
    };
    (client, reports)
}

#[tokio::test]
async fn hyper_alone_is_enough() {
    let factory = WebSocketServerFactory::new(|| Echo);
    let (mut client, mut reports) = hyper_serves(&factory, true);
    let mut octets = request("/", "").into_bytes();
    octets.extend(frame(0x81, b"early"));
    client.write_all(&octets).await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"\x81\x05early") {
        got.push(soon(client.read_u8()).await.unwrap());
    }
    client.write_all(&frame(0x88, b"\x03\xe8")).await.unwrap();
    // RFC 6455 §7.1.1: the server closes first.
    let mut rest = Vec::new();
    soon(client.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"\x88\x02\x03\xe8");
    drop(client);
    let info = soon(reports.recv()).await.unwrap().unwrap();
    assert!(info.was_clean, "{info:?}");
    assert_eq!(info.remote.unwrap().code, 1000.into());
    assert_eq!(factory.connection_count(), 0);
}

#[tokio::test]
async fn a_connection_that_was_refused_says_why() {
    let factory = WebSocketServerFactory::new(|| Echo);
    let (mut client, mut reports) = hyper_serves(&factory, true);
    let asked = request("/", "").replace("Sec-WebSocket-Key", "X-Key");
    client.write_all(asked.as_bytes()).await.unwrap();
    let error = soon(reports.recv()).await.unwrap().unwrap_err();
    let Error::Handshake(error) = error else {
        panic!("{error}")
    };
    assert!(
        matches!(*error, HandshakeError::MissingHeader { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn hyper_without_upgrades_is_told_in_the_error() {
    let factory = WebSocketServerFactory::new(|| Echo);
    let (mut client, mut reports) = hyper_serves(&factory, false);
    client.write_all(request("/", "").as_bytes()).await.unwrap();
    let error = soon(reports.recv()).await.unwrap().unwrap_err();
    assert!(format!("{error:?}").contains("upgrade"), "{error:?}");
}

#[tokio::test]
async fn a_request_of_nobody_cannot_be_upgraded() {
    let factory = WebSocketServerFactory::new(|| Echo);
    let mut made = hyper::Request::new(Empty::<Bytes>::new());
    for (name, value) in [
        ("host", "a"),
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
    ] {
        made.headers_mut().insert(name, value.parse().unwrap());
    }
    let error = factory.upgrade(&mut made).await.unwrap_err();
    let Error::Handshake(error) = error else {
        panic!("{error}")
    };
    assert_eq!(*error, HandshakeError::NotUpgradable);
    // A service has to answer something.
    let service = factory.into_service();
    let response = tower::ServiceExt::oneshot(service, made).await.unwrap();
    assert_eq!(response.status(), 500);
}

#[tokio::test]
async fn dropping_an_upgrade_drops_its_callback() {
    let (factory, told) = waiting();
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let mounted = factory.clone();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let mounted = mounted.clone();
        async move {
            let (response, connection) = mounted.upgrade(&mut request).await.unwrap();
            tokio::spawn(connection);
            Ok::<_, Infallible>(response)
        }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(server), service)
        .with_upgrades();
    let serving = tokio::spawn(serving);
    client.write_all(request("/", "").as_bytes()).await.unwrap();
    soon(told.started.notified()).await;
    drop(client);
    until(|| told.dropped.load(Ordering::SeqCst) == 1).await;
    assert_eq!(told.ended.load(Ordering::SeqCst), 0);
    assert_eq!(factory.connection_count(), 0);
    let _ = soon(serving).await;
}

#[tokio::test]
async fn five_hundred_mounted_connections_leave_nothing_behind() {
    let factory = WebSocketServerFactory::new(|| Echo);
    let app = Router::new().fallback_service(factory.clone().into_service());
    let address = serve(app).await;
    let mut open = Vec::new();
    for _ in 0..500 {
        open.push(
            soon(motorway::connect(format!("ws://{address}/")))
                .await
                .unwrap(),
        );
    }
    assert_eq!(factory.connection_count(), 500);
    for (place, ws) in open.iter_mut().enumerate() {
        ws.send(place.to_string()).await.unwrap();
    }
    for (place, ws) in open.iter_mut().enumerate() {
        let echoed = soon(ws.recv()).await.unwrap();
        assert_eq!(echoed, Some(Message::from(place.to_string())));
    }
    drop(open);
    until(|| factory.connection_count() == 0 && factory.connections().is_empty()).await;
}

/// Aborts as soon as it is told anything.
struct Abrupt;

impl WebSocketServerProtocol for Abrupt {
    async fn on_message(&mut self, ws: &motorway::WebSocket, _: Message<'_>) -> HandlerResult {
        ws.abort();
        Ok(())
    }
}

#[tokio::test]
async fn an_aborted_connection_is_reset() {
    let factory = WebSocketServerFactory::new(|| Abrupt);
    let app = Router::new().fallback_service(factory.clone().into_service());
    let mounted = serve(app).await;
    let router = motorway::Router::new().route("/", factory.clone());
    let server = router.listen("127.0.0.1:0").await.unwrap();
    for address in [mounted, server.local_addr()] {
        let mut raw = Raw::connect(address).await;
        assert!(raw.ask(request("/", "")).await.status().contains("101"));
        raw.send(frame(0x81, b"go")).await;
        let error = soon(raw.0.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}
