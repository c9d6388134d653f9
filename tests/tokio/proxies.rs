//! Clients behind proxies: what goes through, and how it is told that nothing does.

use crate::wire::within;
use motorway::handshake::tunnel::{SocksReply, TunnelError};
use motorway::{
    ClientOptions, ConnectError, Connector, Error, Proxy, Retry, Server, WebSocketStream,
};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

async fn echo() -> Server {
    let handler = |mut ws: WebSocketStream| async move {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok(())
    };
    motorway::serve("127.0.0.1:0", handler).await.unwrap()
}

/// A proxy; sends what it was asked for, and by whom.
struct Running {
    address: SocketAddr,
    asked: UnboundedReceiver<String>,
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn octets(stream: &mut TcpStream, count: impl Into<usize>) -> Vec<u8> {
    let mut octets = vec![0; count.into()];
    stream.read_exact(&mut octets).await.unwrap();
    octets
}

/// Understands CONNECT to any place, and leads to `to` wherever it is asked for.
async fn connect_proxy(to: SocketAddr, answer: &'static str) -> Running {
    let (sender, asked) = unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            sender.send(read_head(&mut stream).await).unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            let mut server = TcpStream::connect(to).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut stream, &mut server).await });
        }
    });
    Running { address, asked }
}

/// Understands SOCKS5 with the user `ada` and the password `secret`, and SOCKS4; leads to `to`.
async fn socks_proxy(to: SocketAddr) -> Running {
    let (sender, asked) = unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let place = match stream.read_u8().await.unwrap() {
                5 => socks5(&mut stream).await,
                _ => socks4(&mut stream).await,
            };
            sender.send(place).unwrap();
            let mut server = TcpStream::connect(to).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut stream, &mut server).await });
        }
    });
    Running { address, asked }
}

async fn socks5(stream: &mut TcpStream) -> String {
    let count = stream.read_u8().await.unwrap();
    let methods = octets(stream, count).await;
    assert!(methods.contains(&2), "{methods:?}");
    stream.write_all(b"\x05\x02").await.unwrap();
    assert_eq!(octets(stream, 12usize).await, b"\x01\x03ada\x06secret");
    stream.write_all(b"\x01\x00").await.unwrap();
    let start = octets(stream, 4usize).await;
    let place = match start[3] {
        1 => format!("{:?}", octets(stream, 4usize).await),
        _ => {
            let length = stream.read_u8().await.unwrap();
            String::from_utf8(octets(stream, length).await).unwrap()
        }
    };
    let port = stream.read_u16().await.unwrap();
    stream
        .write_all(b"\x05\x00\x00\x01\0\0\0\0\0\0")
        .await
        .unwrap();
    format!("{place} {port}")
}

async fn socks4(stream: &mut TcpStream) -> String {
    assert_eq!(stream.read_u8().await.unwrap(), 1);
    let port = stream.read_u16().await.unwrap();
    let address = octets(stream, 4usize).await;
    let mut texts = Vec::new();
    // The user; for an address such as 0.0.0.1 the name, too.
    for _ in 0..1 + usize::from(address.starts_with(&[0, 0, 0])) {
        let mut text = Vec::new();
        loop {
            match stream.read_u8().await.unwrap() {
                0 => break,
                octet => text.push(octet),
            }
        }
        texts.push(String::from_utf8(text).unwrap());
    }
    stream.write_all(b"\0\x5a\0\0\0\0\0\0").await.unwrap();
    format!("{address:?} {port} {texts:?}")
}

async fn connect(url: &str, proxy: &str) -> motorway::Result<WebSocketStream> {
    let mut connector = Connector::new(url)?;
    connector.set_protocol_options(ClientOptions::default().proxy(proxy))?;
    within(connector.connect()).await
}

async fn assert_echoes(mut ws: WebSocketStream) {
    ws.send("through").await.unwrap();
    let echoed = within(ws.recv()).await.unwrap().unwrap();
    assert_eq!(echoed.as_text(), Some("through"));
    assert!(within(ws.close(1000, "")).await.unwrap().was_clean);
}

#[tokio::test]
async fn an_http_proxy_is_asked_for_the_server_and_told_who_asks() {
    let server = echo().await;
    let answer = "HTTP/1.0 200 Connection established\r\nVia: 1.0 test\r\n\r\n";
    let mut proxy = connect_proxy(server.local_addr(), answer).await;
    let url = "ws://server.invalid:81/chat";
    let ws = connect(url, &format!("http://ada:s%40cret@{}", proxy.address)).await;
    let ws = ws.unwrap();
    let asked = proxy.asked.recv().await.unwrap();
    assert!(
        asked.starts_with("CONNECT server.invalid:81 HTTP/1.1\r\nHost: server.invalid:81\r\n"),
        "{asked}"
    );
    // base64 of `ada:s@cret`.
    assert!(
        asked.contains("\r\nProxy-Authorization: Basic YWRhOnNAY3JldA==\r\n"),
        "{asked}"
    );
    // The server sees nothing of that, and the client tells what it went through.
    let details = ws.request().transport();
    assert!(ws.request().headers().get("proxy-authorization").is_none());
    assert_eq!(ws.request().header("host"), Some("server.invalid:81"));
    assert_eq!(details.proxy(), Some(&*format!("http://{}", proxy.address)));
    assert_eq!(details.peer().socket_addr(), Some(proxy.address));
    assert_echoes(ws).await;
}

