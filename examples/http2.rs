//! A thousand WebSockets over one TCP connection: HTTP/2 with TLS (RFC 8441), both ends ours.
//!
//! ```sh
//! cargo run --features hyper,http2,rustls --example http2
//! ```
//!
//! Goes on to serve the page at the address that it prints; a browser that opens it speaks HTTP/2, too, once it
//! is told to trust the certificate in `localhost.pem`, or the file that is named behind the address.

use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use motorway::{
    ClientTls, Connector, HandlerResult, HttpBody, Identity, Message, Roots, ServerTls,
    TransportDetails, WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
};
use std::error::Error;
use tokio::net::{TcpListener, TcpStream};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

pub(crate) struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws.send(message).await?)
    }
}

async fn answer(
    mut request: Request<Incoming>,
    factory: WebSocketServerFactory<Echo>,
) -> Fallible<Response<HttpBody>> {
    if request.uri().path() == "/" {
        let page = HttpBody::from(include_str!("pages/echo.html"));
        let response = Response::builder().header("content-type", "text/html; charset=utf-8");
        return Ok(response.body(page)?);
    }
    let (response, connection) = factory.upgrade(&mut request).await?;
    tokio::spawn(connection);
    Ok(response)
}

/// Serves one TCP connection, with whatever of HTTP the client prefers.
async fn serve(
    tcp: TcpStream,
    tls: ServerTls,
    factory: WebSocketServerFactory<Echo>,
) -> Fallible<()> {
    let details = TransportDetails::server(tcp.peer_addr()?.into());
    let stream = tls.accept(tcp).await?;
    let details = stream.describe(details);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(details.clone());
        answer(request, factory.clone())
    });
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http2()
        .enable_connect_protocol()
        .max_concurrent_streams(10_000);
    let stream = TokioIo::new(stream);
    http.serve_connection_with_upgrades(stream, service).await
}

pub(crate) async fn listen(
    listener: TcpListener,
    identity: Identity,
    factory: WebSocketServerFactory<Echo>,
) -> Fallible<()> {
    let tls = ServerTls::new(identity)?.with_http2();
    loop {
        let (tcp, _) = listener.accept().await?;
        let (tls, factory) = (tls.clone(), factory.clone());
        tokio::spawn(async move {
            if let Err(error) = serve(tcp, tls, factory).await {
                eprintln!("{error}");
            }
        });
    }
}

/// Opens so many WebSockets over one TCP connection, and has something echoed on each.
pub(crate) async fn talk(url: &str, roots: &Roots, count: usize) -> motorway::Result<()> {
    let mut connector = Connector::new(url)?;
    connector.set_tls(ClientTls::new(roots)?);
    let http2 = connector.connect_http2().await?;
    let mut open = Vec::new();
    for _ in 0..count {
        open.push(connector.connect_over(&http2).await?);
    }
    for (number, ws) in open.iter().enumerate() {
        ws.send(format!("message {number}")).await?;
    }
    for (number, ws) in open.iter_mut().enumerate() {
        let echoed = ws.recv_text().await?;
        assert_eq!(echoed.as_deref(), Some(&*format!("message {number}")));
    }
    for ws in &mut open {
        ws.close(1000, "").await?;
    }
    Ok(())
}

pub(crate) fn factory() -> WebSocketServerFactory<Echo> {
    WebSocketServerFactory::new(|| Echo)
}

#[tokio::main]
async fn main() -> Fallible<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("localhost:8443".to_owned());
    let file = arguments.next().unwrap_or("localhost.pem".to_owned());

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = made.cert.pem();
    let identity = Identity::from_pem(&certificate, made.signing_key.serialize_pem())?;
    std::fs::write(&file, &certificate)?;

    let listener = TcpListener::bind(&address).await?;
    let port = listener.local_addr()?.port();
    let serving = tokio::spawn(listen(listener, identity, factory()));
    let roots = Roots::from_pem(&certificate)?;
    talk(&format!("wss://localhost:{port}/ws"), &roots, 1000).await?;
    println!("echoed 1000 messages on 1000 WebSockets over one TCP connection");
    println!("open https://localhost:{port}/");
    serving.await?
}
