//! A hundred tasks that send at once, on every face: nothing is lost, doubled or torn.

use crate::wire::within;
use motorway::{
    ClientOptions, CloseCode, Connector, DeflateOptions, HandlerResult, Message, MessageKind,
    PreparedMessage, SendError, ServerOptions, WebSocket, WebSocketClientFactory,
    WebSocketClientProtocol, WebSocketServerFactory, WebSocketServerProtocol, WebSocketStream,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const TASKS: usize = 100;
const EACH: usize = 30;

fn payload(task: usize, number: usize) -> Vec<u8> {
    let size = match (task + number) % 11 {
        0 => 20_000,
        1 => 126,
        other => other,
    };
    let mut payload = vec![u8::try_from(task).unwrap(); 4 + size];
    payload[1..3].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
    payload
}

/// Sends one message in the way that is this task's turn.
async fn send(ws: &WebSocket, task: usize, number: usize) {
    let payload = payload(task, number);
    match (task + number) % 5 {
        0 => ws.send(payload).await.unwrap(),
        1 => loop {
            match ws.try_send(payload.clone()) {
                Ok(()) => break,
                Err(SendError::Full { .. } | SendError::Busy) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        },
        2 => {
            let prepared = PreparedMessage::new(Message::from(payload));
            ws.send_prepared(&prepared).await.unwrap();
        }
        3 => {
            let mut writer = ws.begin_message(MessageKind::Binary).await.unwrap();
            for part in payload.chunks(5_000) {
                writer.write(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            writer.finish().await.unwrap();
        }
        _ => ws.send(payload).uncompressed().await.unwrap(),
    }
}

/// Sends everything from a hundred tasks, and closes behind it.
fn send_all(ws: &WebSocket) {
    let left = Arc::new(AtomicUsize::new(TASKS));
    for task in 0..TASKS {
        let (ws, left) = (ws.clone(), Arc::clone(&left));
        tokio::spawn(async move {
            for number in 0..EACH {
                send(&ws, task, number).await;
            }
            if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                ws.close(CloseCode::NORMAL, "").await.unwrap();
            }
        });
    }
}

/// What has arrived.
#[derive(Default)]
struct Arrived(Vec<usize>);

impl Arrived {
    fn take(&mut self, message: &Message<'_>) {
        self.0.resize(TASKS, 0);
        let octets = message.as_bytes();
        let task = usize::from(octets[0]);
        assert!(*octets == payload(task, self.0[task])[..], "of {task}");
        self.0[task] += 1;
    }

    fn check(&self) {
        assert_eq!(self.0, [EACH; TASKS]);
    }
}

/// Sends from a hundred tasks, or tells what it receives.
#[derive(Clone)]
struct End {
    sends: bool,
    told: UnboundedSender<Message<'static>>,
}

macro_rules! callbacks {
    () => {
        async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
            if self.sends {
                send_all(ws);
            }
            Ok(())
        }

        async fn on_message(&mut self, _: &WebSocket, message: Message<'_>) -> HandlerResult {
            Ok(self.told.send(message.into_owned())?)
        }
    };
}

impl WebSocketServerProtocol for End {
    callbacks!();
}

impl WebSocketClientProtocol for End {
    callbacks!();
}

fn ends(server_sends: bool) -> (End, End, UnboundedReceiver<Message<'static>>) {
    let (told, tells) = unbounded_channel();
    let end = |sends| End {
        sends,
        told: told.clone(),
    };
    (end(server_sends), end(!server_sends), tells)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_protocol_instances() {
    for server_sends in [true, false] {
        let (server, client, mut tells) = ends(server_sends);
        let mut servers = WebSocketServerFactory::new(move || server.clone());
        let deflate = DeflateOptions::default().threshold(100);
        let options = ServerOptions::default().per_message_deflate(deflate);
        servers.set_protocol_options(options).unwrap();
        let listening = servers.listen("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", listening.local_addr());
        let mut clients = WebSocketClientFactory::new(url, move || client.clone()).unwrap();
        let options = ClientOptions::default().per_message_deflate(deflate);
        clients.set_protocol_options(options).unwrap();
        let info = within(clients.run()).await.unwrap();
        assert!(info.was_clean, "{info:?}");
        within(listening.shutdown(1001, "", crate::LONG))
            .await
            .unwrap();
        drop((servers, clients));
        let mut arrived = Arrived::default();
        while let Some(message) = within(tells.recv()).await {
            arrived.take(&message);
        }
        arrived.check();
    }
}

async fn receive_all(mut ws: WebSocketStream) -> motorway::Result<Arrived> {
    let mut arrived = Arrived::default();
    while let Some(message) = ws.recv().await? {
        arrived.take(&message);
    }
    Ok(arrived)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_streams_of_a_client() {
    let (told, mut tells) = unbounded_channel();
    let server = motorway::serve("127.0.0.1:0", move |ws| {
        let told = told.clone();
        async move { Ok(told.send(receive_all(ws).await?)?) }
    });
    let server = server.await.unwrap();
    let url = format!("ws://{}/", server.local_addr());
    let ws = Connector::new(url).unwrap().connect().await.unwrap();
    send_all(ws.handle());
    within(tells.recv()).await.unwrap().check();
    assert!(within(ws.handle().closed()).await.was_clean);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_streams_of_a_handler() {
    let server = motorway::serve("127.0.0.1:0", |mut ws: WebSocketStream| async move {
        send_all(ws.handle());
        while ws.recv().await?.is_some() {}
        Ok(())
    });
    let server = server.await.unwrap();
    let url = format!("ws://{}/", server.local_addr());
    let ws = Connector::new(url).unwrap().connect().await.unwrap();
    within(receive_all(ws)).await.unwrap().check();
}
