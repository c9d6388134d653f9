//! The blocking face with TLS: whom it believes, what it shows, and two threads at once.

use crate::authority::{Authority, Issued};
use crate::world::{Told, World, dial, fault, within};
use motorway::blocking::{Connector, Received, Server, Stopper, WebSocketApp, WebSocketStream};
use motorway::{
    ClientOptions, ClientTls, CloseCode, Error, HandlerResult, ServerOptions, ServerTls,
    TimeoutKind, TlsError, TransportDetails,
};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A blocking server that echoes, and what it saw of those who came.
pub(crate) struct Echo {
    pub(crate) authority: Authority,
    pub(crate) seen: Receiver<TransportDetails>,
    port: u16,
    stopper: Stopper,
    serving: Option<JoinHandle<motorway::Result<()>>>,
}

impl Echo {
    pub(crate) fn new() -> Self {
        let authority = Authority::new();
        let issued = authority.issue("localhost");
        Self::showing(authority, &issued, |tls, _| tls)
    }

    fn showing(
        authority: Authority,
        issued: &Issued,
        change: impl FnOnce(ServerTls, &Authority) -> ServerTls,
    ) -> Self {
        let tls = change(ServerTls::new(issued.identity()).unwrap(), &authority);
        let (sender, seen) = channel();
        let server = Server::bind("127.0.0.1:0").unwrap().tls(&tls);
        let (port, stopper) = (server.local_addr().port(), server.stopper());
        let serving = thread::spawn(move || {
            server.serve(move |ws| {
                let _ = sender.send(ws.request().unwrap().transport().clone());
                echo(ws)
            })
        });
        Self {
            authority,
            seen,
            port,
            stopper,
            serving: Some(serving),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("wss://localhost:{}/", self.port)
    }

    pub(crate) fn trusting(&self) -> ClientTls {
        ClientTls::new(&self.authority.roots()).unwrap()
    }

    pub(crate) fn connect(&self) -> WebSocketStream {
        connect(&self.url(), self.trusting()).unwrap()
    }

    fn refuses(&self, tls: ClientTls) -> TlsError {
        fault(connect(&self.url(), tls).unwrap_err())
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stopper.stop();
        self.serving.take().unwrap().join().unwrap().unwrap();
    }
}

fn echo(ws: &mut WebSocketStream) -> HandlerResult {
    while let Some(message) = ws.recv()? {
        ws.send(message)?;
    }
    Ok(())
}

fn connect(url: &str, tls: ClientTls) -> motorway::Result<WebSocketStream> {
    connect_with(url, tls, ClientOptions::default())
}

fn connect_with(
    url: &str,
    tls: ClientTls,
    options: ClientOptions,
) -> motorway::Result<WebSocketStream> {
    Connector::new(url)?.tls(tls).options(options).connect()
}

#[test]
fn messages_come_back_and_the_end_is_clean() {
    let echo = Echo::new();
    let mut ws = echo.connect();
    ws.send("hello").unwrap();
    assert_eq!(ws.recv().unwrap(), Some("hello".into()));
    assert!(ws.ping("x").unwrap() < Duration::from_secs(20));
    let info = ws.close(CloseCode::NORMAL, "done").unwrap();
    assert!(info.was_clean && info.is_ok(), "{info:?}");
    let seen = echo.seen.recv().unwrap();
    assert!(seen.is_secure() && seen.is_server());
    assert_eq!(seen.server_name(), Some("localhost"));
    assert_eq!(seen.tls_version(), Some("TLSv1.3"));
    assert!(seen.cipher_suite().unwrap().starts_with("TLS_"));
    assert_eq!(seen.application_protocol(), Some("http/1.1"));
    assert_eq!(seen.local().map(|local| local.port()), Some(echo.port));
    assert!(seen.peer_certificates().is_empty());
}

#[test]
fn an_app_of_callbacks_runs_on_tls() {
    let echo = Echo::new();
    let connector = Connector::new(echo.url()).unwrap().tls(echo.trusting());
    let mut got = Vec::new();
    let info = WebSocketApp::new(connector)
        .on_open(|ws| Ok(ws.send("one")?))
        .on_message(|ws, message| {
            got.push(message.into_text()?.to_string());
            Ok(ws.close(1000, "").map(|_| ())?)
        })
        .run_forever()
        .unwrap();
    assert!(info.was_clean);
    assert_eq!(got, ["one"]);
}

#[test]
fn a_certificate_of_a_stranger_is_refused() {
    let echo = Echo::new();
    let stranger = ClientTls::new(&Authority::new().roots()).unwrap();
    assert!(matches!(echo.refuses(stranger), TlsError::UnknownIssuer));
    // The platform does not know the authority either.
    let error = motorway::blocking::connect(echo.url()).unwrap_err();
    assert!(
        matches!(
            fault(error),
            TlsError::UnknownIssuer | TlsError::NoPlatformRoots { .. }
        ),
        "believed"
    );
    assert!(echo.seen.try_recv().is_err(), "no handler was called");
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let issued = authority.issue("example.org");
    let echo = Echo::showing(authority, &issued, |tls, _| tls);
    let error = echo.refuses(echo.trusting());
    let TlsError::NameMismatch { name, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(name, "localhost");
    let named = echo.trusting().server_name("example.org").unwrap();
    let mut ws = connect(&echo.url(), named).unwrap();
    assert!(ws.close(1000, "").unwrap().was_clean);
}

#[test]
fn clients_show_a_certificate_where_it_is_required() {
    let authority = Authority::new();
    let issued = authority.issue("localhost");
    let echo = Echo::showing(authority, &issued, |tls, authority| {
        tls.require_client_certificates(&authority.roots()).unwrap()
    });
    let alice = echo.authority.issue("alice");
    let known = echo.trusting().identity(alice.identity());
    let mut ws = connect(&echo.url(), known).unwrap();
    assert!(ws.close(1000, "").unwrap().was_clean);
    let seen = echo.seen.recv().unwrap();
    assert_eq!(seen.peer_certificate().unwrap(), &alice.der);

    let error = echo.refuses(echo.trusting());
    let alert = "peer refused with the alert CertificateRequired";
    assert_eq!(error.to_string(), alert);
    let mallory = Authority::new().issue("mallory");
    let error = echo.refuses(echo.trusting().identity(mallory.identity()));
    assert!(matches!(error, TlsError::Refused { .. }), "{error:?}");
    assert!(echo.seen.try_recv().is_err(), "no handler was called");
}

#[test]
fn two_threads_send_and_receive_at_once() {
    const MESSAGES: usize = 80;
    const SIZE: usize = 128 << 10;
    let authority = Authority::new();
    let tls = ServerTls::new(authority.issue("localhost").identity()).unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap().tls(&tls);
    let url = format!("wss://localhost:{}", server.local_addr().port());
    let exchange = |mut ws: WebSocketStream| {
        let handle = ws.handle().clone();
        let sending = thread::spawn(move || {
            for number in 0..MESSAGES {
                let message = vec![u8::try_from(number).unwrap(); SIZE];
                handle.send(message).unwrap();
            }
        });
        for number in 0..MESSAGES {
            let message = ws.recv().unwrap().unwrap();
            let octets = message.as_bytes();
            let expected = u8::try_from(number).unwrap();
            assert!(octets.len() == SIZE && octets.iter().all(|octet| *octet == expected));
        }
        sending.join().unwrap();
        ws
    };
    let serving = thread::spawn(move || {
        let mut ws = exchange(server.accept().unwrap());
        assert_eq!(ws.recv().unwrap(), None);
        assert!(ws.close_info().unwrap().was_clean);
    });
    let tls = ClientTls::new(&authority.roots()).unwrap();
    let mut ws = exchange(connect(&url, tls).unwrap());
    assert!(ws.close(1000, "").unwrap().was_clean);
    serving.join().unwrap();
}

/// Passes on what the client sends, and what the server sends; octet by octet with pauses once it
/// `is_slow`.
fn trickle(to: u16, is_slow: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
        client.set_nodelay(true).unwrap();
        let (mut up, mut upper) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut up, &mut upper));
        let (mut server, mut client) = (server, client);
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = server.read(&mut buffer) {
            for octet in &buffer[..count] {
                client.write_all(&[*octet]).unwrap();
                if is_slow.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
    });
    port
}

