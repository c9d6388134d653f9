//! Sends one message to an echo server and prints what comes back.
//!
//! ```sh
//! cargo run --example echo_server
//! cargo run --example simple_echo
//! ```
//!
//! Another server may be named: `cargo run --example simple_echo -- ws://127.0.0.1:9000/`.

use motorway::CloseCode;
use std::error::Error;

async fn hello_world(url: &str) -> Result<(), Box<dyn Error>> {
    let mut ws = motorway::connect(url).await?;
    ws.send("Hello, world!").await?;
    let answer = ws.recv().await?.ok_or("closed without an answer")?;
    println!("Received: {}", answer.into_text()?);
    ws.close(CloseCode::NORMAL, "").await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1);
    hello_world(url.as_deref().unwrap_or("ws://127.0.0.1:9000")).await
}
