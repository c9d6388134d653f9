//! Servers and clients on the command line.

use crate::process::{Running, example, output};
use motorway::{ClientOptions, Connector};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// A server, and its URL.
fn serve(name: &str) -> (Running, String) {
    let server = Running::start(example(name).arg("127.0.0.1:0"));
    let address = server.find("listening on ");
    let address = address.split(',').next().unwrap();
    let url = format!("ws://{address}");
    (server, url)
}

#[test]
fn simple_echo_gets_its_message_back() {
    for name in ["echo_handler", "echo_server", "multicore"] {
        let (_server, url) = serve(name);
        let text = output(example("simple_echo").arg(url));
        assert_eq!(text, "Received: Hello, world!\n", "{name}");
    }
}

#[test]
fn simple_echo_fails_without_a_server() {
    let output = example("simple_echo").arg("ws://127.0.0.1:1").output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("127.0.0.1:1"), "{complaint}");
}

#[test]
fn echo_wrapper_sends_and_reads_at_the_same_time() {
    let (_server, url) = serve("echo_handler");
    let text = output(example("echo_wrapper").arg(url));
    for n in 0..10 {
        assert!(text.contains(&format!("Sent: Echo {n}!\n")), "{text}");
        assert!(text.contains(&format!("Received: Echo {n}!\n")), "{text}");
    }
    // It reads while it sends, and not only afterwards.
    let (first, _) = text.split_once("Sent: Echo 9!").unwrap();
    assert!(first.contains("Received: Echo 0!"), "{text}");
}

#[test]
fn consumer_passes_every_message_on() {
    let (server, url) = serve("consumer");
    // It waits for an answer that a consumer does not give, until it is dropped.
    let _client = Running::start(example("simple_echo").arg(url));
    assert_eq!(server.line(), "< Hello, world!");
}

#[test]
fn producer_sends_until_the_client_leaves() {
    let (server, url) = serve("producer");
    let text = output(example("simple_echo").arg(url));
    let seconds = text.strip_prefix("Received: ").unwrap();
    let seconds = seconds.trim_end().strip_suffix(" s").unwrap();
    assert!(seconds.parse::<u64>().unwrap() > 1_700_000_000);
    #[cfg(target_os = "linux")]
    assert!(server.interrupt(), "it does not end while nobody is there");
}

#[test]
fn multiproto_leads_each_path_to_its_protocol() {
    let (_server, url) = serve("multiproto");
    for number in [1, 2] {
        let text = output(example("simple_echo").arg(format!("{url}/echo{number}")));
        assert_eq!(text, format!("Received: Echo {number} - Hello, world!\n"));
    }
    let refused = example("simple_echo").arg(format!("{url}/echo3")).output();
    assert!(!refused.unwrap().status.success());
}

#[test]
fn raw_stream_receives_the_same_both_ways() {
    let text = output(&mut example("raw_stream"));
    let (tcp, websocket) = text.split_once("-- WebSocket --\n").unwrap();
    for part in [tcp, websocket] {
        let messages = part
            .lines()
            .filter(|line| line.starts_with("M: The time is "));
        assert_eq!(messages.count(), 20, "{text}");
    }
}

#[cfg(unix)]
#[test]
fn echo_unix_echoes_and_tidies_up() {
    let name = format!("motorway-echo-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let text = output(example("echo_unix").arg(&path));
    assert!(text.contains("client: received Hello, world!\n"), "{text}");
    assert!(text.contains("client: closed cleanly by this end, code 1000\n"));
    assert!(!path.exists());
}

#[test]
fn ping_keepalive_measures_the_lively_and_drops_the_silent() {
    let program = Running::start(&mut example("ping_keepalive"));
    let mut wanted = vec![
        "server: /lively answered after ",
        "/lively: the server answered after ",
        "server: /silent does not answer: ",
        "/silent: closed uncleanly by the peer, code 1006",
    ];
    while !wanted.is_empty() {
        let line = program.line();
        assert!(!line.starts_with("server: /lively does not"), "{line}");
        wanted.retain(|start| !line.starts_with(start));
    }
    // The lively one is still there.
    program.find("server: /lively answered after ");
    #[cfg(target_os = "linux")]
    assert!(program.interrupt());
}

#[tokio::test]
async fn lifecycle_tells_each_step_and_answers_json() {
    let (server, url) = serve("lifecycle");
    let mut connector = Connector::new(&url).unwrap();
    let options = ClientOptions::default().protocols(["chat.v3", "chat.v2"]);
    connector.set_protocol_options(options).unwrap();
    let mut ws = connector.connect().await.unwrap();
    assert_eq!(ws.subprotocol(), Some("chat.v2"));
    for (message, answer) in [
        (r#"{"a": [1]}"#, r#"{"received":{"a":[1]}}"#),
        (
            "\x1b[2J",
            r#"{"error":"expected value at line 1 column 1"}"#,
        ),
    ] {
        ws.send(message).await.unwrap();
        let received = ws.recv().await.unwrap().unwrap();
        assert_eq!(received.as_text(), Some(answer));
    }
    ws.send(vec![0; 7]).await.unwrap();
    ws.close(1000, "done").await.unwrap();
    assert!(
        server
            .line()
            .starts_with("Client connecting: tcp4:127.0.0.1:")
    );
    let open = r#"WebSocket connection open, subprotocol Some("chat.v2")."#;
    assert_eq!(server.line(), open);
    assert_eq!(server.line(), r#"Text message received: {\"a\": [1]}"#);
    // What a peer sends does not reach the terminal as it is.
    assert_eq!(server.line(), r"Text message received: \u{1b}[2J");
    assert_eq!(server.line(), "Binary message received: 7 bytes");
    let closed = r#"WebSocket connection closed: closed cleanly by the peer, code 1000, "done""#;
    assert_eq!(server.line(), closed);
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_ends_servers_in_order() {
    for name in ["echo_handler", "multicore", "multiproto", "lifecycle"] {
        let (server, _) = serve(name);
        assert!(server.interrupt(), "{name}");
    }
}

#[test]
fn a_port_that_is_in_use_is_named() {
    let (_server, url) = serve("echo_handler");
    let address = url.strip_prefix("ws://").unwrap();
    let output = example("lifecycle").arg(address).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("already in use"), "{complaint}");
    assert!(complaint.contains(address), "{complaint}");
}

#[test]
fn wrapping_leads_tcp_through_websocket() {
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = service.local_addr().unwrap().to_string();
    let server = Running::start(example("wrapping").args(["server", "127.0.0.1:0", &address]));
    let url = format!("ws://{}", server.find("listening on "));
    let client = Running::start(example("wrapping").args(["client", "127.0.0.1:0", &url]));
    let mut near = TcpStream::connect(client.find("listening on ")).unwrap();
    let octets: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    near.write_all(b"ping").unwrap();
    let (mut far, _) = service.accept().unwrap();
    let mut request = [0; 4];
    far.read_exact(&mut request).unwrap();
    assert_eq!(&request, b"ping");
    let sent = octets.clone();
    let sending = std::thread::spawn(move || far.write_all(&sent).unwrap());
    let mut received = Vec::new();
    near.read_to_end(&mut received).unwrap();
    sending.join().unwrap();
    assert!(received == octets, "{} octets", received.len());
}

#[test]
fn wrapping_says_what_it_takes() {
    let output = example("wrapping").arg("server").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("server ADDRESS SERVICE"), "{complaint}");
}
