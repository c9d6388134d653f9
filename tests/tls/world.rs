//! A server that echoes and tells what it sees, and clients of it.

use crate::authority::{Authority, Issued};
use motorway::{
    ClientOptions, ClientTls, CloseInfo, ConnectionAccept, ConnectionDeny, ConnectionRequest,
    Error, HandlerResult, Message, Server, ServerOptions, ServerTls, TlsError, TransportDetails,
    WebSocket, WebSocketClientFactory, WebSocketClientProtocol, WebSocketServerFactory,
    WebSocketServerProtocol,
};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

/// What a protocol instance was told.
#[derive(Debug)]
pub(crate) enum Told {
    Transport(TransportDetails),
    Text(String),
    Size(usize),
    Closed(CloseInfo),
}

pub(crate) struct Echo(pub(crate) UnboundedSender<Told>);

impl WebSocketServerProtocol for Echo {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        let _ = self.0.send(Told::Transport(request.transport().clone()));
        Ok(ConnectionAccept::new())
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
        Ok(ws.send(message).await?)
    }

    async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
        let _ = self.0.send(Told::Closed(info));
        Ok(())
    }
}

pub(crate) struct Client(pub(crate) UnboundedSender<Told>);

impl WebSocketClientProtocol for Client {
    async fn on_connecting(
        &mut self,
        details: &TransportDetails,
    ) -> motorway::Result<Option<motorway::ConnectingRequest>> {
        let _ = self.0.send(Told::Transport(details.clone()));
        Ok(None)
    }

    async fn on_message(&mut self, _: &WebSocket, message: Message<'_>) -> HandlerResult {
        let _ = self.0.send(match message.is_text() {
            true => Told::Text(message.into_text()?.to_string()),
            false => Told::Size(message.len()),
        });
        Ok(())
    }

    async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
        let _ = self.0.send(Told::Closed(info));
        Ok(())
    }
}

/// An authority, a server with a certificate for `localhost`, and what the server was told.
pub(crate) struct World {
    pub(crate) authority: Authority,
    pub(crate) tls: ServerTls,
    pub(crate) factory: WebSocketServerFactory<Echo>,
    pub(crate) server: Server,
    pub(crate) told: UnboundedReceiver<Told>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(ServerOptions::default(), |tls, _| tls).await
    }

    pub(crate) async fn with(
        options: ServerOptions,
        change: impl FnOnce(ServerTls, &Authority) -> ServerTls,
    ) -> Self {
        let authority = Authority::new();
        let issued = authority.issue("localhost");
        Self::showing(authority, issued, (options, change)).await
    }

    pub(crate) async fn showing(
        authority: Authority,
        issued: Issued,
        (options, change): (
            ServerOptions,
            impl FnOnce(ServerTls, &Authority) -> ServerTls,
        ),
    ) -> Self {
        let tls = change(ServerTls::new(issued.identity()).unwrap(), &authority);
        let (sender, told) = unbounded_channel();
        let mut factory = WebSocketServerFactory::new(move || Echo(sender.clone()));
        factory.set_protocol_options(options).unwrap();
        let server = factory.listen_tls("127.0.0.1:0", &tls).await.unwrap();
        Self {
            authority,
            tls,
            factory,
            server,
            told,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("wss://localhost:{}/", self.server.local_addr().port())
    }

    pub(crate) fn trusting(&self) -> ClientTls {
        ClientTls::new(&self.authority.roots()).unwrap()
    }

    /// The server's account of the next connection before it opens.
    pub(crate) async fn transport(&mut self) -> TransportDetails {
        match within(self.told.recv()).await {
            Some(Told::Transport(details)) => details,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn closed(&mut self) -> CloseInfo {
        closed(&mut self.told).await
    }

    /// A client with this TLS connects and is answered.
    pub(crate) async fn greets(&mut self, tls: ClientTls) {
        let mut client = dial(&self.url(), tls).await.unwrap();
        client.ws.send("hello").await.unwrap();
        assert!(matches!(client.next().await, Told::Text(text) if text == "hello"));
        client.ws.close(1000, "").await.unwrap();
        assert!(within(client.ws.closed()).await.was_clean);
        self.transport().await;
        assert!(self.closed().await.was_clean);
    }

    /// A client with this TLS fails.
    pub(crate) async fn refuses(&self, tls: ClientTls) -> TlsError {
        fault(dial(&self.url(), tls).await.unwrap_err())
    }
}

#[derive(Debug)]
pub(crate) struct Dialed {
    pub(crate) ws: WebSocket,
    pub(crate) transport: TransportDetails,
    pub(crate) told: UnboundedReceiver<Told>,
}

impl Dialed {
    pub(crate) async fn next(&mut self) -> Told {
        within(self.told.recv()).await.unwrap()
    }
}

pub(crate) async fn dial(url: &str, tls: ClientTls) -> motorway::Result<Dialed> {
    dial_with(url, tls, ClientOptions::default()).await
}

pub(crate) async fn dial_with(
    url: &str,
    tls: ClientTls,
    options: ClientOptions,
) -> motorway::Result<Dialed> {
    let (sender, mut told) = unbounded_channel();
    let mut factory = WebSocketClientFactory::new(url, move || Client(sender.clone()))?;
    factory.set_tls(tls);
    factory.set_protocol_options(options)?;
    let ws = within(factory.connect()).await?;
    let Some(Told::Transport(transport)) = told.recv().await else {
        panic!("not told of the transport");
    };
    Ok(Dialed {
        ws,
        transport,
        told,
    })
}

pub(crate) async fn closed(told: &mut UnboundedReceiver<Told>) -> CloseInfo {
    loop {
        if let Told::Closed(info) = within(told.recv()).await.unwrap() {
            return info;
        }
    }
}

pub(crate) fn fault(error: Error) -> TlsError {
    match error {
        Error::Tls(error) => *error,
        error => panic!("{error:?}"),
    }
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(20), future).await.unwrap()
}
