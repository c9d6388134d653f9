//! What a client makes of answers that are not as they should be, fault by fault (RFC 6455 §4.1).

use motorway::handshake::HeadLimits;
use motorway::handshake::client::{self, AnswerReader, Journey};
use motorway::{
    ClientOptions, DeflateOptions, HandshakeError, PerMessageDeflateOffer, StatusCode, Url,
};

/// The key of RFC 6455 §1.3.
const KEY: [u8; 16] = *b"the sample nonce";

const OK: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

/// Checks an answer with this line more.
fn check(options: &ClientOptions, line: &str) -> Result<(), HandshakeError> {
    let url: Url = "ws://a/".parse().unwrap();
    let (_, sent) = client::request(&url, options, None, KEY).unwrap();
    let text = format!("{OK}{line}\r\n\r\n");
    let mut reader = AnswerReader::new(HeadLimits::default());
    let (head, _) = reader.response(text.as_bytes()).unwrap().unwrap();
    client::check(head, &sent).map(drop)
}

/// What a client says of an answer with this line more.
fn fault(options: &ClientOptions, line: &str) -> HandshakeError {
    check(options, line).unwrap_err()
}

#[test]
fn interim_answers_are_passed_over() {
    let hints = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let text = format!("{hints}{OK}\r\nearly");
    let whole = AnswerReader::new(HeadLimits::default()).response(text.as_bytes());
    let mut reader = AnswerReader::new(HeadLimits::default());
    for length in 0..text.len() - "early".len() {
        let part = &text.as_bytes()[..length];
        assert!(reader.response(part).unwrap().is_none(), "{length}");
    }
    for read in [whole, reader.response(text.as_bytes())] {
        let (head, length) = read.unwrap().unwrap();
        assert_eq!(head.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(&text[length..], "early");
        assert!(!head.headers().contains_key("link"));
    }
    assert_eq!(reader.skipped(), hints.len());
}

#[test]
fn interim_answers_without_end_are_a_refusal() {
    let interim = "HTTP/1.1 102 Processing\r\n\r\n";
    for (count, status) in [(8, 101), (9, 102)] {
        let text = format!("{}{OK}\r\n", interim.repeat(count));
        let mut reader = AnswerReader::new(HeadLimits::default());
        let (head, _) = reader.response(text.as_bytes()).unwrap().unwrap();
        assert_eq!(head.status().as_u16(), status);
    }
    // The limits are those of each head.
    let long = format!("HTTP/1.1 103 Hints\r\nX: {}\r\n\r\n", "y".repeat(8000));
    let text = format!("{}{OK}\r\n", long.repeat(8));
    let mut reader = AnswerReader::new(HeadLimits::default());
    assert!(reader.response(text.as_bytes()).unwrap().is_some());
    let text = format!("{interim}HTTP/1.1 103 Hints\r\nX: {}", "y".repeat(9000));
    let mut reader = AnswerReader::new(HeadLimits::default());
    let error = reader.response(text.as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line of the head is longer than 8192 octets"
    );
}

/// Asserts that each of these answers, after the name of the extension, fails with that variant.
fn assert_faults(options: &ClientOptions, cases: &[(&str, &str)]) {
    for (answer, expected) in cases {
        let line = format!("Sec-WebSocket-Extensions: permessage-deflate{answer}");
        let HandshakeError::Extensions(error) = fault(options, &line) else {
            panic!("{answer} is no fault of extensions");
        };
        let found = format!("{error:?}");
        let found = found.replace("parameter: ", "").replace('"', "");
        assert_eq!(found, *expected, "{answer}");
    }
}

fn deflating(deflate: DeflateOptions) -> ClientOptions {
    ClientOptions::default().per_message_deflate(deflate)
}

#[test]
fn each_fault_of_the_list_of_extensions_is_an_error_of_its_own() {
    let options = deflating(DeflateOptions::default());
    assert_faults(
        &options,
        &[
            ("x", "NotOffered"),
            (", x", "NotOffered"),
            (", permessage-deflate", "Repeated"),
            (";;", "Malformed { position: 19 }"),
            ("; x", "UnknownParameter"),
        ],
    );
    assert_faults(&ClientOptions::default(), &[("", "NotOffered")]);
}

#[test]
fn each_fault_of_a_parameter_is_an_error_of_its_own() {
    let twice = "; client_max_window_bits=9; CLIENT_max_window_bits=9";
    let both = "; server_no_context_takeover; server_no_context_takeover";
    let repeated = "RepeatedParameter { client_max_window_bits }";
    let invalid = "InvalidValue { server_max_window_bits }";
    assert_faults(
        &deflating(DeflateOptions::default()),
        &[
            (twice, repeated),
            (both, "RepeatedParameter { server_no_context_takeover }"),
            (
                "; client_max_window_bits",
                "InvalidValue { client_max_window_bits }",
            ),
            (
                "; client_no_context_takeover=1",
                "InvalidValue { client_no_context_takeover }",
            ),
            ("; server_max_window_bits", invalid),
            ("; server_max_window_bits=7", invalid),
            ("; server_max_window_bits=09", invalid),
        ],
    );
}

#[test]
fn each_answer_that_does_not_fit_the_offer_is_an_error_of_its_own() {
    let bare = ClientOptions::default().per_message_compression_offers([bare_offer()]);
    let not_offered = "ParameterNotOffered { client_max_window_bits }";
    assert_faults(&bare, &[("; client_max_window_bits=9", not_offered)]);
    let narrow = DeflateOptions::default().server_max_window_bits(10);
    assert_faults(
        &deflating(narrow.client_max_window_bits(10)),
        &[
            (
                "; server_max_window_bits=11",
                "WindowTooLarge { server_max_window_bits, bits: 11, limit: 10 }",
            ),
            (
                "; server_max_window_bits=9; client_max_window_bits=12",
                "WindowTooLarge { client_max_window_bits, bits: 12, limit: 10 }",
            ),
            ("", "Missing { server_max_window_bits }"),
        ],
    );
    let alone = DeflateOptions::default().server_no_context_takeover(true);
    let missing = "Missing { server_no_context_takeover }";
    assert_faults(&deflating(alone), &[("", missing)]);
}

fn bare_offer() -> PerMessageDeflateOffer {
    PerMessageDeflateOffer::new().with_accept_max_window_bits(false)
}

#[test]
fn headers_that_come_twice_are_errors_of_their_own() {
    for (line, expected) in [
        ("Upgrade: websocket", "upgrade"),
        ("upgrade: h2c", "upgrade"),
        (
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "sec-websocket-accept",
        ),
        ("Sec-WebSocket-Accept: other", "sec-websocket-accept"),
    ] {
        let error = fault(&ClientOptions::default(), line);
        assert!(
            matches!(error, HandshakeError::RepeatedHeader { name, .. } if name == expected),
            "{line}: {error:?}"
        );
    }
    // That one is a list.
    check(&ClientOptions::default(), "Connection: keep-alive").unwrap();
}

#[test]
fn a_chain_of_redirects_does_not_fill_the_log() {
    let options = ClientOptions::default().max_redirects(100);
    let mut journey = Journey::new("ws://a/".parse().unwrap(), options);
    let long = "x".repeat(8000);
    for number in 0..100 {
        journey.follow(&format!("/{number}/{long}")).unwrap();
    }
    let error = journey.follow("/").unwrap_err();
    assert!(matches!(error, HandshakeError::TooManyRedirects { .. }));
    let text = error.to_string();
    assert!(text.contains("ws://a/ -> ws://a/0/xxx") && text.len() < 30_000);
}
