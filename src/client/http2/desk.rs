//! What the streams of a connection leave for its task.

use super::inflow::Inflow;
use bytes::Bytes;
use h2::SendStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Where streams tell the task of their connection what they want of it.
#[derive(Default)]
pub(super) struct Desk(Mutex<List>);

#[derive(Default)]
struct List {
    /// Those on which something has arrived.
    inflows: Vec<Arc<Inflow>>,
    left: Vec<SendStream<Bytes>>,
    /// The task; `None` while it runs.
    task: Option<Waker>,
    /// The task has ended.
    is_closed: bool,
}

impl Desk {
    /// Something has arrived on this stream. Called by `h2`, which holds a lock then.
    pub(super) fn arrived(&self, inflow: Arc<Inflow>) {
        let mut list = self.lock();
        list.inflows.push(inflow);
        let task = list.task.take();
        drop(list);
        task.into_iter().for_each(Waker::wake);
    }

    /// Nobody writes on this stream any more. `h2` would forget what was written and is not out yet, so the
    /// task keeps it until it has written once.
    pub(super) fn left(&self, outflow: SendStream<Bytes>) {
        let mut list = self.lock();
        if list.is_closed {
            drop(list);
            return drop(outflow);
        }
        list.left.push(outflow);
        let task = list.task.take();
        drop(list);
        task.into_iter().for_each(Waker::wake);
    }

    /// Takes note that the task runs; returns the streams that were left.
    pub(super) fn begin(&self) -> Vec<SendStream<Bytes>> {
        let mut list = self.lock();
        let task = list.task.take();
        let left = std::mem::take(&mut list.left);
        drop(list);
        drop(task);
        left
    }

    /// Distributes what has arrived; from then on the task is woken for more.
    pub(super) fn distribute(&self, task: &Waker) {
        loop {
            let mut list = self.lock();
            let inflows = std::mem::take(&mut list.inflows);
            if inflows.is_empty() {
                let was_left = !list.left.is_empty();
                list.task = Some(task.clone());
                drop(list);
                if was_left {
                    // While the task ran.
                    task.wake_by_ref();
                }
                return;
            }
            drop(list);
            inflows.iter().for_each(Inflow::fill);
        }
    }

    /// Distributes the end, after which no task looks here.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        drop(self.begin());
        self.distribute(Waker::noop());
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
