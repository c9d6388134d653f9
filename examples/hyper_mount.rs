//! A page and a WebSocket on a server of hyper, without a framework, over HTTP/1.1 and HTTP/2.
//!
//! ```sh
//! cargo run --features hyper --example hyper_mount
//! ```

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::{conn::auto, graceful::GracefulShutdown};
use motorway::{
    HandlerResult, HttpBody, Message, Peer, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::error::Error;
use std::{pin::pin, time::Duration};
use tokio::net::TcpListener;

struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        Ok(ws.send(format!("hello, {}", ws.peer())).await?)
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws.send(message).await?)
    }
}

async fn answer(
    mut request: Request<Incoming>,
    factory: WebSocketServerFactory<Echo>,
) -> Result<Response<HttpBody>, Box<dyn Error + Send + Sync>> {
    match request.uri().path() {
        "/" => {
            let page = HttpBody::from(include_str!("pages/echo.html"));
            let response = Response::builder().header("content-type", "text/html; charset=utf-8");
            Ok(response.body(page)?)
        }
        "/ws" => {
            let (response, connection) = factory.upgrade(&mut request).await?;
            tokio::spawn(connection);
            Ok(response)
        }
        _ => Ok(Response::builder().status(404).body(HttpBody::default())?),
    }
}

/// Serves until `stop`, and then until the connections have closed.
pub(crate) async fn serve(listener: TcpListener, stop: impl Future) -> Result<(), Box<dyn Error>> {
    let factory = WebSocketServerFactory::new(|| Echo);
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()); // limits the time for the head of a request
    http.http2()
        .enable_connect_protocol() // WebSocket over HTTP/2, RFC 8441
        // Smaller for one than for all, so that one that is not read holds up no others.
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(16 << 20);
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => break,
        };
        let Ok((stream, address)) = accepted else {
            tokio::time::sleep(Duration::from_secs(1)).await; // too many open files, as a rule
            continue;
        };
        let factory = factory.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer::from(address));
            answer(request, factory.clone())
        });
        let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::spawn(connections.watch(connection.into_owned()));
    }
    drop(listener);
    let deadline = Duration::from_secs(10);
    factory
        .shutdown(1001, "server shuts down", deadline)
        .await?;
    tokio::time::timeout(deadline, connections.shutdown()).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("open http://{}/", listener.local_addr()?);
    serve(listener, tokio::signal::ctrl_c()).await
}
