//! A cluster of Redis, of three masters.

use crate::redis::{Redis, ask};
use crate::server::{Kind, Server};
use crate::sharded::Sharded;
use crate::table::{has, lagged, listen, load, member, numbers};
use crate::world::{World, soon, until};
use motorway::{BrokerState, Hub, RedisBroker, RedisChannels};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

/// Three masters, each with a third of the slots, and perhaps a server more, which has none.
struct Cluster {
    servers: Vec<Server<Sharded>>,
}

/// Asks for a text.
async fn text(port: u16, words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
    String::from_utf8_lossy(&ask(port, &words).await).into_owned()
}

/// Asks for what has to be done.
async fn order(port: u16, words: &[&str]) {
    let answer = text(port, words).await;
    assert!(answer.starts_with("+OK"), "{words:?}: {answer}");
}

async fn id(port: u16) -> String {
    let answer = text(port, &["CLUSTER", "MYID"]).await;
    answer.split("\r\n").nth(1).unwrap().to_owned()
}

async fn until_answered(port: u16, words: &[&str], part: &str) {
    soon(async {
        while !text(port, words).await.contains(part) {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

impl Cluster {
    async fn start(count: usize) -> Self {
        let mut servers = Vec::new();
        for place in 0..count {
            let server = Server::<Sharded>::start().await;
            let port = server.port;
            order(port, &["CLUSTER", "DELSLOTSRANGE", "0", "16383"]).await;
            if let Some((first, last)) = RANGES.get(place) {
                order(port, &["CLUSTER", "ADDSLOTSRANGE", first, last]).await;
            }
            let epoch = (place + 1).to_string();
            order(port, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await;
            servers.push(server);
        }
        let cluster = Self { servers };
        for server in &cluster.servers[1..] {
            let (port, bus) = (server.port.to_string(), (server.port + 1).to_string());
            let meeting = ["CLUSTER", "MEET", "127.0.0.1", &port, &bus];
            order(cluster.port(0), &meeting).await;
        }
        let known = format!("cluster_known_nodes:{count}\r\n");
        for server in &cluster.servers {
            until_answered(server.port, &["CLUSTER", "INFO"], "cluster_state:ok").await;
            until_answered(server.port, &["CLUSTER", "INFO"], &known).await;
            until_answered(server.port, &["CLUSTER", "INFO"], "slots_ok:16384").await;
        }
        cluster
    }

    fn port(&self, place: usize) -> u16 {
        self.servers[place].port
    }

    /// One hub at each of the masters.
    async fn hubs(&self) -> Vec<Hub> {
        self.hubs_asking(Duration::from_millis(200)).await
    }

    /// The same, which ask so often how the servers are.
    async fn hubs_asking(&self, interval: Duration) -> Vec<Hub> {
        let mut hubs = Vec::new();
        for server in &self.servers[..3] {
            let builder = RedisBroker::builder().ping_interval(interval);
            let broker = builder.connect(server.url()).await.unwrap();
            hubs.push(Hub::with_broker(broker));
        }
        hubs
    }

    async fn slot(&self, channel: &str) -> u16 {
        let answer = text(self.port(0), &["CLUSTER", "KEYSLOT", channel]).await;
        let number = answer.trim_start_matches(':').split("\r\n").next();
        number.unwrap().parse().unwrap()
    }

    /// The place of the master that the channel of a topic was given to.
    async fn master(&self, topic: &str) -> usize {
        let slot = self.slot(&Sharded::channel(topic)).await;
        let ranges = RANGES.iter();
        let mut lasts = ranges.map(|(_, last)| last.parse::<u16>().unwrap());
        lasts.position(|last| slot <= last).unwrap()
    }

    /// The first topic of this kind at a master.
    async fn topic_at(&self, place: usize, kind: &str) -> String {
        for number in 0.. {
            let topic = format!("{kind}{number}");
            if self.master(&topic).await == place {
                return topic;
            }
        }
        unreachable!();
    }
}

/// Tells whether a server lists the sharded channel of a topic.
async fn has_channel(port: u16, topic: &str) -> bool {
    let channels = text(port, &["PUBSUB", "SHARDCHANNELS"]).await;
    let channel = format!("\r\n{}\r\n", Sharded::channel(topic));
    channels.contains(&channel)
}

#[tokio::test(flavor = "multi_thread")]
async fn hubs_at_different_servers_are_one_by_sharded_channels() {
    let mut world = World::new();
    let cluster = Cluster::start(3).await;
    let hubs = cluster.hubs().await;
    let mut topics = Vec::new();
    for place in 0..3 {
        topics.push(cluster.topic_at(place, "one").await);
        topics.push(cluster.topic_at(place, "other").await);
    }
    let mut members = Vec::new();
    for hub in &hubs {
        let (ws, client) = world.open().await;
        for topic in &topics {
            hub.join(&ws, topic).unwrap();
        }
        members.push((ws, client));
    }
    for (place, topic) in topics.iter().enumerate() {
        cluster.servers[place / 2].until_subscribed(topic, 3).await;
    }
    for round in 0..20 {
        for (hub, publisher) in hubs.iter().zip(0..) {
            for topic in &topics {
                let text = format!("{topic} {publisher} {round}");
                hub.publish(topic, text.as_str()).await.unwrap();
                for (_, client) in &mut members {
                    assert_eq!(client.text().await, text);
                }
            }
            hub.broadcast("to all").await.unwrap();
            for (_, client) in &mut members {
                assert_eq!(client.text().await, "to all");
            }
        }
    }
    for (_, client) in &mut members {
        assert!(client.is_quiet().await, "came twice");
    }
    for (place, topic) in topics.iter().enumerate() {
        for server in 0..3 {
            let is_there = has_channel(cluster.port(server), topic).await;
            assert_eq!(is_there, server == place / 2, "{topic} at {server}");
        }
    }
    for server in &cluster.servers {
        let plain = text(server.port, &["PUBSUB", "CHANNELS"]).await;
        assert!(plain.starts_with("*0\r\n"), "{plain}");
    }
    // Once the last has left, nothing is there any more.
    for (hub, (ws, _)) in hubs.iter().zip(&members) {
        for topic in &topics {
            hub.leave(ws, topic);
        }
    }
    for (place, topic) in topics.iter().enumerate() {
        let server = &cluster.servers[place / 2];
        server.until_subscribed(topic, 0).await;
        assert!(!has_channel(server.port, topic).await);
    }
    assert!(hubs.iter().all(|hub| hub.lost() == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_present_is_known_at_every_server() {
    let mut world = World::new();
    let cluster = Cluster::start(3).await;
    let hubs = cluster.hubs().await;
    let mut members = Vec::new();
    for (hub, name) in hubs.iter().zip(["Ann", "Bob", "Cem"]) {
        let (ws, client) = world.open().await;
        hub.join_as(&ws, "a", name).unwrap();
        members.push((ws, client));
    }
    for hub in &hubs {
        until(|| hub.present("a").len() == 3).await;
    }
    drop(members.pop());
    // The third has nobody there any more, and does not want to know.
    for hub in &hubs[..2] {
        until(|| hub.present("a").len() == 2).await;
    }
}

/// What has arrived, of a load that has ended.
fn arrived_in_order(mut arrived: tokio::sync::mpsc::UnboundedReceiver<u64>) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Ok(number) = arrived.try_recv() {
        numbers.push(number);
    }
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_slot_is_followed() {
    let mut world = World::new();
    let cluster = Cluster::start(3).await;
    // What they do not find out at once they never do.
    let hubs = cluster.hubs_asking(NEVER).await;
    let told: Vec<_> = hubs.iter().map(listen).collect();
    let (_here, near) = member(&mut world, &hubs[0], "a").await;
    let (_there, far) = member(&mut world, &hubs[1], "a").await;
    let from = cluster.master("a").await;
    let to = (from + 1) % 3;
    cluster.servers[from].until_subscribed("a", 2).await;
    let (mut arrived, far) = numbers(far);
    let (goes_on, load) = load(hubs[0].clone(), near);
    assert_eq!(soon(arrived.recv()).await, Some(0));
    let slot = cluster.slot(&Sharded::channel("a")).await.to_string();
    let ids = [id(cluster.port(from)).await, id(cluster.port(to)).await];
    let [from_id, to_id] = ids.each_ref().map(String::as_str);
    let importing = ["CLUSTER", "SETSLOT", &slot, "IMPORTING", from_id];
    order(cluster.port(to), &importing).await;
    let migrating = ["CLUSTER", "SETSLOT", &slot, "MIGRATING", to_id];
    order(cluster.port(from), &migrating).await;
    for place in [to, from] {
        let given = ["CLUSTER", "SETSLOT", &slot, "NODE", to_id];
        order(cluster.port(place), &given).await;
    }
    until(|| told[1].lock().unwrap().contains(&BrokerState::Restored)).await;
    cluster.servers[to].until_subscribed("a", 2).await;
    cluster.servers[from].until_subscribed("a", 0).await;
    // It arrives again.
    while arrived.try_recv().is_ok() {}
    soon(arrived.recv()).await.unwrap();
    goes_on.store(false, Ordering::Release);
    let (_, mut near) = soon(load).await.unwrap();
    hubs[0].publish("a", u64::MAX.to_string()).await.unwrap();
    assert_eq!(near.text().await, u64::MAX.to_string());
    soon(far).await.unwrap();
    assert_eq!(arrived_in_order(arrived).last(), Some(&u64::MAX));
    assert!(has(&told[1], BrokerState::PartlyLost));
    for told in &told {
        assert!(!has(told, BrokerState::Lost), "{told:?}");
    }
    // What has moved was not refused: the publisher has asked the other server.
    assert_eq!(hubs[0].lost(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_server_leaves_the_topics_of_the_others() {
    let mut world = World::new();
    let mut cluster = Cluster::start(3).await;
    let hubs = cluster.hubs().await;
    let told: Vec<_> = hubs.iter().map(listen).collect();
    let lost = cluster.master("a").await;
    let other = cluster.topic_at((lost + 1) % 3, "other").await;
    let (_here, near) = member(&mut world, &hubs[0], "a").await;
    let (_there, far) = member(&mut world, &hubs[1], "a").await;
    let (_other, mut living) = member(&mut world, &hubs[1], &other).await;
    cluster.servers[lost].until_subscribed("a", 2).await;
    let living_at = &cluster.servers[(lost + 1) % 3];
    living_at.until_subscribed(&other, 1).await;
    // Its connection is there.
    hubs[0].publish(&other, "before").await.unwrap();
    assert_eq!(living.text().await, "before");
    let (mut arrived, far) = numbers(far);
    let (goes_on, load) = load(hubs[0].clone(), near);
    assert_eq!(soon(arrived.recv()).await, Some(0));
    cluster.servers[lost].kill();
    until(|| {
        told[..2]
            .iter()
            .all(|told| has(told, BrokerState::PartlyLost))
    })
    .await;
    until(|| hubs[0].lost() > 10).await;
    for number in 0..100 {
        hubs[0].publish(&other, number.to_string()).await.unwrap();
        assert_eq!(living.text().await, number.to_string());
    }
    cluster.servers[lost].restart().await;
    until(|| {
        told[..2]
            .iter()
            .all(|told| has(told, BrokerState::Restored))
    })
    .await;
    cluster.servers[lost].until_subscribed("a", 2).await;
    goes_on.store(false, Ordering::Release);
    let (published, mut near) = soon(load).await.unwrap();
    hubs[0].publish("a", u64::MAX.to_string()).await.unwrap();
    assert_eq!(near.text().await, u64::MAX.to_string());
    soon(far).await.unwrap();
    let numbers = arrived_in_order(arrived);
    assert!((numbers.len() as u64) < published);
    until(|| lagged(&told[0]) == hubs[0].lost()).await;
    for told in &told {
        assert!(!has(told, BrokerState::Lost), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_leaves_the_topics_of_the_others() {
    let mut world = World::new();
    let cluster = Cluster::start(3).await;
    let hubs = cluster.hubs().await;
    let told = listen(&hubs[1]);
    let lost = cluster.master("a").await;
    let other = cluster.topic_at((lost + 1) % 3, "other").await;
    let (ws, mut client) = member(&mut world, &hubs[1], "a").await;
    hubs[1].join(&ws, &other).unwrap();
    cluster.servers[lost].until_subscribed("a", 1).await;
    let living = &cluster.servers[(lost + 1) % 3];
    living.until_subscribed(&other, 1).await;
    cluster.servers[lost].signal("-STOP");
    hubs[0].publish("a", "taken by nobody").await.unwrap();
    hubs[0].publish(&other, "goes on").await.unwrap();
    assert_eq!(client.text().await, "goes on");
    until(|| has(&told, BrokerState::PartlyLost)).await;
    until(|| hubs[0].lost() == 1).await;
    cluster.servers[lost].signal("-CONT");
    until(|| has(&told, BrokerState::Restored)).await;
    cluster.servers[lost].until_subscribed("a", 1).await;
    assert!(!has(&told, BrokerState::Lost));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_promoted_is_found() {
    let mut world = World::new();
    let mut cluster = Cluster::start(4).await;
    let lost = cluster.master("a").await;
    let (lost_port, replica) = (cluster.port(lost), cluster.port(3));
    order(replica, &["CLUSTER", "REPLICATE", &id(lost_port).await]).await;
    until_answered(replica, &["INFO", "replication"], "master_link_status:up").await;
    let hubs = cluster.hubs().await;
    let told: Vec<_> = hubs.iter().map(listen).collect();
    let (_here, _near) = member(&mut world, &hubs[0], "a").await;
    let (_there, mut far) = member(&mut world, &hubs[1], "a").await;
    cluster.servers[lost].until_subscribed("a", 2).await;
    cluster.servers[lost].kill();
    until(|| {
        told[..2]
            .iter()
            .all(|told| has(told, BrokerState::PartlyLost))
    })
    .await;
    until(|| {
        told[..2]
            .iter()
            .all(|told| has(told, BrokerState::Restored))
    })
    .await;
    cluster.servers[3].until_subscribed("a", 2).await;
    hubs[0].publish("a", "from the other").await.unwrap();
    assert_eq!(far.text().await, "from the other");
    assert!(far.is_quiet().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_failover_is_followed() {
    let mut world = World::new();
    let cluster = Cluster::start(4).await;
    let master = cluster.master("a").await;
    let (port, replica) = (cluster.port(master), cluster.port(3));
    order(replica, &["CLUSTER", "REPLICATE", &id(port).await]).await;
    until_answered(replica, &["INFO", "replication"], "master_link_status:up").await;
    // What they do not find out at once they never do.
    let hubs = cluster.hubs_asking(NEVER).await;
    let (_here, _near) = member(&mut world, &hubs[0], "a").await;
    let (_there, mut far) = member(&mut world, &hubs[1], "a").await;
    cluster.servers[master].until_subscribed("a", 2).await;
    order(replica, &["CLUSTER", "FAILOVER"]).await;
    // Nothing breaks: the former master is a replica, and gives what the new one gives.
    cluster.servers[3].until_subscribed("a", 2).await;
    cluster.servers[master].until_subscribed("a", 0).await;
    hubs[0].publish("a", "once").await.unwrap();
    assert_eq!(far.text().await, "once");
    assert!(far.is_quiet().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_addresses_will_do() {
    let mut world = World::new();
    let mut cluster = Cluster::start(3).await;
    // All channels at the last.
    let mut prefix = 0;
    while cluster.slot(&format!("{{{prefix}}}")).await < 10_923 {
        prefix += 1;
    }
    let builder = RedisBroker::builder().prefix(format!("{{{prefix}}}"));
    cluster.servers[0].kill();
    let [dead, living] = [0, 1].map(|place| cluster.servers[place].url());
    assert!(builder.clone().connect(&dead).await.is_err());
    let mut hubs = Vec::new();
    for urls in [living.clone(), format!("{dead},{living}")] {
        let broker = builder.clone().connect(urls).await.unwrap();
        hubs.push(Hub::with_broker(broker));
    }
    let (_ws, mut client) = member(&mut world, &hubs[1], "a").await;
    let channel = format!("{{{prefix}}}:topic/a");
    let counting = ["PUBSUB", "SHARDNUMSUB", &channel];
    until_answered(cluster.port(2), &counting, ":1\r\n").await;
    hubs[0].publish("a", "there").await.unwrap();
    assert_eq!(client.text().await, "there");
}

#[tokio::test(flavor = "multi_thread")]
async fn sharded_channels_without_a_cluster_are_those_of_the_server() {
    let mut world = World::new();
    let server = Server::<Redis>::start().await;
    let builder = RedisBroker::builder().channels(RedisChannels::Sharded);
    let hub = Hub::with_broker(builder.connect(server.url()).await.unwrap());
    let (_ws, mut client) = member(&mut world, &hub, "a").await;
    until_answered(
        server.port,
        &["PUBSUB", "SHARDNUMSUB", "motorway:topic/a"],
        ":1\r\n",
    )
    .await;
    Redis::publish(server.port, "motorway:topic/a", b"\x01plain").await;
    Sharded::publish(server.port, "motorway:topic/a", b"\x01sharded").await;
    assert_eq!(client.text().await, "sharded");
    assert!(client.is_quiet().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_channels_go_through_all_servers() {
    let mut world = World::new();
    let cluster = Cluster::start(3).await;
    let mut hubs = Vec::new();
    for place in 0..2 {
        let builder = RedisBroker::builder().channels(RedisChannels::Plain);
        let broker = builder.connect(cluster.servers[place].url()).await;
        hubs.push(Hub::with_broker(broker.unwrap()));
    }
    let (_ws, mut client) = member(&mut world, &hubs[1], "a").await;
    let counting = ["PUBSUB", "NUMSUB", "motorway:topic/a"];
    until_answered(cluster.port(1), &counting, ":1\r\n").await;
    hubs[0].publish("a", "by the bus").await.unwrap();
    assert_eq!(client.text().await, "by the bus");
    assert!(!has_channel(cluster.port(1), "a").await);
}

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3600);
/// The slots of each.
const RANGES: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
