//! What went over connections, in numbers.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// What went over a connection so far, or over several together; always counted.
///
/// Three levels, each way: octets on the wire, payload octets as frames carry them (compressed), and
/// octets of messages. Octets of the wire are those below WebSocket and above TLS. Frames and their
/// payload count once they are given to be written, or once their message has come in full.
///
/// ```
/// # fn example(ws: &motorway::WebSocket) {
/// let before = ws.stats();
/// // …
/// let since = ws.stats() - before;
/// println!("{since}");
/// if let Some(ratio) = since.compression_ratio_sent() {
///     println!("messages were sent at {:.0} % of their size", 100.0 * ratio);
/// }
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Octets received after the opening handshake, frame headers included.
    pub octets_received: u64,
    /// Octets given to the network after the opening handshake, frame headers included.
    pub octets_sent: u64,
    /// Octets of data frames received, without headers, as they were on the wire.
    pub payload_octets_received: u64,
    /// Octets of data frames sent, without headers, as they are on the wire.
    pub payload_octets_sent: u64,
    /// Octets of messages received, after inflation.
    pub message_octets_received: u64,
    /// Octets of messages sent, before compression.
    pub message_octets_sent: u64,
    /// Frames received, control frames included.
    pub frames_received: u64,
    /// Frames sent, control frames included.
    pub frames_sent: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Messages queued for sending; with `OverflowPolicy::DropOldest` once they are on their way.
    pub messages_sent: u64,
    /// Messages that the [`OverflowPolicy`](crate::OverflowPolicy) has dropped; they count nowhere
    /// else.
    pub messages_dropped: u64,
    /// Octets of the opening handshake received.
    pub opening_octets_received: u64,
    /// Octets of the opening handshake sent.
    pub opening_octets_sent: u64,
}

impl Stats {
    /// Returns what share of the octets of messages the payload received was: below 1 where
    /// compression helped. `None` if there were none.
    #[must_use]
    pub fn compression_ratio_received(&self) -> Option<f64> {
        ratio(self.payload_octets_received, self.message_octets_received)
    }

    /// As [`compression_ratio_received`](Self::compression_ratio_received), of what was sent.
    #[must_use]
    pub fn compression_ratio_sent(&self) -> Option<f64> {
        ratio(self.payload_octets_sent, self.message_octets_sent)
    }

    /// Returns how many octets of headers and control frames came with each octet of payload. `None`
    /// if no payload came.
    #[must_use]
    pub fn overhead_received(&self) -> Option<f64> {
        let (wire, payload) = (self.octets_received, self.payload_octets_received);
        ratio(wire.saturating_sub(payload), payload)
    }

    /// As [`overhead_received`](Self::overhead_received), of what was sent.
    #[must_use]
    pub fn overhead_sent(&self) -> Option<f64> {
        let (wire, payload) = (self.octets_sent, self.payload_octets_sent);
        ratio(wire.saturating_sub(payload), payload)
    }

    /// The counters with their names.
    fn counters(&self) -> [(&'static str, u64); 13] {
        [
            ("octets_received", self.octets_received),
            ("octets_sent", self.octets_sent),
            ("payload_octets_received", self.payload_octets_received),
            ("payload_octets_sent", self.payload_octets_sent),
            ("message_octets_received", self.message_octets_received),
            ("message_octets_sent", self.message_octets_sent),
            ("frames_received", self.frames_received),
            ("frames_sent", self.frames_sent),
            ("messages_received", self.messages_received),
            ("messages_sent", self.messages_sent),
            ("messages_dropped", self.messages_dropped),
            ("opening_octets_received", self.opening_octets_received),
            ("opening_octets_sent", self.opening_octets_sent),
        ]
    }

    fn each(self, other: Self, join: fn(u64, u64) -> u64) -> Self {
        Self {
            octets_received: join(self.octets_received, other.octets_received),
            octets_sent: join(self.octets_sent, other.octets_sent),
            payload_octets_received: join(
                self.payload_octets_received,
                other.payload_octets_received,
            ),
            payload_octets_sent: join(self.payload_octets_sent, other.payload_octets_sent),
            message_octets_received: join(
                self.message_octets_received,
                other.message_octets_received,
            ),
            message_octets_sent: join(self.message_octets_sent, other.message_octets_sent),
            frames_received: join(self.frames_received, other.frames_received),
            frames_sent: join(self.frames_sent, other.frames_sent),
            messages_received: join(self.messages_received, other.messages_received),
            messages_sent: join(self.messages_sent, other.messages_sent),
            messages_dropped: join(self.messages_dropped, other.messages_dropped),
            opening_octets_received: join(
                self.opening_octets_received,
                other.opening_octets_received,
            ),
            opening_octets_sent: join(self.opening_octets_sent, other.opening_octets_sent),
        }
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Add for Stats {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.each(other, u64::wrapping_add)
    }
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Stats {
    type Output = Self;

    /// What was counted since `earlier`.
    fn sub(self, earlier: Self) -> Self {
        self.each(earlier, u64::saturating_sub)
    }
}

/// All counters, as `name=value` with spaces between.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = self
            .counters()
            .map(|(name, value)| format!("{name}={value}"));
        f.write_str(&counters.join(" "))
    }
}

/// All counters, and the four ratios, `null` where there is none.
#[cfg(feature = "json")]
impl serde::Serialize for Stats {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let ratios = [
            (
                "compression_ratio_received",
                self.compression_ratio_received(),
            ),
            ("compression_ratio_sent", self.compression_ratio_sent()),
            ("overhead_received", self.overhead_received()),
            ("overhead_sent", self.overhead_sent()),
        ];
        let counters = self.counters();
        let mut fields = serializer.serialize_struct("Stats", counters.len() + ratios.len())?;
        for (name, value) in counters {
            fields.serialize_field(name, &value)?;
        }
        for (name, value) in ratios {
            fields.serialize_field(name, &value)?;
        }
        fields.end()
    }
}
