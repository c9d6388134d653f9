//! What holds with every kind of broker.

use crate::server::{Kind, Server};
use crate::world::{Client, World, soon, until};
use motorway::{Broker, BrokerError, BrokerEvent, BrokerState, Bytes, Hub, WebSocket};
use std::collections::BTreeSet;
use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

/// Makes each of them a test of a kind.
macro_rules! tests {
    ($kind:ident) => {
        $crate::table::tests!($kind:
            members_of_all_nodes_get_it_once,
            nodes_subscribe_to_what_they_have_members_for,
            odd_topics_do_not_mix,
            anybody_may_publish,
            prefixes_do_not_mix,
            ten_thousand_arrive_in_order,
            large_messages_arrive,
            what_nobody_takes_in_time_is_counted,
            without_a_server_there_is_an_error,
            a_killed_server_is_survived,
            a_server_that_hangs_is_noticed,
            nothing_is_left_of_a_hub,
        );
    };
    ($kind:ident: $($test:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                $crate::table::$test::<$kind>().await;
            }
        )+
    };
}
pub(crate) use tests;

/// So many hubs at a server.
pub(crate) async fn hubs<K: Kind>(server: &Server<K>, count: usize) -> Vec<Hub> {
    let mut hubs = Vec::new();
    for _ in 0..count {
        hubs.push(Hub::with_broker(K::connect(&server.url()).await.unwrap()));
    }
    hubs
}

/// A new member of a topic.
pub(crate) async fn member(world: &mut World, hub: &Hub, topic: &str) -> (WebSocket, Client) {
    let (ws, client) = world.open().await;
    hub.join(&ws, topic).unwrap();
    (ws, client)
}

pub(crate) async fn members_of_all_nodes_get_it_once<K: Kind>() {
    let mut world = World::new();
    let server = Server::<K>::start().await;
    let hubs = hubs(&server, 3).await;
    let mut members = Vec::new();
    for hub in &hubs {
        for _ in 0..2 {
            members.push(member(&mut world, hub, "a").await);
        }
    }
    server.until_subscribed("a", 3).await;
    hubs[0].publish("a", "text").await.unwrap();
    for (_, client) in &mut members {
        assert_eq!(client.text().await, "text");
    }
    let octets = &b"\x00\xff\r\n"[..];
    hubs[1]
        .publish_except(&members[2].0, "a", octets)
        .await
        .unwrap();
    for (place, (_, client)) in members.iter_mut().enumerate() {
        if place != 2 {
            assert_eq!(client.frame().await, (0x82, octets.to_vec()));
        }
    }
    hubs[2].broadcast("to all").await.unwrap();
    for (_, client) in &mut members {
        assert_eq!(client.text().await, "to all");
    }
    for (_, client) in &mut members {
        assert!(client.is_quiet().await);
    }
}

pub(crate) async fn nodes_subscribe_to_what_they_have_members_for<K: Kind>() {
    let mut world = World::new();
    let server = Server::<K>::start().await;
    let hubs = hubs(&server, 2).await;
    let (one, client) = member(&mut world, &hubs[0], "a").await;
    let (two, _two) = member(&mut world, &hubs[0], "a").await;
    hubs[0].join(&two, "b").unwrap();
    server.until_subscribed("a", 1).await;
    server.until_subscribed("b", 1).await;
    hubs[1].join(&one, "a").unwrap();
    server.until_subscribed("a", 2).await;
    hubs[0].leave(&two, "a");
    hubs[0].leave(&two, "b");
    server.until_subscribed("b", 0).await;
    server.until_subscribed("a", 2).await;
    drop(client);
    server.until_subscribed("a", 0).await;
    // And again, since nothing of before is to stay.
    hubs[0].join(&two, "a").unwrap();
    server.until_subscribed("a", 1).await;
}

