//! A connection to the server, plain or over TLS.

use crate::Plan;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;
use table::Result;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection};

pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(TcpStream, Box<ClientConnection>),
}

/// How a connection is made.
pub(crate) struct Connector<'a> {
    pub(crate) plan: &'a Plan,
    tls: Option<Arc<ClientConfig>>,
}

impl<'a> Connector<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Result<Self> {
        let tls = plan.tls.then(table::tls::client).transpose()?;
        Ok(Self { plan, tls })
    }

    /// Connects, and waits for it; `number` is the connection's, which chooses the address that it comes from.
    pub(crate) fn connect(&self, number: usize) -> Result<Stream> {
        let socket = socket()?;
        // A second address of one's own gives as many ports again.
        let source = Ipv4Addr::new(127, 0, 0, 2 + (number / 20_000) as u8);
        if number >= 20_000 {
            bind(&socket, source)?;
        }
        socket.connect(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.plan.port).into())?;
        let mut tcp = TcpStream::from(socket);
        let timeout = Some(Duration::from_secs(20));
        tcp.set_read_timeout(timeout)?;
        tcp.set_write_timeout(timeout)?;
        let Some(config) = &self.tls else {
            return Ok(Stream::Tcp(tcp));
        };
        let name = ServerName::try_from("localhost")?;
        let mut tls = ClientConnection::new(Arc::clone(config), name)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp)?;
        }
        Ok(Stream::Tls(tcp, Box::new(tls)))
    }

    /// Begins to connect: writable once connected. TLS is not spoken here.
    pub(crate) fn begin(&self, number: usize) -> Result<Stream> {
        let socket = socket()?;
        socket.set_nonblocking(true)?;
        bind(&socket, Ipv4Addr::new(127, 0, 0, 2 + (number % 200) as u8))?;
        let server = SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.plan.port);
        match socket.connect(&server.into()) {
            Err(error) if error.raw_os_error() != Some(EINPROGRESS) => return Err(error.into()),
            _ => {}
        }
        Ok(Stream::Tcp(socket.into()))
    }
}

const EINPROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

fn socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    // Closed by a reset, a connection leaves nothing that waits in the kernel.
    socket.set_linger(Some(Duration::ZERO))?;
    Ok(socket)
}

fn bind(socket: &Socket, source: Ipv4Addr) -> io::Result<()> {
    socket.bind(&SocketAddrV4::new(source, 0).into())
}

impl Stream {
    pub(crate) fn set_nonblocking(&self) -> io::Result<()> {
        self.tcp().set_nonblocking(true)
    }

    /// Whether a read of `read` octets into room for `room` has left nothing in the socket.
    pub(crate) fn is_drained_by(&self, read: usize, room: usize) -> bool {
        matches!(self, Self::Tcp(_)) && read < room
    }

    /// Whether octets that were taken still wait for the socket.
    pub(crate) fn holds_output(&self) -> bool {
        matches!(self, Self::Tls(_, tls) if tls.wants_write())
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(tcp) | Self::Tls(tcp, _) => tcp,
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp().as_fd()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (tcp, tls) = match self {
            Self::Tcp(tcp) => return tcp.read(buffer),
            Self::Tls(tcp, tls) => (tcp, tls),
        };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            if tls.read_tls(tcp)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let Self::Tls(_, _) = self else {
            return self.tcp().write(octets);
        };
        self.flush()?;
        let Self::Tls(_, tls) = self else {
            return Ok(0);
        };
        let taken = tls.writer().write(octets)?;
        match self.flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Self::Tls(tcp, tls) = self {
            while tls.wants_write() {
                tls.write_tls(tcp)?;
            }
        }
        Ok(())
    }
}
