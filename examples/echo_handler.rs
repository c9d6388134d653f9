//! An echo server made of one async function.
//!
//! ```sh
//! cargo run --example echo_handler
//! cargo run --example simple_echo -- ws://localhost:8765
//! ```

use motorway::{HandlerResult, WebSocketStream};

async fn echo(mut ws: WebSocketStream) -> HandlerResult {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("localhost:8765");
    let server = motorway::serve(address, echo).await?;
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
