//! The short way in and out: a whole message in one frame of at most 64 KiB.
//!
//! Most messages are small, uncompressed and unfragmented, and lie whole in what was read. For them
//! the state machine of `receive` has nothing to remember, and the sender nothing to decide.
//! Whatever is unusual about a frame is left untouched for the long way.

use super::output::{BY_REFERENCE, KEY};
use super::receive::Receiver;
use super::rules::IncomingMask;
use super::{Output, ProtocolError, Receive, Rules};
use crate::frame::{self, MaskingKey};
use crate::message::{Message, Payload, Text};
use crate::utf8;

/// Which frames a receiver takes the short way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ways {
    None,
    Masked,
    Unmasked,
}

impl Ways {
    /// Chooses what no rule stands in the way of.
    pub(super) fn new(rules: &Rules, receive: Receive) -> Self {
        let most = rules.max_frame.min(rules.max_message);
        let is_plain = receive == Receive::Messages
            && rules.validate_utf8
            && rules.apply_mask
            && rules.max_fragments > 0
            && most >= u64::from(u16::MAX);
        match rules.incoming_mask {
            _ if !is_plain => Self::None,
            IncomingMask::Required | IncomingMask::Either => Self::Masked,
            IncomingMask::Refused => Self::Unmasked,
        }
    }
}

/// The message at the start of an input and what is left of it, or the input as it was.
type Shortly<'a> = Result<(Message<'a>, &'a mut [u8]), &'a mut [u8]>;

/// A message that was found at the start of an input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short {
    is_text: bool,
    /// Where its payload starts and ends.
    start: usize,
    end: usize,
}

impl Receiver {
    /// Decodes the message at the start of `input` if all of it lies there, uncompressed, in one frame
    /// of at most 64 KiB; returns it with the rest of the input.
    ///
    /// Sooner done than [`receive`](Self::receive), which takes everything. Worth a try before each
    /// call of that.
    ///
    /// # Errors
    ///
    /// Gives `input` back as it was if it has to go to `receive`, for whatever reason.
    #[inline]
    pub fn receive_short<'a>(&self, input: &'a mut [u8]) -> Shortly<'a> {
        match self.find_short(input) {
            Some(found) => Ok(found.split(input)),
            None => Err(input),
        }
    }

    /// The first half of [`receive_short`](Self::receive_short), which unmasks and checks the message;
    /// the second is [`Short::split`]. What is returned in between is small.
    #[inline(always)]
    pub(crate) fn find_short(&self, input: &mut [u8]) -> Option<Short> {
        match self.ready_for_short() {
            Ways::Masked => find::<true>(input),
            Ways::Unmasked => find::<false>(input),
            Ways::None => None,
        }
    }
}

impl Short {
    /// Returns the length of its payload in octets.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn len(self) -> usize {
        self.end - self.start
    }

    /// Returns the message, and what is left of the input. It has to be the one that the message was
    /// found in, unchanged: there it was checked to be text.
    #[inline(always)]
    pub(crate) fn split(self, input: &mut [u8]) -> (Message<'_>, &mut [u8]) {
        let (frame, rest) = input.split_at_mut_checked(self.end).unwrap_or_default();
        let payload = Payload::from(frame.get(self.start..).unwrap_or_default());
        match self.is_text {
            true => (Message::Text(Text::from_validated(payload)), rest),
            false => (Message::Binary(payload), rest),
        }
    }
}

/// Finds a message that may take the short way, unmasks and checks it.
#[inline(always)]
fn find<const MASKED: bool>(input: &mut [u8]) -> Option<Short> {
    let is_text = match input.first() {
        Some(&TEXT) => true,
        Some(&BINARY) => false,
        _ => return None,
    };
    let (key, start, end) = frame_at::<MASKED>(input)?;
    let payload = input.get_mut(start..end)?;
    let is_valid = match (MASKED, is_text) {
        (true, true) => frame::mask::apply_and_look(key, payload) || utf8::is_valid(payload),
        (true, false) => {
            frame::apply(key, 0, payload);
            true
        }
        (false, _) => !is_text || utf8::is_valid(payload),
    };
    if !is_valid {
        if MASKED {
            // Who tells what is wrong with it unmasks it again.
            frame::apply(key, 0, payload);
        }
        return None;
    }
    Some(Short {
        is_text,
        start,
        end,
    })
}

/// Reads what follows the first octet of a frame, if it is not longer than 64 KiB and there as a whole:
/// the key, and where its payload starts and ends.
#[inline(always)]
fn frame_at<const MASKED: bool>(input: &[u8]) -> Option<(MaskingKey, usize, usize)> {
    let mask = if MASKED { MASK } else { 0 };
    let &[_, second, ref extended @ ..] = input else {
        return None;
    };
    let (length, start) = match second ^ mask {
        short @ 0..=125 => (usize::from(short), 2),
        126 => match u16::from_be_bytes(*extended.first_chunk()?) {
            // Not the shortest form.
            0..=125 => return None,
            length => (usize::from(length), 4),
        },
        // A longer one, or wrongly masked.
        _ => return None,
    };
    let key = match MASKED {
        true => MaskingKey::from(*input.get(start..)?.first_chunk()?),
        false => MaskingKey::default(),
    };
    let start = if MASKED { start + KEY } else { start };
    let end = start + length;
    (end <= input.len()).then_some((key, start, end))
}

