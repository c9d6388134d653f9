//! The options that servers and clients have in common.
//!
//! The setters are in `setters`, written once for both.

use std::collections::HashSet;
use std::time::Duration;

use super::{DeflateOptions, ExtraHeaders, OptionsError, OverflowPolicy, RateLimit, is_token};

/// The options of either side; see the setters for what they mean.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CommonOptions {
    pub(crate) utf8_validate_incoming: bool,
    pub(crate) apply_mask: bool,
    pub(crate) max_frame_payload_size: Option<u64>,
    pub(crate) max_message_payload_size: Option<u64>,
    pub(crate) max_fragments: Option<u64>,
    pub(crate) auto_fragment_size: Option<u64>,
    pub(crate) fail_by_drop: bool,
    pub(crate) echo_close_code_reason: bool,
    pub(crate) open_handshake_timeout: Option<Duration>,
    pub(crate) close_handshake_timeout: Option<Duration>,
    pub(crate) write_stall_timeout: Option<Duration>,
    pub(crate) send_high_water: usize,
    pub(crate) send_low_water: usize,
    pub(crate) overflow_policy: OverflowPolicy,
    pub(crate) receive_window: usize,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) message_timeout: Option<Duration>,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) tcp_no_delay: bool,
    pub(crate) tcp_keepalive: Option<Duration>,
    pub(crate) tcp_user_timeout: Option<Duration>,
    pub(crate) auto_ping_interval: Option<Duration>,
    pub(crate) auto_ping_timeout: Option<Duration>,
    pub(crate) auto_ping_size: usize,
    pub(crate) auto_ping_restart_on_any_traffic: bool,
    pub(crate) per_message_deflate: Option<DeflateOptions>,
    pub(crate) max_header_size: usize,
    pub(crate) max_header_line: usize,
    pub(crate) max_headers: usize,
    pub(crate) headers: ExtraHeaders,
    pub(crate) protocols: Vec<String>,
    pub(crate) log_octets: bool,
    pub(crate) log_frames: bool,
    pub(crate) track_timings: bool,
}

impl CommonOptions {
    /// Autobahn's own defaults, as its source has them.
    pub(super) fn autobahn() -> Self {
        Self {
            max_frame_payload_size: None,
            max_message_payload_size: None,
            max_fragments: None,
            fail_by_drop: true,
            echo_close_code_reason: false,
            close_handshake_timeout: Some(Duration::from_secs(1)),
            write_stall_timeout: None,
            ..Self::default()
        }
    }

    pub(super) fn validate(&self) -> Result<(), OptionsError> {
        self.validate_sizes()?;
        self.validate_durations()?;
        self.validate_head()?;
        self.validate_protocols()?;
        self.overflow_policy.validate()?;
        self.rate_limit.map_or(Ok(()), |limit| limit.validate())?;
        self.per_message_deflate
            .map_or(Ok(()), |deflate| deflate.validate())
    }

    fn validate_sizes(&self) -> Result<(), OptionsError> {
        for (option, value) in [
            ("max_frame_payload_size", self.max_frame_payload_size),
            ("max_message_payload_size", self.max_message_payload_size),
            ("max_fragments", self.max_fragments),
            ("auto_fragment_size", self.auto_fragment_size),
        ] {
            if value == Some(0) {
                return Err(OptionsError::value(option, 0, "at least 1, or None"));
            }
        }
        let (low, high) = (self.send_low_water, self.send_high_water);
        if low > high {
            let error = OptionsError::value("send_low_water", low, "at most send_high_water");
            return Err(error);
        }
        if !(4..=125).contains(&self.auto_ping_size) {
            let size = self.auto_ping_size;
            let error = OptionsError::value("auto_ping_size", size, "4 to 125 octets");
            return Err(error);
        }
        Ok(())
    }

    fn validate_durations(&self) -> Result<(), OptionsError> {
        duration("open_handshake_timeout", self.open_handshake_timeout)?;
        duration("close_handshake_timeout", self.close_handshake_timeout)?;
        duration("write_stall_timeout", self.write_stall_timeout)?;
        duration("idle_timeout", self.idle_timeout)?;
        duration("max_lifetime", self.max_lifetime)?;
        duration("message_timeout", self.message_timeout)?;
        duration("auto_ping_interval", self.auto_ping_interval)?;
        duration("auto_ping_timeout", self.auto_ping_timeout)?;
        let (keepalive, user) = (self.tcp_keepalive, self.tcp_user_timeout);
        let is_whole = |time: &Duration| {
            time.subsec_nanos() == 0 && (1..=MAX_KEEPALIVE).contains(&time.as_secs())
        };
        if keepalive.is_some_and(|time| !is_whole(&time)) {
            let value = format!("{:?}", keepalive.unwrap_or_default());
            let allowed = "1 to 32767 whole seconds, or None";
            return Err(OptionsError::value("tcp_keepalive", value, allowed));
        }
        if user.is_some_and(|time| !(SHORTEST_USER_TIMEOUT..=LONGEST_USER_TIMEOUT).contains(&time))
        {
            let value = format!("{:?}", user.unwrap_or_default());
            let allowed = "1 millisecond to 24 days, or None";
            return Err(OptionsError::value("tcp_user_timeout", value, allowed));
        }
        Ok(())
    }

