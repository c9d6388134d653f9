//! Parameters of extensions.

use crate::answers::answered_with;
use crate::world::{World, ask, field, request, response};
use motorway::{ClientOptions, ServerOptions};

/// Parameters of extensions out of range crash peers (CVE-2026-2229): a server declines the offer.
#[tokio::test]
async fn parameters_out_of_range_are_declined_by_a_server() {
    let options = ServerOptions::default().per_message_deflate(motorway::DeflateOptions::default());
    let world = World::new(options);
    let server = world.listen().await;
    for value in [
        "7",
        "16",
        "0",
        "-9",
        "+9",
        "09",
        "015",
        "271",
        "4294967305",
        "9.0",
        "",
        "\"\"",
        "a",
    ] {
        for name in ["server_max_window_bits", "client_max_window_bits"] {
            let line = format!("Sec-WebSocket-Extensions: permessage-deflate; {name}={value}\r\n");
            let (status, answer) = ask(&server, request(&line)).await;
            assert!([101, 400].contains(&status), "{line}{answer}");
            assert_eq!(field(&answer, "sec-websocket-extensions"), None, "{line}");
        }
    }
    for (parameters, accepted) in [
        ("server_max_window_bits=8", false),
        ("server_max_window_bits", false),
        ("server_max_window_bits=9; server_max_window_bits=9", false),
        ("server_no_context_takeover=1", false),
        ("unknown", false),
        ("client_max_window_bits=8", true),
        ("server_max_window_bits=9", true),
    ] {
        let line = format!("Sec-WebSocket-Extensions: permessage-deflate; {parameters}\r\n");
        let (_, answer) = ask(&server, request(&line)).await;
        assert_eq!(
            field(&answer, "sec-websocket-extensions").is_some(),
            accepted,
            "{parameters}: {answer}"
        );
    }
}

/// The same in an answer: a client fails (RFC 7692 §7.1.3).
#[tokio::test]
async fn parameters_out_of_range_fail_a_client() {
    let options =
        || ClientOptions::default().per_message_deflate(motorway::DeflateOptions::default());
    for parameters in [
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=010",
        "server_max_window_bits=265",
        "server_max_window_bits",
        "client_max_window_bits=7",
        "client_max_window_bits=99999999999999999999",
        "client_max_window_bits",
        "unknown",
        "server_no_context_takeover; server_no_context_takeover",
        "server_max_window_bits=\"1\\\"\"",
    ] {
        let line = format!("Sec-WebSocket-Extensions: permessage-deflate; {parameters}\r\n");
        let (opened, _) =
            answered_with(options(), |request| response(request, &line).into_bytes()).await;
        assert!(opened.is_err(), "{parameters}");
    }
    let line = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=8\r\n";
    let (opened, _) =
        answered_with(options(), |request| response(request, line).into_bytes()).await;
    opened.unwrap();
}