#[test]
fn a_timeout_loses_nothing() {
    let echo = Echo::new();
    let is_slow = Arc::new(AtomicBool::new(false));
    let url = format!(
        "wss://localhost:{}",
        trickle(echo.port, Arc::clone(&is_slow))
    );
    let mut ws = connect(&url, echo.trusting()).unwrap();
    is_slow.store(true, Ordering::SeqCst);
    let mut nothing = 0;
    for text in ["first", "second", "third"] {
        ws.send(text).unwrap();
        loop {
            match ws.recv_timeout(Duration::from_millis(1)).unwrap() {
                Received::Message(message) => break assert_eq!(message, text.into()),
                Received::Nothing => nothing += 1,
                Received::Closed => panic!("closed"),
            }
        }
    }
    assert!(nothing > 0, "every record came at once");
    assert!(ws.close(1000, "").unwrap().was_clean);
}

#[test]
fn a_timeout_of_zero_takes_what_is_there() {
    let echo = Echo::new();
    let mut ws = echo.connect();
    let zero = Duration::ZERO;
    assert_eq!(ws.recv_timeout(zero).unwrap(), Received::Nothing);
    ws.send("a").unwrap();
    while ws.recv_timeout(zero).unwrap() == Received::Nothing {}
    let start = Instant::now();
    let time = Duration::from_millis(50);
    assert_eq!(ws.recv_timeout(time).unwrap(), Received::Nothing);
    assert!(start.elapsed() >= time);
}

