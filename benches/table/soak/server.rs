//! The server: echoes, publishes, and counts its instances.

use motorway::{
    CloseInfo, DeflateOptions, HandlerResult, Hub, Message, Overflow, Router, Server,
    ServerOptions, WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use table::Result;
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

#[derive(Debug, Default)]
struct Counts {
    made: AtomicU64,
    opened: AtomicU64,
    messages: AtomicU64,
    published: AtomicU64,
    order: Mutex<()>,
    closed: AtomicU64,
    unclean: AtomicU64,
    dropped: AtomicU64,
}

fn add(count: &AtomicU64) -> u64 {
    count.fetch_add(1, Ordering::Relaxed)
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

struct Instance {
    counts: Arc<Counts>,
    hub: Hub,
}

impl WebSocketServerProtocol for Instance {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        add(&self.counts.opened);
        if ws.path() == "/news" {
            self.hub.join(ws, "news")?;
        }
        Ok(())
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        add(&self.counts.messages);
        if message.as_bytes() == b"publish" {
            self.publish()?;
            return Ok(());
        }
        Ok(ws.send(message).await?)
    }

    async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
        add(&self.counts.closed);
        if !info.was_clean {
            add(&self.counts.unclean);
        }
        Ok(())
    }
}

impl Instance {
    fn publish(&self) -> HandlerResult {
        // Drawn and published by one at a time, so that the order is that of the numbers.
        let lock = self.counts.order.lock();
        let _order = lock.unwrap_or_else(PoisonError::into_inner);
        let number = add(&self.counts.published);
        self.hub.publish_here("news", format!("news {number}"))?;
        Ok(())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        add(&self.counts.dropped);
    }
}

fn factory(
    counts: &Arc<Counts>,
    hub: &Hub,
    options: ServerOptions,
) -> Result<WebSocketServerFactory<Instance>> {
    let shared = (Arc::clone(counts), hub.clone());
    let mut factory = WebSocketServerFactory::new(move || {
        let (counts, hub) = shared.clone();
        add(&counts.made);
        Instance { counts, hub }
    });
    factory.set_protocol_options(options)?;
    Ok(factory)
}

/// What there is of a server at a time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Left {
    connections: usize,
    members: usize,
    topics: usize,
    tasks: usize,
    descriptors: usize,
}

/// A server with its hub.
pub(crate) struct Served {
    pub(crate) port: u16,
    counts: Arc<Counts>,
    hub: Hub,
    // Stops when dropped.
    server: Server,
}

impl Served {
    pub(crate) async fn start() -> Result<Self> {
        let (counts, hub) = (Arc::<Counts>::default(), Hub::in_memory());
        hub.set_default_overflow(Overflow::drop_oldest());
        let quiet = ServerOptions::default()
            .open_handshake_timeout(HOUR)
            .close_handshake_timeout(HOUR)
            .per_message_deflate(DeflateOptions::default());
        let pinging = quiet
            .clone()
            .auto_ping_interval(Duration::from_secs(2))
            .auto_ping_timeout(HOUR);
        let mut router = Router::new()
            .route("/", factory(&counts, &hub, pinging.clone())?)
            .route("/news", factory(&counts, &hub, pinging)?)
            .route("/quiet", factory(&counts, &hub, quiet.clone())?);
        router.set_protocol_options(quiet)?;
        // On loopback the kernel would take any of these messages whole, and nothing would ever wait
        // to be written. What is accepted inherits it.
        let socket = TcpSocket::new_v4()?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(SocketAddr::from(([0, 0, 0, 0], 0)))?;
        let server = router.listen_on(socket.listen(4096)?)?;
        Ok(Self {
            port: server.local_addr().port(),
            counts,
            hub,
            server,
        })
    }

    pub(crate) fn connections(&self) -> usize {
        self.server.connection_count()
    }

    /// Some connections that are open, and where they are.
    pub(crate) fn open(&self) -> String {
        let open = self.server.connections();
        let some = open.iter().take(8);
        let some: Vec<_> = some
            .map(|ws| {
                format!(
                    "{} {} {} {:?}",
                    ws.peer(),
                    ws.path(),
                    ws.buffered(),
                    ws.stats()
                )
            })
            .collect();
        format!("{} connections are open, such as {some:#?}", open.len())
    }

    pub(crate) fn left(&self, runtime: &Runtime) -> Left {
        let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Left {
            connections: self.connections(),
            members: self.hub.connection_count(),
            topics: self.hub.topic_count(),
            tasks: runtime.metrics().num_alive_tasks(),
            descriptors,
        }
    }

    pub(crate) fn tell(&self) -> String {
        let counts = &self.counts;
        format!(
            "{} opened, {} messages, {} published, {} closed, {} of them uncleanly",
            read(&counts.opened),
            read(&counts.messages),
            read(&counts.published),
            read(&counts.closed),
            read(&counts.unclean),
        )
    }

    /// Looks whether every instance was told its end once, and is gone, when no connection is left.
    ///
    /// # Errors
    /// Fails if not.
    pub(crate) fn check(&self) -> Result<()> {
        let counts = &self.counts;
        let [made, closed, dropped] = [&counts.made, &counts.closed, &counts.dropped].map(read);
        match made == closed && made == dropped && read(&counts.published) > 0 {
            true => Ok(()),
            false => Err(format!("{counts:?} at the end").into()),
        }
    }
}

/// In octets; the kernel takes twice as much.
const SEND_BUFFER: u32 = 16 << 10;
/// However slow the machine is: what is lost shows where nothing moves any more.
const HOUR: Duration = Duration::from_secs(3_600);
