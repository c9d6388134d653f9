//! Peers that read too slowly: each policy, and nobody else is held up.

use crate::world::{World, soon, until};
use motorway::{CloseCode, Hub, Overflow, Publication};
use std::time::Duration;
use tokio::time::timeout;

/// A message of 1 KiB that starts with a number.
fn message(number: usize) -> String {
    format!("{number:0>8}{}", "x".repeat((1 << 10) - 8))
}

/// Publishes so many messages; returns how many were sent and dropped.
async fn flood(hub: &Hub, messages: usize) -> (usize, usize) {
    let (mut sent, mut dropped) = (0, 0);
    for number in 0..messages {
        let published = hub.publish("a", message(number)).await.unwrap();
        sent += published.sent;
        dropped += published.dropped;
        tokio::task::yield_now().await;
    }
    (sent, dropped)
}

#[tokio::test]
async fn the_newest_are_dropped() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (ws, mut client) = world.open_holding(1 << 10).await;
    hub.join(&ws, "a").unwrap();
    hub.set_overflow(&ws, Overflow::drop_newest().above(16 << 10))
        .unwrap();
    let (sent, dropped) = flood(&hub, 100).await;
    assert_eq!(sent + dropped, 100);
    assert!((16..=20).contains(&sent), "{sent}");
    assert!(ws.is_open());
    for number in 0..sent {
        assert_eq!(client.text().await, message(number));
    }
    hub.publish("a", "again").await.unwrap();
    assert_eq!(client.text().await, "again");
}

#[tokio::test]
async fn the_oldest_are_dropped() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (ws, mut client) = world.open_holding(1 << 10).await;
    hub.join(&ws, "a").unwrap();
    hub.set_overflow(&ws, Overflow::drop_oldest().above(16 << 10))
        .unwrap();
    let (sent, dropped) = flood(&hub, 100).await;
    assert_eq!(sent, 100);
    let mut last = None;
    let mut received = 0;
    while last != Some(99) {
        let text = client.text().await;
        let number: usize = text[..8].parse().unwrap();
        assert!(last.is_none_or(|last| last < number));
        last = Some(number);
        received += 1;
    }
    assert_eq!(received + dropped, 100);
    // What is being written, and as much again in the backlog.
    assert!((30..=36).contains(&received), "{received}");
    hub.publish("a", "again").await.unwrap();
    assert_eq!(client.text().await, "again");
}

#[tokio::test]
async fn only_the_last_of_each_key_is_kept() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (ws, mut client) = world.open_holding(64).await;
    hub.join(&ws, "a").unwrap();
    hub.set_overflow(&ws, Overflow::conflate().above(256))
        .unwrap();
    let keys = ["EURUSD", "EURJPY"];
    let mut dropped = 0;
    for tick in 0..1000 {
        for key in keys {
            let publication = Publication::new(format!("{key} {tick}")).key(key);
            dropped += hub.publish("a", publication).await.unwrap().dropped;
        }
        tokio::task::yield_now().await;
    }
    let mut last = [None; 2];
    let mut received = 0;
    while last != [Some(999); 2] {
        let text = client.text().await;
        let (key, tick) = text.split_once(' ').unwrap();
        let place = keys.iter().position(|known| *known == key).unwrap();
        let tick: usize = tick.parse().unwrap();
        assert!(last[place].is_none_or(|last| last < tick), "{text}");
        last[place] = Some(tick);
        received += 1;
    }
    assert_eq!(received + dropped, 2000);
    assert!(received < 60, "{received}");
}

#[tokio::test]
async fn a_slow_connection_is_closed_with_1013_by_default() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (ws, mut client) = world.open_holding(1 << 10).await;
    hub.join(&ws, "a").unwrap();
    let (sent, _) = flood(&hub, 400).await;
    assert!((256..=260).contains(&sent), "{sent}");
    assert!(!ws.is_open());
    for number in 0..sent {
        assert_eq!(client.text().await, message(number));
    }
    let (first, payload) = client.frame().await;
    assert_eq!(first, 0x88);
    assert_eq!(payload[..2], u16::to_be_bytes(1013));
    drop(client);
    until(|| hub.connection_count() == 0).await;
    let info = ws.close_info().unwrap();
    assert_eq!(
        info.local.as_ref().unwrap().code,
        CloseCode::TRY_AGAIN_LATER
    );
}

#[tokio::test]
async fn own_publications_wait_and_those_of_others_do_not() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (ws, mut client) = world.open_holding(1 << 10).await;
    let (other, mut reader) = world.open_holding(64 << 10).await;
    hub.join(&ws, "a").unwrap();
    hub.join(&other, "a").unwrap();
    hub.set_overflow(&ws, Overflow::wait()).unwrap();
    let reading = tokio::spawn(async move {
        for _ in 0..400 {
            reader.text().await;
        }
    });
    let (_, dropped) = flood(&hub, 400).await;
    assert!((130..=144).contains(&dropped), "{dropped}");
    soon(reading).await.unwrap();
    let mut own = Box::pin(hub.publish_from(&ws, "b", "mine"));
    assert!(timeout(Duration::from_millis(50), &mut own).await.is_err());
    for _ in 0..8 {
        client.text().await;
    }
    soon(own).await.unwrap();
}

#[tokio::test]
async fn a_slow_connection_holds_back_nobody() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let mut slow = Vec::new();
    for overflow in [
        Overflow::drop_newest(),
        Overflow::drop_oldest(),
        Overflow::conflate(),
        Overflow::wait(),
        Overflow::default(),
    ] {
        let (ws, client) = world.open_holding(64).await;
        hub.set_overflow(&ws, overflow).unwrap();
        hub.join(&ws, "a").unwrap();
        slow.push((ws, client));
    }
    let (ws, mut client) = world.open().await;
    hub.join(&ws, "a").unwrap();
    for number in 0..5000 {
        hub.publish("a", message(number)).await.unwrap();
        assert_eq!(client.text().await, message(number));
    }
    for (ws, _) in &slow {
        // 256 KiB and one message.
        assert!(ws.buffered() <= (257 << 10) + 16, "{}", ws.buffered());
    }
}

