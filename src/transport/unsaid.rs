//! What observers are told later: while a hub delivers it holds a lock, and they may come back to it.

use super::WebSocket;
use crate::connection::{PreparedMessage, SendError};
use std::cell::RefCell;

thread_local! {
    /// What is to be told once this thread has delivered; `None` if it does not deliver.
    static UNSAID: RefCell<Option<Vec<Unsaid>>> = const { RefCell::new(None) };
}

/// What came of offering a message to a connection.
struct Unsaid {
    ws: WebSocket,
    queued: Result<(), SendError>,
    message: PreparedMessage,
}

/// Delivers, and tells observers of it afterwards.
pub(crate) fn tell_afterwards<R>(deliver: impl FnOnce() -> R) -> R {
    let _telling = Telling::begin();
    deliver()
}

/// Tells of an offer, as soon as this thread does not deliver any more.
pub(super) fn tell(ws: &WebSocket, queued: &Result<(), SendError>, message: &PreparedMessage) {
    if ws.0.observation().is_none() {
        return;
    }
    let is_later = UNSAID.with_borrow_mut(|unsaid| {
        let unsaid = unsaid.as_mut();
        unsaid.is_some_and(|unsaid| {
            unsaid.push(Unsaid {
                ws: ws.clone(),
                queued: *queued,
                message: message.clone(),
            });
            true
        })
    });
    if !is_later {
        ws.0.tell_queued(queued, Some(message.message()));
    }
}

/// Tells everything when it is dropped, unless another does that.
struct Telling {
    is_outermost: bool,
}

impl Telling {
    fn begin() -> Self {
        let is_outermost = UNSAID.with_borrow_mut(|unsaid| {
            let is_outermost = unsaid.is_none();
            unsaid.get_or_insert_default();
            is_outermost
        });
        Self { is_outermost }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        if self.is_outermost {
            // Who is told may deliver, too: that is told in there.
            for unsaid in UNSAID.take().unwrap_or_default() {
                let message = unsaid.message.message();
                unsaid.ws.0.tell_queued(&unsaid.queued, Some(message));
            }
        }
    }
}
