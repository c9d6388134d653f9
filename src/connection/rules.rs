//! What one connection obeys: its role, its limits and its switches.
//!
//! Made from the options of a factory once and shared by all of its connections.

use super::budget::Budget;
use crate::options::{ClientOptions, CommonOptions, OverflowPolicy, RateLimit, ServerOptions};
use std::sync::Arc;
use std::time::Duration;

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Accepts the opening handshake; sends unmasked frames.
    Server,
    /// Begins the opening handshake; sends masked frames.
    Client,
}

/// What is asked of the frames that arrive (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncomingMask {
    /// Every frame has to be masked: what a server asks for.
    Required,
    /// No frame may be masked: what a client asks for.
    Refused,
    /// Both are accepted.
    Either,
}

/// Automatic pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoPing {
    /// How long to wait after the opening, a pong, or other traffic before the next ping.
    pub interval: Duration,
    /// How long to wait for an answer; `None` waits for ever.
    pub timeout: Option<Duration>,
    /// The payload of a ping in octets, 4–125.
    pub size: usize,
    /// Whether any octet received counts as an answer and postpones the next ping.
    pub restart_on_any_traffic: bool,
}

/// The limits and switches that a connection obeys. Sizes are in octets; `u64::MAX` lifts a limit.
///
/// ```
/// use motorway::{ServerOptions, connection::Rules};
///
/// let rules = Rules::server(&ServerOptions::default().max_frame_payload_size(1 << 10));
/// assert_eq!(rules.max_frame, 1 << 10);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rules {
    /// Which end of the connection this is.
    pub role: Role,
    /// Whether text that arrives is checked to be UTF-8 (§8.1).
    pub validate_utf8: bool,
    /// Whether masks are applied; off, a frame carries a key but its payload is not masked.
    pub apply_mask: bool,
    /// What is asked of the masks of frames that arrive.
    pub incoming_mask: IncomingMask,
    /// Whether frames are sent masked.
    pub mask_outgoing: bool,
    /// The largest payload of a frame that is accepted, as on the wire.
    pub max_frame: u64,
    /// The largest message that is accepted or sent, uncompressed.
    pub max_message: u64,
    /// The most frames that a message may have, empty ones counted.
    pub max_fragments: u64,
    /// The largest payload of a frame that is sent; longer messages are fragmented.
    pub fragment_size: u64,
    /// Whether a failed connection is dropped without a close frame.
    pub fail_by_drop: bool,
    /// Whether a close frame is answered with its own code and reason.
    pub echo_close: bool,
    /// How long the closing handshake may take, from the first close frame to the end of TCP.
    pub close_timeout: Option<Duration>,
    /// How long a client waits for the server to drop TCP after the closing handshake.
    pub drop_timeout: Option<Duration>,
    /// Above how many buffered octets senders wait; nothing below the driver looks at it.
    pub send_high_water: usize,
    /// With how many buffered octets they go on.
    pub send_low_water: usize,
    /// What becomes of messages meanwhile, likewise.
    pub overflow: OverflowPolicy,
    /// How many octets are read ahead while a callback waits.
    pub receive_window: usize,
    /// How long the peer may take nothing of what is to be sent.
    pub write_stall: Option<Duration>,
    /// How long neither end may send data.
    pub idle_timeout: Option<Duration>,
    /// How long the connection may live.
    pub max_lifetime: Option<Duration>,
    /// How long a message may take to arrive.
    pub message_timeout: Option<Duration>,
    /// How much the peer may send each second.
    pub rate_limit: Option<RateLimit>,
    /// What all connections with these rules may hold together.
    pub(crate) budget: Option<Arc<Budget>>,
    /// Automatic pings, if any.
    pub auto_ping: Option<AutoPing>,
    /// Whether reads and writes are logged. By those who make them: the engine logs nothing.
    pub log_octets: bool,
    /// Whether frames are logged, likewise.
    pub log_frames: bool,
    /// Whether times are taken, likewise.
    pub track_timings: bool,
}

impl Rules {
    /// Makes the rules of a server's connections.
    #[must_use]
    pub fn server(options: &ServerOptions) -> Self {
        let incoming_mask = match options.require_masked_client_frames {
            true => IncomingMask::Required,
            false => IncomingMask::Either,
        };
        Self {
            incoming_mask,
            mask_outgoing: options.mask_server_frames,
            budget: options
                .memory_budget
                .map(|limit| Arc::new(Budget::new(limit))),
            ..Self::common(Role::Server, &options.common)
        }
    }

    /// Makes the rules of a client's connections.
    #[must_use]
    pub fn client(options: &ClientOptions) -> Self {
        let incoming_mask = match options.accept_masked_server_frames {
            true => IncomingMask::Either,
            false => IncomingMask::Refused,
        };
        Self {
            incoming_mask,
            mask_outgoing: options.mask_client_frames,
            drop_timeout: options.server_connection_drop_timeout,
            ..Self::common(Role::Client, &options.common)
        }
    }

    fn common(role: Role, options: &CommonOptions) -> Self {
        let limit = |octets: Option<u64>| octets.unwrap_or(u64::MAX);
        Self {
            role,
            validate_utf8: options.utf8_validate_incoming,
            apply_mask: options.apply_mask,
            incoming_mask: IncomingMask::Either,
            mask_outgoing: false,
            max_frame: limit(options.max_frame_payload_size),
            max_message: limit(options.max_message_payload_size),
            max_fragments: limit(options.max_fragments),
            fragment_size: limit(options.auto_fragment_size),
            fail_by_drop: options.fail_by_drop,
            echo_close: options.echo_close_code_reason,
            close_timeout: options.close_handshake_timeout,
            drop_timeout: None,
            send_high_water: options.send_high_water,
            send_low_water: options.send_low_water,
            overflow: options.overflow_policy,
            receive_window: options.receive_window,
            write_stall: options.write_stall_timeout,
            idle_timeout: options.idle_timeout,
            max_lifetime: options.max_lifetime,
            message_timeout: options.message_timeout,
            rate_limit: options.rate_limit,
            budget: None,
            auto_ping: options.auto_ping_interval.map(|interval| AutoPing {
                interval,
                timeout: options.auto_ping_timeout,
                size: options.auto_ping_size,
                restart_on_any_traffic: options.auto_ping_restart_on_any_traffic,
            }),
            log_octets: options.log_octets,
            log_frames: options.log_frames,
            track_timings: options.track_timings,
        }
    }
}
