//! Adds up messages of any size in constant memory, as their octets arrive, and answers with the
//! checksum and the length.
//!
//! ```sh
//! cargo run --release --example streaming
//! ```

use motorway::{
    HandlerResult, MessageKind, Payload, Receive, ServerOptions, WebSocket, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use sha1::{Digest, Sha1};

#[derive(Default)]
pub(crate) struct Checksum {
    digest: Sha1,
    length: u64,
}

impl WebSocketServerProtocol for Checksum {
    const RECEIVE: Receive = Receive::Stream;

    async fn on_message_begin(&mut self, _: &WebSocket, _: MessageKind) -> HandlerResult {
        *self = Self::default();
        Ok(())
    }

    async fn on_message_frame_data(&mut self, _: &WebSocket, chunk: Payload<'_>) -> HandlerResult {
        self.digest.update(&*chunk);
        self.length += chunk.len() as u64;
        Ok(())
    }

    async fn on_message_end(&mut self, ws: &WebSocket) -> HandlerResult {
        let digest = std::mem::take(&mut self.digest).finalize();
        let checksum: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
        Ok(ws.send(format!("{checksum} {}", self.length)).await?)
    }
}

/// Nothing is kept of a message, so it needs no limit.
pub(crate) fn options() -> ServerOptions {
    ServerOptions::default()
        .max_message_payload_size(None)
        .max_frame_payload_size(None)
}

#[tokio::main]
async fn main() -> motorway::Result<()> {
    let mut factory = WebSocketServerFactory::new(Checksum::default);
    factory.set_protocol_options(options())?;
    let server = factory.listen("127.0.0.1:9000").await?;
    println!("listening on {}", server.local_addr());
    server.run_until(tokio::signal::ctrl_c()).await
}
