//! Many members, many joins and leaves, from many tasks at once.

use crate::relay::nodes;
use crate::world::{World, soon, until};
use motorway::{Hub, WebSocket};
use std::sync::Arc;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn joins_leaves_publications_and_ends_at_once() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let mut open = Vec::new();
    for _ in 0..40 {
        open.push(world.open().await);
    }
    let sockets: Arc<Vec<WebSocket>> = Arc::new(open.iter().map(|(ws, _)| ws.clone()).collect());
    let mut tasks = JoinSet::new();
    for task in 0..8_usize {
        let (hub, sockets) = (hub.clone(), Arc::clone(&sockets));
        tasks.spawn(async move {
            for round in 0..2000_usize {
                let ws = &sockets[(task * 7 + round) % sockets.len()];
                let topic = ((task + round) % 5).to_string();
                match round % 4 {
                    0 | 1 => drop(hub.join(ws, topic)),
                    2 => drop(hub.leave(ws, topic)),
                    _ => drop(hub.publish(topic, "x").await.unwrap()),
                }
                if round % 64 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    // A few end meanwhile.
    let rest = open.split_off(10);
    drop(open);
    while let Some(done) = soon(tasks.join_next()).await {
        done.unwrap();
    }
    let ended = |ws: &WebSocket| ws.close_info().is_some();
    until(|| sockets[..10].iter().all(ended)).await;
    until(|| sockets[..10].iter().all(|ws| hub.topics_of(ws).is_empty())).await;
    for topic in hub.topics() {
        for ws in hub.members(&topic) {
            assert!(hub.topics_of(&ws).contains(&topic));
        }
    }
    drop(rest);
    until(|| hub.connection_count() == 0 && hub.topic_count() == 0).await;
}

#[tokio::test]
async fn a_million_joins_and_leaves_leave_nothing_behind() {
    let (mut world, hub) = (World::new(), Hub::in_memory());
    let mut open = Vec::new();
    for _ in 0..100 {
        open.push(world.open_holding(1 << 10).await);
    }
    for round in 0..10_000_usize {
        let topic = (round % 50).to_string();
        for (ws, _) in &open {
            assert!(hub.join(ws, &topic).unwrap());
        }
        for (ws, _) in &open {
            assert!(hub.leave(ws, &topic));
        }
    }
    assert_eq!((hub.topic_count(), hub.connection_count()), (0, 100));
    drop(open);
    until(|| hub.connection_count() == 0).await;
}

// A node is subscribed to what it has members for, however fast they come and go.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subscriptions_follow_those_who_come_and_go() {
    let mut world = World::new();
    let (hubs, lines) = nodes(1);
    let mut tasks = JoinSet::new();
    let mut open = Vec::new();
    for task in 0..8_usize {
        let (ws, client) = world.open_holding(256).await;
        let (hub, member) = (hubs[0].clone(), ws.clone());
        tasks.spawn(async move {
            for round in 0..3000_usize {
                let topic = ((task * 5 + round * 7) % 23).to_string();
                match hub.is_member(&member, &topic) {
                    true => assert!(hub.leave(&member, topic)),
                    false => assert!(hub.join_as(&member, topic, "x").unwrap()),
                }
                if round % 16 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
        open.push((ws, client));
    }
    while let Some(done) = soon(tasks.join_next()).await {
        done.unwrap();
    }
    let wanted = || {
        let topics = hubs[0].topics();
        let channels = topics
            .iter()
            .flat_map(|topic| [format!("topic/{topic}"), format!("presence/{topic}")]);
        channels.chain(["everyone".to_owned()]).collect()
    };
    until(|| lines[0].channels() == wanted()).await;
    open.truncate(4);
    until(|| lines[0].channels() == wanted()).await;
    drop(open);
    until(|| hubs[0].topic_count() == 0 && lines[0].channels() == wanted()).await;
}
