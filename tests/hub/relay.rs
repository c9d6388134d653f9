//! Hubs of several nodes, joined by a broker in memory that can be cut off.

use crate::world::{World, until};
use motorway::{Broker, BrokerError, BrokerEvent, BrokerState, Bytes, Hub};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// What all nodes share.
#[derive(Default)]
struct Exchange(Mutex<Vec<Arc<Line>>>);

/// The line of one node.
#[derive(Default)]
pub(crate) struct Line {
    events: Mutex<VecDeque<BrokerEvent>>,
    has_come: Notify,
    channels: Mutex<BTreeSet<String>>,
    is_cut: Mutex<bool>,
}

struct Node(Arc<Exchange>, Arc<Line>);

impl Line {
    fn push(&self, event: BrokerEvent) {
        self.events.lock().unwrap().push_back(event);
        self.has_come.notify_one();
    }

    fn topics(&self) -> BTreeSet<String> {
        let channels = self.channels.lock().unwrap();
        channels
            .iter()
            .filter_map(|channel| channel.strip_prefix("topic/"))
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn channels(&self) -> BTreeSet<String> {
        self.channels.lock().unwrap().clone()
    }

    pub(crate) fn is_subscribed(&self, channel: &str) -> bool {
        self.channels.lock().unwrap().contains(channel)
    }

    pub(crate) async fn wait(&self) {
        self.has_come.notified().await;
    }

    pub(crate) fn wake(&self) {
        self.has_come.notify_one();
    }

    pub(crate) fn cut(&self) {
        *self.is_cut.lock().unwrap() = true;
        self.channels.lock().unwrap().clear();
        self.push(BrokerEvent::Lost);
    }

    fn mend(&self) {
        *self.is_cut.lock().unwrap() = false;
        self.push(BrokerEvent::Restored);
    }
}

impl Broker for Node {
    async fn publish(&self, channel: &str, payload: Bytes) -> Result<(), BrokerError> {
        if *self.1.is_cut.lock().unwrap() {
            return Err(BrokerError::failed("cut off"));
        }
        for line in &*self.0.0.lock().unwrap() {
            if line.channels.lock().unwrap().contains(channel) {
                line.push(BrokerEvent::Message {
                    channel: channel.into(),
                    payload: payload.clone(),
                });
            }
        }
        Ok(())
    }

    async fn subscribe(&self, channel: &str) -> Result<(), BrokerError> {
        if *self.1.is_cut.lock().unwrap() {
            return Err(BrokerError::failed("cut off"));
        }
        self.1.channels.lock().unwrap().insert(channel.to_owned());
        Ok(())
    }

    async fn unsubscribe(&self, channel: &str) -> Result<(), BrokerError> {
        self.1.channels.lock().unwrap().remove(channel);
        Ok(())
    }

