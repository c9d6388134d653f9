//! A connection for one question and its answer, on blocking sockets.
//!
//! ```sh
//! cargo run --release --example echo_server
//! cargo run --release --features blocking --example short_lived -- ws://127.0.0.1:9000/
//! ```

use motorway::{CloseCode, blocking};
use std::error::Error;

pub(crate) fn short_lived_connection(url: &str) -> Result<(), Box<dyn Error>> {
    let mut ws = blocking::connect(url)?;
    println!("Sending 'Hello Server'...");
    ws.send("Hello, Server")?;
    println!("Sent");
    println!("Receiving...");
    let result = ws.recv()?.ok_or("closed without an answer")?;
    println!("Received '{}'", result.into_text()?);
    ws.close(CloseCode::NORMAL, "")?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1);
    short_lived_connection(url.as_deref().unwrap_or("ws://localhost:4040/"))
}
