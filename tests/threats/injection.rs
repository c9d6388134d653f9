//! Headers that somebody else writes.

use crate::world::{Raw, ask, request, within};
use motorway::{
    ClientOptions, ConnectionAccept, ConnectionDeny, ConnectionRequest, Connector, StatusCode,
    WebSocketServerFactory, WebSocketServerProtocol,
};
use tokio::net::TcpListener;

struct Careless;

impl WebSocketServerProtocol for Careless {
    async fn on_connect(
        &mut self,
        request: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        let evil = "x\r\nSet-Cookie: evil=1";
        match request.path() {
            "/reason" => Err(ConnectionDeny::new(StatusCode::FORBIDDEN).reason(evil)),
            "/deny" => Err(ConnectionDeny::new(StatusCode::FORBIDDEN).header("x-why", evil)),
            "/name" => Err(ConnectionDeny::new(StatusCode::FORBIDDEN).header(evil, "x")),
            "/accept" => Ok(ConnectionAccept::new().header("x-why", evil)),
            "/protocol" => Ok(ConnectionAccept::new().protocol(evil)),
            _ => Err(StatusCode::NOT_FOUND.into()),
        }
    }
}

/// Header injection (CVE-2020-35678, RUSTSEC-2017-0002) out of what callbacks put into answers, and out of
/// what a request says.
#[tokio::test]
async fn header_injection_out_of_answers() {
    let server = WebSocketServerFactory::new(|| Careless)
        .listen("127.0.0.1:0")
        .await
        .unwrap();
    for path in [
        "/reason",
        "/deny",
        "/name",
        "/accept",
        "/protocol",
        "/%0d%0aSet-Cookie:%20evil=1",
    ] {
        let (status, answer) = ask(&server, request("").replacen('/', path, 1)).await;
        assert!([403, 404, 500].contains(&status), "{path}: {answer}");
        assert!(
            !answer.to_lowercase().contains("\nset-cookie"),
            "{path}: {answer}"
        );
    }
    // The status page shows nothing of the request either.
    let plain = "GET /<script>?redirect=%0d%0aSet-Cookie:%20evil HTTP/1.1\r\nHost: <b>.com\r\n\r\n";
    for octets in [plain, &plain.replace("<b>", "b")] {
        let (_, answer) = ask(&server, octets).await;
        assert!(
            !answer.contains("evil") && !answer.contains("<script>") && !answer.contains("<b>"),
            "{answer}"
        );
    }
}

/// Header injection out of what a client is given: its URL, its headers, a redirect.
#[tokio::test]
async fn header_injection_out_of_urls_and_headers() {
    for url in [
        "ws://a/\r\nX: y",
        "ws://a\r\nX: y/",
        "ws://a/ X",
        "ws://a/\0",
        "ws://a/?\n",
        "ws://u\r\n@a/",
    ] {
        match Connector::new(url) {
            Err(_) => {}
            Ok(connector) => {
                let url = connector.url().to_string();
                assert!(!url.contains(['\r', '\n', '\0', ' ']), "{url:?}");
            }
        }
    }
    let options = ClientOptions::default;
    for options in [
        options().header("x-a", "b\r\nX: y"),
        options().header("x-a\r\nX", "b"),
        options().header("x-a", "b\0"),
        options().origin("https://a\r\nX: y".to_owned()),
        options().useragent("a\r\nX: y".to_owned()),
        options().protocols(["a\r\nX: y"]),
    ] {
        options.validate().unwrap_err();
    }
    // A redirect stays a URL: what is encoded in it stays so.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut connector = Connector::new(format!("ws://{address}")).unwrap();
    connector
        .set_protocol_options(options().max_redirects(1))
        .unwrap();
    let dialing = tokio::spawn(async move { connector.connect().await });
    let mut raw = Raw::on(within(listener.accept()).await.unwrap().0);
    raw.head().await;
    raw.write(format!(
        "HTTP/1.1 302 F\r\nLocation: ws://{address}/%0d%0aX-Evil:%20y\r\nContent-Length: 0\r\n\r\n"
    ))
    .await;
    let mut raw = Raw::on(within(listener.accept()).await.unwrap().0);
    let head = raw.head().await;
    assert!(
        head.starts_with("GET /%0d%0aX-Evil:%20y HTTP/1.1\r\n"),
        "{head}"
    );
    drop(raw);
    within(dialing).await.unwrap().unwrap_err();
}
