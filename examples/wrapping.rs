//! A TCP service through WebSocket: where only web traffic comes through, or a browser is the client.
//!
//! ```sh
//! cargo run --example wrapping -- server 127.0.0.1:9000 127.0.0.1:22
//! cargo run --example wrapping -- client 127.0.0.1:2222 ws://127.0.0.1:9000
//! ssh -p 2222 127.0.0.1
//! ```
//!
//! The server leads each connection to the TCP service that is named behind its own address; the
//! client listens on TCP and leads each connection to the server. Whoever reaches the server reaches
//! the service.

use motorway::{HandlerResult, WebSocketStream};
use std::error::Error;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// The server's side: from WebSocket to TCP.
async fn unwrap(ws: WebSocketStream, service: String) -> HandlerResult {
    let mut tcp = TcpStream::connect(&service).await?;
    copy_bidirectional(&mut ws.into_io(), &mut tcp).await?;
    Ok(())
}

/// The client's side: from TCP to WebSocket.
async fn wrap(mut tcp: TcpStream, url: String) -> HandlerResult {
    let mut ws = motorway::connect(url).await?.into_io();
    copy_bidirectional(&mut tcp, &mut ws).await?;
    Ok(())
}

async fn serve(address: &str, service: &str) -> Result<(), Box<dyn Error>> {
    let server = motorway::serve_with(address, service.to_owned(), unwrap).await?;
    println!("listening on {}", server.local_addr());
    Ok(server.run_until(tokio::signal::ctrl_c()).await?)
}

async fn listen(address: &str, url: &str) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (tcp, peer) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let wrapped = wrap(tcp, url.to_owned());
        tokio::spawn(async move {
            if let Err(error) = wrapped.await {
                eprintln!("{peer}: {error:?}");
            }
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["server", address, service] => serve(address, service).await,
        ["client", address, url] => listen(address, url).await,
        _ => {
            eprintln!("say: server ADDRESS SERVICE, or: client ADDRESS URL");
            std::process::exit(1);
        }
    }
}
