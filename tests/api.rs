//! The public face: names that users compile against, what may cross threads, what idle state costs.

#![cfg(test)]

use motorway::connection::{Connection, PreparedMessage, Receiver, Rules, Scanner, Sender, Timers};
use std::mem::size_of;

fn is_shared<T: Send + Sync + 'static>() {}
fn is_sent<T: Send + 'static>() {}

#[test]
fn values_and_the_engine_cross_threads() {
    is_shared::<motorway::CloseInfo>();
    is_shared::<motorway::CloseFrame>();
    is_shared::<motorway::CloseCause>();
    is_shared::<motorway::ProtocolError>();
    is_shared::<motorway::SendError>();
    is_shared::<motorway::HandshakeError>();
    is_shared::<motorway::OptionsError>();
    is_shared::<motorway::Message<'static>>();
    is_shared::<motorway::ServerOptions>();
    is_shared::<motorway::ClientOptions>();
    is_shared::<motorway::PerMessageDeflateOfferAccept>();
    is_shared::<motorway::PerMessageDeflateResponseAccept>();
    is_shared::<motorway::PerMessageDeflateError>();
    is_shared::<motorway::ConnectionRequest>();
    is_shared::<motorway::ConnectionResponse>();
    is_shared::<motorway::ConnectionAccept>();
    is_shared::<motorway::ConnectionDeny>();
    is_shared::<PreparedMessage>();
    is_shared::<Rules>();
    is_shared::<Scanner>();
    is_shared::<Timers>();
    is_shared::<Receiver>();
    // Masking keys come from a closure of the caller's, which need not be `Sync`.
    is_sent::<Sender>();
    is_sent::<Connection>();
}