impl Receiver {
    /// Takes the fragments at the start of `input` that go on with the message and do not end it, as far
    /// as they are short; returns what is left of the input.
    pub(super) fn take_fragments<'a>(
        &mut self,
        input: &'a mut [u8],
    ) -> Result<&'a mut [u8], ProtocolError> {
        match self.short {
            Ways::Masked => self.take_fragments_of::<true>(input),
            Ways::Unmasked => self.take_fragments_of::<false>(input),
            Ways::None => Ok(input),
        }
    }

    fn take_fragments_of<'a, const MASKED: bool>(
        &mut self,
        mut input: &'a mut [u8],
    ) -> Result<&'a mut [u8], ProtocolError> {
        while input.first() == Some(&CONTINUATION)
            && let Some((key, start, end)) = frame_at::<MASKED>(input)
            && self.message.has_room_for(end - start, &self.rules)
        {
            let (frame, rest) = input.split_at_mut_checked(end).unwrap_or_default();
            let payload = frame.get_mut(start..).unwrap_or_default();
            let is_ascii = MASKED && frame::mask::apply_and_look(key, payload);
            self.message.append_fragment(payload, is_ascii)?;
            input = rest;
        }
        Ok(input)
    }
}

/// Which messages are sent the short way: uncompressed, in one frame, of less than 16 KiB.
///
/// ```
/// use motorway::connection::{Output, Rules, ShortSend};
/// use motorway::frame::MaskingKey;
/// use motorway::{Message, ServerOptions};
///
/// let short = ShortSend::new(&Rules::server(&ServerOptions::default()));
/// let mut out = Output::default();
/// assert!(short.write(&Message::from("Hi"), MaskingKey::default, &mut out));
/// assert_eq!(out.split(), &b"\x81\x02Hi"[..]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ShortSend {
    /// How many octets are too many.
    below: u16,
    mask: u8,
}

impl ShortSend {
    /// Finds out what the rules allow.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let most = rules.fragment_size.min(rules.max_message);
        let below = most.saturating_add(1).min(BY_REFERENCE as u64);
        Self {
            below: match rules.apply_mask {
                true => u16::try_from(below).unwrap_or_default(),
                false => 0,
            },
            mask: if rules.mask_outgoing { MASK } else { 0 },
        }
    }

    /// Encodes a message, with a masking key where one is due; tells whether it did. If not, nothing
    /// has changed, and [`write_message`](super::write_message) has to.
    #[inline]
    pub fn write(
        self,
        message: &Message<'_>,
        key: impl FnOnce() -> MaskingKey,
        out: &mut Output,
    ) -> bool {
        let payload = message.as_bytes();
        if payload.len() >= usize::from(self.below) {
            return false;
        }
        let key = (self.mask != 0).then(key);
        let first = match message.is_binary() {
            true => BINARY,
            false => TEXT,
        };
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(length @ 0..=125), _) => out.push_short([first, self.mask | length], key, payload),
            (_, Ok(length)) => {
                let [high, low] = length.to_be_bytes();
                out.push_short([first, self.mask | 126, high, low], key, payload);
            }
            _ => return false,
        }
        true
    }
}

