//! Which server of a cluster has which channels.

use super::server::Node;
use crc16::{State, XMODEM};
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult, Value, from_redis_value};
use std::collections::HashSet;
use std::sync::Arc;

/// The server of each channel.
pub(super) enum Slots {
    /// One has all.
    One(Arc<Node>),
    /// Those of a cluster: the owner of each slot.
    Many(Vec<Option<Arc<Node>>>),
}

impl Slots {
    pub(super) async fn ask(connection: &mut MultiplexedConnection) -> RedisResult<Value> {
        let mut asking = redis::cmd("CLUSTER");
        asking.arg("SLOTS").query_async(connection).await
    }

    /// Reads the answer to `CLUSTER SLOTS` of a server at this host.
    pub(super) fn parse(answer: Value, host: &Arc<str>) -> RedisResult<Self> {
        let mut owners = vec![None; usize::from(COUNT)];
        for range in from_redis_value::<Vec<Vec<Value>>>(answer)? {
            // First, last, the master, and its replicas.
            let mut fields = range.into_iter();
            let mut field = || fields.next().unwrap_or(Value::Nil);
            let first: usize = from_redis_value(field())?;
            let last: usize = from_redis_value(field())?;
            let master: Vec<Value> = from_redis_value(field())?;
            let mut fields = master.into_iter();
            let mut field = || fields.next().unwrap_or(Value::Nil);
            let name: Option<String> = from_redis_value(field())?;
            let port = from_redis_value(field())?;
            let node = Arc::new(Node::At(named(name.as_deref(), host), port));
            if let Some(owned) = owners.get_mut(first..=last) {
                owned.fill(Some(node));
            }
        }
        Ok(Self::Many(owners))
    }

    /// The server of a channel, if any has its slot.
    pub(super) fn owner(&self, channel: &str) -> Option<Arc<Node>> {
        match self {
            Self::One(node) => Some(Arc::clone(node)),
            Self::Many(owners) => owners.get(usize::from(slot(channel)))?.clone(),
        }
    }

    /// Every server that has slots.
    pub(super) fn owners(&self) -> HashSet<Arc<Node>> {
        match self {
            Self::One(node) => HashSet::from([Arc::clone(node)]),
            Self::Many(owners) => owners.iter().flatten().cloned().collect(),
        }
    }

    /// Takes note of a slot's new owner, which the error of a server at this host may name.
    pub(super) fn learn(&mut self, error: &RedisError, host: &Arc<str>) -> bool {
        let (Self::Many(owners), Some((slot, node))) = (self, moved(error, host)) else {
            return false;
        };
        let Some(owner) = owners.get_mut(slot) else {
            return false;
        };
        *owner = Some(Arc::new(node));
        true
    }
}

fn moved(error: &RedisError, host: &Arc<str>) -> Option<(usize, Node)> {
    let (address, slot) = error.redirect_node()?;
    let (name, port) = address.rsplit_once(':')?;
    let node = Node::At(named(Some(name), host), port.parse().ok()?);
    Some((usize::from(slot), node))
}

/// The host of a server; one that does not know its own is where the server is that was asked.
fn named(name: Option<&str>, asked: &Arc<str>) -> Arc<str> {
    match name {
        None | Some("" | "?") => Arc::clone(asked),
        Some(name) => name.into(),
    }
}

/// The slot of a channel: a checksum of what is in the first braces, if anything is, or of all.
fn slot(channel: &str) -> u16 {
    let tag = channel.split_once('{').and_then(|(_, rest)| {
        let (tag, _) = rest.split_once('}')?;
        (!tag.is_empty()).then_some(tag)
    });
    State::<XMODEM>::calculate(tag.unwrap_or(channel).as_bytes()) % COUNT
}

/// How many slots every cluster has.
const COUNT: u16 = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    /// The slots are what `CLUSTER KEYSLOT` of Redis 7.0 answers.
    #[test]
    fn slots_are_those_of_redis() {
        for (channel, expected) in [
            ("123456789", 12_739),
            ("foo", 12_182),
            ("a{foo}b", 12_182),
            ("{}{foo}", 2_263),
            ("{foo", 13_308),
            ("foo{{bar}}", 4_015),
            ("foo{bar}{zap}", 5_061),
            ("motorway:everyone", 11_136),
            ("motorway:topic/é", 8_499),
        ] {
            assert_eq!(slot(channel), expected, "{channel}");
        }
    }

    #[test]
    fn hosts_that_are_not_told_are_those_asked() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let range = |first, last, host| {
            let master = Value::Array(vec![host, Value::Int(7001), text("id")]);
            Value::Array(vec![Value::Int(first), Value::Int(last), master])
        };
        let answer = Value::Array(vec![
            range(0, 9_999, Value::Nil),
            range(10_000, 12_181, text("?")),
            range(12_182, 12_182, text("b.example")),
        ]);
        let mut slots = Slots::parse(answer, &"a".into()).unwrap();
        let at = |host: &str, port| Arc::new(Node::At(host.into(), port));
        assert_eq!(slots.owner("foo"), Some(at("b.example", 7001)));
        assert_eq!(slots.owner("123456789"), None);
        let both = HashSet::from([at("a", 7001), at("b.example", 7001)]);
        assert_eq!(slots.owners(), both);
        let moved = || redis::parse_redis_value(b"-MOVED 12739 :7002\r\n").unwrap();
        let error = moved().extract_error().unwrap_err();
        assert!(slots.learn(&error, &"c".into()));
        assert_eq!(slots.owner("123456789"), Some(at("c", 7002)));
        let error = redis::make_extension_error("ERR".into(), None);
        assert!(!slots.learn(&error, &"c".into()));
    }
}
