//! Who gets in: pages of other sites, and more connections than there may be.

use crate::world::{Raw, World, ask, request, until, within};
use motorway::{
    AllowedOrigins, ConnectionAccept, ConnectionDeny, ConnectionRequest, HandlerResult, Server,
    ServerOptions, StatusCode, WebSocket, WebSocketServerFactory, WebSocketServerProtocol,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Patterns, an origin, and the status that it gets.
const ORIGINS: &[(&[&str], &str, u16)] = &[
    (&["https://*.example.com"], "https://a.example.com", 101),
    (&["https://*.example.com"], "https://a.b.example.com", 101),
    (&["https://*.example.com"], "https://example.com", 403),
    (&["https://*.example.com"], "https://evilexample.com", 403),
    (
        &["https://*.example.com"],
        "https://a.example.com.evil.org",
        403,
    ),
    (
        &["https://*.example.com"],
        "https://evil.org/a.example.com",
        400,
    ),
    (
        &["https://*.example.com"],
        "https://evil.org?a.example.com",
        400,
    ),
    (
        &["https://*.example.com"],
        "https://evil.org#a.example.com",
        400,
    ),
    (
        &["https://*.example.com"],
        "https://evil.org@a.example.com",
        400,
    ),
    (
        &["https://*.example.com"],
        "https://a.example.com@evil.org",
        400,
    ),
    (
        &["https://*.example.com"],
        "https://evil.org\\a.example.com",
        400,
    ),
    (&["https://*.example.com"], "https://aXexample.com", 403),
    (&["https://*.example.com"], "http://a.example.com", 403),
    (
        &["https://*.example.com"],
        "https://a.example.com:8443",
        403,
    ),
    (&["https://*.example.com"], "https://a.example.com:443", 101),
    (&["https://*.example.com"], "HTTPS://A.EXAMPLE.COM", 101),
    (&["https://*.example.com"], "null", 403),
    (&["https://a.com"], "https://axcom", 403),
    (&["https://a.com"], "https://a.com.", 403),
    (&["https://a.com"], "https://xa.com", 403),
    (&["https://a.com:8443"], "https://a.com", 403),
    (&["http://10.0.0.1"], "http://1010.0.1", 403),
    (&["self"], "http://localhost.evil.org", 403),
    (&["self"], "http://localhost", 101),
    (&[], "https://a.com", 403),
    (&["*"], "null", 101),
    (&["*"], "https://a.com", 101),
];

/// Cross-site hijacking: patterns without an anchor, over-wide wildcards (CVE-2026-34157), special
/// characters (WS-2020-0443), scheme or port ignored (JLSEC-2026-614), `null` (RFC 6454 §7).
#[tokio::test]
async fn cross_site_origins_are_refused() {
    let listed = |patterns: &[&str]| ServerOptions::default().allowed_origins(patterns.to_vec());
    for &(patterns, origin, expected) in ORIGINS {
        let world = World::new(listed(patterns));
        let server = world.listen().await;
        let (status, answer) = ask(&server, request(&format!("Origin: {origin}\r\n"))).await;
        assert_eq!(status, expected, "{patterns:?} {origin}: {answer}");
        let twice = format!("Origin: {origin}\r\nOrigin: https://b.com\r\n");
        assert_eq!(
            ask(&server, request(&twice)).await.0,
            400,
            "{origin} and another"
        );
    }
    for pattern in [
        "https://a.com/",
        "https://a.com/*",
        "https://(a|b).com",
        "https://^a",
        "*.example.com",
    ] {
        assert!(AllowedOrigins::new([pattern]).is_err(), "{pattern}");
    }
}

static INSTANCES: AtomicUsize = AtomicUsize::new(0);

/// Fails in as many ways as there are, one after the other.
struct Failing;

impl WebSocketServerProtocol for Failing {
    async fn on_connect(
        &mut self,
        _: &ConnectionRequest,
    ) -> Result<ConnectionAccept, ConnectionDeny> {
        match INSTANCES.fetch_add(1, Ordering::Relaxed) % 4 {
            0 => panic!("on_connect"),
            1 => Err(StatusCode::NOT_FOUND.into()),
            _ => Ok(ConnectionAccept::new()),
        }
    }

    async fn on_open(&mut self, _: &WebSocket) -> HandlerResult {
        if INSTANCES.load(Ordering::Relaxed) % 4 == 3 {
            panic!("on_open");
        }
        Err(motorway::HandlerError::close(4000, "enough"))
    }
}

async fn refused_with(server: &Server, octets: &str) -> u16 {
    ask(server, octets).await.0
}

/// The limit of connections: the count comes back after panics, errors, resets and half-open clients,
/// and those beyond it get 503 before any other check, once their request is there.
#[tokio::test]
async fn the_connection_limit_does_not_drift() {
    let mut factory = WebSocketServerFactory::new(|| Failing);
    factory
        .set_protocol_options(ServerOptions::default().max_connections(4))
        .unwrap();
    let server = factory.listen("127.0.0.1:0").await.unwrap();
    for round in 0..24 {
        let mut raw = Raw::dial(&server).await;
        let octets = request("");
        // Some say half of it, some all, some too much; some read the answer.
        match round % 4 {
            0 => drop(raw),
            1 => {
                raw.write(&octets[..octets.len() / 2]).await;
            }
            2 => {
                raw.write("X : a\r\n\r\n").await;
            }
            _ => {
                raw.write(&octets).await;
                raw.rest().await;
            }
        }
    }
    // Four that say nothing: they count from accept.
    let mut silent = Vec::new();
    let full = async {
        loop {
            silent.push(Raw::dial(&server).await);
            if silent.len() >= 4
                && refused_with(&server, "POST bad HTTP/1.1\r\nX: a\r\n\r\n").await == 503
            {
                break;
            }
        }
    };
    within(full).await;
    assert_eq!(refused_with(&server, &request("Host: two\r\n")).await, 503);
    // Half a request is not answered yet.
    drop(silent);
    let mut statuses = Vec::new();
    for _ in 0..1000 {
        statuses.push(refused_with(&server, &request("")).await);
        if statuses.ends_with(&[500, 404]) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(statuses.ends_with(&[500, 404]), "{statuses:?}");
    until("all are gone", || factory.connection_count() == 0).await;
}
