//! A client that always has messages in flight, whatever crate sends them.

use crate::measurement::Measurement;
use crate::{Result, system};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The replies to all connections of this process.
static REPLIES: AtomicU64 = AtomicU64::new(0);

/// What is in flight on one connection.
#[derive(Debug)]
pub struct Flight {
    depth: usize,
    messages: usize,
}

impl Flight {
    /// Up to so many messages; they count as sent.
    pub fn new(depth: usize) -> Self {
        Self {
            depth,
            messages: depth,
        }
    }

    /// Counts a reply, and says how many messages are to be sent now: as many as there is room for, once half of
    /// those in flight have come back.
    pub fn reply(&mut self) -> usize {
        REPLIES.fetch_add(1, Ordering::Relaxed);
        self.messages = self.messages.saturating_sub(1);
        if self.messages > self.depth / 2 {
            return 0;
        }
        let due = self.depth - self.messages;
        self.messages = self.depth;
        due
    }
}

/// Waits, and says what this process has used for each message between `warm` and `warm + secs`.
///
/// # Errors
/// Fails if there was no message.
pub async fn measure(warm: f64, secs: f64) -> Result<Measurement> {
    tokio::time::sleep(Duration::from_secs_f64(warm)).await;
    let begin = Instant::now();
    let (replies, used) = (REPLIES.load(Ordering::Relaxed), cpu());
    tokio::time::sleep(Duration::from_secs_f64(secs)).await;
    let messages = (REPLIES.load(Ordering::Relaxed) - replies) as f64;
    let (wall, used) = (begin.elapsed().as_secs_f64(), (cpu() - used) as f64 / 1e9);
    if messages == 0.0 {
        return Err("no reply".into());
    }
    Ok(Measurement {
        messages,
        rate: Some(messages / wall),
        cpu_us: Some(used * 1e6 / messages),
        busy: Some(used / wall),
        ..Measurement::default()
    })
}

fn cpu() -> u64 {
    system::cpu_ns(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::Flight;

    #[test]
    fn half_is_sent_once_half_has_come_back() {
        let mut flight = Flight::new(4);
        assert_eq!([(); 5].map(|()| flight.reply()), [0, 2, 0, 2, 0]);
        let mut one = Flight::new(1);
        assert_eq!([(); 2].map(|()| one.reply()), [1, 1]);
    }
}
