//! An echo server with a thread and a socket for each core, among which the system shares out
//! connections.
//!
//! ```sh
//! cargo run --release --example multicore
//! cargo run --release --example multicore -- 0.0.0.0:9000 4
//! ```

use motorway::{
    HandlerResult, Message, WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
};
use std::num::NonZeroUsize;
use std::thread;

struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        println!("{} is on {:?}", ws.peer(), thread::current().id());
        Ok(())
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws.send(message).await?)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:9000".to_owned());
    let workers: NonZeroUsize = match arguments.next() {
        Some(number) => number.parse()?,
        None => thread::available_parallelism()?,
    };
    let factory = WebSocketServerFactory::new(|| Echo);
    let server = factory.listen_workers(address, workers).await?;
    println!("listening on {}, {workers} threads", server.local_addr());
    Ok(server.run_until(tokio::signal::ctrl_c()).await?)
}
