//! The setters that servers and clients have in common, written once.

macro_rules! shared_setters {
    () => {
        /// Sets whether text from the peer is checked to be UTF-8 (RFC 6455 §8.1).
        ///
        /// Without it text arrives marked as unchecked. Close reasons are always checked.
        /// Default: true.
        #[must_use]
        pub fn utf8_validate_incoming(mut self, validate: bool) -> Self {
            self.common.utf8_validate_incoming = validate;
            self
        }

        /// Sets whether masking touches the payload (RFC 6455 §5.3).
        ///
        /// False sends and expects masking keys but leaves payloads as they are, in both
        /// directions: for measurements between two ends that agree on it. Default: true.
        #[must_use]
        pub fn apply_mask(mut self, apply: bool) -> Self {
            self.common.apply_mask = apply;
            self
        }

        /// Sets the largest payload of a frame accepted, in octets on the wire; `None` lifts it.
        ///
        /// Inclusive. A larger frame fails the connection with close code 1009
        /// (RFC 6455 §7.4.1). Default: 16 MiB.
        #[must_use]
        pub fn max_frame_payload_size(mut self, octets: impl Into<Option<u64>>) -> Self {
            self.common.max_frame_payload_size = octets.into();
            self
        }

        /// Sets the largest message accepted, in octets after inflation; `None` lifts it.
        ///
        /// Inclusive. A larger message fails the connection with close code 1009
        /// (RFC 6455 §7.4.1); sending one is refused. Default: 64 MiB.
        #[must_use]
        pub fn max_message_payload_size(mut self, octets: impl Into<Option<u64>>) -> Self {
            self.common.max_message_payload_size = octets.into();
            self
        }

        /// Sets the most frames accepted in one message, empty ones counted; `None` lifts it.
        ///
        /// More fail the connection with close code 1009 (RFC 6455 §5.4). Default: 131,072.
        #[must_use]
        pub fn max_fragments(mut self, frames: impl Into<Option<u64>>) -> Self {
            self.common.max_fragments = frames.into();
            self
        }

        /// Sets the largest payload of a frame sent, in octets; a larger message is fragmented
        /// (RFC 6455 §5.4).
        ///
        /// At least 1. Applies to the compressed payload. Default: off.
        #[must_use]
        pub fn auto_fragment_size(mut self, octets: impl Into<Option<u64>>) -> Self {
            self.common.auto_fragment_size = octets.into();
            self
        }

        /// Sets whether to drop TCP at once when the peer breaks a rule, instead of saying why
        /// in a close frame.
        ///
        /// Default: false (RFC 6455 §7.1.7); Autobahn's: true.
        #[must_use]
        pub fn fail_by_drop(mut self, drop: bool) -> Self {
            self.common.fail_by_drop = drop;
            self
        }

        /// Sets whether a close frame is answered with its own code and reason, instead of 1000.
        ///
        /// Default: true (RFC 6455 §5.5.1); Autobahn's: false.
        #[must_use]
        pub fn echo_close_code_reason(mut self, echo: bool) -> Self {
            self.common.echo_close_code_reason = echo;
            self
        }

        /// Sets how long the opening handshake may take, from the connection made to its end
        /// (RFC 6455 §4), a TLS handshake included; zero or `None` for ever.
        ///
        /// Default: 5 seconds, as in Autobahn's source; its guide says "none".
        #[must_use]
        pub fn open_handshake_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
            self.common.open_handshake_timeout = on(timeout.into());
            self
        }

        /// Sets how long to wait for the peer's close frame after ours (RFC 6455 §7.1.1); zero
        /// or `None` for ever.
        ///
        /// Default: 5 seconds, for mobile networks; Autobahn's: 1 second.
        #[must_use]
        pub fn close_handshake_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
            self.common.close_handshake_timeout = on(timeout.into());
            self
        }

        /// Sets how long a peer may take nothing of what is to be sent before it is dropped;
        /// zero or `None` for ever.
        ///
        /// However slowly, a peer that takes some is not dropped. Default: 60 seconds; Autobahn's:
        /// off.
        #[must_use]
        pub fn write_stall_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
            self.common.write_stall_timeout = on(timeout.into());
            self
        }

        /// Sets above how many octets that wait to be written `send` waits, in octets.
        ///
        /// The last message is queued whole, so that as much more may be buffered as that has. What is to
        /// become of messages instead, where waiting is no use, says `overflow_policy`. Not with
        /// `blocking`, where sending waits for the stream. Default: 262,144 (256 KiB).
        #[must_use]
        pub fn send_high_water(mut self, octets: usize) -> Self {
            self.common.send_high_water = octets;
            self
        }

        /// Sets with how many octets that still wait to be written those go on that wait in `send`, and
        /// `on_drain` is called, in octets.
        ///
        /// At most `send_high_water`; set it lower, too, where that is below the default of this. Not
        /// with `blocking`. Default: 65,536 (64 KiB).
        #[must_use]
        pub fn send_low_water(mut self, octets: usize) -> Self {
            self.common.send_low_water = octets;
            self
        }

        /// Sets what `send` does while more than `send_high_water` waits to be written: wait, fail, drop
        /// the newest message or the oldest, or close; see [`OverflowPolicy`](crate::OverflowPolicy).
        ///
        /// `validate` refuses one that closes with a code that must not be sent. What was dropped is
        /// counted in `Stats::messages_dropped`. A connection may be given another one,
        /// with `set_overflow_policy` of its handle. Not with `blocking`, where sending waits for the
        /// stream. Default: [`OverflowPolicy::Wait`](crate::OverflowPolicy::Wait).
        #[must_use]
        pub fn overflow_policy(mut self, policy: super::OverflowPolicy) -> Self {
            self.common.overflow_policy = policy;
            self
        }

        /// Sets how many octets are read ahead while a callback waits, in octets; with more, TCP pushes
        /// back.
        ///
        /// What is read ahead is looked through for control frames: pings are answered and the peer's
        /// close is seen. With 0 nothing is read, and the peer is not heard until the callback returns.
        /// An end of `blocking` reads so much ahead while `send`, `ping` or `close` waits and no thread
        /// receives, messages that wait counted whole. Default: 262,144 (256 KiB).
        #[must_use]
        pub fn receive_window(mut self, octets: usize) -> Self {
            self.common.receive_window = octets;
            self
        }

        /// Sets after how long without data a connection is closed, with close code 1001; zero or
        /// `None` for never.
        ///
        /// Data are messages and parts of them, in either direction. Pings and pongs are none, whoever
        /// sends them: they tell that the peer lives, for which there is `auto_ping_interval`, not that
        /// anybody uses the connection. As long as a callback runs, the connection is in use.
        /// [`TimeoutKind::Idle`](crate::connection::TimeoutKind::Idle). Default: off.
        #[must_use]
        pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
            self.common.idle_timeout = on(timeout.into());
            self
        }

        /// Sets after how long a connection is closed, whatever it does: a server closes with 1012, a
        /// client with 1001; zero or `None` for never.
        ///
        /// Each connection has between 90 and 100 % of it, drawn evenly, so that those which came
        /// together do not come back together. For servers that are replaced, loads that are to be
        /// balanced anew, and tokens that expire.
        /// [`TimeoutKind::Lifetime`](crate::connection::TimeoutKind::Lifetime). Default: off.
        #[must_use]
        pub fn max_lifetime(mut self, time: impl Into<Option<Duration>>) -> Self {
            self.common.max_lifetime = on(time.into());
            self
        }

        /// Sets how long a message may take to arrive, from the header of its first frame to the end of
        /// its last; zero or `None` for ever.
        ///
        /// One that takes longer fails the connection with close code 1008. The time does not run while
        /// a callback does, nor while reading pauses for another reason of ours. With pieces of messages
        /// received as they come, it is for all of a message, too.
        /// [`TimeoutKind::Message`](crate::connection::TimeoutKind::Message). Default: off.
        #[must_use]
        pub fn message_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
            self.common.message_timeout = on(timeout.into());
            self
        }

        /// Sets how much the peer may send each second; see [`RateLimit`](crate::RateLimit).
        ///
        /// Default: no limit.
        #[must_use]
        pub fn rate_limit(mut self, limit: impl Into<Option<super::RateLimit>>) -> Self {
            self.common.rate_limit = limit.into();
            self
        }

        /// Sets `TCP_NODELAY`, which sends small messages without delay; ignored where there is
        /// no TCP.
        ///
        /// Default: true.
        #[must_use]
        pub fn tcp_no_delay(mut self, no_delay: bool) -> Self {
            self.common.tcp_no_delay = no_delay;
            self
        }

        /// Sets after how long without a sign of life TCP asks the peer for one, and how often it
        /// asks again before the connection is lost (`SO_KEEPALIVE`, with `TCP_KEEPIDLE` and
        /// `TCP_KEEPINTVL`); `None` does not ask.
        ///
        /// The system answers such questions, so they tell of dead machines and lines, not of dead
        /// programs: for those there is `auto_ping_interval`. 1 to 32,767 whole seconds. Default:
        /// off.
        #[must_use]
        pub fn tcp_keepalive(mut self, time: impl Into<Option<Duration>>) -> Self {
            self.common.tcp_keepalive = time.into();
            self
        }

        /// Sets how long what was sent may stay unacknowledged before TCP gives the connection up
        /// (`TCP_USER_TIMEOUT`, RFC 5482); `None` leaves it to the system. Without effect where that
        /// is not Linux.
        ///
        /// 1 millisecond to 24 days; fractions of milliseconds are cut off. Default: off.
        #[must_use]
        pub fn tcp_user_timeout(mut self, time: impl Into<Option<Duration>>) -> Self {
            self.common.tcp_user_timeout = time.into();
            self
        }

        /// Sets the time between pings sent by the connection itself (RFC 6455 §5.5.2); zero or
        /// `None` sends none.
        ///
        /// Default: off.
        #[must_use]
        pub fn auto_ping_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
            self.common.auto_ping_interval = on(interval.into());
            self
        }

        /// Sets how long to wait for the pong to such a ping before the peer is dropped
        /// (RFC 6455 §5.5.3); zero or `None` for ever.
        ///
        /// If this end was held up meanwhile, by a callback that blocks its thread or a machine that
        /// stood, what has arrived is read before anybody is dropped.
        ///
        /// Default: off.
        #[must_use]
        pub fn auto_ping_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
            self.common.auto_ping_timeout = on(timeout.into());
            self
        }

        /// Sets the payload of such a ping, in octets.
        ///
        /// Range: 4 to 125. Default: 12.
        #[must_use]
        pub fn auto_ping_size(mut self, octets: usize) -> Self {
            self.common.auto_ping_size = octets;
            self
        }

        /// Sets whether any octets from the peer count as the pong that is waited for.
        ///
        /// Default: true.
        #[must_use]
        pub fn auto_ping_restart_on_any_traffic(mut self, restart: bool) -> Self {
            self.common.auto_ping_restart_on_any_traffic = restart;
            self
        }

        /// Sets how to compress messages (RFC 7692); `None` does not negotiate it.
        ///
        /// Default: off.
        #[must_use]
        pub fn per_message_deflate(mut self, deflate: impl Into<Option<DeflateOptions>>) -> Self {
            self.common.per_message_deflate = deflate.into();
            self
        }

        /// Sets the most octets that the head of the opening handshake may have.
        ///
        /// Range: 512 octets to 1 MiB. Default: 32 KiB.
        #[must_use]
        pub fn max_header_size(mut self, octets: usize) -> Self {
            self.common.max_header_size = octets;
            self
        }

        /// Sets the most octets that a line of the opening handshake may have.
        ///
        /// Range: 128 to `max_header_size`. Default: 8 KiB.
        #[must_use]
        pub fn max_header_line(mut self, octets: usize) -> Self {
            self.common.max_header_line = octets;
            self
        }

        /// Sets the most headers that the opening handshake may have.
        ///
        /// Range: 8 to 4096. Default: 128.
        #[must_use]
        pub fn max_headers(mut self, headers: usize) -> Self {
            self.common.max_headers = headers;
            self
        }

        /// Adds headers to the opening handshake.
        ///
        /// `validate` refuses those that the handshake sets itself. Default: none.
        #[must_use]
        pub fn headers(mut self, headers: &HeaderMap) -> Self {
            self.common.headers.extend(headers);
            self
        }

        /// Adds a header to the opening handshake.
        ///
        /// `validate` refuses one that is not valid, and those that the handshake sets itself.
        #[must_use]
        pub fn header(mut self, name: impl AsRef<str>, value: impl TryInto<HeaderValue>) -> Self {
            self.common.headers.append(name.as_ref(), value);
            self
        }

        /// Sets the subprotocols: those that a server speaks, or that a client offers, best first
        /// (RFC 6455 §1.9).
        ///
        /// Each a token, none twice. Default: none.
        #[must_use]
        pub fn protocols(mut self, protocols: impl IntoIterator<Item = impl Into<String>>) -> Self {
            self.common.protocols = protocols.into_iter().map(Into::into).collect();
            self
        }

        /// Sets whether each read and write is logged in hexadecimal, at most 1 KiB of each: as an
        /// event of `tracing` at the level TRACE with the target `motorway::octets`.
        ///
        /// With it the heads of the opening handshake are logged at DEBUG, target
        /// `motorway::handshake`, but for the values of `Authorization`, `Proxy-Authorization`,
        /// `Cookie` and `Set-Cookie`. Everything else is shown, tokens in the query of a URL, too.
        /// Default: false, which costs one branch.
        #[must_use]
        pub fn log_octets(mut self, log: bool) -> Self {
            self.common.log_octets = log;
            self
        }

        /// Sets whether each frame is logged, as it is on the wire: as an event of `tracing` at the
        /// level DEBUG with the target `motorway::frames` and the fields `direction`, `fin`, `rsv`,
        /// `opcode`, `mask`, `length` and `payload`, of which at most 256 octets are shown: of text
        /// the text, of anything else and of what is compressed hexadecimal digits.
        ///
        /// With it the heads of the opening handshake are logged as with `log_octets`. Default:
        /// false, which costs one branch.
        #[must_use]
        pub fn log_frames(mut self, log: bool) -> Self {
            self.common.log_frames = log;
            self
        }

        /// Sets whether times are taken of the phases of the opening handshake and of the last
        /// message each way, which `WebSocket::timings` tells.
        ///
        /// Not with `blocking`, whose handle has no such method. Default: false, which takes none.
        #[must_use]
        pub fn track_timings(mut self, track: bool) -> Self {
            self.common.track_timings = track;
            self
        }
    };
}

pub(super) use shared_setters;