#[test]
fn the_tls_handshake_is_part_of_the_opening_handshake() {
    let time = Duration::from_millis(200);
    let is_late = |error: Error| {
        let late = TimeoutKind::OpeningHandshake;
        assert!(
            matches!(error, Error::Timeout(kind) if kind == late),
            "{error:?}"
        );
    };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://localhost:{}", silent.local_addr().unwrap().port());
    let authority = Authority::new();
    let tls = ClientTls::new(&authority.roots()).unwrap();
    let options = ClientOptions::default().open_handshake_timeout(time);
    is_late(connect_with(&url, tls, options).unwrap_err());

    let tls = ServerTls::new(authority.issue("localhost").identity()).unwrap();
    let options = ServerOptions::default().open_handshake_timeout(time);
    let server = Server::bind("127.0.0.1:0").unwrap().tls(&tls);
    let server = server.options(options).unwrap();
    let _client = TcpStream::connect(server.local_addr()).unwrap();
    is_late(server.accept().unwrap_err());
}

/// Sends octet by octet, with a pause after each, until the stream ends; tells how long that took.
fn drip(mut stream: TcpStream, octets: &[u8], pause: Duration) -> Duration {
    let start = Instant::now();
    let mut reader = stream.try_clone().unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&ended);
    let reading = thread::spawn(move || {
        let mut forgotten = [0; 1024];
        while let Ok(1..) = reader.read(&mut forgotten) {}
        tell.store(true, Ordering::SeqCst);
    });
    for octet in octets {
        if ended.load(Ordering::SeqCst) || stream.write_all(&[*octet]).is_err() {
            break;
        }
        thread::sleep(pause);
    }
    let elapsed = start.elapsed();
    let _ = stream.shutdown(std::net::Shutdown::Both);
    reading.join().unwrap();
    elapsed
}

