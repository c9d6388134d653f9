//! Servers of pages, as browsers see them.

use crate::process::{Running, example, output};
use motorway::{WebSocketStream, connect};
use serde_json::Value;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tokio::time::timeout;

pub(crate) fn serve(name: &str) -> (Running, String) {
    let server = Running::start(example(name).arg("127.0.0.1:0"));
    let address = server.find("open http://");
    let address = address.trim_end_matches('/').to_owned();
    (server, address)
}

/// The response to a plain request.
pub(crate) fn fetch(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn pages_are_served_at_the_root_only() {
    for name in ["counter", "browser_time", "ticker"] {
        let (_server, address) = serve(name);
        let page = fetch(&address, "/");
        assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
        assert!(page.contains("new WebSocket(") && page.ends_with("</html>\n"));
        // Whoever looks at it sees whether it is connected, also on a small screen.
        assert!(page.contains("role=\"status\"") && page.contains("width=device-width"));
        let nothing = fetch(&address, "/favicon.ico");
        assert!(nothing.starts_with("HTTP/1.1 404 "), "{nothing}");
    }
}

/// Receives until an event comes.
async fn wait_for(page: &mut WebSocketStream, event: &str) {
    let found = async {
        loop {
            let message = page.recv().await.unwrap().expect("no close");
            if message.as_text() == Some(event) {
                return;
            }
        }
    };
    let in_time = timeout(Duration::from_secs(60), found).await;
    in_time.unwrap_or_else(|_| panic!("no {event}"));
}

fn value(value: i64) -> String {
    format!(r#"{{"type":"state","value":{value}}}"#)
}

fn users(count: usize) -> String {
    format!(r#"{{"count":{count},"type":"users"}}"#)
}

#[tokio::test]
async fn counter_tells_every_page_the_value_and_the_number_of_users() {
    let (_server, address) = serve("counter");
    let url = format!("ws://{address}/");
    let mut first = connect(&url).await.unwrap();
    wait_for(&mut first, &value(0)).await;
    wait_for(&mut first, &users(1)).await;
    first.send(r#"{"action":"plus"}"#).await.unwrap();
    wait_for(&mut first, &value(1)).await;

    let mut second = connect(&url).await.unwrap();
    wait_for(&mut second, &value(1)).await;
    wait_for(&mut second, &users(2)).await;
    wait_for(&mut first, &users(2)).await;
    for _ in 0..3 {
        second.send(r#"{"action": "minus"}"#).await.unwrap();
    }
    wait_for(&mut first, &value(-2)).await;
    wait_for(&mut second, &value(-2)).await;

    // Who sends something else disturbs nobody; who leaves is not counted.
    first.send(r#"{"action": "times"}"#).await.unwrap();
    second.close(1000, "").await.unwrap();
    wait_for(&mut first, &users(1)).await;
}

#[tokio::test]
async fn ticker_shows_all_prices_first_and_then_each_that_moves() {
    let (_server, address) = serve("ticker");
    let mut page = connect(format!("ws://{address}/")).await.unwrap();
    let text = page.recv_text().await.unwrap().unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let symbols = all.as_array().unwrap();
    assert_eq!(symbols.len(), 20);
    let mut moved = HashMap::new();
    while moved.len() < 20 {
        let next = timeout(Duration::from_secs(60), page.recv_text()).await;
        let text = next.unwrap().unwrap().unwrap();
        let ticks: Value = serde_json::from_str(&text).unwrap();
        let tick = &ticks[0];
        let number = tick["number"].as_u64().unwrap();
        let symbol = tick["symbol"].as_str().unwrap().to_owned();
        assert!(tick["price"].as_f64().unwrap() > 0.0);
        let before = moved.insert(symbol, number);
        assert!(before.is_none_or(|before| before < number), "{tick}");
    }
}

#[test]
fn every_subscriber_of_ticker_ends_with_the_last_prices() {
    let text = output(example("ticker").args(["--load", "40", "--seconds", "2", "--rate", "200"]));
    assert!(
        text.starts_with("40 subscribers, 4 of them slow, in 1 processes"),
        "{text}"
    );
    let end = "every subscriber has the last price of each symbol\n";
    assert!(text.ends_with(end), "{text}");
}
