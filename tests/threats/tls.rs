//! TLS: what comes before it, instead of it, and in its stead at the end.

use crate::world::{Masks, Octets, Raw, TEXT, World, frame, request, status, until, within};
use motorway::{
    ClientTls, Connector, Error, Identity, Roots, Server, ServerOptions, ServerTls, TlsError,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An authority: its roots, and an identity of this name by it.
fn issue(name: &str) -> (Roots, Identity) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let roots = Roots::from_pem(params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let chain = params.signed_by(&key, &issuer).unwrap().pem();
    (
        roots,
        Identity::from_pem(chain, key.serialize_pem()).unwrap(),
    )
}

async fn secure(name: &str) -> (World, Server, ServerTls, Roots) {
    let (roots, identity) = issue(name);
    let tls = ServerTls::new(identity).unwrap();
    let world = World::new(ServerOptions::default());
    let server = world.factory.listen_tls("127.0.0.1:0", &tls).await.unwrap();
    (world, server, tls, roots)
}

async fn open(server: &Server, roots: &Roots) -> Raw {
    let stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let tls = ClientTls::new(roots).unwrap();
    let stream = within(tls.connect("localhost", stream)).await.unwrap();
    let mut raw = Raw::on(stream);
    raw.write(request("")).await;
    assert_eq!(status(&raw.head().await), 101);
    raw
}

fn url(server: &Server) -> String {
    format!("wss://localhost:{}", server.local_addr().port())
}

async fn dial(url: &str, roots: &Roots) -> Result<motorway::WebSocketStream, Error> {
    let mut connector = Connector::new(url).unwrap();
    connector.set_tls(ClientTls::new(roots).unwrap());
    within(connector.connect()).await
}

/// Silence, half a hello, a hello that trickles in, and a head that does so behind it: five seconds from
/// accept for all of it. Plain HTTP and noise end at once. None of them holds up anybody.
#[tokio::test]
async fn partial_hellos_and_plain_http_are_gone_in_time() {
    let (_world, server, _tls, roots) = secure("localhost").await;
    let hello = [&[0x16, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3][..], &[7; 40]].concat();
    for octets in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        &[0xff; 64],
        b"\x16\x03\x01\xff\xff\0\0",
    ] {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        stream.write_all(octets).await.unwrap();
        let mut answer = Vec::new();
        let start = Instant::now();
        let _ = within(stream.read_to_end(&mut answer)).await;
        assert!(answer.first() != Some(&b'H'), "an answer in the clear");
        assert!(start.elapsed() < Duration::from_secs(4), "{octets:?}");
    }
    let start = Instant::now();
    let mut ends = Vec::new();
    for trickles in [false, true] {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        let hello = hello.clone();
        ends.push(tokio::spawn(async move {
            let (mut reader, mut writer) = stream.split();
            let trickle = async {
                for octet in hello {
                    let pause = if trickles { 200 } else { 0 };
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    if writer.write_all(&[octet]).await.is_err() {
                        break;
                    }
                }
                std::future::pending::<()>().await
            };
            let mut answer = Vec::new();
            tokio::select! {
                _ = reader.read_to_end(&mut answer) => {}
                () = trickle => {}
            }
        }));
    }
    let stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let tls = ClientTls::new(&roots).unwrap();
    let mut slow: Box<dyn Octets> =
        Box::new(within(tls.connect("localhost", stream)).await.unwrap());
    ends.push(tokio::spawn(async move {
        let _ = slow.write_all(b"GET / HTTP/1.1\r\n").await;
        let _ = slow.read_to_end(&mut Vec::new()).await;
    }));
    let mut raw = open(&server, &roots).await;
    raw.write(frame(TEXT, b"not held up", Masks::Yes)).await;
    assert_eq!(raw.frame().await.unwrap().payload, b"not held up");
    for end in ends {
        within(end).await.unwrap();
        let taken = start.elapsed();
        assert!(
            taken > Duration::from_secs(4) && taken < Duration::from_secs(30),
            "{taken:?}"
        );
    }
}

/// Truncation: TCP that ends without Close is 1006, also where TLS said goodbye.
#[tokio::test]
async fn truncation_is_1006() {
    let (mut world, server, _tls, roots) = secure("localhost").await;
    for says_goodbye in [false, true] {
        let mut raw = open(&server, &roots).await;
        let ws = within(world.opened.recv()).await.unwrap();
        if says_goodbye {
            raw.stream.shutdown().await.unwrap();
        }
        drop(raw);
        let info = within(ws.closed()).await;
        assert!(!info.was_clean && info.code.as_u16() == 1006, "{info:?}");
    }
}

/// Chain and name are verified, and nothing turns that off; a port without TLS is no server of `wss`.
#[tokio::test]
async fn clients_verify_chain_and_name() {
    let (_world, server, _tls, roots) = secure("other.example").await;
    let (strange, _) = issue("localhost");
    for roots in [&roots, &strange] {
        let error = dial(&url(&server), roots).await.unwrap_err();
        assert!(matches!(error, Error::Tls(_)), "{error:?}");
    }
    let world = World::new(ServerOptions::default());
    let plain = world.listen().await;
    dial(&url(&plain), &roots).await.unwrap_err();
    assert!(world.told.lock().unwrap().is_empty());
}

/// Old versions of TLS are refused: a hello of TLS 1.1 (RFC 8996).
#[tokio::test]
async fn old_versions_are_refused() {
    let (_world, server, _tls, _roots) = secure("localhost").await;
    let mut body = vec![3, 2];
    body.extend([9; 32]);
    // No session, two cipher suites of the time, no compression.
    body.extend([0, 0, 4, 0, 0x2f, 0, 0x35, 1, 0]);
    let length = u8::try_from(body.len()).unwrap();
    let hello = [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat();
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    // An alert, and no hello.
    assert_eq!(answer.first(), Some(&0x15), "{answer:?}");
}

/// Certificates exchanged while the server runs: nobody is dropped, and who comes sees the new one.
#[tokio::test]
async fn a_reload_drops_nobody() {
    let (_world, server, tls, roots) = secure("localhost").await;
    let mut raw = open(&server, &roots).await;
    let (new_roots, identity) = issue("localhost");
    tls.exchange(identity);
    dial(&url(&server), &new_roots).await.unwrap();
    let old = dial(&url(&server), &roots).await.unwrap_err();
    assert!(matches!(old, Error::Tls(_)), "{old:?}");
    raw.write(frame(TEXT, b"still here", Masks::Yes)).await;
    assert_eq!(raw.frame().await.unwrap().payload, b"still here");
}

/// A server that says nothing in the TLS handshake holds a client no longer than five seconds.
#[tokio::test]
async fn a_silent_server_holds_no_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (roots, _) = issue("localhost");
    let address = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    let start = Instant::now();
    let dialing = tokio::spawn(async move { dial(&address, &roots).await.map(drop) });
    let (_held, _) = within(listener.accept()).await.unwrap();
    let error = within(dialing).await.unwrap().unwrap_err();
    assert!(
        !matches!(error, Error::Tls(ref error) if matches!(**error, TlsError::Closed)),
        "{error:?}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
    until("it has ended", || true).await;
}