/// The first octet of a fragment that neither begins nor ends a message (§5.4).
const CONTINUATION: u8 = 0x00;
/// The first octet of a text message in one frame (§5.2).
const TEXT: u8 = 0x81;
/// The first octet of a binary message in one frame.
const BINARY: u8 = 0x82;
/// The bit of the second octet that tells of a mask.
const MASK: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Event;
    use crate::options::{ClientOptions, ServerOptions};
    use std::sync::Arc;

    fn server() -> Receiver {
        Receiver::new(Arc::new(Rules::server(&ServerOptions::default())), None)
    }

    fn frame(start: &[u8], key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
        let mut masked = payload.to_vec();
        if let Some(key) = key {
            frame::apply(key.into(), 0, &mut masked);
        }
        [start, key.as_ref().map_or(&[][..], |key| key), &masked].concat()
    }

    const KEYED: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);

    /// Takes the short way where it is open, the long way elsewhere.
    fn receive_all(
        receiver: &mut Receiver,
        input: &mut [u8],
        try_short: bool,
    ) -> (Vec<Event<'static>>, Result<(), ProtocolError>) {
        let (mut rest, mut events) = (input, Vec::new());
        loop {
            if try_short {
                match receiver.receive_short(rest) {
                    Ok((message, after)) => {
                        events.push(Event::Message(message.into_owned()));
                        rest = after;
                        continue;
                    }
                    Err(unchanged) => rest = unchanged,
                }
            }
            match receiver.receive(rest) {
                Ok((Some(event), after)) => {
                    events.push(event.into_owned());
                    rest = after;
                }
                Ok((None, _)) => return (events, Ok(())),
                Err(error) => return (events, Err(error)),
            }
        }
    }

    #[test]
    fn whole_messages_in_short_frames_are_taken() {
        let long = [b'a'; 126];
        for (start, payload) in [
            (&[0x81, 0x80][..], &b""[..]),
            (&[0x81, 0x85], b"Hello"),
            (&[0x82, 0x82], b"\xff\xfe"),
            (&[0x81, 0x86], "κόσ".as_bytes()),
            (&[0x81, 0xfe, 0, 126], &long),
        ] {
            let mut input = frame(start, KEYED, payload);
            input.push(0x89);
            let (message, rest) = server().receive_short(&mut input).unwrap();
            assert_eq!(message.as_bytes(), payload);
            assert_eq!(message.is_text(), start[0] == 0x81);
            assert_eq!(rest, [0x89]);
        }
    }

    #[test]
    fn a_client_takes_frames_without_a_mask() {
        let rules = Arc::new(Rules::client(&ClientOptions::default()));
        let receiver = Receiver::new(rules, None);
        let mut plain = *b"\x81\x02Hi";
        let (message, _) = receiver.receive_short(&mut plain).unwrap();
        assert_eq!(message, Message::from("Hi"));
        let mut masked = frame(&[0x81, 0x82], KEYED, b"Hi");
        assert!(receiver.receive_short(&mut masked).is_err());
    }

    #[test]
    fn whatever_is_unusual_is_given_back_as_it_was() {
        for (start, key, payload) in [
            (&[0x01, 0x85][..], KEYED, &b"Hello"[..]), // the first of several fragments
            (&[0x80, 0x85], KEYED, b"Hello"),          // a continuation
            (&[0xc1, 0x85], KEYED, b"Hello"),          // RSV1
            (&[0x89, 0x85], KEYED, b"Hello"),          // a ping
            (&[0x88, 0x82], KEYED, b"\x03\xe8"),       // a close frame
            (&[0x83, 0x85], KEYED, b"Hello"),          // a reserved opcode
            (&[0x81, 0x05], None, b"Hello"),           // not masked
            (&[0x81, 0xfe, 0, 5], KEYED, b"Hello"),    // not the shortest length
            (&[0x81, 0x83], KEYED, b"\xed\xa0\x80"),   // not UTF-8
            (&[0x81, 0x86], KEYED, b"Hello"),          // not all there
            (&[0x81], None, b""),                      // not even a header
        ] {
            let input = frame(start, key, payload);
            let mut given = input.clone();
            let back = server().receive_short(&mut given).unwrap_err();
            assert_eq!(back, &input[..], "{start:x?}");
        }
    }

    #[test]
    fn the_short_way_is_closed_within_frames_and_messages() {
        for before in [&b"\x01\x80\0\0\0\0"[..], b"\x81", b"\x82\x82\0\0\0\0a"] {
            let mut receiver = server();
            let mut before = before.to_vec();
            assert!(matches!(receiver.receive(&mut before), Ok((None, _))));
            let mut input = frame(&[0x81, 0x81], KEYED, b"a");
            assert!(receiver.receive_short(&mut input).is_err());
        }
    }

    #[test]
    fn rules_that_ask_for_more_close_the_short_way() {
        let options = ServerOptions::default;
        for options in [
            options().max_message_payload_size(100),
            options().max_frame_payload_size(100),
            options().utf8_validate_incoming(false),
            options().apply_mask(false),
        ] {
            let receiver = Receiver::new(Arc::new(Rules::server(&options)), None);
            let mut input = frame(&[0x81, 0x81], KEYED, b"a");
            assert!(receiver.receive_short(&mut input).is_err(), "{options:?}");
        }
        for receive in [Receive::Frames, Receive::Stream] {
            let receiver = server().in_pieces(receive);
            let mut input = frame(&[0x81, 0x81], KEYED, b"a");
            assert!(receiver.receive_short(&mut input).is_err());
        }
    }

    /// A small generator of numbers, the same on every run.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % limit
        }

        fn frame(&mut self) -> Vec<u8> {
            let first = [0x81, 0x82, 0x81, 0x82, 0x89, 0x01, 0x80, 0xc1][self.below(8)];
            let length = [0, 1, 5, 125, 126, 300][self.below(6)];
            let mut payload = vec![b'x'; length];
            if self.below(12) == 0 && length > 0 {
                payload[self.below(length)] = 0xff;
            }
            let start = match u8::try_from(length) {
                Ok(short @ 0..=125) => vec![first, 0x80 | short],
                _ => {
                    let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
                    vec![first, 0xfe, high, low]
                }
            };
            frame(&start, KEYED, &payload)
        }
    }

    #[test]
    fn both_ways_receive_the_same() {
        for seed in 0..2_000 {
            let mut numbers = Numbers(seed);
            let (mut short, mut long) = (server(), server());
            let frames: Vec<u8> = (0..6).flat_map(|_| numbers.frame()).collect();
            let mut rest = &frames[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(1 + numbers.below(rest.len()));
                rest = after;
                let shortly = receive_all(&mut short, &mut piece.to_vec(), true);
                let at_length = receive_all(&mut long, &mut piece.to_vec(), false);
                assert_eq!(shortly, at_length, "seed {seed}");
            }
        }
    }
}
