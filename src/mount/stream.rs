//! The stream that another HTTP server hands over.

use crate::options::CommonOptions;
use crate::peer::Peer;
use crate::server::Carried;
use crate::socket::set_up;
use http::Version;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use socket2::SockRef;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What is below an upgraded connection.
#[derive(Debug)]
pub(crate) enum MountedStream {
    /// The socket itself.
    Tcp(TcpStream),
    /// Anything that can be upgraded: TLS, streams in memory.
    Upgraded(TokioIo<Upgraded>),
    /// One of the streams of an HTTP/2 connection.
    Http2(TokioIo<Upgraded>),
}

impl MountedStream {
    pub(super) fn take_over(upgraded: Upgraded, version: Version) -> Carried<Self> {
        let without = |stream| Carried {
            stream,
            early: Vec::new(),
            peer: None,
        };
        if version == Version::HTTP_2 {
            return without(Self::Http2(TokioIo::new(upgraded)));
        }
        // axum's own server, and others of hyper-util's; or hyper's alone.
        let upgraded = match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => return Self::of_tcp(parts.io, &parts.read_buf),
            Err(upgraded) => upgraded,
        };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => Self::of_tcp(parts.io, &parts.read_buf),
            Err(upgraded) => without(Self::Upgraded(TokioIo::new(upgraded))),
        }
    }

    fn of_tcp(stream: TokioIo<TcpStream>, early: &[u8]) -> Carried<Self> {
        let stream = stream.into_inner();
        let peer = stream.peer_addr().ok().map(Peer::from);
        Carried {
            stream: Self::Tcp(stream),
            early: early.to_vec(),
            peer,
        }
    }

    /// Sets the options of the socket, where there is one to be seen.
    pub(super) fn set_up(&self, options: &CommonOptions) {
        if let Self::Tcp(stream) = self {
            // Fails only on a socket that is gone already.
            let _ = set_up(&SockRef::from(stream), options);
        }
    }
}

impl AsyncRead for MountedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Upgraded(stream) | Self::Http2(stream) => {
                Pin::new(stream).poll_read(context, buffer)
            }
        }
    }
}

impl AsyncWrite for MountedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Upgraded(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Http2(stream) => {
                let octets = octets.get(..MOST_WRITTEN).unwrap_or(octets);
                Pin::new(stream).poll_write(context, octets)
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Upgraded(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            stream @ Self::Http2(_) => {
                let filled = slices.iter().find(|slice| !slice.is_empty());
                let octets = filled.map_or(&[][..], |slice| slice);
                Pin::new(stream).poll_write(context, octets)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Upgraded(stream) => stream.is_write_vectored(),
            Self::Http2(_) => false,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Upgraded(stream) | Self::Http2(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Upgraded(stream) | Self::Http2(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// How much a stream of HTTP/2 is given at once, in octets: it takes all of it and copies it, whatever
/// the window says, so that this bounds what waits where the connection cannot see it.
const MOST_WRITTEN: usize = 16 << 10;
