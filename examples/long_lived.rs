//! A connection on callbacks that lasts, on blocking sockets, with a trace of what goes over the wire
//! on the standard error.
//!
//! ```sh
//! cargo run --release --example echo_server
//! cargo run --release --features blocking --example long_lived -- ws://127.0.0.1:9000/
//! ```

use motorway::blocking::{Connector, WebSocket, WebSocketApp};
use motorway::{CloseInfo, Error, HandlerResult, Message};

fn on_message(ws: &WebSocket, message: Message<'_>) -> HandlerResult {
    println!("received message as {}", message.into_text()?);
    ws.send("hello again")?;
    println!("sending 'hello again'");
    Ok(())
}

fn on_error(error: &Error) {
    println!("received error as {error:?}");
}

fn on_close(_: &CloseInfo) {
    println!("Connection closed");
}

fn on_open(ws: &WebSocket) -> HandlerResult {
    ws.send("hello there")?;
    println!("sent message on open");
    Ok(())
}

pub(crate) fn long_lived_connection(url: &str) -> motorway::Result<CloseInfo> {
    WebSocketApp::new(Connector::new(url)?)
        .on_open(on_open)
        .on_message(on_message)
        .on_error(on_error)
        .on_close(on_close)
        .run_forever()
}

fn main() -> motorway::Result<()> {
    motorway::enable_trace();
    let url = std::env::args().nth(1);
    long_lived_connection(url.as_deref().unwrap_or("ws://localhost:4040/")).map(|_| ())
}
