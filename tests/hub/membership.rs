//! Who is in a topic, and since when not any more.

use crate::world::{World, soon, until};
use motorway::{Hub, HubError, HubEvent, Overflow};
use std::collections::BTreeSet;

#[tokio::test]
async fn connections_join_and_leave() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (one, _one) = world.open().await;
    let (two, _two) = world.open().await;
    assert!(hub.join(&one, "a").unwrap());
    assert!(!hub.join(&one, "a").unwrap());
    assert!(hub.join(&one, "b").unwrap());
    assert!(hub.join(&two, "a").unwrap());
    assert_eq!(hub.member_count("a"), 2);
    assert_eq!(hub.members("b").as_slice(), std::slice::from_ref(&one));
    assert!(hub.is_member(&two, "a") && !hub.is_member(&two, "b"));
    let topics: BTreeSet<_> = hub.topics().into_iter().collect();
    assert_eq!(topics, BTreeSet::from(["a".into(), "b".into()]));
    assert_eq!(hub.topics_of(&one).len(), 2);
    assert_eq!((hub.topic_count(), hub.connection_count()), (2, 2));
    assert!(hub.leave(&one, "a"));
    assert!(!hub.leave(&one, "a"));
    assert!(!hub.leave(&two, "nothing"));
    assert_eq!(hub.members("a"), [two]);
    assert!(hub.leave(&one, "b"));
    assert_eq!(hub.topic_count(), 1);
    assert_eq!(hub.member_count("b"), 0);
}

#[tokio::test]
async fn membership_ends_with_the_connection() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (left, client) = world.open().await;
    let (aborted, _client) = world.open().await;
    let (stays, _stays) = world.open().await;
    for ws in [&left, &aborted, &stays] {
        hub.join(ws, "a").unwrap();
        hub.join(ws, "b").unwrap();
    }
    drop(client);
    aborted.abort();
    until(|| hub.member_count("a") == 1 && hub.member_count("b") == 1).await;
    assert_eq!(hub.connection_count(), 1);
    assert_eq!(hub.members("a"), [stays]);
    assert_eq!(hub.join(&left, "a"), Err(HubError::Closed));
    assert_eq!(
        hub.set_overflow(&left, Overflow::default()),
        Err(HubError::Closed)
    );
    assert_eq!(hub.connection_count(), 1);
}

#[tokio::test]
async fn one_connection_may_be_in_two_hubs() {
    let mut world = World::new();
    let (one, two) = (Hub::in_memory(), Hub::in_memory());
    let (ws, mut client) = world.open().await;
    one.join(&ws, "a").unwrap();
    two.clone().join(&ws, "a").unwrap();
    one.publish("a", "from one").await.unwrap();
    two.publish("a", "from two").await.unwrap();
    assert_eq!(client.text().await, "from one");
    assert_eq!(client.text().await, "from two");
    drop(client);
    until(|| one.connection_count() + two.connection_count() == 0).await;
}

#[tokio::test]
async fn joins_and_leaves_are_told() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (ws, client) = world.open().await;
    let mut events = hub.events();
    hub.join(&ws, "a").unwrap();
    hub.join(&ws, "b").unwrap();
    hub.leave(&ws, "a");
    drop(client);
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(match soon(events.next()).await.unwrap() {
            HubEvent::Joined { topic, .. } => format!("+{topic}"),
            HubEvent::Left { topic, .. } => format!("-{topic}"),
            event => panic!("{event:?}"),
        });
    }
    assert_eq!(told, ["+a", "+b", "-a", "-b"]);
    for _ in 0..3000 {
        let (ws, _client) = world.open_holding(1 << 10).await;
        hub.join(&ws, "crowd").unwrap();
        hub.leave(&ws, "crowd");
    }
    assert!(matches!(
        soon(events.next()).await,
        Some(HubEvent::Lagged(_))
    ));
    drop(hub);
    while soon(events.next()).await.is_some() {}
}

#[tokio::test]
async fn topics_have_a_length_and_connections_so_many() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let (ws, _client) = world.open().await;
    let long = "x".repeat(257);
    for topic in ["", &long] {
        let length = topic.len();
        let error = hub.join(&ws, topic).unwrap_err();
        assert!(error.to_string().contains(&length.to_string()), "{error}");
        assert!(hub.publish(topic, "").await.is_err());
    }
    assert!(hub.join(&ws, &long[..256]).unwrap());
    for topic in 1..1024 {
        assert!(hub.join(&ws, topic.to_string()).unwrap());
    }
    let error = hub.join(&ws, "one more").unwrap_err();
    assert!(
        matches!(error, HubError::TooManyTopics { limit: 1024, .. }),
        "{error}"
    );
    assert!(hub.leave(&ws, "1"));
    assert!(hub.join(&ws, "one more").unwrap());
}
