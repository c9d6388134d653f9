//! The same server within another: hyper-util's, over HTTP/1.1 and HTTP/2.

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use motorway::{
    Peer, ServerTls, TransportDetails, WebSocketServerFactory, WebSocketServerProtocol,
};
use std::error::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

/// Serves until the process is ended.
pub(crate) async fn serve<P: WebSocketServerProtocol>(
    address: &str,
    factory: WebSocketServerFactory<P>,
    tls: Option<ServerTls>,
) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let connection = begin(stream, factory.clone(), tls.clone());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                println!("failed: {error}");
            }
        });
    }
}

async fn begin<P: WebSocketServerProtocol>(
    stream: TcpStream,
    factory: WebSocketServerFactory<P>,
    tls: Option<ServerTls>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let details = TransportDetails::server(Peer::from(stream.peer_addr()?));
    let Some(tls) = tls else {
        return run(stream, factory, details).await;
    };
    let stream = tls.accept(stream).await?;
    let details = stream.describe(details);
    run(stream, factory, details).await
}

async fn run<P: WebSocketServerProtocol>(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    factory: WebSocketServerFactory<P>,
    details: TransportDetails,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(details.clone());
        factory.clone().into_service().oneshot(request)
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    // One connection that is not read must not use up the window of all.
    server
        .http2()
        .enable_connect_protocol()
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(16 << 20);
    server
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await
}
