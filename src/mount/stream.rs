//! The stream that another HTTP server hands over.

use crate::peer::Peer;
use crate::server::Carried;
use crate::transport::AnyStream;
use http::Version;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Takes the stream over: where it is one of TCP, the socket itself.
pub(super) fn take_over(upgraded: Upgraded, version: Version) -> Carried<AnyStream> {
    if version == Version::HTTP_2 {
        return carried(Http2Stream(TokioIo::new(upgraded)));
    }
    // axum's own server, and others of hyper-util's; or hyper's alone.
    let upgraded = match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => return of_tcp(parts.io, &parts.read_buf),
        Err(upgraded) => upgraded,
    };
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => of_tcp(parts.io, &parts.read_buf),
        Err(upgraded) => carried(TokioIo::new(upgraded)),
    }
}

fn carried(stream: impl crate::transport::Stream) -> Carried<AnyStream> {
    Carried {
        stream: AnyStream::new(stream),
        early: Vec::new(),
        peer: None,
    }
}

fn of_tcp(stream: TokioIo<TcpStream>, early: &[u8]) -> Carried<AnyStream> {
    let stream = stream.into_inner();
    let peer = stream.peer_addr().ok().map(Peer::from);
    Carried {
        early: early.to_vec(),
        peer,
        ..carried(stream)
    }
}

/// One of the streams of an HTTP/2 connection, as hyper has them.
struct Http2Stream(TokioIo<Upgraded>);

impl AsyncRead for Http2Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Http2Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let octets = octets.get(..MOST_WRITTEN).unwrap_or(octets);
        Pin::new(&mut self.0).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// How much a stream of HTTP/2 is given at once, in octets: hyper takes and copies all of it, whatever
/// the window says, so that this bounds what waits where the connection cannot see it.
const MOST_WRITTEN: usize = 16 << 10;
