//! What callbacks send is collected here and leaves in one write.
//!
//! While a driver polls a callback, its thread's cork belongs to its connection: `send` on that
//! connection, on that thread, appends to the cork without a lock. Everybody else takes the lock
//! of the connection. The cork is empty whenever a driver's poll returns.

use crate::connection::Output;
use std::cell::{Cell, RefCell};

thread_local! {
    static CORK: Cork = Cork::default();
}

#[derive(Default)]
struct Cork {
    /// The connection it belongs to; 0 is none.
    owner: Cell<u64>,
    messages: Cell<u64>,
    output: RefCell<Output>,
}

/// Takes the cork of this thread for a connection; fails if another one has it, as happens where
/// a callback blocks on a second connection.
#[inline]
pub(super) fn take(connection: u64) -> bool {
    CORK.with(|cork| match cork.owner.get() {
        0 => {
            cork.owner.set(connection);
            true
        }
        owner => owner == connection,
    })
}

/// Gives the output of the cork to `queue` if the cork belongs to this connection; counts a message
/// and returns true if `queue` does.
///
/// The cork is written before the shared queue, so what is queued there later stays behind it.
#[inline(always)]
pub(super) fn with(connection: u64, queue: impl FnOnce(&mut Output) -> bool) -> bool {
    CORK.with(|cork| {
        if cork.owner.get() == connection
            && let Ok(mut output) = cork.output.try_borrow_mut()
            && queue(&mut output)
        {
            cork.messages.set(cork.messages.get() + 1);
            return true;
        }
        false
    })
}

/// Takes out what was collected for this connection, and the count of messages; `None` if there
/// is nothing.
pub(super) fn split(connection: u64) -> Option<(Output, u64)> {
    CORK.with(|cork| {
        if cork.owner.get() != connection {
            return None;
        }
        let mut output = cork.output.try_borrow_mut().ok()?;
        (!output.is_empty()).then(|| (std::mem::take(&mut *output), cork.messages.take()))
    })
}

/// Returns how many octets are in the cork if it belongs to this connection.
pub(super) fn len(connection: u64) -> usize {
    CORK.with(|cork| match cork.owner.get() == connection {
        true => cork.output.try_borrow().map_or(0, |output| output.len()),
        false => 0,
    })
}

/// Returns how many messages are in the cork if it belongs to this connection.
pub(super) fn messages(connection: u64) -> u64 {
    CORK.with(|cork| match cork.owner.get() == connection {
        true => cork.messages.get(),
        false => 0,
    })
}

/// Releases the cork: gives what was collected, and the count of messages, to `write`; what that
/// leaves is dropped.
#[inline]
pub(super) fn release(write: impl FnOnce(&mut Output, u64)) {
    CORK.with(|cork| {
        cork.owner.set(0);
        let messages = cork.messages.take();
        // Taken out, so that it goes to nobody else should the stream panic.
        let mut output = cork.output.take();
        if !output.is_empty() {
            write(&mut output, messages);
            output.clear();
        }
        cork.output.replace(output);
    });
}
