//! What the servers of the peers share: arguments, runtime, accepting.
//!
//! Each is run as `NAME PORT [echo|deflate|broadcast|tls]`; with `RT=multi` in the environment it has two worker
//! threads, as the project's own `bench_server` does.

use crate::{Result, tls, wire};
use std::future::Future;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What a server does with messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Sends each back.
    Echo,
    /// Sends each back, compressed if the client offers it.
    Deflate,
    /// Sends each to everyone.
    Broadcast,
    /// Sends each back, over TLS.
    Tls,
}

/// The port and the mode that the arguments name.
///
/// # Errors
/// Fails if they do not.
pub fn arguments() -> Result<(u16, Mode)> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments
        .next()
        .ok_or("usage: PORT [echo|deflate|broadcast|tls]")?;
    let mode = match arguments.next().as_deref() {
        None | Some("echo") => Mode::Echo,
        Some("deflate") => Mode::Deflate,
        Some("broadcast") => Mode::Broadcast,
        Some("tls") => Mode::Tls,
        Some(other) => {
            return Err(format!("no mode {other:?}: echo, deflate, broadcast, tls").into());
        }
    };
    Ok((port.parse()?, mode))
}

/// A runtime on this thread, or, with `RT=multi`, of two workers.
///
/// # Errors
/// Fails if the system has no threads to give.
pub fn runtime() -> io::Result<Runtime> {
    match std::env::var("RT").as_deref() {
        Ok("multi") => runtime_of(2),
        _ => Builder::new_current_thread().enable_all().build(),
    }
}

/// A runtime of so many workers.
///
/// # Errors
/// Fails if the system has no threads to give.
pub fn runtime_of(workers: usize) -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(workers).enable_all().build()
}

/// Serves each connection in a task of its own, for ever.
///
/// # Errors
/// Fails if the port is taken.
pub fn serve<F, Served>(port: u16, connection: F) -> Result<()>
where
    F: Fn(TcpStream) -> Served + Send + Copy + 'static,
    Served: Future<Output = ()> + Send + 'static,
{
    let accepting = async move {
        let listener = listen(port)?;
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            stream.set_nodelay(true)?;
            tokio::spawn(connection(stream));
        }
    };
    // Accepting is a task, too: on a worker, where there are some.
    runtime()?.block_on(async { tokio::spawn(accepting).await? })
}

/// As [`serve`], over TLS.
///
/// # Errors
/// Fails if the port is taken, or there is no certificate.
pub fn serve_tls<F, Served>(port: u16, connection: F) -> Result<()>
where
    F: Fn(TlsStream<TcpStream>) -> Served + Send + Copy + Sync + 'static,
    Served: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(tls::server()?);
    let accepting = async move {
        let listener = listen(port)?;
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            stream.set_nodelay(true)?;
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    connection(stream).await;
                }
            });
        }
    };
    runtime()?.block_on(async { tokio::spawn(accepting).await? })
}

/// Opens a connection on the side of the server, for crates that do not, and for the anchors.
///
/// # Errors
/// Fails if the request ends early or has no key.
pub async fn open<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Result<()> {
    let head = read_head(stream).await?;
    let response = wire::response(std::str::from_utf8(&head)?).ok_or("no key")?;
    Ok(stream.write_all(response.as_bytes()).await?)
}

/// Reads the head of a request, up to the empty line.
///
/// # Errors
/// Fails if it ends early or has more than 8 KiB.
pub async fn read_head<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1024);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > 8192 {
            return Err("no request".into());
        }
    }
    Ok(head)
}

fn listen(port: u16) -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    Ok(socket.listen(4096)?)
}
