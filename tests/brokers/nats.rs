//! NATS.

use crate::server::{Kind, Server, program};
use crate::table;
use crate::world::{World, soon, until};
use motorway::{BrokerError, Hub, NatsBroker, async_nats::ConnectOptions};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub(crate) struct Nats;

impl Kind for Nats {
    type Broker = NatsBroker;
    const NAME: &'static str = "nats";
    const LARGEST: usize = 1 << 20;
    const HELLO: (&'static [u8], &'static str) = (b"", "INFO {");

    fn command(port: u16, folder: &Path) -> Command {
        let mut command = Command::new(program("nats-server"));
        command.args(["--addr", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--http_port", &(port + 1).to_string()]);
        command.arg("--log").arg(folder.join("log"));
        command
    }

    async fn connect(url: &str) -> Result<NatsBroker, BrokerError> {
        NatsBroker::connect(url).await
    }

    async fn with_prefix(url: &str, prefix: &str) -> NatsBroker {
        let builder = NatsBroker::builder().prefix(prefix).unwrap();
        builder.connect(url).await.unwrap()
    }

    async fn impatient(url: &str) -> NatsBroker {
        let options = ConnectOptions::new().ping_interval(Duration::from_millis(200));
        let builder = NatsBroker::builder().options(options);
        builder.connect(url).await.unwrap()
    }

    fn channel(topic: &str) -> String {
        let inside = |place: usize| {
            let is_slash = |place: usize| topic.as_bytes()[place] == b'/';
            place > 0 && place + 1 < topic.len() && !is_slash(place - 1)
        };
        let octets = topic.bytes().enumerate();
        let octets = octets.map(|(place, octet)| match octet {
            b'/' if inside(place) => ".".to_owned(),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(octet).to_string(),
            _ => format!("%{octet:02X}"),
        });
        format!("motorway.topic.{}", octets.collect::<String>())
    }

    async fn subscribers(port: u16, channel: &str) -> usize {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port + 1))
            .await
            .unwrap();
        let request = b"GET /subsz?subs=1 HTTP/1.0\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let list = body["subscriptions_list"].as_array();
        list.map_or(0, |list| {
            let subjects = list.iter().map(|subscription| &subscription["subject"]);
            subjects.filter(|subject| *subject == channel).count()
        })
    }

    async fn publish(port: u16, channel: &str, payload: &[u8]) {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        let mut stream = BufReader::new(stream.await.unwrap());
        let start = format!(
            "CONNECT {{\"verbose\":false}}\r\nPUB {channel} {}\r\n",
            payload.len()
        );
        let octets = [start.as_bytes(), payload, b"\r\nPING\r\n"].concat();
        stream.write_all(&octets).await.unwrap();
        let mut line = String::new();
        while !line.starts_with("PONG") {
            line.clear();
            assert!(soon(stream.read_line(&mut line)).await.unwrap() > 0);
        }
    }
}

table::tests!(Nats);

#[tokio::test]
async fn what_the_server_does_not_take_is_counted() {
    let mut world = World::new();
    let server = Server::<Nats>::start().await;
    let hubs = table::hubs(&server, 2).await;
    let (ws, mut client) = world.open().await;
    hubs[1].join(&ws, "a").unwrap();
    server.until_subscribed("a", 1).await;
    let large = vec![0; Nats::LARGEST];
    hubs[0].publish("a", large).await.unwrap();
    until(|| hubs[0].lost() == 1).await;
    hubs[0].publish("a", "small").await.unwrap();
    assert_eq!(client.text().await, "small");
}

#[tokio::test]
async fn slashes_are_tokens_of_subjects() {
    let mut world = World::new();
    let server = Server::<Nats>::start().await;
    let hub = Hub::with_broker(NatsBroker::connect(server.url()).await.unwrap());
    let (ws, mut client) = world.open().await;
    hub.join(&ws, "sports/chess").unwrap();
    let subject = "motorway.topic.sports.chess";
    soon(async { while Nats::subscribers(server.port, subject).await == 0 {} }).await;
    Nats::publish(server.port, subject, b"\x01checkmate").await;
    assert_eq!(client.text().await, "checkmate");
}
