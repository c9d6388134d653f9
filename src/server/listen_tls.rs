//! Listening with TLS, for factories and routers.

use super::bind::{Listener, Secured, bind_all, bind_shared, parse_all};
use super::incoming::{Incoming, Security, secure};
use super::opening::Serve;
use super::{Router, Server, WebSocketServerFactory, WebSocketServerProtocol};
use crate::address::ListenAddress;
use crate::connection::CloseInfo;
use crate::error::Result;
use crate::handshake::TransportDetails;
use crate::options::OptionsError;
use crate::peer::Peer;
use crate::tls::ServerTls;
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

/// The methods that factories and routers have in common, written once.
macro_rules! listening {
    ($serve:expr) => {
        /// As [`listen`](Self::listen), with TLS: clients connect to `wss://` URLs.
        ///
        /// The TLS handshake counts towards `open_handshake_timeout`. One that fails is logged, and
        /// concerns no other connection. What a trusted proxy says with the PROXY protocol stands
        /// before TLS.
        ///
        /// # Errors
        ///
        /// Fails as `listen` does.
        ///
        /// # Cancel safety
        ///
        /// Dropped before it resolves, it listens to nothing.
        pub async fn listen_tls<A>(&self, address: A, tls: &ServerTls) -> Result<Server>
        where
            A: TryInto<ListenAddress>,
            OptionsError: From<A::Error>,
        {
            self.listen_all_tls([address], tls).await
        }

        /// As [`listen_all`](Self::listen_all), with TLS on all addresses but those that are
        /// [`plain`](ListenAddress::plain); those that name files of TLS have these.
        ///
        /// ```no_run
        /// # use motorway::{ListenAddress, ServerTls, WebSocketServerFactory, WebSocketServerProtocol};
        /// # struct Quiet;
        /// # impl WebSocketServerProtocol for Quiet {}
        /// # async fn example() -> motorway::Result<()> {
        /// let tls = ServerTls::from_pem_files("chain.pem", "key.pem")?;
        /// let everywhere = ListenAddress::tcp("::", 443);
        /// let here = ListenAddress::tcp("127.0.0.1", 9000).plain();
        /// let factory = WebSocketServerFactory::new(|| Quiet);
        /// let server = factory.listen_all_tls([everywhere, here], &tls).await?;
        /// # server.run_until(std::future::pending::<()>()).await
        /// # }
        /// ```
        ///
        /// # Errors
        ///
        /// Fails as `listen_all` does.
        ///
        /// # Cancel safety
        ///
        /// Dropped before it resolves, it listens to nothing.
        pub async fn listen_all_tls<A>(
            &self,
            addresses: impl IntoIterator<Item = A>,
            tls: &ServerTls,
        ) -> Result<Server>
        where
            A: TryInto<ListenAddress>,
            OptionsError: From<A::Error>,
        {
            let serve = $serve(self)?;
            let addresses = parse_all(addresses)?;
            let given = Security::Tls(tls.clone());
            let listeners = bind_all(&addresses, &serve.settings().options, &given).await?;
            Server::start(listeners, serve)
        }

        /// As [`listen_workers`](Self::listen_workers), with TLS.
        ///
        /// # Errors
        ///
        /// Fails as `listen_workers` does.
        ///
        /// # Cancel safety
        ///
        /// Dropped before it resolves, it listens to nothing.
        pub async fn listen_workers_tls<A>(
            &self,
            address: A,
            workers: NonZeroUsize,
            tls: &ServerTls,
        ) -> Result<Server>
        where
            A: TryInto<ListenAddress>,
            OptionsError: From<A::Error>,
        {
            let serve = $serve(self)?;
            let address = address.try_into().map_err(OptionsError::from)?;
            let given = Security::Tls(tls.clone());
            let settings = serve.settings();
            let with = (&settings.options, &given);
            Server::start_workers(bind_shared(&address, with, workers).await?, &serve)
        }

        /// As [`listen_on`](Self::listen_on), with TLS.
        ///
        /// # Errors
        ///
        /// Fails as `listen_on` does.
        pub fn listen_tls_on(&self, listener: TcpListener, tls: &ServerTls) -> Result<Server> {
            Server::start(with(Listener::Tcp(listener), tls), $serve(self)?)
        }

        /// As [`listen_on_unix`](Self::listen_on_unix), with TLS.
        ///
        /// # Errors
        ///
        /// Fails as `listen_on_unix` does.
        #[cfg(unix)]
        pub fn listen_tls_on_unix(
            &self,
            listener: UnixListener,
            tls: &ServerTls,
        ) -> Result<Server> {
            Server::start(with(Listener::Unix(listener.into()), tls), $serve(self)?)
        }
    };
}

impl<P: WebSocketServerProtocol> WebSocketServerFactory<P> {
    listening!(|factory: &Self| Ok::<_, crate::error::Error>(Arc::clone(&factory.shared)));

    /// As [`serve_stream_from`](Self::serve_stream_from), with TLS, whose handshake is still to be
    /// made.
    ///
    /// # Errors
    ///
    /// Fails as `serve_stream` does, and if the TLS handshake fails.
    ///
    /// # Cancel safety
    ///
    /// As `serve_stream`.
    pub fn serve_tls_stream<S>(
        &self,
        stream: S,
        peer: Peer,
        tls: &ServerTls,
    ) -> impl Future<Output = Result<CloseInfo>> + Send + use<P, S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let counted = self.shared.counter.count();
        let incoming = Incoming::new(stream, TransportDetails::server(peer), counted);
        let (shared, lifecycle) = (Arc::clone(&self.shared), Arc::clone(&self.lifecycle));
        let with = (tls.clone(), shared.settings());
        let securing = secure(incoming, Arc::clone(&lifecycle), with);
        shared.serve(lifecycle, securing)
    }
}

impl Router {
    listening!(Router::checked);
}

fn with(listener: Listener, tls: &ServerTls) -> Vec<Secured> {
    vec![(listener, Security::Tls(tls.clone()))]
}
