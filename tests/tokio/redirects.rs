//! Redirects of the opening handshake.

use crate::observed::{Capture, Seen};
use crate::probe::quiet;
use crate::wire::{Raw, header, response, settle, within};
use motorway::{
    ClientOptions, ConnectingRequest, Connector, Error, HandshakeError, WebSocketClientFactory,
    WebSocketStream,
};
use tokio::net::{TcpListener, TcpStream};
use tracing_subscriber::filter::LevelFilter;

struct Site {
    listener: TcpListener,
    port: u16,
}

impl Site {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener, port }
    }

    fn url(&self, resource: &str) -> String {
        format!("ws://127.0.0.1:{}{resource}", self.port)
    }

    /// Takes one connection and its request.
    async fn request(&self) -> (Raw<TcpStream>, String) {
        let (stream, _) = within(self.listener.accept()).await.unwrap();
        let mut peer = Raw::server(stream);
        let request = peer.head().await;
        (peer, request)
    }

    /// Leads one client elsewhere; returns its request.
    async fn lead(&self, status: u16, location: &str) -> String {
        let (mut peer, request) = self.request().await;
        let answer = format!("HTTP/1.1 {status} Go\r\nLocation: {location}\r\n\r\n");
        peer.write(answer).await;
        request
    }

    /// Takes one client in; returns its request.
    async fn open(&self) -> (Raw<TcpStream>, String) {
        let (mut peer, request) = self.request().await;
        peer.write(response(&request, "")).await;
        (peer, request)
    }
}

fn options(redirects: u32) -> ClientOptions {
    let options = ClientOptions::default().max_redirects(redirects);
    options
        .header("authorization", "Bearer 1")
        .header("cookie", "a=b")
        .header("x-kept", "yes")
}

async fn connect(url: String, options: ClientOptions) -> motorway::Result<WebSocketStream> {
    let mut connector = Connector::new(url)?;
    connector.set_protocol_options(options)?;
    within(connector.connect()).await
}

#[tokio::test]
async fn redirects_are_followed_if_they_are_asked_for() {
    let (one, two) = (Site::new().await, Site::new().await);
    let connecting = tokio::spawn(connect(one.url("/a/b"), options(5)));
    for (status, location, expected) in [
        (301, "c?d=e".to_owned(), "/a/b"),
        (302, "/f".to_owned(), "/a/c?d=e"),
        (307, one.url("/g").replace("ws:", "http:"), "/f"),
        (308, two.url("/h#i"), "/g"),
    ] {
        let request = one.lead(status, &location).await;
        assert!(
            request.starts_with(&format!("GET {expected} ")),
            "{request}"
        );
        assert_eq!(header(&request, "cookie").as_deref(), Some("a=b"));
        assert_eq!(
            header(&request, "authorization").as_deref(),
            Some("Bearer 1")
        );
    }
    let (_peer, request) = two.open().await;
    assert!(request.starts_with("GET /h "), "{request}");
    assert_eq!(
        header(&request, "host"),
        Some(format!("127.0.0.1:{}", two.port))
    );
    // Another port is another origin.
    assert_eq!(header(&request, "cookie"), None);
    assert_eq!(header(&request, "authorization"), None);
    assert_eq!(header(&request, "x-kept").as_deref(), Some("yes"));
    let ws = within(connecting).await.unwrap().unwrap();
    let url = ws.response().unwrap().url().unwrap();
    assert_eq!(url.to_string(), two.url("/h"));
    assert_eq!(ws.handle().path(), "/h");
    assert_eq!(ws.request().path(), "/h");
    assert_eq!(ws.peer().socket_addr().unwrap().port(), two.port);
}

#[tokio::test]
async fn queries_of_redirects_are_not_logged() {
    let (capture, _guard) = Capture::start(LevelFilter::TRACE);
    let site = Site::new().await;
    let connecting = tokio::spawn(connect(site.url("/?token=secret"), options(5)));
    site.lead(302, "/f?token=secret").await;
    let (_peer, _) = site.open().await;
    within(connecting).await.unwrap().unwrap();
    let ours = |event: &&Seen| event.target.starts_with("motorway");
    let told = capture
        .all()
        .iter()
        .filter(ours)
        .map(|event| format!("{event:?}"))
        .collect::<String>();
    assert!(told.contains("redirected"), "{told}");
    assert!(!told.contains("secret"), "{told}");
}

