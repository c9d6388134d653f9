//! sockudo-ws.

use sockudo_ws::deflate::{DeflateConfig, parse_deflate_offer};
use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request, server_handshake};
use sockudo_ws::{CompressedWebSocketStream, Compression, Config, Message, Role, WebSocketStream};
use std::sync::LazyLock;
use table::serve::{self, Mode};
use table::{Result, pump};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::broadcast::{Sender, channel};

static EVERYONE: LazyLock<Sender<Message>> = LazyLock::new(|| channel(1024).0);

fn is_data(message: &Message) -> bool {
    matches!(message, Message::Text(_) | Message::Binary(_))
}

async fn compressed(mut stream: TcpStream, config: Config) -> Result<()> {
    let head = serve::read_head(&mut stream).await?;
    let (request, _) = parse_request(&head)?.ok_or("no request")?;
    let offer = request.extensions.and_then(parse_deflate_offer);
    let deflate = DeflateConfig::from_params(&offer.ok_or("no offer")?)?;
    let extension = deflate.to_response_header();
    let accept = generate_accept_key(request.key);
    let response = build_response(&accept, None, Some(&extension));
    stream.write_all(&response).await?;
    let ws = CompressedWebSocketStream::server(stream, config, deflate);
    pump::echo(ws, is_data).await;
    Ok(())
}

async fn connection(mut stream: TcpStream, mode: Mode) {
    let config = Config::builder().max_payload_length(1 << 30);
    if mode == Mode::Deflate {
        let config = config.compression(Compression::Dedicated).build();
        drop(compressed(stream, config).await);
        return;
    }
    let config = config.compression(Compression::Disabled).build();
    let Ok(opened) = server_handshake(&mut stream).await else {
        return;
    };
    let rest = opened.leftover.clone();
    let ws = WebSocketStream::from_raw_with_leftover(stream, Role::Server, config, rest);
    match mode {
        Mode::Broadcast => pump::broadcast(ws, EVERYONE.clone(), is_data).await,
        _ => pump::echo(ws, is_data).await,
    }
}

fn main() -> Result<()> {
    let (port, mode) = serve::arguments()?;
    serve::serve(port, move |stream| connection(stream, mode))
}
