//! What came before RFC 6455: version 8 of the drafts, Hixie-76, and the policy file of Flash.

use crate::handshake_server::{UPGRADE, read, refused, upgraded, with};
use motorway::handshake::server::{self, Checked};
use motorway::handshake::{HeadLimits, HeadReader, client};
use motorway::{ClientOptions, HandshakeError, Peer, ServerOptions};

const KEY: [u8; 16] = *b"the sample nonce";

fn both() -> ServerOptions {
    ServerOptions::default().versions([8, 13])
}

/// An opening handshake of version 8 with these lines besides.
fn version_8(lines: &str) -> String {
    with(
        "Sec-WebSocket-Version",
        &format!("Sec-WebSocket-Version: 8{lines}"),
    )
}

#[test]
fn version_8_is_off_unless_asked_for() {
    assert_eq!(refused(&version_8(""), &ServerOptions::default()).0, 426);
    assert_eq!(upgraded(&version_8(""), &both()).version(), 8);
    assert_eq!(upgraded(UPGRADE, &both()).version(), 13);
    let only = ServerOptions::default().versions([8]);
    let (status, response) = refused(UPGRADE, &only);
    assert_eq!(status, 426);
    assert!(response.contains("\r\nSec-WebSocket-Version: 8\r\n"));
}

#[test]
fn version_8_may_have_its_origin_in_either_header() {
    let options = both().allowed_origins(["https://a.com"]);
    for lines in [
        "\r\nSec-WebSocket-Origin: https://a.com",
        // Drafts 11 and 12 are version 8 with the header of today.
        "\r\nOrigin: https://a.com",
        "\r\nOrigin: https://a.com\r\nSec-WebSocket-Origin: https://a.com",
    ] {
        let request = upgraded(&version_8(lines), &options);
        assert_eq!(request.origin(), Some("https://a.com"), "{lines}");
    }
    for (lines, status) in [
        ("\r\nSec-WebSocket-Origin: https://b.com", 403),
        ("\r\nOrigin: https://b.com", 403),
        (
            "\r\nOrigin: https://a.com\r\nSec-WebSocket-Origin: https://b.com",
            400,
        ),
        (
            "\r\nOrigin: https://b.com\r\nSec-WebSocket-Origin: https://a.com",
            400,
        ),
        (
            "\r\nSec-WebSocket-Origin: https://a.com\r\nSec-WebSocket-Origin: https://a.com",
            400,
        ),
        ("\r\nSec-WebSocket-Origin: nonsense", 400),
    ] {
        assert_eq!(refused(&version_8(lines), &options).0, status, "{lines}");
    }
    // In version 13 the header of the drafts says nothing.
    let line = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Origin: https://b.com";
    let request = upgraded(&with("Sec-WebSocket-Version", line), &options);
    assert_eq!(request.origin(), None);
}

#[test]
fn clients_speak_the_draft_that_they_are_told() {
    let url = "ws://a/".parse().unwrap();
    for draft in 10..=18 {
        let options = ClientOptions::default()
            .origin("https://a.com")
            .version(draft);
        options.validate().unwrap();
        let (octets, sent) = client::request(&url, &options, None, KEY).unwrap();
        let text = String::from_utf8(octets.clone()).unwrap();
        let wire = if draft < 13 { 8 } else { 13 };
        assert!(text.contains(&format!("\r\nSec-WebSocket-Version: {wire}\r\n")));
        let origin = match draft {
            10 => "\r\nSec-WebSocket-Origin: https://a.com\r\n",
            _ => "\r\nOrigin: https://a.com\r\n",
        };
        assert!(text.contains(origin), "{text}");
        assert_eq!(text.matches("Origin: ").count(), 1);
        // A server takes it, and the client the answer.
        let (head, _) = read(&octets, HeadLimits::default()).unwrap().unwrap();
        let options = both().allowed_origins(["https://a.com"]);
        let Checked::Upgrade(request) = server::check(head, &options, Peer::Unknown) else {
            panic!("refused: {text}");
        };
        assert_eq!(
            (request.version(), request.origin()),
            (wire, Some("https://a.com"))
        );
        let accept = motorway::ConnectionAccept::new();
        let (response, _) = server::accept(&request, &accept, &options).unwrap();
        let head = HeadReader::new(HeadLimits::default()).response(&response);
        client::check(head.unwrap().unwrap().0, &sent).unwrap();
    }
    for draft in [0, 8, 9, 19] {
        let error = ClientOptions::default()
            .version(draft)
            .validate()
            .unwrap_err();
        let expected = format!("option version is {draft}, but must be 10 to 18");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn hixie_76_is_refused_with_400() {
    let request = "GET /demo HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\nUpgrade: WebSocket\r\n\
        Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nOrigin: http://example.com\r\n\r\n";
    for options in [ServerOptions::default(), ServerOptions::autobahn()] {
        assert_eq!(refused(request, &options).0, 400);
    }
}

const POLICY_REQUEST: &[u8] = b"<policy-file-request/>\0";

#[test]
fn a_policy_file_is_served_where_that_is_on() {
    // `read` also reads octet by octet.
    let error = read(POLICY_REQUEST, HeadLimits::default()).unwrap_err();
    assert_eq!(error, HandshakeError::FlashPolicyRequest);
    let off = ServerOptions::default();
    let response = String::from_utf8(server::refuse(&error, &off)).unwrap();
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    let on = off.serve_flash_socket_policy(true);
    let policy = "<cross-domain-policy>\n     <allow-access-from domain=\"*\" to-ports=\"*\" />\n\
        </cross-domain-policy>\0";
    assert_eq!(server::refuse(&error, &on), policy.as_bytes());
    let own = on.flash_socket_policy("<cross-domain-policy/>\0");
    own.validate().unwrap();
    assert_eq!(server::refuse(&error, &own), b"<cross-domain-policy/>\0");
}

#[test]
fn a_policy_file_is_asked_for_first_or_not_at_all() {
    for octets in [
        &b"GET / HTTP/1.1\r\n<policy-file-request/>\0"[..],
        b" <policy-file-request/>\0",
        b"<policy-file-request />\0",
        b"<policy-file-request/\0",
        b"\0",
    ] {
        let error = read(octets, HeadLimits::default()).unwrap_err();
        assert_ne!(error, HandshakeError::FlashPolicyRequest);
    }
    // Without the NUL it goes on like any line, up to the limits.
    assert!(
        read(&POLICY_REQUEST[..22], HeadLimits::default())
            .unwrap()
            .is_none()
    );
    let endless = [&POLICY_REQUEST[..22], &[b'x'; 9000]].concat();
    let error = read(&endless, HeadLimits::default()).unwrap_err();
    assert!(matches!(
        error,
        HandshakeError::TargetTooLong { limit: 8192, .. }
    ));
    // A client that is answered so is none the wiser.
    let answered = HeadReader::new(HeadLimits::default()).response(POLICY_REQUEST);
    assert_eq!(answered.unwrap_err(), HandshakeError::Nul);
}

#[test]
fn a_policy_file_ends_in_nul() {
    for policy in ["", "<cross-domain-policy/>", "\0<x/>", "a\0b\0"] {
        let options = ServerOptions::default().flash_socket_policy(policy);
        let error = options.validate().unwrap_err();
        assert_eq!(error.option(), "flash_socket_policy");
    }
}