#[tokio::test]
async fn what_comes_behind_the_answer_of_a_proxy_is_not_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let client = tokio::spawn(async move { connect("ws://server.invalid/", &proxy).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    read_head(&mut stream).await;
    // The end of the proxy's answer and the beginning of the server's come together.
    stream
        .write_all(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 418 Tea")
        .await
        .unwrap();
    read_head(&mut stream).await;
    stream
        .write_all(b"pot\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
    let error = within(client).await.unwrap().unwrap_err();
    let Error::Handshake(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.status().as_u16(), 418);
}

#[tokio::test]
async fn a_socks_proxy_is_asked_by_name_or_by_address() {
    let server = echo().await;
    let mut proxy = socks_proxy(server.local_addr()).await;
    let address = proxy.address;
    for (proxy_url, url, expected) in [
        (
            format!("socks5h://ada:secret@{address}"),
            "ws://server.invalid:81/",
            "server.invalid 81",
        ),
        (
            format!("socks5://ada:secret@{address}"),
            "ws://127.0.0.1:82/",
            "[127, 0, 0, 1] 82",
        ),
        (
            format!("socks4a://ada@{address}"),
            "ws://server.invalid:83/",
            r#"[0, 0, 0, 1] 83 ["ada", "server.invalid"]"#,
        ),
        (
            format!("socks4://{address}"),
            "ws://localhost:84/",
            r#"[127, 0, 0, 1] 84 [""]"#,
        ),
    ] {
        let ws = connect(url, &proxy_url).await.unwrap();
        assert_eq!(proxy.asked.recv().await.unwrap(), expected);
        assert_echoes(ws).await;
    }
}

#[tokio::test]
async fn exceptions_and_unix_sockets_have_no_proxy() {
    let server = echo().await;
    let url = format!("ws://{}", server.local_addr());
    // A proxy that nobody can connect to.
    let nowhere = Proxy::new("http://127.0.0.1:1").unwrap();
    for (proxy, through) in [
        (Proxy::none(), false),
        (nowhere.clone().except(["127.0.0.0/8"]), false),
        (nowhere.clone(), true),
    ] {
        let mut connector = Connector::new(&url).unwrap();
        let options = ClientOptions::default().proxy(proxy);
        connector.set_protocol_options(options).unwrap();
        let connected = within(connector.connect()).await;
        assert_eq!(connected.is_err(), through);
        if let Ok(ws) = connected {
            assert_eq!(ws.request().transport().proxy(), None);
        }
    }
    #[cfg(unix)]
    {
        let mut connector = Connector::new("ws://unix:/no/such.sock").unwrap();
        let options = ClientOptions::default().proxy(nowhere);
        connector.set_protocol_options(options).unwrap();
        let Error::Connect(error) = connector.connect().await.unwrap_err() else {
            panic!("not an error of connecting");
        };
        assert!(matches!(*error, ConnectError::Socket { .. }), "{error:?}");
    }
}

async fn failure(proxy: &str) -> ConnectError {
    failure_for("ws://server.invalid/", proxy).await
}

async fn failure_for(url: &str, proxy: &str) -> ConnectError {
    let error = connect(url, proxy).await.unwrap_err();
    let mut text = format!("{error:?}");
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        text.push_str(&error.to_string());
        cause = error.source();
    }
    assert!(!text.contains("secret") && !text.contains("ada"), "{text}");
    match error {
        Error::Connect(error) => *error,
        error => panic!("{error:?}"),
    }
}

/// Answers each read of a client with the next of these, and closes.
async fn scripted(answers: &'static [&'static [u8]]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for answer in answers {
            stream
                .read_buf(&mut Vec::with_capacity(4096))
                .await
                .unwrap();
            stream.write_all(answer).await.unwrap();
        }
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    address
}

#[tokio::test]
async fn a_proxy_that_cannot_be_reached_is_told_from_a_server() {
    let error = failure("http://ada:secret@no.such.invalid:3128").await;
    let ConnectError::ProxyUnreachable { proxy, source, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(proxy, "http://no.such.invalid:3128");
    assert!(matches!(*source, ConnectError::Unresolved { .. }));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = listener.local_addr().unwrap();
    drop(listener);
    let error = failure(&format!("socks5h://{refusing}")).await;
    let text = format!("cannot connect to the proxy socks5h://{refusing}");
    assert_eq!(error.to_string(), text);
    let ConnectError::ProxyUnreachable { source, .. } = error else {
        panic!("{error:?}");
    };
    assert!(matches!(*source, ConnectError::Refused { .. }));
    // Where this end is to resolve the name of the server, that is what fails.
    for scheme in ["socks5", "socks4"] {
        let error = failure(&format!("{scheme}://{refusing}")).await;
        assert!(
            matches!(error, ConnectError::Unresolved { .. }),
            "{error:?}"
        );
    }
}

/// What a proxy of this scheme leads to that answers so.
async fn fault(scheme: &str, answers: &'static [&'static [u8]]) -> TunnelError {
    let address = scripted(answers).await;
    let user = match scheme {
        "socks4a" => "ada",
        _ => "ada:secret",
    };
    match failure(&format!("{scheme}://{user}@{address}")).await {
        ConnectError::Tunnel { proxy, source, .. } => {
            assert_eq!(proxy, format!("{scheme}://{address}"));
            source
        }
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn each_refusal_of_an_http_proxy_is_an_error_of_its_own() {
    let error = fault(
        "http",
        &[b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n"],
    )
    .await;
    let TunnelError::Refused {
        status, headers, ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(status.as_u16(), 407);
    assert_eq!(headers["proxy-authenticate"], "Basic");
    let error = fault("http", &[b"SSH-2.0-OpenSSH_9.6\r\n\r\n"]).await;
    assert!(matches!(error, TunnelError::MalformedHead(_)), "{error:?}");
    let error = fault("http", &[&[b'x'; 9000]]).await;
    assert!(matches!(error, TunnelError::HeadTooLarge(_)), "{error:?}");
    let error = fault("http", &[b"HTTP/1.1 200 "]).await;
    assert_eq!(error, TunnelError::Closed);
}

#[tokio::test]
async fn each_refusal_of_a_socks_proxy_is_an_error_of_its_own() {
    let refused = TunnelError::Socks(SocksReply::ConnectionRefused);
    let cases: [(&str, &'static [&'static [u8]], TunnelError); 6] = [
        ("socks5h", &[b"\x05\xff"], TunnelError::NoAcceptableMethod),
        (
            "socks5h",
            &[b"\x05\x02", b"\x01\x01"],
            TunnelError::AuthenticationRefused,
        ),
        (
            "socks5h",
            &[b"\x05\x00", b"\x05\x05\0\x01\0\0\0\0\0\0"],
            refused,
        ),
        (
            "socks5h",
            &[b"HTTP/1.1 400 Bad Request\r\n\r\n"],
            TunnelError::MalformedAnswer,
        ),
        ("socks5h", &[b"\x05\x00", b""], TunnelError::Closed),
        (
            "socks4a",
            &[b"\0\x5b\0\0\0\0\0\0"],
            TunnelError::Socks(SocksReply::Rejected),
        ),
    ];
    for (scheme, answers, expected) in cases {
        assert_eq!(fault(scheme, answers).await, expected);
    }
    let error = failure_for("ws://[::1]/", "socks4://127.0.0.1:1").await;
    assert!(
        matches!(
            &error,
            ConnectError::Tunnel {
                source: TunnelError::UnsupportedHost { .. },
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_connection_to_a_proxy_that_fails_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let reset = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        // Closed with something unread, TCP is reset.
        stream.read_u8().await.unwrap();
    };
    let (error, ()) = tokio::join!(failure(&proxy), reset);
    assert!(
        matches!(error, ConnectError::ProxyStream { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_silent_proxy_has_as_long_as_connecting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let mut connector = Connector::new("ws://server.invalid/").unwrap();
    let options = ClientOptions::default()
        .proxy(proxy)
        .connect_timeout(Duration::from_millis(100));
    connector.set_protocol_options(options).unwrap();
    let connected = async { within(connector.connect()).await };
    let (connected, accepted) = tokio::join!(connected, listener.accept());
    let Error::Connect(error) = connected.unwrap_err() else {
        panic!("not an error of connecting");
    };
    assert!(matches!(*error, ConnectError::Timeout { .. }), "{error:?}");
    drop(accepted);
}

#[test]
fn wrong_proxies_are_refused_when_they_are_set() {
    let mut connector = Connector::new("ws://server.invalid/").unwrap();
    for url in [
        "proxy:3128",
        "ftp://ada:secret@proxy",
        "http://ada:secret@proxy/path",
    ] {
        let options = ClientOptions::default().proxy(url);
        let Error::Options(error) = connector.set_protocol_options(options).unwrap_err() else {
            panic!("not an error of the options");
        };
        assert_eq!(error.option(), "proxy");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let options = ClientOptions::default().proxy("http://ada:secret@proxy");
    assert!(!format!("{options:?}").contains("secret"));
}

#[cfg(not(feature = "rustls"))]
#[tokio::test]
async fn a_proxy_with_tls_needs_the_feature() {
    let connected = connect("ws://server.invalid/", "https://127.0.0.1:1").await;
    assert!(matches!(connected.unwrap_err(), Error::TlsUnsupported));
}

#[tokio::test]
async fn a_refusal_that_passes_is_tried_again() {
    for (answer, expected) in [
        (
            &[b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\n\r\n" as &[u8]],
            Retry::After(Duration::from_secs(2)),
        ),
        (&[b"HTTP/1.1 407 Who?\r\n\r\n"], Retry::Never),
    ] {
        let address = scripted(answer).await;
        let ended = connect("ws://server.invalid/", &format!("http://{address}")).await;
        assert_eq!(Retry::of(&Err(ended.unwrap_err())), expected);
    }
}
