//! Sockets that a server listens on.

use super::accepting::Source;
use super::incoming::Security;
use crate::address::{ListenAddress, Place};
use crate::error::Result;
use crate::options::{OptionsError, ServerOptions};
use crate::peer::Peer;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

#[cfg(unix)]
pub(super) use unix::UnixSocketListener;

/// Reads addresses, of which there is at least one.
pub(super) fn parse_all<A>(addresses: impl IntoIterator<Item = A>) -> Result<Vec<ListenAddress>>
where
    A: TryInto<ListenAddress>,
    OptionsError: From<A::Error>,
{
    let parsed = addresses.into_iter().map(TryInto::try_into);
    let parsed: Result<Vec<_>, _> = parsed.collect();
    let parsed = parsed.map_err(OptionsError::from)?;
    if parsed.is_empty() {
        let error = OptionsError::value("listen", "empty", "at least one address");
        return Err(error.into());
    }
    Ok(parsed)
}

/// A socket that listens, and what is between it and the opening handshake.
pub(super) type Secured = (Listener, Security);

/// Binds all these addresses, or none; those that say nothing about TLS have what is `given`.
pub(super) async fn bind_all(
    addresses: &[ListenAddress],
    options: &ServerOptions,
    given: &Security,
) -> Result<Vec<Secured>> {
    let securities = addresses.iter().map(|address| given.of(address));
    let securities: Vec<_> = securities.collect::<Result<_>>()?;
    let mut listeners = Vec::with_capacity(addresses.len());
    for (address, security) in addresses.iter().zip(securities) {
        listeners.push((Listener::bind(address, options).await?, security));
    }
    Ok(listeners)
}

/// Binds as many sockets to one TCP address, all of them or none.
pub(super) async fn bind_shared(
    address: &ListenAddress,
    (options, given): (&ServerOptions, &Security),
    count: NonZeroUsize,
) -> Result<Vec<Secured>> {
    let security = given.of(address)?;
    let options = options.clone().reuse_port(true);
    let first = Listener::bind(address, &options).await?;
    // The others take the port that the first was given, and the host that could be bound.
    let Some(shared) = first.socket_addr() else {
        let allowed = "an address of TCP for workers";
        let error = OptionsError::text("listen", &address.to_string(), allowed);
        return Err(error.into());
    };
    let shared = ListenAddress::from(shared).backlog(address.backlog);
    let mut listeners = vec![first];
    for _ in 1..count.get() {
        listeners.push(Listener::bind(&shared, &options).await?);
    }
    let secured = listeners.into_iter();
    Ok(secured
        .map(|listener| (listener, security.clone()))
        .collect())
}

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixSocketListener),
}

/// A connection that a listener has accepted.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp(TcpStream, Peer),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream, Peer),
}

impl Listener {
    /// Binds a socket as the address and the options say; an error names the address.
    pub(super) async fn bind(address: &ListenAddress, options: &ServerOptions) -> io::Result<Self> {
        let bound = Self::bind_place(address, options).await;
        bound.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
    }

    async fn bind_place(address: &ListenAddress, options: &ServerOptions) -> io::Result<Self> {
        let backlog = address.backlog.unwrap_or(options.backlog);
        match &address.place {
            Place::Tcp { host, port } => {
                let mut failure = io::ErrorKind::AddrNotAvailable.into();
                for address in lookup_host((host.as_str(), *port)).await? {
                    match bind_tcp(address, options, backlog) {
                        Ok(listener) => return Ok(Self::Tcp(listener)),
                        Err(error) => failure = error,
                    }
                }
                Err(failure)
            }
            #[cfg(unix)]
            Place::Unix(path) => {
                let listener = UnixSocketListener::bind(path, address.mode, backlog).await?;
                Ok(Self::Unix(listener))
            }
            #[cfg(not(unix))]
            Place::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Hands the socket to the runtime that is entered.
    pub(super) fn registered_here(self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => {
                let listener = TcpListener::from_std(listener.into_std()?)?;
                Ok(Self::Tcp(listener))
            }
            // Workers share a port, and a Unix socket has none.
            #[cfg(unix)]
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Returns where it listens, with the port that was taken.
    pub(super) fn address(&self) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(listener) => Ok(listener.local_addr()?.into()),
            #[cfg(unix)]
            Self::Unix(listener) => listener.address(),
        }
    }

    /// Returns the socket address, where there is one.
    pub(super) fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }
}

