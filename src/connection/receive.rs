//! Octets become frames, frames become events.
//!
//! The receiver owns no read buffer: it decodes from a slice of the caller's, unmasks in place, and
//! yields events that borrow from it. Only what is cut off by the end of the slice is kept.

use super::assemble::{Assembler, MessageKind, Place};
use super::inflate::{DeflateSettings, Inflation};
use super::partial::{PartialControl, PartialHeader, parse_close};
use super::short::Ways;
use super::{IncomingMask, ProtocolError, Rules};
use crate::close::CloseFrame;
use crate::frame::{self, Header, MaskingKey, Opcode, Rsv};
use crate::message::{Message, Payload};
use bytes::BytesMut;
use std::sync::Arc;

/// In which pieces data are received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Receive {
    /// Whole messages.
    #[default]
    Messages,
    /// Whole frames, between the beginning and the end of their message.
    Frames,
    /// Octets as they arrive, between the beginnings and ends of their frame and message.
    Stream,
}

/// Something that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A whole message; with [`Receive::Messages`].
    Message(Message<'a>),
    /// A message begins; with [`Receive::Frames`] and [`Receive::Stream`].
    MessageBegin(MessageKind),
    /// A frame begins; with [`Receive::Stream`].
    FrameBegin {
        /// The length of its payload in octets, as on the wire.
        length: u64,
    },
    /// A piece of a frame's payload, inflated and checked; with [`Receive::Stream`].
    FrameData(Payload<'a>),
    /// A frame ends; with [`Receive::Stream`].
    FrameEnd,
    /// A whole frame's payload, inflated and checked; with [`Receive::Frames`].
    Frame(Payload<'a>),
    /// A message ends; with [`Receive::Frames`] and [`Receive::Stream`].
    MessageEnd,
    /// A ping frame.
    Ping(Payload<'a>),
    /// A pong frame.
    Pong(Payload<'a>),
    /// A close frame, `None` if its body is empty. No event comes after it.
    Close(Option<CloseFrame>),
}

impl Event<'_> {
    /// Makes the event independent of the read buffer; copies a payload that is borrowed.
    #[must_use]
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Self::Message(message) => Event::Message(message.into_owned()),
            Self::MessageBegin(kind) => Event::MessageBegin(kind),
            Self::FrameBegin { length } => Event::FrameBegin { length },
            Self::FrameData(payload) => Event::FrameData(payload.into_owned()),
            Self::FrameEnd => Event::FrameEnd,
            Self::Frame(payload) => Event::Frame(payload.into_owned()),
            Self::MessageEnd => Event::MessageEnd,
            Self::Ping(payload) => Event::Ping(payload.into_owned()),
            Self::Pong(payload) => Event::Pong(payload.into_owned()),
            Self::Close(frame) => Event::Close(frame),
        }
    }
}

/// The receiving half of a connection.
///
/// ```
/// use motorway::connection::{Event, Receiver, Rules};
/// use motorway::{Message, ServerOptions};
///
/// let mut receiver = Receiver::new(Rules::server(&ServerOptions::default()).into(), None);
/// // RFC 6455 §5.7: a single-frame masked text message.
/// let mut input = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
/// let (event, rest) = receiver.receive(&mut input)?;
/// assert_eq!(event, Some(Event::Message(Message::from("Hello"))));
/// assert!(rest.is_empty());
/// # Ok::<(), motorway::connection::ProtocolError>(())
/// ```
#[derive(Debug)]
pub struct Receiver {
    pub(super) rules: Arc<Rules>,
    receive: Receive,
    phase: Phase,
    pub(super) short: Ways,
    header: PartialHeader,
    pub(super) frame: Frame,
    control: Option<Box<PartialControl>>,
    pub(super) message: Assembler,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Header,
    Control,
    MessageBegin,
    FrameBegin,
    Payload,
    FrameEnd,
    MessageEnd,
    Finished,
}

/// The data frame that is being received.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frame {
    fin: bool,
    whole_message: bool,
    mask: Option<MaskingKey>,
    offset: u64,
    pub(super) missing: u64,
}

/// An event, if there is one, and what is left of the input.
type Received<'a> = Result<(Option<Event<'a>>, &'a mut [u8]), ProtocolError>;

