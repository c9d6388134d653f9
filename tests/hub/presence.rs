//! Who is in a topic, across nodes.

use crate::relay::{mend_all, nodes};
use crate::world::{World, soon, until};
use motorway::{Hub, HubError, HubEvent};
use std::collections::BTreeSet;
use std::time::Duration;

fn names(hub: &Hub, topic: &str) -> BTreeSet<String> {
    let present = hub.present(topic).into_iter();
    present.map(|present| present.info().to_owned()).collect()
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn one_node_knows_its_own() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let mut events = hub.events();
    let (ann, _ann) = world.open().await;
    let (bob, client) = world.open().await;
    assert!(hub.join_as(&ann, "a", "Ann").unwrap());
    assert!(hub.join(&bob, "a").unwrap());
    assert_eq!(names(&hub, "a"), set(["Ann"]));
    assert!(!hub.join_as(&bob, "a", "Bob").unwrap());
    assert_eq!(names(&hub, "a"), set(["Ann", "Bob"]));
    hub.join_as(&ann, "a", "Anna").unwrap();
    assert_eq!(names(&hub, "a"), set(["Anna", "Bob"]));
    drop(client);
    until(|| names(&hub, "a") == set(["Anna"])).await;
    hub.leave(&ann, "a");
    assert!(names(&hub, "a").is_empty());
    let long = "x".repeat(1025);
    let error = hub.join_as(&ann, "a", long).unwrap_err();
    assert!(matches!(error, HubError::InfoTooLong { length: 1025, .. }));
    assert_eq!(hub.member_count("a"), 0);
    let mut told = Vec::new();
    while told.len() < 6 {
        match soon(events.next()).await.unwrap() {
            HubEvent::Appeared { present, .. } => told.push(format!("+{}", present.info())),
            HubEvent::Disappeared { present, .. } => told.push(format!("-{}", present.info())),
            _ => {}
        }
    }
    assert_eq!(told, ["+Ann", "+Bob", "-Ann", "+Anna", "-Bob", "-Anna"]);
}

#[tokio::test]
async fn nodes_know_of_each_other() {
    let mut world = World::new();
    let (hubs, _lines) = nodes(3);
    let mut open = Vec::new();
    for (hub, name) in hubs.iter().zip(["Ann", "Bob", "Cleo"]) {
        let (ws, client) = world.open().await;
        hub.join_as(&ws, "a", name).unwrap();
        open.push((ws, client));
    }
    let all = set(["Ann", "Bob", "Cleo"]);
    until(|| hubs.iter().all(|hub| names(hub, "a") == all)).await;
    let here: Vec<_> = hubs[0]
        .present("a")
        .iter()
        .map(|one| one.is_here())
        .collect();
    assert_eq!(here, [true, false, false]);
    let nodes: BTreeSet<_> = hubs[1].present("a").iter().map(|one| one.node()).collect();
    assert_eq!(nodes, hubs.iter().map(Hub::node).collect());
    assert_eq!(nodes.len(), 3);
    hubs[2].join_as(&open[2].0, "a", "Chris").unwrap();
    open.remove(1);
    let rest = set(["Ann", "Chris"]);
    until(|| names(&hubs[0], "a") == rest && names(&hubs[2], "a") == rest).await;
    // Nobody is there any more under a text, so it does not listen.
    until(|| hubs[1].present("a").is_empty()).await;
    let (ws, _client) = world.open().await;
    hubs[1].join_as(&ws, "a", "Ben").unwrap();
    let all = set(["Ann", "Chris", "Ben"]);
    until(|| hubs.iter().all(|hub| names(hub, "a") == all)).await;
}

#[tokio::test]
async fn a_crowd_is_told_in_parts() {
    let mut world = World::new();
    let (hubs, _lines) = nodes(2);
    let mut open = Vec::new();
    for number in 0..1300 {
        let (ws, client) = world.open_holding(256).await;
        hubs[0].join_as(&ws, "a", number.to_string()).unwrap();
        open.push((ws, client));
    }
    // It comes later, and has to ask.
    let (ws, _client) = world.open().await;
    hubs[1].join_as(&ws, "a", "late").unwrap();
    until(|| hubs[1].present("a").len() == 1301).await;
    open.truncate(1);
    until(|| names(&hubs[1], "a") == set(["0", "late"])).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_expires() {
    let mut world = World::new();
    let (mut hubs, lines) = nodes(2);
    let (ann, _ann) = world.open().await;
    let (bob, _bob) = world.open().await;
    hubs[0].join_as(&ann, "a", "Ann").unwrap();
    hubs[1].join_as(&bob, "a", "Bob").unwrap();
    until(|| hubs.iter().all(|hub| hub.present("a").len() == 2)).await;
    let mut events = hubs[0].events();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(hubs[0].present("a").len(), 2);
    // Dead from one moment to the next: nothing more is heard of it.
    lines[1].cut();
    let dead = hubs.pop();
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(hubs[0].present("a").len(), 2);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(names(&hubs[0], "a"), set(["Ann"]));
    let gone = soon(events.next()).await.unwrap();
    assert!(matches!(gone, HubEvent::Disappeared { present, .. } if present.info() == "Bob"));
    drop(dead);
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_while_the_broker_was_away_is_made_up_for() {
    let mut world = World::new();
    let (hubs, lines) = nodes(2);
    let (ann, _ann) = world.open().await;
    let (bob, _bob) = world.open().await;
    let (eve, _eve) = world.open().await;
    hubs[0].join_as(&ann, "a", "Ann").unwrap();
    hubs[1].join_as(&bob, "a", "Bob").unwrap();
    until(|| hubs.iter().all(|hub| hub.present("a").len() == 2)).await;
    lines.iter().for_each(|line| line.cut());
    until(|| hubs.iter().all(Hub::is_alone)).await;
    hubs[0].join_as(&eve, "a", "Eve").unwrap();
    hubs[0].leave(&ann, "a");
    // Longer than nodes need to tell that they live, which is no loss either.
    tokio::time::sleep(Duration::from_secs(12)).await;
    mend_all(&lines);
    let all = set(["Bob", "Eve"]);
    until(|| hubs.iter().all(|hub| names(hub, "a") == all)).await;
    assert!(hubs.iter().all(|hub| hub.lost() == 0));
}

// More than there are places in the queue to the broker.
#[tokio::test(start_paused = true)]
async fn nodes_live_on_in_very_many_topics() {
    let mut world = World::new();
    let (hubs, _lines) = nodes(2);
    let mut open = Vec::new();
    for hub in &hubs {
        for place in 0..17 {
            let (ws, client) = world.open_holding(256).await;
            for topic in 0..970 {
                hub.join_as(&ws, format!("{place} {topic}"), "x").unwrap();
            }
            open.push((ws, client));
        }
    }
    let all = |hub: &Hub| {
        let topics = hub.topics();
        topics.iter().all(|topic| hub.present(topic).len() == 2)
    };
    // What was missed while all came at once is made up for.
    let mut seconds = 0;
    while !hubs.iter().all(all) {
        assert!(seconds < 300);
        seconds += 5;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let mut events = hubs[0].events();
    // Longer than three intervals.
    for _ in 0..32 {
        tokio::time::sleep(Duration::from_millis(501)).await;
        hubs[0].publish("0 0", "x").await.unwrap();
    }
    assert_eq!(hubs[0].lost(), 0);
    assert!(hubs.iter().all(all));
    drop(hubs);
    if let Some(event) = soon(events.next()).await {
        panic!("{event:?}");
    }
}