#[tokio::test]
async fn a_redirect_is_a_refusal_unless_it_is_asked_for() {
    let site = Site::new().await;
    for (redirects, status, location) in [(0, 301, "location"), (1, 300, "location"), (1, 302, "x")]
    {
        let connecting = tokio::spawn(connect(site.url("/"), options(redirects)));
        let (mut peer, _) = site.request().await;
        peer.write(format!(
            "HTTP/1.1 {status} Go\r\n{location}: /b\r\nContent-Length: 4\r\n\r\nbody"
        ))
        .await;
        let error = within(connecting).await.unwrap().unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert_eq!(error.headers().unwrap()[location], "/b");
        assert_eq!(error.body().unwrap().text(), "body");
    }
}

#[tokio::test]
async fn loops_and_long_chains_and_other_places_are_errors_of_their_own() {
    let site = Site::new().await;
    type Check = fn(&HandshakeError) -> bool;
    let cases: [(&[&str], Check); 4] = [
        (
            &["/b", "/"],
            |error| matches!(error, HandshakeError::RedirectLoop { chain, .. } if chain.len() == 3),
        ),
        (
            &["/b", "/c", "/d"],
            |error| matches!(error, HandshakeError::TooManyRedirects { chain, limit: 2, .. } if chain.len() == 3),
        ),
        (&["ftp://x/"], |error| {
            matches!(error, HandshakeError::InvalidRedirect { .. })
        }),
        (&["ws://unix:/run/x.sock"], |error| {
            matches!(error, HandshakeError::InvalidRedirect { .. })
        }),
    ];
    for (locations, check) in cases {
        let connecting = tokio::spawn(connect(site.url("/"), options(2)));
        for location in locations {
            site.lead(302, location).await;
        }
        let error = within(connecting).await.unwrap().unwrap_err();
        let Error::Handshake(error) = error else {
            panic!("{error:?}");
        };
        assert!(check(&error), "{error:?}");
    }
}

#[tokio::test]
async fn one_instance_lives_through_redirects_and_is_told_their_failure() {
    let (site, closed) = (Site::new().await, Site::new().await);
    let nowhere = closed.url("/");
    drop(closed);
    for (location, lines) in [
        ("/b", &["connecting", "connect", "open"][..]),
        (&nowhere, &["connecting", "error Connect", "close"]),
    ] {
        let probe = quiet().on_connecting(|| {
            let request = ConnectingRequest::new().resource("/first");
            Ok(Some(request.header("x-mine", "1")))
        });
        let made = probe.clone();
        let mut factory = WebSocketClientFactory::new(site.url("/"), move || made.clone()).unwrap();
        factory.set_protocol_options(options(2)).unwrap();
        let connecting = tokio::spawn(async move { factory.connect().await.map(drop) });
        let request = site.lead(302, location).await;
        assert!(request.starts_with("GET /first "), "{request}");
        if location == "/b" {
            let (_peer, request) = site.open().await;
            assert!(request.starts_with("GET /b "), "{request}");
            assert_eq!(header(&request, "x-mine").as_deref(), Some("1"));
            within(connecting).await.unwrap().unwrap();
            settle().await;
            assert_eq!(probe.log().lines()[..3], *lines);
        } else {
            let error = within(connecting).await.unwrap().unwrap_err();
            assert!(matches!(error, Error::Connect(_)), "{error:?}");
            assert_eq!(probe.log().lines(), lines);
        }
    }
}

#[test]
fn so_many_redirects_may_be_asked_for() {
    assert!(
        ClientOptions::default()
            .max_redirects(100)
            .validate()
            .is_ok()
    );
    let error = ClientOptions::default().max_redirects(101).validate();
    assert_eq!(error.unwrap_err().option(), "max_redirects");
}