#[tokio::test]
async fn what_is_too_large_for_a_connection_is_dropped() {
    let options = motorway::ServerOptions::default().max_message_payload_size(10);
    let (mut world, hub) = (World::with(options), Hub::in_memory());
    let (ws, mut client) = world.open().await;
    hub.join(&ws, "a").unwrap();
    let published = hub.publish("a", "more than ten").await.unwrap();
    assert_eq!((published.sent, published.dropped), (0, 1));
    hub.publish("a", "fits").await.unwrap();
    assert_eq!(client.text().await, "fits");
}

#[tokio::test]
async fn waiting_for_room_takes_no_more_room_with_each_publication() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    for overflow in [Overflow::drop_oldest(), Overflow::conflate()] {
        let (ws, _client) = world.open_holding(64).await;
        hub.set_overflow(&ws, overflow.above(1 << 10)).unwrap();
        hub.join(&ws, "a").unwrap();
        for number in 0..2000 {
            hub.publish("a", number.to_string()).await.unwrap();
        }
        // Who is to be woken is among what this shows.
        let shown = format!("{ws:?}").len();
        assert!(shown < 20_000, "{shown}");
    }
}

#[tokio::test]
async fn own_publications_wait_until_no_more_is_buffered_than_was_said() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (ws, mut client) = world.open_holding(1 << 10).await;
    hub.join(&ws, "a").unwrap();
    hub.set_overflow(&ws, Overflow::wait().above(16 << 10))
        .unwrap();
    let (_, dropped) = flood(&hub, 100).await;
    assert!(dropped > 0);
    let mut own = Box::pin(hub.publish_from(&ws, "a", "mine"));
    assert!(timeout(Duration::from_millis(50), &mut own).await.is_err());
    for number in 0..100 - dropped {
        assert_eq!(client.text().await, message(number));
    }
    assert_eq!(soon(own).await.unwrap().sent, 1);
    assert_eq!(client.text().await, "mine");
}

#[tokio::test]
async fn who_sends_a_message_in_parts_is_not_slow() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let large = "x".repeat(300 << 10);
    for overflow in [
        Overflow::default(),
        Overflow::drop_newest(),
        Overflow::default().above(0),
    ] {
        let (ws, mut client) = world.open_holding(1 << 20).await;
        hub.join(&ws, "a").unwrap();
        hub.set_overflow(&ws, overflow).unwrap();
        let writer = ws.begin_message(motorway::MessageKind::Text).await.unwrap();
        assert_eq!(hub.publish("a", &*large).await.unwrap().sent, 1);
        writer.finish().await.unwrap();
        loop {
            let (_, payload) = client.frame().await;
            if payload.len() == large.len() {
                break;
            }
        }
        assert!(ws.is_open());
        hub.leave(&ws, "a");
    }
}

#[tokio::test]
async fn what_is_too_large_does_not_wait_either() {
    let options = motorway::ServerOptions::default().max_message_payload_size(10);
    let (mut world, hub) = (World::with(options), Hub::in_memory());
    let (ws, _client) = world.open().await;
    hub.join(&ws, "a").unwrap();
    let _writer = ws.begin_message(motorway::MessageKind::Text).await.unwrap();
    let published = hub.publish("a", "more than ten").await.unwrap();
    assert_eq!((published.sent, published.dropped), (0, 1));
}

#[tokio::test]
async fn keys_are_those_of_a_topic() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (ws, mut client) = world.open_holding(64).await;
    hub.set_overflow(&ws, Overflow::conflate().above(1 << 10))
        .unwrap();
    let topics = ["a", "b"];
    for topic in topics {
        hub.join(&ws, topic).unwrap();
    }
    hub.publish("a", message(0)).await.unwrap();
    while ws.buffered() <= 1 << 10 {
        hub.publish("a", message(1)).await.unwrap();
    }
    for number in 0..100 {
        for topic in topics {
            let keyed = Publication::new(format!("{topic} keyed {number}")).key("k");
            hub.publish(topic, keyed).await.unwrap();
            let plain = format!("{topic} plain {number}");
            hub.publish(topic, plain).await.unwrap();
        }
    }
    let mut last = Vec::new();
    while last.len() < 4 {
        let text = client.text().await;
        if text.len() < 100 {
            last.push(text);
        }
    }
    last.sort();
    assert_eq!(
        last,
        ["a keyed 99", "a plain 99", "b keyed 99", "b plain 99"]
    );
}

#[tokio::test]
async fn nothing_overtakes_what_waits() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (ws, mut client) = world.open_holding(1 << 10).await;
    hub.join(&ws, "a").unwrap();
    hub.set_overflow(&ws, Overflow::drop_oldest()).unwrap();
    let (mut next, mut expected) = (0, 0);
    for _ in 0..8 {
        while ws.buffered() <= 256 << 10 {
            hub.publish("a", message(next)).await.unwrap();
            next += 1;
        }
        // Some have to wait, and then there is room again before they are fetched.
        for _ in 0..20 {
            hub.publish("a", message(next)).await.unwrap();
            next += 1;
        }
        for _ in 0..60 {
            assert_eq!(client.text().await, message(expected));
            expected += 1;
        }
        hub.publish("a", message(next)).await.unwrap();
        next += 1;
        while expected < next {
            assert_eq!(client.text().await, message(expected));
            expected += 1;
        }
    }
}
