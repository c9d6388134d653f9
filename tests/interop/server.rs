//! The server that other implementations are tried against: echoes, and does what it is told to.
//!
//! A text message that starts with `!` is an order, which every server in this folder obeys:
//! `!fragments` sends a message in three frames, `!ping` answers once a ping was answered, `!close`
//! closes with a code and a reason. Denies the path `/denied`. Prints where it listens, who connects
//! over which version of HTTP, and how each ends.

use clap::{Parser, ValueEnum};
use motorway::{
    CloseCode, CloseInfo, ConnectionAccept, ConnectionDeny, ConnectionRequest, DeflateOptions,
    HandlerResult, Identity, Message, MessageKind, ServerOptions, ServerTls, StatusCode, WebSocket,
    WebSocketServerFactory, WebSocketServerProtocol,
};
use std::path::PathBuf;

mod mounted;

struct Obedient;

impl WebSocketServerProtocol for Obedient {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        println!("asked over {:?}", request.http_version());
        match request.path() {
            "/denied" => Err(ConnectionDeny::new(StatusCode::FORBIDDEN).body("not here\n")),
            _ => Ok(ConnectionAccept::default()),
        }
    }

    async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
        println!("open {}", ws.peer());
        Ok(())
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        match message.as_bytes() {
            b"!fragments" => {
                let mut writer = ws.begin_message(MessageKind::Text).await?;
                for part in ["one ", "two ", "three"] {
                    writer.write(part.as_bytes()).await?;
                }
                writer.finish().await?;
            }
            b"!ping" => {
                ws.ping("from server").await?;
                ws.send("!pong").await?;
            }
            b"!close" => ws.close(CloseCode::from(4001), "from server").await?,
            _ => ws.send(message).await?,
        }
        Ok(())
    }

    async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
        println!("closed {} {}", info.code.as_u16(), info.reason);
        Ok(())
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Deflate {
    Off,
    Takeover,
    None,
}

/// Echoes, and does what it is told to.
#[derive(Parser)]
struct Arguments {
    /// Where to listen: host and port
    #[arg(default_value = "127.0.0.1:0")]
    address: String,
    /// Whether to compress, and whether with a context that is kept between messages
    #[arg(long, value_enum, default_value = "off")]
    deflate: Deflate,
    /// Certificate chain, as PEM
    #[arg(long, requires = "key")]
    chain: Option<PathBuf>,
    /// Private key, as PEM
    #[arg(long)]
    key: Option<PathBuf>,
    /// Proxies that are trusted to add to X-Forwarded-For
    #[arg(long, default_value_t = 0)]
    forwarded: u32,
    /// Proxy that sends the header of the PROXY protocol
    #[arg(long)]
    proxy_protocol: Vec<String>,
    /// Origins that are allowed; all if none is named
    #[arg(long)]
    allowed_origin: Vec<String>,
    /// Run within a server of hyper, which speaks HTTP/2, too
    #[arg(long)]
    mounted: bool,
}

impl Arguments {
    fn options(&self) -> ServerOptions {
        let mut options = ServerOptions::default();
        if !self.allowed_origin.is_empty() {
            options = options.allowed_origins(&self.allowed_origin);
        }
        options
            .protocols(["chat"])
            .trust_x_forwarded_for(self.forwarded)
            .proxy_protocol(&self.proxy_protocol)
            .per_message_deflate(match self.deflate {
                Deflate::Off => None,
                Deflate::Takeover => Some(DeflateOptions::default()),
                Deflate::None => Some(DeflateOptions::no_context()),
            })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let mut factory = WebSocketServerFactory::new(|| Obedient);
    factory.set_protocol_options(arguments.options())?;
    let tls = match (&arguments.chain, &arguments.key) {
        (Some(chain), Some(key)) => Some(ServerTls::new(Identity::from_pem_files(chain, key)?)?),
        _ => None,
    };
    if arguments.mounted {
        let tls = tls.map(ServerTls::with_http2);
        return mounted::serve(&arguments.address, factory, tls).await;
    }
    let server = match &tls {
        Some(tls) => factory.listen_tls(&arguments.address, tls).await?,
        None => factory.listen(&arguments.address).await?,
    };
    println!("listening on {}", server.local_addr());
    Ok(server.run_until(tokio::signal::ctrl_c()).await?)
}