#[test]
fn octets_that_trickle_in_do_not_renew_the_time_for_the_handshake() {
    let authority = Authority::new();
    let tls = ServerTls::new(authority.issue("localhost").identity()).unwrap();
    let options = ServerOptions::default().open_handshake_timeout(Duration::from_millis(300));
    let server = Server::bind("127.0.0.1:0").unwrap().tls(&tls);
    let server = server.options(options).unwrap();
    let client = TcpStream::connect(server.local_addr()).unwrap();
    let accepting = thread::spawn(move || server.accept().unwrap_err());
    // RFC 8446 §5.1: a record of the handshake with 16,384 octets, in it a ClientHello as long.
    let mut hello = vec![22, 3, 1, 64, 0, 1, 0, 63, 252, 3, 3];
    hello.resize(600, 0);
    let elapsed = drip(client, &hello, Duration::from_millis(50));
    assert!(elapsed < Duration::from_secs(25), "{elapsed:?}");
    let error = accepting.join().unwrap();
    let late = TimeoutKind::OpeningHandshake;
    assert!(
        matches!(error, Error::Timeout(kind) if kind == late),
        "{error:?}"
    );
}

#[test]
fn silent_clients_hold_nobody_up() {
    let echo = Echo::new();
    let address = ("127.0.0.1", echo.port);
    let silent: Vec<_> = (0..20).map(|_| TcpStream::connect(address)).collect();
    let mut half = TcpStream::connect(address).unwrap();
    half.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    // The silent ones have five seconds each, which add up to more than the clients have.
    for _ in 0..3 {
        let mut ws = echo.connect();
        ws.send("hello").unwrap();
        assert_eq!(ws.recv().unwrap(), Some("hello".into()));
    }
    drop((silent, half));
}

#[test]
fn a_client_that_speaks_no_tls_is_told() {
    let authority = Authority::new();
    let tls = ServerTls::new(authority.issue("localhost").identity()).unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap().tls(&tls);
    let mut client = TcpStream::connect(server.local_addr()).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let accepting = thread::spawn(move || server.accept().unwrap_err());
    let mut alert = Vec::new();
    client.read_to_end(&mut alert).unwrap();
    // RFC 8446 §5.1, §6: an alert, fatal.
    assert_eq!((alert[0], alert[5]), (21, 2));
    drop(client);
    let error = fault(accepting.join().unwrap());
    assert!(matches!(error, TlsError::NotTls), "{error:?}");
}

#[test]
fn a_server_that_speaks_no_tls_is_told_from_one_that_closes() {
    let tls = ClientTls::new(&Authority::new().roots()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://localhost:{}", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
    });
    let error = fault(connect(&url, tls.clone()).unwrap_err());
    assert!(matches!(error, TlsError::NotTls), "{error:?}");
    let error = fault(connect(&url, tls).unwrap_err());
    assert!(matches!(error, TlsError::Closed), "{error:?}");
}

#[tokio::test]
async fn the_faces_understand_each_other() {
    let echo = Echo::new();
    let mut client = dial(&echo.url(), echo.trusting()).await.unwrap();
    client.ws.send("from tokio").await.unwrap();
    assert!(matches!(client.next().await, Told::Text(text) if text == "from tokio"));
    client.ws.close(1000, "").await.unwrap();
    assert!(within(client.ws.closed()).await.was_clean);

    let mut world = World::new().await;
    let (url, tls) = (world.url(), world.trusting());
    let talking = tokio::task::spawn_blocking(move || {
        let mut ws = connect(&url, tls).unwrap();
        ws.send("from a thread").unwrap();
        assert_eq!(ws.recv().unwrap(), Some("from a thread".into()));
        ws.close(1000, "").unwrap()
    });
    assert!(within(talking).await.unwrap().was_clean);
    assert!(world.closed().await.was_clean);
}