impl Source for Listener {
    fn socket_addr(&self) -> Option<SocketAddr> {
        Self::socket_addr(self)
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Accepted::Tcp(stream, peer.into()))
            }
            #[cfg(unix)]
            Self::Unix(listener) => {
                let (stream, path) = listener.accept().await?;
                Ok(Accepted::Unix(stream, Peer::Unix(path)))
            }
        }
    }
}

fn bind_tcp(address: SocketAddr, options: &ServerOptions, backlog: u32) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A server that starts again is not to wait for old connections; on Windows the option means
    // something else.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    #[cfg(unix)]
    socket.set_reuseport(options.reuse_port)?;
    #[cfg(not(unix))]
    let _ = options;
    socket.bind(address)?;
    socket.listen(backlog)
}

#[cfg(unix)]
mod unix {
    use crate::address::ListenAddress;
    use std::fs::{self, Permissions};
    use std::io;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
    use std::path::{Path, PathBuf};
    use tokio::net::{UnixListener, UnixSocket, UnixStream};

    /// A Unix socket, and its file, which goes with it.
    #[derive(Debug)]
    pub(in crate::server) struct UnixSocketListener {
        listener: UnixListener,
        _file: Option<SocketFile>,
    }

    impl UnixSocketListener {
        pub(super) async fn bind(path: &Path, mode: Option<u32>, backlog: u32) -> io::Result<Self> {
            let mut socket = UnixSocket::new_stream()?;
            if let Err(error) = socket.bind(path) {
                if error.kind() != io::ErrorKind::AddrInUse || !is_left_behind(path).await {
                    return Err(error);
                }
                fs::remove_file(path)?;
                socket = UnixSocket::new_stream()?;
                socket.bind(path)?;
            }
            let file = SocketFile::at(path)?;
            // Nobody can connect before it listens, so nobody gets in under other permissions.
            if let Some(mode) = mode {
                fs::set_permissions(path, Permissions::from_mode(mode))?;
            }
            Ok(Self {
                listener: socket.listen(backlog)?,
                _file: Some(file),
            })
        }

        pub(super) fn address(&self) -> io::Result<ListenAddress> {
            let address = self.listener.local_addr()?;
            let path = address.as_pathname().unwrap_or(Path::new(""));
            Ok(ListenAddress::unix(path))
        }

        pub(super) async fn accept(&self) -> io::Result<(UnixStream, Option<PathBuf>)> {
            let (stream, address) = self.listener.accept().await?;
            Ok((stream, address.as_pathname().map(Path::to_owned)))
        }
    }

    /// A socket that the caller has bound keeps its file.
    impl From<UnixListener> for UnixSocketListener {
        fn from(listener: UnixListener) -> Self {
            Self {
                listener,
                _file: None,
            }
        }
    }

    /// Tells whether there is a socket at the path at which nobody listens.
    async fn is_left_behind(path: &Path) -> bool {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
        let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        is_socket && UnixStream::connect(path).await.is_err_and(|e| refused(&e))
    }

    /// The file of a socket; removed when dropped, unless another has taken its place.
    #[derive(Debug)]
    struct SocketFile {
        path: PathBuf,
        identity: (u64, u64),
    }

    impl SocketFile {
        fn at(path: &Path) -> io::Result<Self> {
            let file = fs::symlink_metadata(path)?;
            Ok(Self {
                path: std::path::absolute(path)?,
                identity: (file.dev(), file.ino()),
            })
        }
    }

    impl Drop for SocketFile {
        fn drop(&mut self) {
            let Ok(file) = fs::symlink_metadata(&self.path) else {
                return;
            };
            if (file.dev(), file.ino()) == self.identity {
                // What cannot be removed is found to be left behind the next time.
                let _ = fs::remove_file(&self.path);
            }
        }
    }
}
