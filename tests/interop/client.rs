//! The client that other implementations are tried with: holds the conversation that every client
//! in this folder holds, and prints what it saw, a line each.

use clap::{Parser, ValueEnum};
use motorway::{
    ClientOptions, ClientTls, CloseCode, CloseInfo, DeflateOptions, HandlerResult, Http2Connection,
    Message, MessageKind, Roots, WebSocket, WebSocketClientFactory, WebSocketClientProtocol,
};
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

/// Passes on what it gets.
struct PassOn(UnboundedSender<Message<'static>>);

impl WebSocketClientProtocol for PassOn {
    async fn on_message(&mut self, _: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(self.0.send(message.into_owned())?)
    }
}

/// A connection, and what comes in on it.
struct Talker {
    ws: WebSocket,
    inbox: UnboundedReceiver<Message<'static>>,
}

impl Talker {
    /// Opens one, with HTTP/2 over the connection that is kept, and made if there is none.
    async fn open(
        arguments: &Arguments,
        kept: &mut Option<Http2Connection>,
    ) -> Result<Self, Box<dyn Error>> {
        let (sender, inbox) = unbounded_channel();
        let mut factory =
            WebSocketClientFactory::new(&arguments.url, move || PassOn(sender.clone()))?;
        factory.set_protocol_options(arguments.options())?;
        if let Some(ca) = &arguments.ca {
            factory.set_tls(ClientTls::new(&Roots::from_pem_file(ca)?)?);
        }
        let ws = match (arguments.http2, &kept) {
            (false, _) => factory.connect().await?,
            (true, Some(http2)) => factory.connect_over(http2).await?,
            (true, None) => {
                let http2 = kept.insert(factory.connect_http2().await?);
                factory.connect_over(http2).await?
            }
        };
        Ok(Self { ws, inbox })
    }

    async fn receive(&mut self) -> Result<Message<'static>, Box<dyn Error>> {
        let message = timeout(PATIENCE, self.inbox.recv()).await?;
        message.ok_or_else(|| "the connection ended".into())
    }

    async fn ask(&mut self, text: &str) -> Result<String, Box<dyn Error>> {
        self.ws.send(text).await?;
        Ok(self.receive().await?.into_text()?.into())
    }

    /// Tells whether octets came back as they were.
    async fn echo(&mut self, octets: Vec<u8>) -> Result<&'static str, Box<dyn Error>> {
        self.ws.send(octets.clone()).await?;
        let answer = self.receive().await?;
        let same = answer.is_binary() && answer.as_bytes() == octets;
        Ok(if same { "same" } else { "differs" })
    }

    async fn end(&self) -> Result<String, Box<dyn Error>> {
        let CloseInfo { code, reason, .. } = timeout(PATIENCE, self.ws.closed()).await?;
        Ok(format!("{} {reason}", code.as_u16()))
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Deflate {
    Off,
    Takeover,
    None,
}

/// Holds the conversation.
#[derive(Parser)]
struct Arguments {
    /// Of the server
    url: String,
    /// Whether to compress, and whether with a context that is kept between messages
    #[arg(long, value_enum, default_value = "off")]
    deflate: Deflate,
    /// Certificates that vouch for the server, as PEM
    #[arg(long)]
    ca: Option<PathBuf>,
    /// Proxy to go through, as a URL
    #[arg(long)]
    proxy: Option<String>,
    /// Address to connect from
    #[arg(long)]
    from: Option<IpAddr>,
    /// Whom to claim to be, in X-Forwarded-For
    #[arg(long)]
    claim: Option<String>,
    /// Go over HTTP/2, with both conversations on one connection
    #[arg(long)]
    http2: bool,
}

impl Arguments {
    fn options(&self) -> ClientOptions {
        let mut options = ClientOptions::default();
        if let Some(proxy) = &self.proxy {
            options = options.proxy(proxy.as_str());
        }
        if let Some(claim) = &self.claim {
            options = options.header("X-Forwarded-For", claim.as_str());
        }
        options
            .local_addr(self.from.map(|address| SocketAddr::new(address, 0)))
            .protocols(["superchat", "chat"])
            .per_message_deflate(match self.deflate {
                Deflate::Off => None,
                Deflate::Takeover => Some(DeflateOptions::default()),
                Deflate::None => Some(DeflateOptions::no_context()),
            })
    }
}

/// As in `script.py`: two kibibytes that hardly compress by themselves.
fn digits() -> String {
    let mut state: u32 = 1;
    let mut next = || {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345) & 0x7fff_ffff;
        char::from_digit((state >> 16) & 15, 16).unwrap_or_default()
    };
    (0..2048).map(|_| next()).collect()
}

/// As in `script.py`: octets of every value.
fn octets(count: u32) -> Vec<u8> {
    let octet = |i: u32| ((i * 31 + (i >> 8)) & 255).to_le_bytes()[0];
    (0..count).map(octet).collect()
}

async fn converse(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut http2 = None;
    let mut talker = Talker::open(arguments, &mut http2).await?;
    println!("subprotocol {}", talker.ws.subprotocol().unwrap_or("none"));
    println!("text {}", talker.ask("grüße, 😀").await?);
    println!("binary {}", talker.echo(octets(256)).await?);
    println!("1 MiB {}", talker.echo(octets(1 << 20)).await?);
    let digits = digits();
    let same = talker.ask(&digits).await? == digits && talker.ask(&digits).await? == digits;
    println!("twice {}", if same { "same" } else { "differs" });
    println!("fragments in {}", talker.ask("!fragments").await?);
    let mut writer = talker.ws.begin_message(MessageKind::Text).await?;
    for part in ["frag", "ment", "ed"] {
        writer.write(part.as_bytes()).await?;
    }
    writer.finish().await?;
    println!("fragments out {}", talker.receive().await?.into_text()?);
    timeout(PATIENCE, talker.ws.ping("from client")).await??;
    println!("ping out answered");
    println!("ping in {}", talker.ask("!ping").await?);
    let code = CloseCode::from(4000);
    talker.ws.close(code, "from client").await?;
    println!("close out {}", talker.end().await?);

    let talker = Talker::open(arguments, &mut http2).await?;
    talker.ws.send("!close").await?;
    println!("close in {}", talker.end().await?);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    converse(&Arguments::parse()).await
}

const PATIENCE: Duration = Duration::from_secs(20);
