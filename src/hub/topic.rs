//! A topic and its members.

use super::member::Member;
use super::publication::{Publication, Published};
use crate::transport::tell_afterwards;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A topic that has members, or had until a moment ago.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
pub(super) struct Members {
    list: Vec<Arc<Member>>,
    /// Where in the list each connection is.
    places: HashMap<u64, usize>,
    /// The last has left: whoever comes now needs a new topic of this name.
    pub(super) is_gone: bool,
}

impl Topic {
    pub(super) fn new(name: Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            name,
            members: Mutex::default(),
        })
    }

    pub(super) fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers to all members but one, in the same order of publications to each.
    pub(super) fn publish(&self, publication: &Publication, except: Option<u64>) -> Published {
        // Observers may ask the hub, or publish, which is not for who holds the lock.
        tell_afterwards(|| self.deliver(publication, except))
    }

    fn deliver(&self, publication: &Publication, except: Option<u64>) -> Published {
        let members = self.members();
        let mut published = Published::default();
        for member in &members.list {
            // Without an exception nothing of the connection is looked at here.
            if except.is_some_and(|id| id == member.ws.id()) {
                published.skipped += 1;
            } else {
                published += member.deliver(&self.name, publication);
            }
        }
        published
    }
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn list(&self) -> &[Arc<Member>] {
        &self.list
    }

    pub(super) fn contains(&self, id: u64) -> bool {
        self.places.contains_key(&id)
    }

    pub(super) fn add(&mut self, member: Arc<Member>) {
        self.places.insert(member.ws.id(), self.list.len());
        self.list.push(member);
    }

    /// Removes a member; tells whether it was there.
    pub(super) fn remove(&mut self, id: u64) -> bool {
        let Some(place) = self.places.remove(&id) else {
            return false;
        };
        self.list.swap_remove(place);
        if let Some(moved) = self.list.get(place) {
            self.places.insert(moved.ws.id(), place);
        }
        // Memory of a crowd that has left is given back.
        if self.list.capacity() > 64 && self.list.len() < self.list.capacity() / 4 {
            self.list.shrink_to(self.list.len() * 2);
            self.places.shrink_to(self.list.len() * 2);
        }
        true
    }
}
