//! TLS inside of a WebSocket connection.

use crate::authority::Authority;
use crate::world::within;
use motorway::{ClientOptions, ClientTls, Connector, ServerOptions, ServerTls};
use motorway::{WebSocketServerFactory, WebSocketStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn tls_runs_through_a_connection() {
    let authority = Authority::new();
    let tls = ServerTls::new(authority.issue("inside.test").identity()).unwrap();
    let trusting = ClientTls::new(&authority.roots()).unwrap();
    for protocol in ["binary", "base64"] {
        let inside = tls.clone();
        let mut factory = WebSocketServerFactory::from_handler(move |ws: WebSocketStream| {
            let inside = inside.clone();
            async move {
                let mut stream = inside.accept(ws.into_io()).await?;
                let mut octets = vec![0; 1_000_000];
                stream.read_exact(&mut octets).await?;
                stream.write_all(&octets).await?;
                Ok(stream.shutdown().await?)
            }
        });
        let options = ServerOptions::default().protocols(["base64", "binary"]);
        factory.set_protocol_options(options).unwrap();
        let server = factory.listen("127.0.0.1:0").await.unwrap();
        let url = format!("ws://127.0.0.1:{}/", server.local_addr().port());
        let mut connector = Connector::new(url).unwrap();
        let options = ClientOptions::default().protocols([protocol]);
        connector.set_protocol_options(options).unwrap();
        let outside = connector.connect().await.unwrap();
        assert_eq!(outside.subprotocol(), Some(protocol));
        let stream = trusting.connect("inside.test", outside.into_io());
        let mut stream = within(stream).await.unwrap();
        let sent = vec![9; 1_000_000];
        let mut received = Vec::new();
        stream.write_all(&sent).await.unwrap();
        stream.flush().await.unwrap();
        within(stream.read_to_end(&mut received)).await.unwrap();
        assert!(received == sent);
        assert!(
            stream
                .get_ref()
                .stream()
                .close_info()
                .is_none_or(|info| info.is_ok())
        );
    }
}