impl Receiver {
    /// Makes the receiving half of a connection that has just been opened.
    #[must_use]
    pub fn new(rules: Arc<Rules>, deflate: Option<&DeflateSettings>) -> Self {
        let inflation = deflate.map(|settings| Box::new(Inflation::new(rules.role, settings)));
        Self {
            short: Ways::new(&rules, Receive::Messages),
            rules,
            receive: Receive::Messages,
            phase: Phase::Header,
            header: PartialHeader::default(),
            frame: Frame::default(),
            control: None,
            message: Assembler::new(inflation),
        }
    }

    /// Chooses the pieces in which data are received; to be called before anything is.
    #[must_use]
    pub fn in_pieces(mut self, receive: Receive) -> Self {
        self.receive = receive;
        self.short = Ways::new(&self.rules, receive);
        self
    }

    /// Decodes the next event from `input` and returns it with the rest of the input.
    ///
    /// Call it again with the rest until it returns no event: then all of `input` has been taken,
    /// and more octets are needed. Payloads are unmasked in place.
    ///
    /// # Errors
    ///
    /// Fails if the peer broke the protocol. The connection has then to be failed with the error's
    /// close code; the receiver discards whatever else it is given.
    #[inline]
    pub fn receive<'a>(&mut self, input: &'a mut [u8]) -> Received<'a> {
        let received = self.step(input);
        if received.is_err() {
            self.finish();
        }
        received
    }

    /// Discards everything from now on.
    pub fn finish(&mut self) {
        self.phase = Phase::Finished;
        self.control = None;
        self.message = Assembler::default();
    }

    /// Tells whether a close frame or an error ended what can be received.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    /// Returns the rules that this half obeys.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// Tells which frames may take the short way now: none within a header, a frame or a message.
    #[inline]
    pub(super) fn ready_for_short(&self) -> Ways {
        match self.phase == Phase::Header && self.header.is_empty() && !self.message.is_begun() {
            true => self.short,
            false => Ways::None,
        }
    }

    pub(super) fn can_inflate(&self) -> bool {
        self.message.can_inflate()
    }

    /// Tells whether events are to come that need no more input.
    #[must_use]
    pub fn owes_events(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Header | Phase::Control | Phase::Payload | Phase::Finished
        )
    }

    /// Where the receiver stands: in a header, in a control frame, or in the payload of a frame of
    /// which so much is missing.
    pub(super) fn position(&self) -> (PartialHeader, Option<PartialControl>, u64) {
        let control = self.control.as_deref().cloned();
        (self.header.clone(), control, self.frame.missing)
    }

    #[inline]
    fn step<'a>(&mut self, mut input: &'a mut [u8]) -> Received<'a> {
        loop {
            match self.phase {
                Phase::Header => {
                    if self.message.is_begun() && self.header.is_empty() {
                        input = self.take_fragments(input)?;
                    }
                    let Some((header, length)) = self.header.decode(input)? else {
                        break;
                    };
                    input = split(input, length).1;
                    self.begin_frame(&header)?;
                }
                Phase::Payload => match self.payload(input)? {
                    (None, rest) if rest.is_empty() && self.phase == Phase::Payload => break,
                    (None, rest) => input = rest,
                    some => return Ok(some),
                },
                Phase::Control => return self.control(input),
                Phase::MessageBegin => {
                    self.phase = self.after_message_begin();
                    return Ok((Some(Event::MessageBegin(self.message.kind())), input));
                }
                Phase::FrameBegin => {
                    self.phase = Phase::Payload;
                    return Ok((
                        Some(Event::FrameBegin {
                            length: self.frame.missing,
                        }),
                        input,
                    ));
                }
                Phase::FrameEnd => {
                    self.phase = self.after_frame();
                    return Ok((Some(Event::FrameEnd), input));
                }
                Phase::MessageEnd => {
                    self.message.end_message();
                    self.phase = Phase::Header;
                    return Ok((Some(Event::MessageEnd), input));
                }
                Phase::Finished => break,
            }
        }
        Ok((None, &mut []))
    }

    /// Checks a header by itself against what was negotiated and configured.
    #[inline]
    pub(super) fn check_header(
        header: &Header,
        rules: &Rules,
        can_inflate: bool,
    ) -> Result<(), ProtocolError> {
        check_rsv(header, can_inflate)?;
        match (header.mask, rules.incoming_mask) {
            // §5.1: "The server MUST close the connection upon receiving a frame that is not
            // masked."
            (None, IncomingMask::Required) => Err(ProtocolError::UnmaskedFrame),
            // §5.1: "A client MUST close a connection if it detects a masked frame."
            (Some(_), IncomingMask::Refused) => Err(ProtocolError::MaskedFrame),
            _ => Ok(()),
        }
    }

    #[inline]
    fn begin_frame(&mut self, header: &Header) -> Result<(), ProtocolError> {
        Self::check_header(header, &self.rules, self.message.can_inflate())?;
        if header.opcode.is_control() {
            self.control = Some(Box::new(PartialControl::new(header, &self.rules)));
            self.phase = Phase::Control;
            return Ok(());
        }
        let place = self.message.begin_frame(header, &self.rules)?;
        self.frame = Frame {
            fin: header.fin,
            whole_message: header.fin && place == Place::First,
            mask: header.mask.filter(|_| self.rules.apply_mask),
            offset: 0,
            missing: header.length,
        };
        self.phase = match (self.receive, place) {
            (Receive::Messages, _) | (Receive::Frames, Place::Later) => Phase::Payload,
            (Receive::Stream, Place::Later) => Phase::FrameBegin,
            (_, Place::First) => Phase::MessageBegin,
        };
        Ok(())
    }

    fn after_message_begin(&self) -> Phase {
        match self.receive {
            Receive::Stream => Phase::FrameBegin,
            _ => Phase::Payload,
        }
    }

    fn after_frame(&self) -> Phase {
        match self.frame.fin {
            true => Phase::MessageEnd,
            false => Phase::Header,
        }
    }

    fn control<'a>(&mut self, input: &'a mut [u8]) -> Received<'a> {
        let Some(control) = &mut self.control else {
            return Ok((None, &mut []));
        };
        let taken = control.push(input);
        let Some((opcode, payload)) = control.finish() else {
            return Ok((None, &mut []));
        };
        self.control = None;
        self.phase = Phase::Header;
        let rest = split(input, taken).1;
        match opcode {
            Opcode::Ping => Ok((Some(Event::Ping(payload.into())), rest)),
            Opcode::Pong => Ok((Some(Event::Pong(payload.into())), rest)),
            _ => {
                let close = parse_close(&payload)?;
                self.finish();
                Ok((Some(Event::Close(close)), &mut []))
            }
        }
    }

    #[inline]
    fn payload<'a>(&mut self, input: &'a mut [u8]) -> Received<'a> {
        let mut at_hand = usize::try_from(self.frame.missing)
            .unwrap_or(usize::MAX)
            .min(input.len());
        if self.receive == Receive::Stream && self.message.is_compressed() {
            at_hand = at_hand.min(INFLATED_AT_ONCE);
        }
        let in_one_piece = self.frame.offset == 0 && at_hand as u64 == self.frame.missing;
        let (piece, rest) = split(input, at_hand);
        if let Some(key) = self.frame.mask {
            frame::apply(key, self.frame.offset, piece);
        }
        self.frame.offset += at_hand as u64;
        self.frame.missing -= at_hand as u64;
        match self.receive {
            Receive::Messages => {
                if in_one_piece && self.frame.whole_message && !self.message.is_compressed() {
                    self.phase = Phase::Header;
                    let message = self.message.whole(piece, &self.rules)?;
                    return Ok((Some(Event::Message(message)), rest));
                }
                self.message
                    .absorb(piece, self.frame.missing, &self.rules)?;
                Ok((self.end_of_message_frame()?, rest))
            }
            Receive::Frames => {
                if in_one_piece && !self.message.is_compressed() {
                    self.message.pass(piece, &self.rules)?;
                    self.end_of_piece()?;
                    return Ok((Some(Event::Frame(Payload::from(&*piece))), rest));
                }
                self.message
                    .absorb(piece, self.frame.missing, &self.rules)?;
                Ok((self.end_of_frame()?, rest))
            }
            Receive::Stream => self.stream(piece, rest),
        }
    }

    /// After a piece of payload with [`Receive::Messages`].
    fn end_of_message_frame(&mut self) -> Result<Option<Event<'static>>, ProtocolError> {
        if self.frame.missing > 0 {
            return Ok(None);
        }
        self.phase = Phase::Header;
        if !self.frame.fin {
            return Ok(None);
        }
        self.message.finish(&self.rules)?;
        Ok(Some(Event::Message(self.message.take_message(&self.rules))))
    }

    /// After a piece of payload with [`Receive::Frames`].
    fn end_of_frame(&mut self) -> Result<Option<Event<'static>>, ProtocolError> {
        if self.frame.missing > 0 {
            return Ok(None);
        }
        self.end_of_piece()?;
        Ok(Some(Event::Frame(self.message.take_body())))
    }

    /// After the last piece of a frame with [`Receive::Frames`].
    fn end_of_piece(&mut self) -> Result<(), ProtocolError> {
        if self.frame.fin {
            self.message.finish(&self.rules)?;
        }
        self.phase = self.after_frame();
        Ok(())
    }

    /// A piece of payload with [`Receive::Stream`].
    fn stream<'a>(&mut self, piece: &'a mut [u8], rest: &'a mut [u8]) -> Received<'a> {
        let compressed = self.message.is_compressed();
        match compressed {
            true => self.message.absorb(piece, 0, &self.rules)?,
            false => self.message.pass(piece, &self.rules)?,
        }
        if self.frame.missing == 0 {
            self.phase = Phase::FrameEnd;
            if self.frame.fin {
                self.message.finish(&self.rules)?;
            }
        }
        let data = match compressed {
            true => self.message.has_body().then(|| self.message.take_body()),
            false => (!piece.is_empty()).then(|| Payload::from(&*piece)),
        };
        Ok((data.map(Event::FrameData), rest))
    }

    /// Gives an empty buffer to read the next octets of a large payload into, so that they need not
    /// be copied, and the most octets that may be appended to it; `None` where octets are to be
    /// given to [`receive`](Self::receive).
    ///
    /// Give the buffer back to [`appended`](Self::appended), be it empty, and then call `receive`
    /// with no input.
    pub fn direct(&mut self) -> Option<(BytesMut, usize)> {
        let missing = self.frame.missing;
        if self.phase != Phase::Payload
            || self.receive != Receive::Messages
            || missing < DIRECT
            || self.message.is_compressed()
        {
            return None;
        }
        let room = self.message.room(missing);
        let most = room.capacity().min(usize::try_from(missing).ok()?);
        Some((room, most))
    }

    /// Takes back the buffer given by [`direct`](Self::direct) with what was appended; what is more
    /// than was allowed is dropped.
    ///
    /// # Errors
    ///
    /// Fails as [`receive`](Self::receive) does.
    pub fn appended(&mut self, mut buffer: BytesMut) -> Result<(), ProtocolError> {
        buffer.truncate(usize::try_from(self.frame.missing).unwrap_or(usize::MAX));
        if let Some(key) = self.frame.mask {
            frame::apply(key, self.frame.offset, &mut buffer);
        }
        self.frame.offset += buffer.len() as u64;
        self.frame.missing -= buffer.len() as u64;
        let checked = self.message.append(buffer, &self.rules);
        if checked.is_err() {
            self.finish();
        }
        checked
    }
}

#[inline]
fn split(input: &mut [u8], at: usize) -> (&mut [u8], &mut [u8]) {
    input.split_at_mut_checked(at).unwrap_or_default()
}

#[inline]
fn check_rsv(header: &Header, can_inflate: bool) -> Result<(), ProtocolError> {
    let begins_message = matches!(header.opcode, Opcode::Text | Opcode::Binary);
    match header.rsv {
        Rsv::NONE => Ok(()),
        // RFC 7692 §6: RSV1 is set on the first fragment of a compressed message only.
        Rsv::RSV1 if can_inflate && begins_message => Ok(()),
        rsv => Err(ProtocolError::ReservedBits { bits: rsv.bits() }),
    }
}

/// From how many missing octets on a payload is read straight into its message.
const DIRECT: u64 = 4 << 10;
/// How many compressed octets are inflated for one piece of a stream, which they can make a
/// thousand times longer.
const INFLATED_AT_ONCE: usize = 1 << 10;