    fn validate_head(&self) -> Result<(), OptionsError> {
        let error = OptionsError::value;
        let size = self.max_header_size;
        if !(512..=1 << 20).contains(&size) {
            return Err(error("max_header_size", size, "512 octets to 1 MiB"));
        }
        let line = self.max_header_line;
        if !(128..=size).contains(&line) {
            let allowed = "128 octets to max_header_size";
            return Err(error("max_header_line", line, allowed));
        }
        let headers = self.max_headers;
        if !(8..=4096).contains(&headers) {
            return Err(error("max_headers", headers, "8 to 4096"));
        }
        let allowed = "valid headers other than Upgrade, Connection, Host, Content-Length, \
             Transfer-Encoding and Sec-WebSocket-*";
        match self.headers.fault() {
            Some(name) => Err(OptionsError::text("headers", name, allowed)),
            None => Ok(()),
        }
    }

    fn validate_protocols(&self) -> Result<(), OptionsError> {
        let mut seen = HashSet::new();
        for protocol in &self.protocols {
            if !is_token(protocol) || !seen.insert(protocol) {
                let allowed = "different tokens (RFC 9110 section 5.6.2)";
                return Err(OptionsError::text("protocols", protocol, allowed));
            }
        }
        Ok(())
    }
}

impl Default for CommonOptions {
    fn default() -> Self {
        Self {
            utf8_validate_incoming: true,
            apply_mask: true,
            max_frame_payload_size: Some(16 << 20),
            max_message_payload_size: Some(64 << 20),
            max_fragments: Some(131_072),
            auto_fragment_size: None,
            fail_by_drop: false,
            echo_close_code_reason: true,
            open_handshake_timeout: Some(Duration::from_secs(5)),
            close_handshake_timeout: Some(Duration::from_secs(5)),
            write_stall_timeout: Some(Duration::from_secs(60)),
            send_high_water: HIGH_WATER,
            send_low_water: 64 << 10,
            overflow_policy: OverflowPolicy::Wait,
            receive_window: 256 << 10,
            idle_timeout: None,
            max_lifetime: None,
            message_timeout: None,
            rate_limit: None,
            tcp_no_delay: true,
            tcp_keepalive: None,
            tcp_user_timeout: None,
            auto_ping_interval: None,
            auto_ping_timeout: None,
            auto_ping_size: 12,
            auto_ping_restart_on_any_traffic: true,
            per_message_deflate: None,
            max_header_size: 32 << 10,
            max_header_line: 8 << 10,
            max_headers: 128,
            headers: ExtraHeaders::default(),
            protocols: Vec::new(),
            log_octets: false,
            log_frames: false,
            track_timings: false,
        }
    }
}

/// Above how many octets that are buffered `send` waits, unless said otherwise.
pub(crate) const HIGH_WATER: usize = 256 << 10;

/// Takes a duration of zero for "off", as Autobahn does.
pub(super) fn on(duration: Option<Duration>) -> Option<Duration> {
    duration.filter(|duration| !duration.is_zero())
}

/// Checks that a duration can be added to any instant.
pub(super) fn duration(
    option: &'static str,
    duration: Option<Duration>,
) -> Result<(), OptionsError> {
    match duration {
        Some(duration) if duration > MAX_DURATION => {
            let value = format!("{duration:?}");
            Err(OptionsError::value(option, value, "at most 366 days"))
        }
        _ => Ok(()),
    }
}

/// Checks that a text can be the value of a header.
pub(super) fn header_text(option: &'static str, text: Option<&str>) -> Result<(), OptionsError> {
    match text {
        Some(text) if !text.bytes().all(|octet| matches!(octet, b' '..=b'~')) => {
            Err(OptionsError::text(option, text, "printable ASCII"))
        }
        _ => Ok(()),
    }
}

/// The longest time of `TCP_KEEPIDLE` and `TCP_KEEPINTVL` on Linux, in seconds.
const MAX_KEEPALIVE: u64 = 32_767;
const SHORTEST_USER_TIMEOUT: Duration = Duration::from_millis(1);
/// As many milliseconds as a signed number of 32 bits takes, in whole days.
const LONGEST_USER_TIMEOUT: Duration = Duration::from_secs(24 * 24 * 60 * 60);
/// The longest duration of any option.
const MAX_DURATION: Duration = Duration::from_secs(366 * 24 * 60 * 60);