    async fn next(&self) -> BrokerEvent {
        loop {
            if let Some(event) = self.1.events.lock().unwrap().pop_front() {
                return event;
            }
            self.1.has_come.notified().await;
        }
    }
}

pub(crate) fn nodes(count: usize) -> (Vec<Hub>, Vec<Arc<Line>>) {
    let exchange = Arc::new(Exchange::default());
    let lines: Vec<Arc<Line>> = (0..count).map(|_| Arc::default()).collect();
    exchange.0.lock().unwrap().clone_from(&lines);
    let hubs = lines
        .iter()
        .map(|line| Hub::with_broker(Node(Arc::clone(&exchange), Arc::clone(line))));
    (hubs.collect(), lines)
}

pub(crate) fn mend_all(lines: &[Arc<Line>]) {
    lines.iter().for_each(|line| line.mend());
}

#[tokio::test]
async fn members_of_all_nodes_get_it_once() {
    let mut world = World::new();
    let (hubs, lines) = nodes(3);
    let mut clients = Vec::new();
    for hub in &hubs {
        for _ in 0..2 {
            let (ws, client) = world.open().await;
            hub.join(&ws, "a").unwrap();
            clients.push((ws, client));
        }
    }
    until(|| lines.iter().all(|line| line.topics().contains("a"))).await;
    let published = hubs[0].publish("a", "text").await.unwrap();
    assert_eq!(published.sent, 2);
    hubs[1]
        .publish_except(&clients[2].0, "a", &b"octets"[..])
        .await
        .unwrap();
    until(|| {
        lines
            .iter()
            .all(|line| line.channels.lock().unwrap().contains("everyone"))
    })
    .await;
    for (place, (_, client)) in clients.iter_mut().enumerate() {
        let mut got = BTreeSet::from([client.frame().await]);
        if place != 2 {
            got.insert(client.frame().await);
            assert!(got.contains(&(0x82, b"octets".to_vec())), "{place}");
        }
        assert!(got.contains(&(0x81, b"text".to_vec())), "{place}");
    }
    hubs[2].broadcast("to all").await.unwrap();
    for (_, client) in &mut clients {
        assert_eq!(client.text().await, "to all");
        assert!(client.is_quiet().await);
    }
}

#[tokio::test]
async fn nodes_subscribe_to_what_they_have_members_for() {
    let mut world = World::new();
    let (hubs, lines) = nodes(2);
    let (one, client) = world.open().await;
    let (two, _two) = world.open().await;
    hubs[0].join(&one, "a").unwrap();
    hubs[0].join(&two, "a").unwrap();
    hubs[0].join(&two, "b").unwrap();
    until(|| lines[0].topics() == BTreeSet::from(["a".to_owned(), "b".to_owned()])).await;
    assert!(lines[1].topics().is_empty());
    hubs[0].leave(&two, "a");
    hubs[0].leave(&two, "b");
    until(|| lines[0].topics() == BTreeSet::from(["a".to_owned()])).await;
    drop(client);
    until(|| lines[0].topics().is_empty()).await;
}

#[tokio::test]
async fn without_the_broker_members_here_get_it_and_losses_are_told() {
    let mut world = World::new();
    let (hubs, lines) = nodes(2);
    let (here, mut near) = world.open().await;
    let (there, mut far) = world.open().await;
    hubs[0].join(&here, "a").unwrap();
    hubs[1].join(&there, "a").unwrap();
    until(|| lines.iter().all(|line| line.topics().contains("a"))).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&told);
    hubs[0].on_broker(move |state| shared.lock().unwrap().push(state));
    lines[0].cut();
    until(|| *told.lock().unwrap() == [BrokerState::Lost]).await;
    assert!(hubs[0].is_alone() && !hubs[1].is_alone());
    for number in 0..5 {
        hubs[0].publish("a", number.to_string()).await.unwrap();
        assert_eq!(near.text().await, number.to_string());
    }
    until(|| hubs[0].lost() == 5).await;
    // Joined while the broker is away.
    let (late, mut later) = world.open().await;
    hubs[0].join(&late, "b").unwrap();
    lines[0].mend();
    let all = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
    until(|| lines[0].topics() == all).await;
    until(|| told.lock().unwrap().contains(&BrokerState::Restored)).await;
    assert!(!hubs[0].is_alone());
    hubs[0].publish("a", "again").await.unwrap();
    assert_eq!(far.text().await, "again");
    hubs[1].publish("b", "for the late").await.unwrap();
    assert_eq!(later.text().await, "for the late");
    let lost = |states: &[BrokerState]| -> u64 {
        states
            .iter()
            .map(|state| match state {
                BrokerState::Lagged(lost) => *lost,
                _ => 0,
            })
            .sum()
    };
    until(|| lost(&told.lock().unwrap()) == 5).await;
}

