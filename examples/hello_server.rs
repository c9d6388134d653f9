//! Reads a name, sends a greeting, and closes the connection.
//!
//! ```sh
//! cargo run --example hello_server
//! cargo run --example hello_client
//! ```

use motorway::{HandlerResult, WebSocketStream};

pub(crate) async fn hello(mut ws: WebSocketStream) -> HandlerResult {
    if let Some(name) = ws.recv_text().await? {
        println!("< {name}");
        let greeting = format!("Hello {name}!");
        ws.send(&greeting).await?;
        println!("> {greeting}");
    }
    Ok(())
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let server = motorway::serve("localhost:8765", hello).await?;
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
