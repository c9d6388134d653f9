//! The trace of a process. One test, since there is one process.

#![cfg(test)]
#![cfg(feature = "tokio")]

use motorway::{ClientOptions, CloseCode, Connector, Trace, WebSocketServerFactory};
use std::sync::{Arc, Mutex};

type Lines = Arc<Mutex<Vec<String>>>;

fn trace() -> Lines {
    let lines = Lines::default();
    let written = Arc::clone(&lines);
    motorway::enable_trace_with(move |trace| {
        written.lock().unwrap().push(trace.to_string());
        assert!(!matches!(trace, Trace::Request(_)), "a panic harms nobody");
    });
    lines
}

/// Says hello to an echo in memory, over either face's client.
async fn converse() {
    let server = WebSocketServerFactory::from_handler(|mut ws| async move {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok(())
    });
    let (ours, theirs) = tokio::io::duplex(1 << 10);
    let serving = tokio::spawn(server.serve_stream(theirs));
    let mut connector = Connector::new("ws://localhost/chat").unwrap();
    let options = ClientOptions::default().header("Cookie", "sid=secret");
    connector.set_protocol_options(options).unwrap();
    let mut ws = connector.connect_stream(ours).await.unwrap();
    ws.send("Hello").await.unwrap();
    assert_eq!(ws.recv().await.unwrap(), Some("Hello".into()));
    ws.close(CloseCode::NORMAL, "").await.unwrap();
    serving.await.unwrap().unwrap();
}

fn check(lines: &Lines) {
    let lines = lines.lock().unwrap();
    let starting = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    // Both ends live here.
    assert_eq!(
        starting("--- request header ---\nGET /chat HTTP/1.1\n"),
        2,
        "{lines:?}"
    );
    assert_eq!(
        starting("--- response header ---\nHTTP/1.1 101 Switching Protocols\n"),
        2
    );
    assert_eq!(starting(r#"send: b"\x81\x05Hello""#), 1, "{lines:?}");
    assert_eq!(starting(r#"receive: b"\x81\x05Hello""#), 1);
    assert_eq!(starting(r#"send: b"\x81\x85"#), 1);
    assert_eq!(starting(r#"receive: b"\x81\x85"#), 1);
    assert!(
        !lines.iter().any(|line| line.contains("secret")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_trace_shows_every_connection_made_from_then_on() {
    converse().await;
    let lines = trace();
    assert!(lines.lock().unwrap().is_empty());
    converse().await;
    check(&lines);
    #[cfg(feature = "blocking")]
    {
        let lines = trace();
        blocking();
        check(&lines);
    }
    motorway::disable_trace();
    let before = lines.lock().unwrap().len();
    converse().await;
    assert_eq!(lines.lock().unwrap().len(), before);
    // As in the programs of websocket-client's users.
    motorway::enable_trace();
    converse().await;
    motorway::disable_trace();
}

#[cfg(feature = "blocking")]
fn blocking() {
    use motorway::blocking::{Connector, Server};
    let server = Server::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/chat", server.local_addr());
    let serving = std::thread::spawn(move || {
        let mut ws = server.accept()?;
        while let Some(message) = ws.recv()? {
            ws.send(message)?;
        }
        Ok::<_, motorway::Error>(())
    });
    let options = ClientOptions::default().header("Cookie", "sid=secret");
    let mut ws = Connector::new(url)
        .unwrap()
        .options(options)
        .connect()
        .unwrap();
    ws.send("Hello").unwrap();
    assert_eq!(ws.recv().unwrap(), Some("Hello".into()));
    ws.close(CloseCode::NORMAL, "").unwrap();
    serving.join().unwrap().unwrap();
}