#[tokio::test]
async fn what_is_left_of_a_broker_is_used() {
    let mut world = World::new();
    let (hubs, lines) = nodes(2);
    let (there, mut far) = world.open().await;
    hubs[1].join(&there, "a").unwrap();
    until(|| lines[1].topics().contains("a")).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&told);
    hubs[0].on_broker(move |state| shared.lock().unwrap().push(state));
    lines[0].cut();
    until(|| told.lock().unwrap().len() == 1).await;
    hubs[0].publish("a", "lost").await.unwrap();
    *lines[0].is_cut.lock().unwrap() = false;
    lines[0].push(BrokerEvent::PartlyLost);
    until(|| told.lock().unwrap().contains(&BrokerState::PartlyLost)).await;
    hubs[0].publish("a", "not lost").await.unwrap();
    assert_eq!(far.text().await, "not lost");
    assert_eq!(hubs[0].lost(), 1);
    lines[0].push(BrokerEvent::PartlyLost);
    lines[0].mend();
    until(|| told.lock().unwrap().contains(&BrokerState::Restored)).await;
    let mut told = told.lock().unwrap().clone();
    told.retain(|state| !matches!(state, BrokerState::Lagged(_)));
    let all = [
        BrokerState::Lost,
        BrokerState::PartlyLost,
        BrokerState::Restored,
    ];
    assert_eq!(told, all);
}

#[tokio::test]
async fn what_is_for_this_node_stays_here() {
    let mut world = World::new();
    let (hubs, lines) = nodes(2);
    let (here, mut near) = world.open().await;
    let (there, mut far) = world.open().await;
    hubs[0].join(&here, "a").unwrap();
    hubs[1].join(&there, "a").unwrap();
    let joined = |line: &Arc<Line>| line.channels.lock().unwrap().len() == 2;
    until(|| lines.iter().all(joined)).await;
    assert_eq!(hubs[0].publish_here("a", "members").unwrap().sent, 1);
    assert_eq!(hubs[0].broadcast_here("everybody").sent, 1);
    assert!(hubs[0].publish_here("", "nobody").is_err());
    assert_eq!(near.text().await, "members");
    assert_eq!(near.text().await, "everybody");
    hubs[0].publish("a", "all nodes").await.unwrap();
    // What went to the other node before would have come before this.
    assert_eq!(far.text().await, "all nodes");
    assert_eq!(near.text().await, "all nodes");
}

#[tokio::test]
async fn anybody_may_publish_and_nonsense_does_no_harm() {
    let mut world = World::new();
    let (hubs, lines) = nodes(1);
    let (ws, mut client) = world.open().await;
    hubs[0].join(&ws, "a").unwrap();
    lines[0].push(BrokerEvent::Message {
        channel: "elsewhere".into(),
        payload: Bytes::from_static(b"\x01for nobody here"),
    });
    for payload in [&b"\x09what"[..], b"", b"\x01\xff", b"\x01hello"] {
        lines[0].push(BrokerEvent::Message {
            channel: "topic/a".into(),
            payload: Bytes::from_static(payload),
        });
    }
    assert_eq!(client.text().await, "hello");
    assert!(client.is_quiet().await);
}

#[tokio::test]
async fn the_task_ends_with_the_hub() {
    let (mut hubs, lines) = nodes(1);
    until(|| !lines[0].channels.lock().unwrap().is_empty()).await;
    let weak = hubs[0].downgrade();
    let told = weak.clone();
    hubs[0].on_broker(move |state| {
        if let Some(hub) = told.upgrade() {
            hub.broadcast_here(format!("{state:?}"));
        }
    });
    assert_eq!(weak.upgrade().unwrap().node(), hubs[0].node());
    let before = Arc::strong_count(&lines[0]);
    drop(hubs.pop());
    until(|| Arc::strong_count(&lines[0]) < before).await;
    assert!(weak.upgrade().is_none());
}

// The task may run on another thread before the hub is there.
#[tokio::test(flavor = "multi_thread")]
async fn every_hub_is_found_by_its_task() {
    let (_hubs, lines) = nodes(500);
    until(|| {
        let mut channels = lines.iter().map(|line| line.channels.lock().unwrap());
        channels.all(|channels| channels.contains("everyone"))
    })
    .await;
}
