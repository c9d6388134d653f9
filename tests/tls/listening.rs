//! TLS wherever a server listens: some of its addresses, Unix sockets, workers, endpoint strings.

use crate::authority::Authority;
use crate::world::{fault, within};
use motorway::{
    ClientTls, Error, ListenAddress, Router, Server, ServerTls, TlsError, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

struct Quiet;

impl WebSocketServerProtocol for Quiet {}

const UPGRADE: &[u8] = b"GET /here HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// An authority, what a server shows, and a folder for files.
struct Setup {
    authority: Authority,
    tls: ServerTls,
    folder: PathBuf,
}

impl Setup {
    fn new(name: &str) -> Self {
        let authority = Authority::new();
        let issued = authority.issue("localhost");
        let folder = format!("motorway-listening-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("chain.pem"), &issued.chain).unwrap();
        std::fs::write(folder.join("key.pem"), &issued.key).unwrap();
        let tls = ServerTls::new(issued.identity()).unwrap();
        Self {
            authority,
            tls,
            folder,
        }
    }

    async fn secure<S>(&self, stream: S) -> Result<String, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let tls = ClientTls::new(&self.authority.roots()).unwrap();
        Ok(status(within(tls.connect("localhost", stream)).await?).await)
    }

    async fn secure_tcp(&self, port: u16) -> String {
        self.secure(tcp(port).await).await.unwrap()
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn factory() -> WebSocketServerFactory<Quiet> {
    WebSocketServerFactory::new(|| Quiet)
}

async fn tcp(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

/// The status with which an opening handshake is answered.
async fn status<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> String {
    stream.write_all(UPGRADE).await.unwrap();
    stream.flush().await.unwrap();
    let mut status = [0; 12];
    within(stream.read_exact(&mut status)).await.unwrap();
    String::from_utf8_lossy(&status).into_owned()
}

fn ports(server: &Server) -> Vec<u16> {
    let addresses = server.addresses().iter();
    addresses.filter_map(ListenAddress::port).collect()
}

const OPENED: &str = "HTTP/1.1 101";

#[tokio::test]
async fn some_addresses_may_have_tls_and_others_not() {
    let setup = Setup::new("some");
    let here = ListenAddress::tcp("127.0.0.1", 0);
    let addresses = [here.clone(), here.clone().plain(), here.secure()];
    let factory = factory();
    let server = factory.listen_all_tls(addresses, &setup.tls).await;
    let server = server.unwrap();
    let ports = ports(&server);
    assert_eq!(setup.secure_tcp(ports[0]).await, OPENED);
    assert_eq!(status(tcp(ports[1]).await).await, OPENED);
    assert_eq!(setup.secure_tcp(ports[2]).await, OPENED);
    let stranger = setup.secure(tcp(ports[1]).await).await;
    assert!(matches!(stranger, Err(TlsError::NotTls)), "{stranger:?}");
}

#[tokio::test]
async fn endpoint_strings_name_the_files_of_tls() {
    let setup = Setup::new("strings");
    let folder = setup.folder.display();
    let secure = format!(
        "ssl:port=0:interface=127.0.0.1:privateKey={folder}/key.pem:certKey={folder}/chain.pem"
    );
    let both = [secure.as_str(), "tcp:0:interface=127.0.0.1"];
    let server = factory().listen_all(both).await.unwrap();
    let found = ports(&server);
    assert_eq!(setup.secure_tcp(found[0]).await, OPENED);
    assert_eq!(status(tcp(found[1]).await).await, OPENED);
    // Its own files count, also where other addresses have another certificate.
    let other = Authority::new().issue("localhost");
    let tls = ServerTls::new(other.identity()).unwrap();
    let server = factory().listen_tls(&secure, &tls).await.unwrap();
    assert_eq!(setup.secure_tcp(ports(&server)[0]).await, OPENED);
}

#[tokio::test]
async fn tls_without_files_is_refused_before_anything_is_bound() {
    let setup = Setup::new("refused");
    let error = factory().listen("tls:127.0.0.1:0").await.unwrap_err();
    assert!(matches!(error, Error::Options(_)), "{error:?}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    let expected = "option listen is \"ssl:127.0.0.1:0\", but must be an address with the files of \
        TLS, or be given to listen_tls";
    assert_eq!(source, expected);
    let missing = setup.folder.join("none.pem");
    let socket = setup.folder.join("socket");
    let addresses = [
        ListenAddress::unix(&socket),
        ListenAddress::tcp("127.0.0.1", 0).tls_files(&missing, &missing),
    ];
    let error = fault(factory().listen_all(addresses).await.unwrap_err());
    assert!(matches!(error, TlsError::Unreadable { file, .. } if file == missing));
    assert!(!socket.exists());
}

#[tokio::test]
async fn workers_speak_tls() {
    let setup = Setup::new("workers");
    let two = NonZeroUsize::new(2).unwrap();
    let router = Router::new().route("/here", factory());
    let listen = "127.0.0.1:0";
    for server in [
        factory().listen_workers_tls(listen, two, &setup.tls).await,
        router.listen_workers_tls(listen, two, &setup.tls).await,
    ] {
        let server = server.unwrap();
        for _ in 0..8 {
            assert_eq!(setup.secure_tcp(server.local_addr().port()).await, OPENED);
        }
        server.run_until(async {}).await.unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn unix_sockets_speak_tls() {
    use tokio::net::{UnixListener, UnixStream};

    let setup = Setup::new("unix");
    let (path, bound) = (setup.folder.join("a"), setup.folder.join("b"));
    let address = ListenAddress::unix(&path).mode(0o600);
    let first = factory().listen_tls(address, &setup.tls).await.unwrap();
    let listener = UnixListener::bind(&bound).unwrap();
    let second = factory().listen_tls_on_unix(listener, &setup.tls).unwrap();
    for path in [&path, &bound] {
        let stream = UnixStream::connect(path).await.unwrap();
        assert_eq!(setup.secure(stream).await.unwrap(), OPENED);
    }
    drop((first, second));
    let folder = setup.folder.display();
    let text = format!("unix:{folder}/c:privateKey={folder}/key.pem:certKey={folder}/chain.pem");
    let router = Router::new().route("/here", factory());
    let _server = router.listen(text).await.unwrap();
    let stream = UnixStream::connect(setup.folder.join("c")).await.unwrap();
    assert_eq!(setup.secure(stream).await.unwrap(), OPENED);
}
