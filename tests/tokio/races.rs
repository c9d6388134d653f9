//! A server that ends at the moment when an opening handshake does.

use crate::wire::{Raw, Wire, request, status, within};
use motorway::{
    CloseInfo, ConnectionAccept, ConnectionDeny, ConnectionRequest, HandlerResult, Server,
    WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Ends its own server, and accepts.
struct Last {
    server: Arc<Mutex<Option<Server>>>,
    ends: fn(Server),
    told: UnboundedSender<&'static str>,
}

impl WebSocketServerProtocol for Last {
    async fn on_connect(
        &mut self,
        _: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        let server = self.server.lock().unwrap().take();
        (self.ends)(server.unwrap());
        // Whatever was begun gets its turn.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        Ok(ConnectionAccept::new())
    }

    async fn on_open(&mut self, _: &WebSocket) -> HandlerResult {
        let _ = self.told.send("open");
        Ok(())
    }

    async fn on_close(&mut self, _: CloseInfo) -> HandlerResult {
        let _ = self.told.send("close");
        Ok(())
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        let _ = self.told.send("drop");
    }
}

/// The status that the client gets, the codes of the close frames behind it, which it answers, and
/// what the instance was told up to its end.
async fn ended_by(ends: fn(Server)) -> (Option<u16>, Vec<u16>, Vec<&'static str>) {
    let server = Arc::new(Mutex::new(None));
    let (told, mut tells) = unbounded_channel();
    let shared = Arc::clone(&server);
    let factory = WebSocketServerFactory::new(move || Last {
        server: Arc::clone(&shared),
        ends,
        told: told.clone(),
    });
    let listening = factory.listen("127.0.0.1:0").await.unwrap();
    let address = listening.local_addr();
    *server.lock().unwrap() = Some(listening);
    let mut peer = Raw::client(TcpStream::connect(address).await.unwrap());
    peer.write(request("")).await;
    let head = within(peer.try_head()).await;
    let status = head.map(|head| status(&head));
    if status == Some(503) {
        // What is left is the body of the response.
        peer.rest().await;
    }
    let mut codes = Vec::new();
    while let Some(frame) = within(peer.next()).await {
        codes.push(frame.code());
        peer.send(Wire::close(frame.code(), "")).await;
    }
    let mut heard = Vec::new();
    while let Some(told) = within(tells.recv()).await {
        heard.push(told);
        if told == "drop" {
            break;
        }
    }
    // The instance goes before its connection is uncounted.
    within(async {
        while factory.connection_count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    (status, codes, heard)
}

#[tokio::test]
async fn a_server_that_is_dropped_takes_the_connection_with_it() {
    let (status, codes, heard) = ended_by(drop).await;
    // Whether it was accepted or not, nobody says goodbye, and nothing lives on.
    assert!(matches!(status, None | Some(101)), "{status:?}");
    assert!(codes.is_empty(), "{codes:?}");
    assert_eq!(heard.last(), Some(&"drop"));
    assert!(heard.iter().filter(|told| **told == "close").count() <= 1);
}

#[tokio::test]
async fn a_server_that_shuts_down_refuses_what_is_still_in_the_opening_handshake() {
    let (status, codes, heard) = ended_by(|server| {
        tokio::spawn(server.shutdown(1001, "bye", Duration::from_secs(300)));
    })
    .await;
    assert_eq!((status, codes), (Some(503), vec![]));
    assert_eq!(heard, ["close", "drop"]);
}
