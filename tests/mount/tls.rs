//! Factories behind TLS of our own, in a server of hyper.

use crate::http2::{Ws, connect_on};
use crate::world::{frame, soon};
use h2::ext::Protocol;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use motorway::{
    ClientTls, Connector, HandlerProtocol, Identity, Roots, ServerOptions, ServerTls,
    TransportDetails, WebSocketServerFactory,
};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Serves over TLS, as the guide shows it.
async fn serve(listener: TcpListener, tls: ServerTls, factory: Factory) {
    loop {
        let (stream, address) = listener.accept().await.unwrap();
        let (tls, factory) = (tls.clone(), factory.clone());
        tokio::spawn(async move {
            let stream = tls.accept(stream).await.unwrap();
            let details = stream.describe(TransportDetails::server(address.into()));
            let service = service_fn(|mut request: Request<Incoming>| {
                request.extensions_mut().insert(details.clone());
                let upgrading = factory.upgrade(&mut request);
                async move {
                    let (response, connection) = upgrading.await?;
                    tokio::spawn(connection);
                    Ok::<_, motorway::Error>(response)
                }
            });
            let mut server = auto::Builder::new(TokioExecutor::new());
            server.http2().enable_connect_protocol();
            let stream = TokioIo::new(stream);
            let _ = server.serve_connection_with_upgrades(stream, service).await;
        });
    }
}

type Factory = WebSocketServerFactory<HandlerProtocol>;

/// Starts a server that says over what it is asked, and lets in its own pages only.
async fn start() -> (SocketAddr, rcgen::CertifiedKey<rcgen::KeyPair>) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = certified.signing_key.serialize_pem();
    let identity = Identity::from_pem(certified.cert.pem(), key).unwrap();
    let mut factory = WebSocketServerFactory::from_handler(|ws| async move {
        let version = ws.request().http_version();
        let transport = ws.request().transport();
        let protocol = transport.application_protocol().unwrap_or("none");
        let (secure, peer) = (transport.is_secure(), transport.peer().ip().is_some());
        let said = format!("{version:?} {protocol} {secure} {peer}");
        Ok(ws.send(said).await?)
    });
    let options = ServerOptions::default().allowed_origins(["self"]);
    factory.set_protocol_options(options).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = ServerTls::new(identity).unwrap().with_http2();
    tokio::spawn(serve(listener, tls, factory));
    (address, certified)
}

#[tokio::test]
async fn clients_of_http_1_get_in_and_their_own_pages() {
    let (address, certified) = start().await;
    let url = format!("wss://localhost:{}/", address.port());
    let mut connector = Connector::new(url).unwrap();
    let roots = Roots::from_pem(certified.cert.pem()).unwrap();
    connector.set_tls(ClientTls::new(&roots).unwrap());
    let origin = format!("https://localhost:{}", address.port());
    let options = motorway::ClientOptions::default()
        .connect_to(address)
        .origin(origin);
    connector.set_protocol_options(options).unwrap();
    let mut ws = soon(connector.connect()).await.unwrap();
    let said = soon(ws.recv_text()).await.unwrap().unwrap();
    assert_eq!(said, "HTTP/1.1 http/1.1 true true");
}

#[tokio::test]
async fn clients_of_http_2_get_in_where_both_agree_on_it() {
    let (address, certified) = start().await;
    let mut roots = RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let connecting = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let stream = soon(connecting.connect(name, stream)).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut sender = connect_on(stream).await;
    let url = format!("https://localhost:{}/", address.port());
    let mut asked = Request::connect(&url)
        .header("sec-websocket-version", "13")
        .header("origin", url.trim_end_matches('/'))
        .body(())
        .unwrap();
    asked
        .extensions_mut()
        .insert(Protocol::from_static("websocket"));
    let mut ws = Ws::open(&mut sender, asked).await;
    let said = b"HTTP/2.0 h2 true true";
    let length = u8::try_from(said.len()).unwrap();
    let expected = [&[0x81, length][..], said].concat();
    assert_eq!(ws.octets(expected.len()).await, expected);
    ws.send(frame(0x88, b"\x03\xe8"));
    let close = ws.octets(4).await;
    assert_eq!(close, b"\x88\x02\x03\xe8");
}
