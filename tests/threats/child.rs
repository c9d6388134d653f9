//! This binary once more, as a process of its own: the ends that it can be.

#![cfg(target_os = "linux")]

pub(crate) use crate::apart::Process;
use crate::apart::role;
use crate::world::World;
use motorway::{DeflateOptions, HandlerResult, Message, ServerOptions, WebSocket};
use motorway::{WebSocketClientFactory, WebSocketClientProtocol};

impl Process {
    /// A server of default options that echoes, on one thread.
    pub(crate) fn server() -> Self {
        Self::start("server", 4096)
    }

    /// The same with permessage-deflate.
    pub(crate) fn deflating_server() -> Self {
        Self::start("deflating server", 4096)
    }

    /// A server that may have so many descriptors.
    pub(crate) fn server_with(descriptors: u32) -> Self {
        Self::start("server", descriptors)
    }

    /// A client of default options that echoes.
    pub(crate) fn client(url: &str) -> Self {
        Self::start(&format!("client {url}"), 4096)
    }
}

struct EchoClient;

impl WebSocketClientProtocol for EchoClient {
    async fn on_open(&mut self, _: &WebSocket) -> HandlerResult {
        println!("\nopen");
        Ok(())
    }
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws.send(message).await?)
    }
}

/// Does nothing unless another test starts it.
#[test]
fn plays_the_role_that_it_is_given() {
    let Some(role) = role() else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        if let Some(url) = role.strip_prefix("client ") {
            let client = WebSocketClientFactory::new(url, || EchoClient).unwrap();
            println!("\nended with {:?}", client.run().await);
            return std::future::pending().await;
        }
        let mut options = ServerOptions::default();
        if role == "deflating server" {
            options = options.per_message_deflate(DeflateOptions::default());
        }
        let mut world = World::new(options);
        let server = world.listen().await;
        println!("\nlistening on {}", server.local_addr());
        // Nothing is kept of what its instances tell.
        while world.opened.recv().await.is_some() {
            world.told.lock().unwrap().clear();
        }
    });
}
