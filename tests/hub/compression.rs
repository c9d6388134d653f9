//! Publications to members that agreed on different things with permessage-deflate (RFC 7692 §7.1).

use crate::world::soon;
use motorway::{
    ClientOptions, Connector, DeflateOptions, HandlerResult, Hub, Server, ServerOptions, WebSocket,
    WebSocketServerFactory, WebSocketServerProtocol, WebSocketStream,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Tells the test of its handle.
struct Quiet(UnboundedSender<WebSocket>);

impl WebSocketServerProtocol for Quiet {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        Ok(self.0.send(ws.clone())?)
    }
}

/// A server and its members, each seen from both ends.
struct Audience {
    server: Server,
    members: Vec<(WebSocket, WebSocketStream)>,
}

impl Audience {
    async fn gather() -> Self {
        let (sender, mut opened) = unbounded_channel();
        let mut factory = WebSocketServerFactory::new(move || Quiet(sender.clone()));
        let options = ServerOptions::default().per_message_deflate(DeflateOptions::default());
        factory.set_protocol_options(options).unwrap();
        let server = factory.listen("127.0.0.1:0").await.unwrap();
        let mut members = Vec::new();
        for number in 0..MEMBERS {
            let url = format!("ws://{}/", server.local_addr());
            let mut connector = Connector::new(url).unwrap();
            connector.set_protocol_options(options_of(number)).unwrap();
            let client = soon(connector.connect()).await.unwrap();
            members.push((soon(opened.recv()).await.unwrap(), client));
        }
        Self { server, members }
    }

    /// Sends messages of the members' own between those that `publish` sends to all, and reads
    /// everything.
    async fn hears(&mut self, mut publish: impl AsyncFnMut(&Server, String)) {
        for batch in 0..PUBLICATIONS / BATCH {
            let numbers = batch * BATCH..(batch + 1) * BATCH;
            for number in numbers.clone() {
                for (place, (ws, _)) in self.members.iter().enumerate() {
                    if has_own(place, number) {
                        soon(ws.send(own(place, number))).await.unwrap();
                    }
                }
                publish(&self.server, publication(number)).await;
            }
            for (place, (_, client)) in self.members.iter_mut().enumerate() {
                for number in numbers.clone() {
                    if has_own(place, number) {
                        let text = soon(client.recv_text()).await.unwrap().unwrap();
                        assert_eq!(text, own(place, number));
                    }
                    let text = soon(client.recv_text()).await.unwrap().unwrap();
                    assert_eq!(text, publication(number), "member {place}");
                }
            }
        }
        for (place, (ws, _)) in self.members.iter().enumerate() {
            let ratio = ws.stats().compression_ratio_sent().unwrap();
            assert_eq!(ratio < 0.9, is_compressed(place), "member {place}: {ratio}");
        }
    }
}

/// What a member offers: nothing, that the server forgets its window, nothing special, a small window.
fn options_of(place: usize) -> ClientOptions {
    let deflate = DeflateOptions::default();
    let offer = match place % 4 {
        0 => return ClientOptions::default(),
        1 => deflate.server_no_context_takeover(true),
        2 => deflate,
        _ => deflate.server_max_window_bits(9),
    };
    ClientOptions::default().per_message_deflate(offer)
}

fn is_compressed(place: usize) -> bool {
    !place.is_multiple_of(4)
}

/// Whether a member gets a message of its own before this publication.
fn has_own(place: usize, number: usize) -> bool {
    (place * 7 + number).is_multiple_of(31)
}

fn own(place: usize, number: usize) -> String {
    format!("you are member {place} of {MEMBERS}, and this is before publication {number}")
}

/// Mostly of some hundred octets; some are too short to be compressed, and some longer than a window
/// of 9 bits.
fn publication(number: usize) -> String {
    let times = [0, 1, 3, 5, 5, 20][number % 6];
    let numbers = number..number + times;
    let entries = numbers.map(|n| format!(r#"{{"symbol":"S{n}","price":{}}},"#, n * 7919 % 10_000));
    format!("{number}:{}", entries.collect::<String>())
}

const MEMBERS: usize = 100;
const PUBLICATIONS: usize = 1000;
const BATCH: usize = 20;

#[tokio::test]
async fn members_of_a_hub_inflate_what_they_share_and_what_is_their_own() {
    let mut audience = Audience::gather().await;
    let hub = Hub::in_memory();
    for (ws, _) in &audience.members {
        hub.join(ws, "prices").unwrap();
    }
    let publish = async |_: &Server, text: String| {
        let published = hub.publish("prices", text).await.unwrap();
        assert_eq!((published.sent, published.dropped), (MEMBERS, 0));
    };
    audience.hears(publish).await;
}

#[tokio::test]
async fn a_broadcast_is_inflated_by_all_who_share_it() {
    let mut audience = Audience::gather().await;
    let broadcast = async |server: &Server, text: String| {
        assert!(server.broadcast(text).is_empty());
    };
    audience.hears(broadcast).await;
}
