//! Redis with sharded channels: a cluster of one server, which has all slots.

use crate::redis::{Redis, ask, count};
use crate::server::Kind;
use crate::table;
use motorway::{BrokerError, RedisBroker};
use std::path::Path;
use std::process::Command;

pub(crate) struct Sharded;

impl Kind for Sharded {
    type Broker = RedisBroker;
    const NAME: &'static str = Redis::NAME;
    const LARGEST: usize = Redis::LARGEST;
    const HELLO: (&'static [u8], &'static str) = Redis::HELLO;

    fn command(port: u16, folder: &Path) -> Command {
        let mut command = Redis::command(port, folder);
        command.args(["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]);
        command.args(["--cluster-port", &(port + 1).to_string()]);
        command
    }

    async fn prepare(port: u16) {
        ask(port, &[b"CLUSTER", b"ADDSLOTSRANGE", b"0", b"16383"]).await;
    }

    async fn connect(url: &str) -> Result<RedisBroker, BrokerError> {
        Redis::connect(url).await
    }

    async fn with_prefix(url: &str, prefix: &str) -> RedisBroker {
        Redis::with_prefix(url, prefix).await
    }

    async fn impatient(url: &str) -> RedisBroker {
        Redis::impatient(url).await
    }

    fn channel(topic: &str) -> String {
        Redis::channel(topic)
    }

    async fn subscribers(port: u16, channel: &str) -> usize {
        count(ask(port, &[b"PUBSUB", b"SHARDNUMSUB", channel.as_bytes()]).await)
    }

    async fn publish(port: u16, channel: &str, payload: &[u8]) {
        ask(port, &[b"SPUBLISH", channel.as_bytes(), payload]).await;
    }
}

table::tests!(Sharded);
