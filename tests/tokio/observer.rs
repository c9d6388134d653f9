//! What an observer is told.

use crate::probe::{Frames, HIGH_WATER, OFFER, PIPE, echo, quiet};
use crate::wire::{Raw, Wire, request, request_for, response, settle, within};
use motorway::{
    ClientOptions, CloseInfo, DeflateOptions, Error, MessageKind, Observed, Observer, Peer,
    ServerOptions, Stats, StatusCode, WebSocketClientFactory,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Writes down what it is told.
#[derive(Clone, Debug, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Notes {
    fn opened(&self, connection: &Observed<'_>) {
        let protocol = connection.subprotocol;
        self.push(format!("opened {} {protocol:?}", connection.path));
    }
    fn refused(&self, _: &Peer, error: &Error) {
        match error {
            Error::Handshake(error) => self.push(format!("refused {}", error.status().as_u16())),
            Error::Connect(_) => self.push("not connected".into()),
            error => self.push(format!("failed {error}")),
        }
    }
    fn received(&self, _: &Observed<'_>, kind: MessageKind, octets: u64) {
        self.push(format!("received {kind:?} {octets}"));
    }
    fn sent(&self, _: &Observed<'_>, kind: MessageKind, octets: u64) {
        self.push(format!("sent {kind:?} {octets}"));
    }
    fn pong(&self, _: &Observed<'_>, time: Duration) {
        self.push(format!("pong {}", time.as_secs()));
    }
    fn full(&self, _: &Observed<'_>, buffered: u64) {
        assert!(buffered > HIGH_WATER as u64);
        self.push("full".into());
    }
    fn closed(&self, _: &Observed<'_>, info: &CloseInfo, stats: &Stats) {
        let (clean, messages) = (info.was_clean, stats.messages_received);
        self.push(format!("closed {clean} after {messages}"));
        panic!("a panic harms nobody");
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_of_a_servers_connections() {
    for in_frames in [false, true] {
        let notes = Notes::default();
        let deflate = DeflateOptions::default().threshold(100);
        let options = ServerOptions::default()
            .protocols(["v1"])
            .per_message_deflate(deflate);
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let probe = echo();
        let task = if in_frames {
            let mut factory = quiet().mode::<Frames>().factory(options);
            factory.set_observer(notes.clone());
            tokio::spawn(factory.serve_stream(ours))
        } else {
            let mut factory = probe.factory(options.clone());
            factory.set_observer(notes.clone());
            // Neither forgets the other.
            factory.set_protocol_options(options).unwrap();
            tokio::spawn(factory.serve_stream(ours))
        };
        let mut raw = Raw::client(theirs);
        raw.write(request_for(
            "/chat?x",
            &format!("{OFFER}Sec-WebSocket-Protocol: v1\r\n"),
        ))
        .await;
        raw.head().await;
        raw.text("Hello").await;
        raw.send(Wire::binary([1]).unfinished()).await;
        raw.send(Wire::new(motorway::frame::Opcode::Continuation, [2, 3]))
            .await;
        settle().await;
        raw.say_goodbye().await;
        within(task).await.unwrap().unwrap();
        let received: &[&str] = match in_frames {
            false => &[
                "received Text 5",
                "sent Text 5",
                "received Binary 3",
                "sent Binary 3",
            ],
            true => &["received Text 5", "received Binary 3"],
        };
        let mut expected = vec!["opened /chat Some(\"v1\")"];
        expected.extend(received);
        expected.push("closed true after 2");
        assert_eq!(notes.lines(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_of_refusals_with_their_status() {
    let notes = Notes::default();
    let probe = quiet().on_connect(|_| async { Err(StatusCode::FORBIDDEN.into()) });
    let mut factory = probe.factory(ServerOptions::default());
    factory.set_observer(notes.clone());
    for head in [
        request(""),
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "nonsense\r\n\r\n".to_owned(),
    ] {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let task = tokio::spawn(factory.serve_stream(ours));
        let mut raw = Raw::client(theirs);
        raw.write(head).await;
        raw.rest().await;
        within(task).await.unwrap().unwrap_err();
    }
    let (ours, _theirs) = tokio::io::duplex(PIPE);
    within(factory.serve_stream(ours)).await.unwrap_err();
    let lines = notes.lines();
    assert_eq!(lines[..3], ["refused 403", "refused 426", "refused 400"]);
    assert!(
        lines.len() == 4 && lines[3].starts_with("failed "),
        "{lines:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_of_pongs_and_of_full_queues() {
    let notes = Notes::default();
    let probe = quiet();
    let options = ServerOptions::default().auto_ping_interval(Duration::from_secs(10));
    let mut factory = probe.factory(options);
    factory.set_observer(notes.clone());
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let task = tokio::spawn(factory.serve_stream(ours));
    let mut raw = Raw::client(theirs);
    raw.write(request("")).await;
    raw.head().await;
    let ping = raw.frame().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    raw.send(Wire::pong(ping.payload)).await;
    settle().await;
    let ws = probe.log().ws();
    ws.send(vec![0; HIGH_WATER + PIPE]).await.unwrap();
    ws.try_send("no room").unwrap_err();
    drop(raw);
    within(task).await.unwrap().unwrap();
    let sent = format!("sent Binary {}", HIGH_WATER + PIPE);
    let told = [
        "opened / None",
        "pong 3",
        &sent,
        "full",
        "closed false after 0",
    ];
    assert_eq!(notes.lines(), told);
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_of_a_clients_connections() {
    let notes = Notes::default();
    let probe = echo();
    let mut factory = probe.client(ClientOptions::default());
    factory.set_observer(notes.clone());
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let connecting = tokio::spawn(async move {
        let ended = factory.run_stream(ours).await;
        (ended, factory)
    });
    let mut raw = Raw::server(theirs);
    let head = raw.head().await;
    raw.write(response(&head, "")).await;
    raw.text("Hello").await;
    raw.frame().await;
    raw.say_goodbye().await;
    let (ended, factory) = within(connecting).await.unwrap();
    let end = format!("closed {} after 1", ended.unwrap().was_clean);
    assert_eq!(
        notes.lines(),
        ["opened / None", "received Text 5", "sent Text 5", &end]
    );
    assert_eq!(
        (factory.connections().len(), factory.stats().messages_sent),
        (0, 1)
    );
    assert_eq!(factory.stats().opening_octets_sent, head.len() as u64);

    let notes = Notes::default();
    let mut factory = WebSocketClientFactory::new("ws://127.0.0.1:1/", quiet_client).unwrap();
    factory.set_observer(notes.clone());
    factory.run().await.unwrap_err();
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let mut raw = Raw::server(theirs);
    let answering = async {
        raw.head().await;
        raw.write("HTTP/1.1 404 Not Found\r\n\r\n").await;
    };
    let (ended, ()) = tokio::join!(factory.run_stream(ours), answering);
    ended.unwrap_err();
    assert_eq!(notes.lines(), ["not connected", "refused 404"]);
}

fn quiet_client() -> crate::probe::Probe<crate::probe::Messages> {
    quiet()
}
