//! `motorway echo`: sends every message back.

use crate::Done;
use crate::arguments;
use motorway::{
    DeflateOptions, HandlerResult, ListenAddress, Message, Server, ServerOptions, WebSocket,
    WebSocketServerFactory, WebSocketServerProtocol,
};
use std::process::ExitCode;

pub(crate) struct Echo;

impl WebSocketServerProtocol for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        ws.send(message).await?;
        Ok(())
    }
}

/// Makes the factory of the echo, which compresses where a client offers it.
pub(crate) fn factory() -> motorway::Result<WebSocketServerFactory<Echo>> {
    let mut factory = WebSocketServerFactory::new(|| Echo);
    let options = ServerOptions::default().per_message_deflate(DeflateOptions::default());
    factory.set_protocol_options(options)?;
    Ok(factory)
}

pub(crate) async fn run(arguments: &arguments::Echo) -> Done {
    let server = factory()?.listen(&arguments.address).await?;
    let place = place(&server);
    println!("listening on {place}; Ctrl-C ends it");
    println!("try: motorway connect ws://{place}");
    until_interrupted(server).await
}

/// Where a server listens, as it stands in a URL.
pub(crate) fn place(server: &Server) -> String {
    match server.addresses().first().and_then(ListenAddress::path) {
        Some(path) => format!("unix:{}", path.display()),
        None => server.local_addr().to_string(),
    }
}

/// Runs until Ctrl-C, and ends in order.
pub(crate) async fn until_interrupted(server: Server) -> Done {
    let interrupted = async {
        let _ = tokio::signal::ctrl_c().await;
        println!("closing the connections");
    };
    server.run_until(interrupted).await?;
    Ok(ExitCode::SUCCESS)
}