pub(crate) async fn odd_topics_do_not_mix<K: Kind>() {
    let mut world = World::new();
    let server = Server::<K>::start().await;
    let hubs = hubs(&server, 2).await;
    let mut topics: Vec<String> = [
        " ", "a b", "a", "A", "*", ">", ".", "a.", "a.b", "a.*", "a.>", "a/", "a/b", "a//b", "/a",
        "//", "%", "%2E", "a%2Eb", "?", "[a-b]", "h?llo", "\\", "\"", "\r\n", "\0", "\t", ":", "é",
        "é/a", "e\u{301}", "日本", "🦀", "$SYS", "_INBOX", "everyone", "topic/a",
    ]
    .map(String::from)
    .to_vec();
    topics.push("x".repeat(256));
    topics.push("x".repeat(255) + "y");
    topics.push("é".repeat(128));
    topics.push("é".repeat(127) + "ê");
    let mut members = Vec::new();
    for topic in &topics {
        members.push(member(&mut world, &hubs[1], topic).await);
    }
    for topic in &topics {
        server.until_subscribed(topic, 1).await;
    }
    for topic in &topics {
        hubs[0].publish(topic, topic.as_str()).await.unwrap();
    }
    for (topic, (_, client)) in topics.iter().zip(&mut members) {
        assert_eq!(client.frame().await.1, topic.as_bytes());
    }
    hubs[0].broadcast("end").await.unwrap();
    for (_, client) in &mut members {
        assert_eq!(client.text().await, "end");
    }
}

pub(crate) async fn anybody_may_publish<K: Kind>() {
    let mut world = World::new();
    let server = Server::<K>::start().await;
    let hubs = hubs(&server, 1).await;
    let (_ws, mut client) = member(&mut world, &hubs[0], "lobby").await;
    server.until_subscribed("lobby", 1).await;
    let channel = match K::NAME {
        "nats" => "motorway.topic.lobby",
        _ => "motorway:topic/lobby",
    };
    for payload in [
        &b"\x09what"[..],
        b"",
        b"\x01\xff",
        b"\x11too short",
        b"\x01text",
        b"\x02\xff\x00",
        b"\x110123456789abcdefof another node",
    ] {
        K::publish(server.port, channel, payload).await;
    }
    assert_eq!(client.text().await, "text");
    assert_eq!(client.frame().await, (0x82, b"\xff\x00".to_vec()));
    assert_eq!(client.text().await, "of another node");
    let everyone = channel.replace("topic.lobby", "everyone");
    let everyone = everyone.replace("topic/lobby", "everyone");
    K::publish(server.port, &everyone, b"\x01to all").await;
    assert_eq!(client.text().await, "to all");
}

pub(crate) async fn prefixes_do_not_mix<K: Kind>() {
    let mut world = World::new();
    let server = Server::<K>::start().await;
    let one = Hub::with_broker(K::with_prefix(&server.url(), "one").await);
    let same = Hub::with_broker(K::with_prefix(&server.url(), "one").await);
    let two = Hub::with_broker(K::with_prefix(&server.url(), "one-two").await);
    let (_near, mut near) = member(&mut world, &same, "a").await;
    let (_far, mut far) = member(&mut world, &two, "a").await;
    for prefix in ["one", "one-two"] {
        let channel = K::channel("a").replacen("motorway", prefix, 1);
        soon(async { while K::subscribers(server.port, &channel).await == 0 {} }).await;
    }
    one.publish("a", "for one").await.unwrap();
    assert_eq!(near.text().await, "for one");
    assert!(far.is_quiet().await);
}

pub(crate) async fn ten_thousand_arrive_in_order<K: Kind>() {
    let mut world = World::new();
    let server = Server::<K>::start().await;
    let hubs = hubs(&server, 2).await;
    let (_ws, mut client) = member(&mut world, &hubs[1], "a").await;
    server.until_subscribed("a", 1).await;
    for number in 0..10_000 {
        hubs[0].publish("a", number.to_string()).await.unwrap();
    }
    for number in 0..10_000 {
        assert_eq!(client.text().await, number.to_string());
    }
    assert!(client.is_quiet().await);
    assert_eq!((hubs[0].lost(), hubs[1].lost()), (0, 0));
}

