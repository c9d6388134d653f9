//! Brokers that take their time, refuse, or panic, and callbacks that do.

use crate::relay::{Line, mend_all, nodes};
use crate::world::{World, soon, until};
use motorway::{Broker, BrokerError, BrokerEvent, BrokerState, Bytes, Hub, WebSocket};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// A broker that takes a while for each subscription, and refuses some.
#[derive(Clone, Default)]
struct Slow(Arc<State>);

#[derive(Default)]
struct State {
    channels: Mutex<HashSet<String>>,
    /// Channels that somebody is subscribing to at this moment.
    under_way: Mutex<HashSet<String>>,
    events: Mutex<VecDeque<BrokerEvent>>,
    has_come: Notify,
}

impl Slow {
    fn push(&self, event: BrokerEvent) {
        self.0.events.lock().unwrap().push_back(event);
        self.0.has_come.notify_one();
    }

    fn forget(&self) {
        self.0.channels.lock().unwrap().clear();
        self.push(BrokerEvent::Lost);
    }

    fn count(&self) -> usize {
        self.0.channels.lock().unwrap().len()
    }
}

impl Broker for Slow {
    async fn publish(&self, _: &str, _: Bytes) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn subscribe(&self, channel: &str) -> Result<(), BrokerError> {
        let is_first = self.0.under_way.lock().unwrap().insert(channel.to_owned());
        assert!(is_first, "twice at once: {channel}");
        sleep(Duration::from_millis(10)).await;
        self.0.under_way.lock().unwrap().remove(channel);
        if channel.contains("forbidden") {
            return Err(BrokerError::failed("forbidden"));
        }
        self.0.channels.lock().unwrap().insert(channel.to_owned());
        Ok(())
    }

    async fn unsubscribe(&self, channel: &str) -> Result<(), BrokerError> {
        self.0.channels.lock().unwrap().remove(channel);
        Ok(())
    }

    async fn next(&self) -> BrokerEvent {
        loop {
            if let Some(event) = self.0.events.lock().unwrap().pop_front() {
                return event;
            }
            self.0.has_come.notified().await;
        }
    }
}

/// Joins so many topics.
async fn join(world: &mut World, hub: &Hub, topics: usize) -> Vec<(WebSocket, impl Sized)> {
    let mut open = Vec::new();
    for place in 0..topics.div_ceil(1000) {
        let (ws, client) = world.open_holding(256).await;
        for topic in (place * 1000)..topics.min((place + 1) * 1000) {
            hub.join(&ws, topic.to_string()).unwrap();
        }
        open.push((ws, client));
    }
    open
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_topics_are_subscribed_to_in_seconds_and_then_it_is_told() {
    let (mut world, broker) = (World::new(), Slow::default());
    let hub = Hub::with_broker(broker.clone());
    let start = Instant::now();
    let _open = join(&mut world, &hub, 10_000).await;
    until(|| broker.count() == 10_001).await;
    assert!(start.elapsed() < Duration::from_secs(10));
    let told = Arc::new(Mutex::new(Vec::new()));
    let (shared, counting) = (Arc::clone(&told), broker.clone());
    hub.on_broker(move |state| shared.lock().unwrap().push((state, counting.count())));
    broker.forget();
    until(|| told.lock().unwrap().len() == 1).await;
    let start = Instant::now();
    broker.push(BrokerEvent::Restored);
    // Lost again before all are there, which needs not be told.
    sleep(Duration::from_millis(100)).await;
    broker.forget();
    sleep(Duration::from_millis(100)).await;
    assert!(hub.is_alone());
    broker.push(BrokerEvent::Restored);
    until(|| told.lock().unwrap().len() == 2).await;
    assert!(start.elapsed() < Duration::from_secs(10));
    let all = [(BrokerState::Lost, 0), (BrokerState::Restored, 10_001)];
    assert_eq!(*told.lock().unwrap(), all);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_holds_up_nothing_else() {
    let (mut world, broker) = (World::new(), Slow::default());
    let hub = Hub::with_broker(broker.clone());
    let (ws, _client) = world.open().await;
    for topic in 0..500 {
        hub.join(&ws, format!("forbidden {topic}")).unwrap();
    }
    sleep(Duration::from_secs(10)).await;
    for topic in 0..100 {
        let (start, before) = (Instant::now(), broker.count());
        hub.join(&ws, format!("free {topic}")).unwrap();
        until(|| broker.count() > before).await;
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test]
async fn who_is_told_may_panic() {
    let mut world = World::new();
    let (hubs, lines) = nodes(2);
    let (ws, mut client) = world.open().await;
    hubs[1].join(&ws, "a").unwrap();
    hubs[1].on_broker(|state| panic!("{state:?} is told"));
    lines[1].cut();
    until(|| hubs[1].is_alone()).await;
    mend_all(&lines);
    until(|| lines.iter().all(|line| line.is_subscribed("everyone"))).await;
    until(|| lines[1].is_subscribed("topic/a")).await;
    hubs[0].publish("a", "still there").await.unwrap();
    assert_eq!(client.text().await, "still there");
}

#[tokio::test]
async fn a_broker_that_panics_is_lost() {
    struct Panics(Arc<Line>);

    impl Broker for Panics {
        async fn publish(&self, _: &str, _: Bytes) -> Result<(), BrokerError> {
            Ok(())
        }

        async fn subscribe(&self, _: &str) -> Result<(), BrokerError> {
            Ok(())
        }

        async fn unsubscribe(&self, _: &str) -> Result<(), BrokerError> {
            Ok(())
        }

        async fn next(&self) -> BrokerEvent {
            self.0.wait().await;
            panic!("no more");
        }
    }

    let line = Arc::<Line>::default();
    let hub = Hub::with_broker(Panics(Arc::clone(&line)));
    let told = Arc::new(Notify::new());
    let notify = Arc::clone(&told);
    hub.on_broker(move |state| {
        if state == BrokerState::Lost {
            notify.notify_one();
        }
    });
    line.wake();
    soon(told.notified()).await;
    assert!(hub.is_alone());
    hub.publish("a", "for nobody").await.unwrap();
    assert_eq!(hub.lost(), 1);
}

#[tokio::test]
async fn news_of_presence_leave_room_for_publications() {
    let (mut world, broker) = (World::new(), Slow::default());
    let hub = Hub::with_broker(broker);
    let mut open = Vec::new();
    for _ in 0..17 {
        open.push(world.open_holding(256).await);
    }
    // More than there are places in the queue to the broker, whose task does not run meanwhile.
    for topic in 0..1000 {
        for (ws, _) in &open {
            hub.join_as(ws, topic.to_string(), "x").unwrap();
        }
    }
    for _ in 0..8000 {
        hub.publish("0", "x").await.unwrap();
    }
    assert_eq!(hub.lost(), 0);
}
