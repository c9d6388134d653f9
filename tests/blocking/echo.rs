//! Conversations with servers that echo: the blocking one, and the one on tokio.

use crate::peer::{Echo, read_frame, read_request};
use motorway::blocking::{Connector, Server};
use motorway::{ClientOptions, CloseCode, DeflateOptions, Message, ServerOptions};
use std::io::Write;
use std::net::TcpStream;

fn options() -> Vec<ClientOptions> {
    let plain = ClientOptions::default();
    let deflated = plain.clone().per_message_deflate(DeflateOptions::default());
    let fragmented = plain.clone().auto_fragment_size(1000);
    vec![plain, deflated, fragmented]
}

fn converse(url: &str, options: ClientOptions) {
    let deflates = options != options.clone().per_message_deflate(None);
    let mut ws = Connector::new(url)
        .unwrap()
        .options(options)
        .connect()
        .unwrap();
    assert_eq!(
        ws.response().unwrap().extensions().len(),
        usize::from(deflates)
    );
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let octets: Vec<u8> = (0..size)
            .map(|i: u32| (i.wrapping_mul(i) >> 7).to_le_bytes()[0])
            .collect();
        ws.send(&octets[..]).unwrap();
        let text = "ä€😀".repeat(size as usize / 9);
        ws.send(&text).unwrap();
        assert!(ws.recv().unwrap() == Some(octets.into()), "{size}");
        assert!(ws.recv().unwrap() == Some(text.into()), "{size}");
    }
    let info = ws.close(CloseCode::NORMAL, "done").unwrap();
    assert!(info.is_ok() && info.reason == "done", "{info}");
    assert_eq!(ws.recv().unwrap(), None);
    assert!(ws.send("late").is_err());
}

#[test]
fn messages_of_all_sizes_come_back() {
    let server = ServerOptions::default().per_message_deflate(DeflateOptions::default());
    let echo = Echo::start(server);
    for options in options() {
        converse(&echo.url, options);
    }
}

#[test]
fn single_messages_stay_uncompressed_and_touch_no_window() {
    let options = ServerOptions::default().per_message_deflate(DeflateOptions::default());
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server.options(options).unwrap();
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut ws = server.accept().unwrap();
    read_request(&mut stream);
    ws.send("Hello").unwrap();
    ws.send_uncompressed("Hello").unwrap();
    ws.send("Hello").unwrap();
    let first = b"\xf2\x48\xcd\xc9\xc9\x07\x00".to_vec();
    assert_eq!(read_frame(&mut stream), (0xc1, first));
    assert_eq!(read_frame(&mut stream), (0x81, b"Hello".to_vec()));
    // A reference to the first, as if nothing had been sent in between.
    let again = b"\xf2\x00\x11\x00\x00".to_vec();
    assert_eq!(read_frame(&mut stream), (0xc1, again));
}

#[test]
fn iterator_ends_with_the_connection() {
    let echo = Echo::start(ServerOptions::default());
    let mut ws = motorway::blocking::connect(&echo.url).unwrap();
    for i in 0..10 {
        ws.send(i.to_string()).unwrap();
    }
    let received = ws.by_ref().take(10);
    let expected = (0..10).map(|i| Message::from(i.to_string()));
    assert!(received.map(Result::unwrap).eq(expected));
    ws.close(4000, "").unwrap();
    assert!(ws.next().is_none());
}

#[cfg(feature = "tokio")]
mod on_tokio {
    use super::{converse, options};
    use motorway::{
        DeflateOptions, HandlerResult, Message, ServerOptions, WebSocket, WebSocketServerFactory,
        WebSocketServerProtocol,
    };

    struct Echo;

    impl WebSocketServerProtocol for Echo {
        async fn on_message(&mut self, ws: &WebSocket, message: Message<'_>) -> HandlerResult {
            Ok(ws.send(message).await?)
        }
    }

    #[test]
    fn messages_of_all_sizes_come_back() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let server = runtime.block_on(async {
            let mut factory = WebSocketServerFactory::new(|| Echo);
            let options = ServerOptions::default().per_message_deflate(DeflateOptions::default());
            factory.set_protocol_options(options).unwrap();
            factory.listen("127.0.0.1:0").await.unwrap()
        });
        let url = format!("ws://{}/", server.local_addr());
        for options in options() {
            converse(&url, options);
        }
    }
}