pub(crate) async fn large_messages_arrive<K: Kind>() {
    let mut world = World::new();
    let server = Server::<K>::start().await;
    let hubs = hubs(&server, 2).await;
    let (ws, mut client) = world.open_holding(K::LARGEST + 1024).await;
    hubs[1].join(&ws, "a").unwrap();
    server.until_subscribed("a", 1).await;
    // Without what tells the node.
    let large = vec![7; K::LARGEST - 17];
    for _ in 0..12 {
        hubs[0].publish("a", large.clone()).await.unwrap();
        assert!(client.frame().await == (0x82, large.clone()));
    }
}

pub(crate) async fn what_nobody_takes_in_time_is_counted<K: Kind>() {
    let server = Server::<K>::start().await;
    let one = K::connect(&server.url()).await.unwrap();
    let two = K::connect(&server.url()).await.unwrap();
    two.subscribe("topic/a").await.unwrap();
    server.until_subscribed("a", 1).await;
    let all = 20_000_u64;
    for number in 0..all {
        let payload = Bytes::from(number.to_string());
        one.publish("topic/a", payload).await.unwrap();
    }
    // Once a third has this, the server has sent everything on its way.
    let three = K::connect(&server.url()).await.unwrap();
    three.subscribe("topic/b").await.unwrap();
    server.until_subscribed("b", 1).await;
    one.publish("topic/b", Bytes::new()).await.unwrap();
    soon(three.next()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (mut got, mut lost, mut last) = (0, 0, None);
    soon(async {
        while got + lost < all {
            match two.next().await {
                BrokerEvent::Message { channel, payload } => {
                    assert_eq!(&*channel, "topic/a");
                    let number: u64 = str::from_utf8(&payload).unwrap().parse().unwrap();
                    assert!(last.is_none_or(|last| last < number));
                    last = Some(number);
                    got += 1;
                }
                BrokerEvent::Lagged(messages) => lost += messages,
                event => panic!("{event:?}"),
            }
        }
    })
    .await;
    assert_eq!(got + lost, all);
    assert!(lost > 0, "the queue has no bound");
}

pub(crate) async fn without_a_server_there_is_an_error<K: Kind>() {
    let mut server = Server::<K>::start().await;
    server.kill();
    let url = format!("{}://me:s3cret@127.0.0.1:{}", K::NAME, server.port);
    let Err(error) = soon(K::connect(&url)).await else {
        panic!("connected to nobody");
    };
    let BrokerError::Connect { address, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*address, format!("127.0.0.1:{}", server.port));
    assert!(error.source().is_some());
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    let Err(error) = K::connect("no such thing://me:s3cret@").await else {
        panic!("connected to nowhere");
    };
    assert!(matches!(error, BrokerError::Connect { .. }));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

/// Collects what a hub is told of its broker.
pub(crate) fn listen(hub: &Hub) -> Arc<Mutex<Vec<BrokerState>>> {
    let told = Arc::<Mutex<Vec<_>>>::default();
    let shared = Arc::clone(&told);
    hub.on_broker(move |state| shared.lock().unwrap().push(state));
    told
}

pub(crate) fn lagged(told: &Mutex<Vec<BrokerState>>) -> u64 {
    let told = told.lock().unwrap();
    let lost = told.iter().map(|state| match state {
        BrokerState::Lagged(lost) => *lost,
        _ => 0,
    });
    lost.sum()
}

pub(crate) fn has(told: &Mutex<Vec<BrokerState>>, state: BrokerState) -> bool {
    told.lock().unwrap().contains(&state)
}

/// Publishes numbers as fast as a member here reads them, for as long as that is said to go on.
pub(crate) fn load(hub: Hub, mut near: Client) -> (Arc<AtomicBool>, JoinHandle<(u64, Client)>) {
    let goes_on = Arc::new(AtomicBool::new(true));
    let still = Arc::clone(&goes_on);
    let task = tokio::spawn(async move {
        let mut published = 0_u64;
        while still.load(Ordering::Acquire) {
            hub.publish("a", published.to_string()).await.unwrap();
            assert_eq!(near.text().await, published.to_string());
            published += 1;
        }
        (published, near)
    });
    (goes_on, task)
}

/// The numbers that arrive at a member, up to the largest of all.
pub(crate) fn numbers(mut far: Client) -> (UnboundedReceiver<u64>, JoinHandle<Client>) {
    let (sender, arrived) = unbounded_channel();
    let task = tokio::spawn(async move {
        loop {
            let number: u64 = far.text().await.parse().unwrap();
            sender.send(number).unwrap();
            if number == u64::MAX {
                return far;
            }
        }
    });
    (arrived, task)
}

pub(crate) async fn a_killed_server_is_survived<K: Kind>() {
    let mut world = World::new();
    let mut server = Server::<K>::start().await;
    let hubs = hubs(&server, 2).await;
    let told: Vec<_> = hubs.iter().map(listen).collect();
    let (_here, near) = member(&mut world, &hubs[0], "a").await;
    let (_there, far) = member(&mut world, &hubs[1], "a").await;
    server.until_subscribed("a", 2).await;
    let (mut arrived, far) = numbers(far);
    let (goes_on, load) = load(hubs[0].clone(), near);
    assert_eq!(soon(arrived.recv()).await, Some(0));
    server.kill();
    until(|| told.iter().all(|told| has(told, BrokerState::Lost))).await;
    // Joined while there is no server.
    let (_late, mut late) = member(&mut world, &hubs[1], "late").await;
    until(|| hubs[0].lost() > 10).await;
    server.restart().await;
    until(|| told.iter().all(|told| has(told, BrokerState::Restored))).await;
    server.until_subscribed("a", 2).await;
    server.until_subscribed("late", 1).await;
    goes_on.store(false, Ordering::Release);
    let (published, mut near) = soon(load).await.unwrap();
    hubs[0].publish("a", u64::MAX.to_string()).await.unwrap();
    assert_eq!(near.text().await, u64::MAX.to_string());
    let mut far = soon(far).await.unwrap();
    let mut numbers = vec![0];
    while let Some(number) = arrived.recv().await {
        numbers.push(number);
    }
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    assert!((numbers.len() as u64) < published);
    hubs[0].publish("late", "is here").await.unwrap();
    assert_eq!(late.text().await, "is here");
    hubs[1].publish("a", "1").await.unwrap();
    assert_eq!(near.text().await, "1");
    assert_eq!(far.text().await, "1");
    until(|| lagged(&told[0]) == hubs[0].lost()).await;
}

pub(crate) async fn a_server_that_hangs_is_noticed<K: Kind>() {
    let mut world = World::new();
    let server = Server::<K>::start().await;
    let hub = Hub::with_broker(K::impatient(&server.url()).await);
    let told = listen(&hub);
    let (_ws, mut client) = member(&mut world, &hub, "a").await;
    server.until_subscribed("a", 1).await;
    server.signal("-STOP");
    until(|| told.lock().unwrap().contains(&BrokerState::Lost)).await;
    server.signal("-CONT");
    until(|| told.lock().unwrap().last() == Some(&BrokerState::Restored)).await;
    server.until_subscribed("a", 1).await;
    let octets = b"\x01all is well";
    K::publish(server.port, &K::channel("a"), octets).await;
    assert_eq!(client.text().await, "all is well");
}

pub(crate) async fn nothing_is_left_of_a_hub<K: Kind>() {
    let mut world = World::new();
    let server = Server::<K>::start().await;
    let mut hubs = hubs(&server, 2).await;
    let mut members = Vec::new();
    for topic in ["a", "b"] {
        members.push(member(&mut world, &hubs[0], topic).await);
    }
    hubs[1].join(&members[0].0, "a").unwrap();
    server.until_subscribed("a", 2).await;
    server.until_subscribed("b", 1).await;
    drop(hubs.remove(0));
    server.until_subscribed("a", 1).await;
    server.until_subscribed("b", 0).await;
    // The members are none of its business any more, but they are connected.
    let open: BTreeSet<_> = members.iter().map(|(ws, _)| ws.is_open()).collect();
    assert_eq!(open, BTreeSet::from([true]));
    let (_, client) = &mut members[0];
    hubs[0].publish("a", "still").await.unwrap();
    assert_eq!(soon(client.0.read_u8()).await.unwrap(), 0x81);
}