// What every idle connection holds. The bounds are a little above what there is: whoever raises
// them has made every connection dearer.
#[test]
fn idle_state_is_small() {
    assert!(size_of::<Receiver>() <= 240, "{}", size_of::<Receiver>());
    assert!(size_of::<Sender>() <= 72, "{}", size_of::<Sender>());
    assert!(size_of::<Timers>() <= 48, "{}", size_of::<Timers>());
    assert!(size_of::<motorway::Message<'static>>() <= 48);
    assert!(size_of::<motorway::ProtocolError>() <= 24);
    assert!(size_of::<motorway::SendError>() <= 24);
}

#[test]
fn names_of_the_engine_are_public() {
    use motorway::{
        AllowedOrigins, Bytes, ClientOptions, CloseCause, CloseCode, CloseFrame, CloseInfo,
        ConnectingRequest, ConnectionAccept, ConnectionDeny, ConnectionRequest, ConnectionResponse,
        DeflateOptions, Endpoint, HandshakeError, HeaderMap, HeaderName, HeaderValue, HttpRequest,
        HttpResponse, Message, MessageKind, NotUtf8, OptionsError, OverflowPolicy, Payload, Peer,
        PreparedMessage, ProtocolError, Receive, SendError, ServerOptions, StatusCode, Text,
        TimeoutKind, TransportDetails, Uri, Url,
    };
    type Values = (
        Bytes,
        CloseCode,
        CloseFrame,
        Message<'static>,
        Payload<'static>,
    );
    type More = (MessageKind, NotUtf8, PreparedMessage, Text<'static>, Peer);
    type Options = (
        AllowedOrigins,
        ClientOptions,
        DeflateOptions,
        OptionsError,
        (OverflowPolicy, ServerOptions),
    );
    type Closing = (
        CloseCause,
        CloseInfo,
        Endpoint,
        ProtocolError,
        SendError,
        TimeoutKind,
    );
    type Server = (
        ConnectionAccept,
        ConnectionDeny,
        ConnectionRequest,
        HandshakeError,
        (HttpRequest, HttpResponse),
    );
    type Client = (
        ConnectingRequest,
        ConnectionResponse,
        TransportDetails,
        Url,
        Receive,
    );
    type Http = (HeaderMap, HeaderName, HeaderValue, StatusCode, Uri);
    is_sent::<(Values, More, Options, Closing, Server, Client, Http)>();
    assert_eq!(
        [Receive::Messages, Receive::Frames, Receive::Stream].len(),
        3
    );
    // Autobahn's defaults and the safe ones.
    assert!(ServerOptions::autobahn().validate().is_ok());
    assert!(ClientOptions::autobahn().validate().is_ok());
    assert!(ServerOptions::default().validate().is_ok());
    assert!(ClientOptions::default().validate().is_ok());
}

#[test]
fn messages_are_made_from_what_users_have() {
    use motorway::{Bytes, Message};
    let messages: [Message<'_>; 6] = [
        "text".into(),
        String::from("text").into(),
        b"octets".into(),
        (&b"octets"[..]).into(),
        vec![1, 2].into(),
        Bytes::from_static(b"octets").into(),
    ];
    assert_eq!(
        messages.iter().filter(|message| message.is_text()).count(),
        2
    );
    let [first, ..] = messages;
    assert_eq!(
        (first.len(), first.is_empty(), first.is_binary()),
        (4, false, false)
    );
    assert_eq!(first.into_owned().into_text().unwrap(), "text");
}

#[cfg(feature = "tokio")]
#[test]
fn names_of_hubs_are_public() {
    use motorway::{
        Broker, BrokerError, BrokerEvent, BrokerState, Error, Hub, HubError, HubEvent, HubEvents,
        Overflow, Present, Publication, Published,
    };
    is_shared::<(Hub, HubError, HubEvent, HubEvents, Overflow)>();
    is_shared::<(Present, Publication, Published)>();
    is_shared::<(BrokerError, BrokerEvent, BrokerState)>();
    fn joined<B: Broker>(broker: B) -> Hub {
        Hub::with_broker(broker)
    }
    let _ = (joined::<Nowhere>, Error::Hub);
    // What every hub that is at work has in each of its members.
    assert!(size_of::<Overflow>() <= 64, "{}", size_of::<Overflow>());
}

#[cfg(feature = "tokio")]
struct Nowhere;

#[cfg(feature = "tokio")]
impl motorway::Broker for Nowhere {
    async fn publish(&self, _: &str, _: motorway::Bytes) -> Result<(), motorway::BrokerError> {
        Ok(())
    }

    async fn subscribe(&self, _: &str) -> Result<(), motorway::BrokerError> {
        Ok(())
    }

    async fn unsubscribe(&self, _: &str) -> Result<(), motorway::BrokerError> {
        Ok(())
    }

    async fn next(&self) -> motorway::BrokerEvent {
        std::future::pending().await
    }
}

#[cfg(feature = "blocking")]
#[test]
fn names_of_the_blocking_face_are_public() {
    use motorway::blocking::{
        Connector, Received, Server, Stopper, Trace, WebSocket, WebSocketApp, WebSocketStream,
    };
    is_shared::<(Connector, Received, Server, Stopper)>();
    is_shared::<(Trace<'static>, WebSocket, WebSocketStream)>();
    // As in the contract: a client in a few lines, errors by `?`.
    fn short_lived() -> Result<(), Box<dyn std::error::Error>> {
        let mut ws = motorway::blocking::connect("ws://localhost:4040/")?;
        ws.send("Hello, Server")?;
        println!("{}", ws.recv()?.unwrap().into_text()?);
        Ok(())
    }
    let _ = (short_lived, WebSocketApp::run_forever);
}

#[cfg(feature = "tokio")]
mod tokio {
    use super::{is_sent, is_shared};
    use motorway::{
        CloseInfo, ConnectionAccept, ConnectionDeny, ConnectionRequest, Error, HandlerError,
        HandlerResult, Message, Server, WebSocket, WebSocketClientFactory, WebSocketClientProtocol,
        WebSocketServerFactory, WebSocketServerProtocol,
    };

    #[cfg(feature = "rustls")]
    #[test]
    fn what_tls_is_made_with_crosses_threads() {
        is_shared::<motorway::ServerTls>();
        is_shared::<motorway::ClientTls>();
        is_shared::<motorway::Identity>();
        is_shared::<motorway::Roots>();
        is_shared::<motorway::TlsError>();
        is_sent::<motorway::TlsStream<::tokio::net::TcpStream>>();
    }

    #[cfg(feature = "hyper")]
    #[test]
    fn names_of_mounts_are_public() {
        use motorway::handshake::server::into_http;
        use motorway::http::{Method, Request, Response, StatusCode, Version};
        use motorway::{HandshakeError, HttpBody, MountedConnection, WebSocketService};
        is_sent::<(HttpBody, MountedConnection)>();
        is_shared::<WebSocketService<Every>>();
        // Of an error for the client, and of one that is the server's.
        assert_eq!(HandshakeError::UnsupportedProtocol.status(), 501);
        assert_eq!(HandshakeError::NotUpgradable.status(), 500);
        let response = into_http(b"HTTP/1.1 403 Forbidden\r\n\r\n", Version::HTTP_11).unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        // A server of hyper answers in tasks that may move, whatever the body of the request.
        async fn answer(factory: WebSocketServerFactory<Every>, mut request: Request<String>) {
            let upgraded = factory.upgrade(&mut request).await;
            let (_, connection): (Response<HttpBody>, MountedConnection) = upgraded.unwrap();
            let _: motorway::Result<CloseInfo> = connection.await;
        }
        fn spawned<F: Future + Send>(_: F) {}
        let factory = WebSocketServerFactory::new(|| Every);
        spawned(factory.shutdown_after(std::future::pending::<()>()));
        let request = Request::builder().method(Method::GET).body(String::new());
        spawned(answer(factory, request.unwrap()));
    }

    #[cfg(feature = "axum")]
    #[test]
    fn names_for_axum_are_public() {
        use axum::extract::{FromRequestParts, OptionalFromRequestParts};
        use motorway::{NotWebSocket, WebSocketUpgrade};
        is_sent::<WebSocketUpgrade>();
        is_shared::<NotWebSocket>();
        fn is_extractor<T: FromRequestParts<()> + OptionalFromRequestParts<()>>() {}
        is_extractor::<WebSocketUpgrade>();
    }

    #[cfg(feature = "nats")]
    #[test]
    fn names_for_nats_are_public() {
        use motorway::{Broker, BrokerError, NatsBroker, NatsBrokerBuilder, async_nats};
        is_shared::<NatsBroker>();
        is_shared::<NatsBrokerBuilder>();
        fn is_broker<T: Broker>() {}
        is_broker::<NatsBroker>();
        fn spawned<F: Future + Send + 'static>(_: F) {}
        spawned(async {
            let builder: NatsBrokerBuilder = NatsBroker::builder().prefix("shop")?;
            let builder = builder.options(async_nats::ConnectOptions::new());
            let _: NatsBroker = builder.connect("nats://localhost").await?;
            NatsBroker::connect("nats://localhost").await
        });
        let error: BrokerError = NatsBroker::builder().prefix("").unwrap_err();
        assert!(matches!(error, BrokerError::Prefix { .. }));
    }

    #[cfg(feature = "redis")]
    #[test]
    fn names_for_redis_are_public() {
        use motorway::{Broker, RedisBroker, RedisBrokerBuilder, RedisChannels};
        is_shared::<RedisBroker>();
        is_shared::<RedisBrokerBuilder>();
        fn is_broker<T: Broker>() {}
        is_broker::<RedisBroker>();
        fn spawned<F: Future + Send + 'static>(_: F) {}
        spawned(async {
            let builder: RedisBrokerBuilder = RedisBroker::builder().prefix("shop");
            let builder = builder.ping_interval(std::time::Duration::from_secs(1));
            let builder = builder.channels(RedisChannels::default());
            let _: RedisBroker = builder.connect("redis://localhost").await?;
            RedisBroker::connect("redis://localhost").await
        });
    }

    #[cfg(feature = "http2")]
    #[test]
    fn connections_of_http2_cross_threads() {
        use motorway::{Connector, Http2Connection, Http2Error};
        is_shared::<Http2Connection>();
        is_shared::<Http2Error>();
        fn spawned<F: Future + Send + 'static>(_: F) {}
        spawned(async {
            let connector = Connector::new("wss://localhost:8443/chat")?;
            let http2 = connector.connect_http2().await?;
            assert!(http2.clone().is_open());
            let mut ws: motorway::WebSocketStream = connector.connect_over(&http2).await?;
            ws.send("Hello").await?;
            let factory = WebSocketClientFactory::new("wss://localhost:8443/chat", || Hello)?;
            let _: WebSocket = factory.connect_over(&http2).await?;
            let _: CloseInfo = factory.run_over(&http2).await?;
            ws.close(motorway::CloseCode::NORMAL, "").await
        });
    }

    struct Every;

    impl WebSocketServerProtocol for Every {
        async fn on_connect(
            &mut self,
            request: &ConnectionRequest,
        ) -> Result<ConnectionAccept, ConnectionDeny> {
            if request.path() != "/" {
                return Err(motorway::StatusCode::NOT_FOUND.into());
            }
            Ok(ConnectionAccept::select(request.protocols(), ["chat"]))
        }

        async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
            let _ = "1".parse::<u8>()?;
            Ok(ws.send("Hello").await?)
        }

        async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
            ws.send(message).await?;
            Ok(())
        }

        async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
            assert!(info.is_ok());
            Ok(())
        }
    }

    struct Hello;

    impl WebSocketClientProtocol for Hello {
        async fn on_open(&mut self, ws: &WebSocket) -> HandlerResult {
            Ok(ws.send("Hello, world!").await?)
        }
    }

    #[test]
    fn handles_factories_and_errors_cross_threads() {
        is_shared::<WebSocket>();
        is_shared::<Error>();
        is_shared::<motorway::ConnectError>();
        is_shared::<Server>();
        is_shared::<motorway::Router>();
        is_shared::<WebSocketServerFactory<fn() -> Every>>();
        is_shared::<WebSocketClientFactory<fn() -> Hello>>();
        is_sent::<HandlerError>();
        is_sent::<motorway::FrameCodec>();
    }

    // What every connection costs on the heap as long as it lives.
    #[::tokio::test]
    async fn the_future_of_an_echo_is_small() {
        struct Echo;

        impl WebSocketServerProtocol for Echo {
            async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
                Ok(ws.send(message).await?)
            }
        }

        let listener = ::tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap();
        let stream = ::tokio::net::TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let future = WebSocketServerFactory::new(|| Echo).serve_stream(stream);
        assert!(size_of_val(&future) <= 640, "{}", size_of_val(&future));
    }

    // What the contract of callbacks rests on: any error becomes one of a callback, by `?`.
    #[test]
    fn any_error_becomes_an_error_of_a_callback() {
        fn fails() -> HandlerResult {
            let _ = "x".parse::<u8>()?;
            Ok(())
        }
        let error: Box<dyn std::error::Error> = fails().unwrap_err().into();
        assert!(!error.to_string().is_empty());
        fn is_error<T: std::error::Error + Send + Sync + 'static>() {}
        is_error::<Error>();
        is_error::<motorway::SendError>();
        is_error::<motorway::HandshakeError>();
        let _ = HandlerError::close(motorway::CloseCode::NORMAL, "done");
    }

    #[test]
    fn streams_cross_threads() {
        use motorway::{Connections, Connector, HandlerProtocol};
        use motorway::{WebSocketReader, WebSocketStream, WebSocketWriter};
        is_shared::<WebSocketStream>();
        is_shared::<WebSocketReader>();
        is_shared::<WebSocketWriter>();
        is_shared::<motorway::WebSocketIo>();
        is_shared::<motorway::WrappingError>();
        is_shared::<Connector>();
        is_sent::<Connections>();
        is_shared::<WebSocketServerFactory<HandlerProtocol>>();
        fn spawned<F: Future + Send>(_: F) {}
        spawned(motorway::connect("ws://127.0.0.1:9"));
        spawned(async {
            let mut ws: WebSocketStream = motorway::connect("ws://127.0.0.1:9").await?;
            ws.send("Hello").await?;
            while let Some(message) = ws.recv().await? {
                let _: Message<'static> = message;
            }
            ws.close(motorway::CloseCode::NORMAL, "").await
        });
    }

    #[test]
    fn factories_are_made_of_closures() {
        let mut server = WebSocketServerFactory::new(|| Every);
        let url = "wss://example.com/chat".to_owned();
        server
            .set_protocol_options(motorway::ServerOptions::default().url(url.clone()))
            .unwrap();
        assert_eq!(server.url(), Some(url));
        assert!(WebSocketClientFactory::new("ws://127.0.0.1:9000", || Hello).is_ok());
    }
}
