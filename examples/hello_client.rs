//! Asks for a name, sends it, and prints the greeting that comes back.
//!
//! ```sh
//! cargo run --example hello_server
//! cargo run --example hello_client
//! ```

use motorway::{CloseCode, HandlerError, Message};

pub(crate) async fn hello(url: &str, name: &str) -> Result<Option<Message<'static>>, HandlerError> {
    let mut ws = motorway::connect(url).await?;
    ws.send(name).await?;
    println!("> {name}");
    let greeting = ws.recv().await?;
    ws.close(CloseCode::NORMAL, "").await?;
    Ok(greeting)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("What's your name?");
    let mut name = String::new();
    std::io::stdin().read_line(&mut name)?;
    if let Some(greeting) = hello("ws://localhost:8765", name.trim()).await? {
        println!("< {}", greeting.into_text()?);
    }
    Ok(())
}
