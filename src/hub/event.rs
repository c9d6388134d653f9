//! Who joins and leaves.

use super::presence::Present;
use crate::transport::WebSocket;
use std::fmt;
use std::sync::{Arc, OnceLock};
use tokio::sync::broadcast::{self, error::RecvError};

/// Something that has happened to the membership of a topic.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HubEvent {
    /// A connection has joined a topic.
    #[non_exhaustive]
    Joined {
        /// The topic.
        topic: Arc<str>,
        /// The connection.
        ws: WebSocket,
    },
    /// A connection has left a topic, or has ended.
    #[non_exhaustive]
    Left {
        /// The topic.
        topic: Arc<str>,
        /// The connection.
        ws: WebSocket,
    },
    /// Somebody is in a topic under a text, here or on another node.
    #[non_exhaustive]
    Appeared {
        /// The topic.
        topic: Arc<str>,
        /// Who it is.
        present: Present,
    },
    /// Somebody who was in a topic under a text is there no more, or has another one from now on.
    /// Not told of those on other nodes once nobody here is in the topic under a text.
    #[non_exhaustive]
    Disappeared {
        /// The topic.
        topic: Arc<str>,
        /// Who it was.
        present: Present,
    },
    /// So many events were lost, since they were not received in time.
    Lagged(u64),
}

/// Joins and leaves as they happen; see [`Hub::events`](super::Hub::events).
pub struct HubEvents(broadcast::Receiver<HubEvent>);

impl HubEvents {
    /// Waits for the next event; `None` once the hub is gone.
    ///
    /// # Cancel safety
    ///
    /// Loses nothing.
    pub async fn next(&mut self) -> Option<HubEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(lost)) => Some(HubEvent::Lagged(lost)),
            Err(RecvError::Closed) => None,
        }
    }
}

impl fmt::Debug for HubEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubEvents").finish_non_exhaustive()
    }
}

/// Where events come from; without anybody who ever listened, no place is kept for them.
#[derive(Debug, Default)]
pub(super) struct Events(OnceLock<broadcast::Sender<HubEvent>>);

impl Events {
    pub(super) fn listen(&self) -> HubEvents {
        let sender = self.0.get_or_init(|| broadcast::Sender::new(EVENTS));
        HubEvents(sender.subscribe())
    }

    pub(super) fn joined(&self, topic: &Arc<str>, ws: &WebSocket) {
        self.tell(|| HubEvent::Joined {
            topic: Arc::clone(topic),
            ws: ws.clone(),
        });
    }

    pub(super) fn left(&self, topic: &Arc<str>, ws: &WebSocket) {
        self.tell(|| HubEvent::Left {
            topic: Arc::clone(topic),
            ws: ws.clone(),
        });
    }

    pub(super) fn appeared(&self, topic: &Arc<str>, present: Present) {
        self.tell(|| HubEvent::Appeared {
            topic: Arc::clone(topic),
            present,
        });
    }

    pub(super) fn disappeared(&self, topic: &Arc<str>, present: Present) {
        self.tell(|| HubEvent::Disappeared {
            topic: Arc::clone(topic),
            present,
        });
    }

    fn tell(&self, event: impl FnOnce() -> HubEvent) {
        if let Some(sender) = self.0.get()
            && sender.receiver_count() > 0
        {
            // Nobody may listen any more.
            let _ = sender.send(event());
        }
    }
}

/// How many events wait for who receives them slowly.
const EVENTS: usize = 4096;
