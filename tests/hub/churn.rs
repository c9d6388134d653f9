//! Many members, many joins and leaves, from many tasks at once.

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
