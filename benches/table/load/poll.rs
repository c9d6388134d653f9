//! What is ready: epoll, by number.

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Sources by their numbers, level-triggered.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

/// A source that can be read, written, or both.
#[derive(Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) number: usize,
    /// There is something to read, or an end.
    pub(crate) reads: bool,
    pub(crate) writes: bool,
}

/// What a source is watched for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    Read,
    ReadAndWrite,
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        match self {
            Self::Read => epoll::EventFlags::IN,
            Self::ReadAndWrite => epoll::EventFlags::IN | epoll::EventFlags::OUT,
        }
    }
}

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(512),
        })
    }

    pub(crate) fn add(
        &self,
        source: impl AsFd,
        number: usize,
        interest: Interest,
    ) -> io::Result<()> {
        let data = epoll::EventData::new_u64(number as u64);
        Ok(epoll::add(&self.epoll, source, data, interest.flags())?)
    }

    pub(crate) fn change(
        &self,
        source: impl AsFd,
        number: usize,
        interest: Interest,
    ) -> io::Result<()> {
        let data = epoll::EventData::new_u64(number as u64);
        Ok(epoll::modify(&self.epoll, source, data, interest.flags())?)
    }

    /// Waits for at most `timeout`; what is ready then, is to be asked of [`ready`](Self::ready) by index.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<usize> {
        self.events.clear();
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            Some(&timeout),
        ) {
            Ok(number) => Ok(number),
            Err(rustix::io::Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn ready(&self, index: usize) -> Ready {
        // Copied: the fields of an event are not aligned.
        let epoll::Event { flags, data } = self.events[index];
        Ready {
            number: data.u64() as usize,
            reads: flags != epoll::EventFlags::OUT,
            writes: flags.contains(epoll::EventFlags::OUT),
        }
    }
}
