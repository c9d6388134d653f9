//! A server of a message broker: a process on a free port of the loopback, which ends with the test.

use crate::world::soon;
use motorway::{Broker, BrokerError};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// A kind of broker.
pub(crate) trait Kind: Sized + Send + Sync + 'static {
    type Broker: Broker;
    /// As the example `cluster_node` calls it, and the scheme of its URLs.
    const NAME: &'static str;
    /// How many octets the server takes at once, of those that the tests send.
    const LARGEST: usize;

    /// The command of a server on this port, which may use the next one, too.
    fn command(port: u16, folder: &Path) -> Command;

    /// What is to be done with a server that has started.
    async fn prepare(_port: u16) {}

    /// What a new connection says, and the start of the server's answer once it is ready.
    const HELLO: (&'static [u8], &'static str);

    async fn connect(url: &str) -> Result<Self::Broker, BrokerError>;

    async fn with_prefix(url: &str, prefix: &str) -> Self::Broker;

    /// Connects with pings every 200 ms.
    async fn impatient(url: &str) -> Self::Broker;

    /// How the channel of a topic is documented to be written.
    fn channel(topic: &str) -> String;

    /// Asks the server how many have subscribed to a channel.
    async fn subscribers(port: u16, channel: &str) -> usize;

    /// Publishes by hand.
    async fn publish(port: u16, channel: &str, payload: &[u8]);
}

/// A running server, or one that has been killed.
pub(crate) struct Server<K> {
    pub(crate) port: u16,
    folder: PathBuf,
    child: Child,
    kind: std::marker::PhantomData<K>,
}

impl<K: Kind> Server<K> {
    pub(crate) async fn start() -> Self {
        let folder = folder();
        loop {
            let port = free_port();
            let child = spawn::<K>(port, &folder);
            let mut server = Self {
                port,
                folder: folder.clone(),
                child,
                kind: std::marker::PhantomData,
            };
            if server.is_ready().await {
                K::prepare(port).await;
                return server;
            }
            // Somebody else has taken the port.
            fs::create_dir_all(&folder).unwrap();
        }
    }

    /// Kills the server, so that it can say nothing more to anybody.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        loop {
            self.child = spawn::<K>(self.port, &self.folder);
            if self.is_ready().await {
                return;
            }
        }
    }

    /// Stops the process in its tracks, or lets it go on.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let kill = Command::new("kill").args([name, &id]).status();
        assert!(kill.unwrap().success());
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", K::NAME, self.port)
    }

    /// Waits until so many nodes have subscribed to a topic.
    pub(crate) async fn until_subscribed(&self, topic: &str, nodes: usize) {
        let channel = K::channel(topic);
        soon(async {
            while K::subscribers(self.port, &channel).await != nodes {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// Waits until the server answers; `false` if it has ended.
    async fn is_ready(&mut self) -> bool {
        soon(async {
            loop {
                if self.child.try_wait().unwrap().is_some() {
                    return false;
                }
                if answers::<K>(self.port).await.is_some() {
                    return true;
                }
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }
}

impl<K> Drop for Server<K> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn answers<K: Kind>(port: u16) -> Option<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
    stream.write_all(K::HELLO.0).await.ok()?;
    let mut answer = vec![0; K::HELLO.1.len()];
    stream.read_exact(&mut answer).await.ok()?;
    (answer == K::HELLO.1.as_bytes()).then_some(())
}

fn spawn<K: Kind>(port: u16, folder: &Path) -> Child {
    let mut command = K::command(port, folder);
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.stderr(Stdio::null()).spawn();
    child.expect("Debian's packages nats-server and redis-server: tests/interop/packages")
}

/// A port that is free, as is the next.
fn free_port() -> u16 {
    loop {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind((Ipv4Addr::LOCALHOST, port + 1)).is_ok() {
            return port;
        }
    }
}

fn folder() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("motorway-brokers-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A program that Debian may have put where only root looks.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = Path::new("/usr/sbin").join(name);
    if path.exists() { path } else { name.into() }
}
