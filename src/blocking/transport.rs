//! The octets below a connection: what a stream has to do, and sockets, which do it.

use socket2::Socket;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A stream that one thread reads while another one writes.
pub(super) trait Transport: Send + Sync {
    /// Reads some octets; fails with `WouldBlock` or `TimedOut` if none come within `time`.
    fn read(&self, buffer: &mut [u8], time: Option<Duration>) -> io::Result<usize>;

    /// Tells whether the last read, which had `room`, has left nothing behind.
    fn is_emptied_by(&self, read: usize, room: usize) -> bool;

    /// Writes some octets; fails with `WouldBlock` or `TimedOut` if none are taken within `time`, and
    /// returns zero if something has left of them, but not yet as much as was to be told.
    /// The next write then has to begin with the same octets, which may have left in part.
    fn write(&self, octets: &[u8], time: Option<Duration>) -> io::Result<usize>;

    /// Ends one or both directions; threads that read or write then return.
    fn shut_down(&self, how: Shutdown) -> io::Result<()>;
}

/// A socket of TCP, or a Unix socket.
#[derive(Debug)]
pub(super) struct Plain {
    socket: Arc<Socket>,
    /// What the socket was told last, to spare the system calls that would change nothing.
    read_timeout: Mutex<Option<Duration>>,
    write_timeout: Mutex<Option<Duration>>,
}

impl Plain {
    /// Takes a socket over; timeouts that it has are replaced.
    pub(super) fn new(socket: impl Into<Socket>) -> io::Result<Self> {
        let socket = socket.into();
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(None)?;
        socket.set_write_timeout(None)?;
        Ok(Self {
            socket: Arc::new(socket),
            read_timeout: Mutex::default(),
            write_timeout: Mutex::default(),
        })
    }
}

impl Plain {
    /// Returns the socket, for those who may end it.
    pub(super) fn socket(&self) -> Arc<Socket> {
        Arc::clone(&self.socket)
    }
}

impl Transport for Plain {
    fn read(&self, buffer: &mut [u8], time: Option<Duration>) -> io::Result<usize> {
        change(&self.read_timeout, time, |time| {
            self.socket.set_read_timeout(time)
        })?;
        (&*self.socket).read(buffer)
    }

    fn is_emptied_by(&self, read: usize, room: usize) -> bool {
        read < room
    }

    fn write(&self, octets: &[u8], time: Option<Duration>) -> io::Result<usize> {
        change(&self.write_timeout, time, |time| {
            self.socket.set_write_timeout(time)
        })?;
        (&*self.socket).write(octets)
    }

    fn shut_down(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }
}

/// Tells the socket of a timeout, if it is another one than before.
fn change(
    kept: &Mutex<Option<Duration>>,
    time: Option<Duration>,
    set: impl FnOnce(Option<Duration>) -> io::Result<()>,
) -> io::Result<()> {
    // Zero would be refused, and what is shorter than a millisecond would be rounded anyhow.
    let time = time.map(|time| time.max(SHORTEST));
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if *kept != time {
        set(time)?;
        *kept = time;
    }
    Ok(())
}

/// Tells the errors that only say that time is up, or that a signal came.
pub(super) fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

const SHORTEST: Duration = Duration::from_millis(1);
