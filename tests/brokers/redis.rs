//! Redis.

use crate::server::{Kind, program};
use crate::table;
use crate::world::soon;
use motorway::{BrokerError, RedisBroker};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Redis;

/// Runs a command, and returns the server's answer.
pub(crate) async fn ask(port: u16, words: &[&[u8]]) -> Vec<u8> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .unwrap();
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend(format!("${}\r\n", word.len()).into_bytes());
        request.extend([word, &b"\r\n"[..]].concat());
    }
    request.extend(b"*1\r\n$4\r\nQUIT\r\n");
    stream.write_all(&request).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    answer
}

/// What `NUMSUB` has counted.
pub(crate) fn count(answer: Vec<u8>) -> usize {
    // The name, and `:2`; then the answer to `QUIT`.
    let answer = String::from_utf8(answer).unwrap();
    let (_, number) = answer.rsplit_once("\r\n:").unwrap();
    number.split("\r\n").next().unwrap().parse().unwrap()
}

impl Kind for Redis {
    type Broker = RedisBroker;
    const NAME: &'static str = "redis";
    const LARGEST: usize = 8 << 20;
    const HELLO: (&'static [u8], &'static str) = (b"PING\r\n", "+PONG");

    fn command(port: u16, folder: &Path) -> Command {
        let mut command = Command::new(program("redis-server"));
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(folder);
        command
    }

    async fn connect(url: &str) -> Result<RedisBroker, BrokerError> {
        RedisBroker::connect(url).await
    }

    async fn with_prefix(url: &str, prefix: &str) -> RedisBroker {
        let builder = RedisBroker::builder().prefix(prefix);
        builder.connect(url).await.unwrap()
    }

    async fn impatient(url: &str) -> RedisBroker {
        let builder = RedisBroker::builder().ping_interval(Duration::from_millis(200));
        builder.connect(url).await.unwrap()
    }

    fn channel(topic: &str) -> String {
        format!("motorway:topic/{topic}")
    }

    async fn subscribers(port: u16, channel: &str) -> usize {
        let answer = ask(port, &[b"PUBSUB", b"NUMSUB", channel.as_bytes()]).await;
        count(answer)
    }

    async fn publish(port: u16, channel: &str, payload: &[u8]) {
        ask(port, &[b"PUBLISH", channel.as_bytes(), payload]).await;
    }
}

table::tests!(Redis);
