//! Messages become frames, frames become octets.
//!
//! The sender owns no output buffer: it encodes into an [`Output`] of the caller's.

#[cfg(feature = "tokio")]
use super::Squeeze;
use super::closing::{Closing, Endpoint};
use super::compressed::Shared;
use super::inflate::{DeflateSettings, Deflation, Part};
use super::outgoing::{
    Outgoing, check_size, opcode_of, write_fragments, write_frame, write_message,
};
use super::state::{State, Transition};
use super::{CloseCause, CloseInfo, MessageKind, Output, PreparedMessage, Rules, SendError};
use crate::close::{CloseCode, CloseFrame};
use crate::frame::{MaskingKey, Opcode, Rsv};
use crate::message::{Message, Payload};
use std::fmt;
use std::sync::Arc;

/// Where masking keys come from: a fresh one that nobody can predict for each frame (§10.3).
pub type MaskingKeys = Box<dyn FnMut() -> MaskingKey + Send>;

/// The sending half of a connection, and its part in the closing handshake.
///
/// ```
/// use motorway::connection::{Output, Rules, Sender};
/// use motorway::ServerOptions;
///
/// let rules = Rules::server(&ServerOptions::default());
/// let mut sender = Sender::new(rules.into(), None, Box::new(|| [0; 4].into()));
/// let mut output = Output::default();
/// sender.send("Hello".into(), &mut output)?;
/// assert_eq!(output.split(), &b"\x81\x05Hello"[..]);
/// # Ok::<(), motorway::connection::SendError>(())
/// ```
pub struct Sender {
    rules: Arc<Rules>,
    keys: MaskingKeys,
    state: State,
    deflation: Option<Box<Deflation>>,
    partial: Option<Partial>,
    closing: Option<Box<Closing>>,
}

/// A message that is being sent in parts.
#[derive(Clone, Copy, Debug)]
struct Partial {
    opcode: Opcode,
    compressed: bool,
    length: u64,
}

/// Whether a message may be compressed, where permessage-deflate is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// As negotiated and configured.
    #[default]
    Auto,
    /// Not this one.
    Never,
}

impl Sender {
    /// Makes the sending half of a connection that has just been opened.
    #[must_use]
    pub fn new(rules: Arc<Rules>, deflate: Option<&DeflateSettings>, keys: MaskingKeys) -> Self {
        let deflation = deflate.and_then(|settings| Deflation::new(rules.role, settings));
        Self {
            rules,
            keys,
            state: State::Open,
            deflation: deflation.map(Box::new),
            partial: None,
            closing: None,
        }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Returns how far the closing handshake has come.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Tells whether a message sent now would go out as one uncompressed message of its own, so
    /// that [`write_message`] does all there is to do.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.state.is_open() && self.deflation.is_none() && self.partial.is_none()
    }

    /// Tells whether a message is being sent in parts, so that others wait.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.partial.is_some()
    }

    /// Encodes a message.
    ///
    /// # Errors
    ///
    /// Fails if the connection is not open, the message is too large, or another one is being sent
    /// in parts; nothing has been encoded then.
    pub fn send(&mut self, message: Message<'_>, out: &mut Output) -> Result<(), SendError> {
        self.send_with(message, Compress::Auto, out)
    }

    /// Encodes a message, and says whether it may be compressed.
    ///
    /// # Errors
    ///
    /// Fails as [`send`](Self::send) does.
    pub fn send_with(
        &mut self,
        message: Message<'_>,
        compress: Compress,
        out: &mut Output,
    ) -> Result<(), SendError> {
        self.check_open()?;
        check_size(&self.rules, message.len() as u64)?;
        if let Some(deflation) = &mut self.deflation
            && compress == Compress::Auto
            && deflation.is_worth(message.len())
        {
            let opcode = opcode_of(&message);
            let compressed = deflation.compress(message.as_bytes(), Part::Last);
            if let Some(compressed) = compressed {
                let frame = Outgoing {
                    opcode,
                    rsv: Rsv::RSV1,
                    payload: compressed.into(),
                };
                write_fragments(&self.rules, &mut self.keys, (true, frame), out);
                deflation.end_message();
                return Ok(());
            }
            return Err(SendError::Closed);
        }
        write_message(&self.rules, &mut self.keys, message, out);
        Ok(())
    }

    /// Encodes a message that was prepared for many connections.
    ///
    /// # Errors
    ///
    /// Fails as [`send`](Self::send) does.
    pub fn send_prepared(
        &mut self,
        prepared: &PreparedMessage,
        out: &mut Output,
    ) -> Result<(), SendError> {
        self.check_open()?;
        let message = prepared.message();
        check_size(&self.rules, message.len() as u64)?;
        let (mut frame, mut length) = (prepared.frame(), message.len());
        let mut rsv = Rsv::NONE;
        if let Some(deflation) = &mut self.deflation
            && prepared.compress() == Compress::Auto
            && deflation.is_worth(message.len())
        {
            match prepared.compressed(deflation.config()) {
                Shared::Frame(compressed) => {
                    (frame, length) = (compressed.octets(), compressed.payload_length());
                    rsv = Rsv::RSV1;
                    deflation.pass(message.len(), length);
                }
                Shared::Plain => {}
                Shared::Full => return self.send(message.borrowed(), out),
            }
        }
        if !self.rules.mask_outgoing && length as u64 <= self.rules.fragment_size {
            out.push_encoded(frame, length);
            return Ok(());
        }
        let outgoing = Outgoing {
            opcode: opcode_of(message),
            rsv,
            payload: frame.slice(frame.len() - length..).into(),
        };
        write_fragments(&self.rules, &mut self.keys, (true, outgoing), out);
        Ok(())
    }

    /// Begins a message that is sent in parts.
    ///
    /// # Errors
    ///
    /// Fails if the connection is not open or another message is being sent in parts.
    pub fn begin(&mut self, kind: MessageKind, compress: Compress) -> Result<(), SendError> {
        self.check_open()?;
        let opcode = match kind {
            MessageKind::Text => Opcode::Text,
            MessageKind::Binary => Opcode::Binary,
        };
        let compressed = self.deflation.is_some() && compress == Compress::Auto;
        self.partial = Some(Partial {
            opcode,
            compressed,
            length: 0,
        });
        Ok(())
    }

    /// Encodes the next part of the message that was begun, as a frame.
    ///
    /// # Errors
    ///
    /// Fails if the connection is not open or the message grows too large; the part is not sent.
    pub fn part(
        &mut self,
        payload: Payload<'_>,
        part: Part,
        out: &mut Output,
    ) -> Result<(), SendError> {
        if !self.state.is_open() {
            return Err(SendError::Closed);
        }
        let Some(partial) = &mut self.partial else {
            return Err(SendError::Closed);
        };
        check_size(&self.rules, partial.length + payload.len() as u64)?;
        partial.length += payload.len() as u64;
        let opcode = std::mem::replace(&mut partial.opcode, Opcode::Continuation);
        let first = opcode != Opcode::Continuation;
        let (rsv, payload) = match &mut self.deflation {
            Some(deflation) if partial.compressed => {
                let rsv = if first { Rsv::RSV1 } else { Rsv::NONE };
                let compressed = deflation
                    .compress(&payload, part)
                    .ok_or(SendError::Closed)?;
                (rsv, Payload::from(compressed))
            }
            _ => (Rsv::NONE, payload),
        };
        let fin = part == Part::Last;
        let frame = Outgoing {
            opcode,
            rsv,
            payload,
        };
        write_fragments(&self.rules, &mut self.keys, (fin, frame), out);
        if fin {
            self.partial = None;
            if let Some(deflation) = &mut self.deflation {
                deflation.end_message();
            }
        }
        Ok(())
    }

    /// Encodes a ping.
    ///
    /// # Errors
    ///
    /// Fails if the connection is not open or the payload has more than 125 octets.
    pub fn ping(&mut self, payload: &[u8], out: &mut Output) -> Result<(), SendError> {
        self.control(Opcode::Ping, payload, out)
    }

    /// Encodes a pong.
    ///
    /// # Errors
    ///
    /// Fails if the connection is not open or the payload has more than 125 octets.
    pub fn pong(&mut self, payload: &[u8], out: &mut Output) -> Result<(), SendError> {
        self.control(Opcode::Pong, payload, out)
    }

    fn control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        out: &mut Output,
    ) -> Result<(), SendError> {
        self.check_control(payload)?;
        self.write_control(opcode, payload, out);
        Ok(())
    }

    /// Checks that a ping or pong with this payload can be sent now.
    ///
    /// # Errors
    ///
    /// Fails if the connection is not open or the payload has more than 125 octets.
    pub fn check_control(&self, payload: &[u8]) -> Result<(), SendError> {
        if !self.state.is_open() {
            return Err(SendError::Closed);
        }
        if payload.len() > 125 {
            return Err(SendError::ControlPayloadTooLong {
                size: payload.len(),
            });
        }
        Ok(())
    }

    fn write_control(&mut self, opcode: Opcode, payload: &[u8], out: &mut Output) {
        let frame = Outgoing {
            opcode,
            rsv: Rsv::NONE,
            payload: payload.into(),
        };
        write_frame(&self.rules, &mut self.keys, (true, frame), out);
    }

    /// Begins the closing handshake; does nothing if it has begun. Without a frame the body of the
    /// close frame is empty.
    ///
    /// # Errors
    ///
    /// Fails if the close code must not be sent.
    pub fn close(&mut self, frame: Option<CloseFrame>, out: &mut Output) -> Result<(), SendError> {
        self.close_because(frame, CloseCause::Local, out)
    }

    /// Begins the closing handshake for a reason other than a call of `close`.
    ///
    /// # Errors
    ///
    /// Fails if the close code must not be sent.
    pub fn close_because(
        &mut self,
        frame: Option<CloseFrame>,
        cause: CloseCause,
        out: &mut Output,
    ) -> Result<(), SendError> {
        if let Some(CloseFrame { code, .. }) = &frame
            && !code.is_sendable()
        {
            return Err(SendError::InvalidCloseCode {
                code: code.as_u16(),
            });
        }
        if self.state.is_open() {
            self.closing().begin(Endpoint::Local, cause);
            self.write_close(frame, out);
        }
        Ok(())
    }

    /// Takes note of the peer's close frame, and answers it if ours is not out yet.
    pub fn receive_close(&mut self, frame: Option<CloseFrame>, out: &mut Output) {
        if self.state == State::Failed {
            return;
        }
        let answer = match (&frame, self.rules.echo_close) {
            // §5.5.1: "the endpoint typically echos the status code it received".
            (frame, true) => frame.clone(),
            (_, false) => Some(CloseFrame::new(CloseCode::NORMAL, "")),
        };
        self.closing().begin(Endpoint::Peer, CloseCause::Peer);
        self.closing().receive(frame);
        self.state.apply(Transition::ReceiveClose);
        if self.state == State::CloseReceived {
            self.write_close(answer, out);
        }
    }

    /// Fails the connection (§7.1.7): a close frame goes out unless one has, or the rules say to
    /// drop the connection; nothing that the peer sends matters any more.
    pub fn fail(&mut self, frame: Option<CloseFrame>, cause: CloseCause, out: &mut Output) {
        if self.state.is_over() {
            return;
        }
        let open = self.state.is_open();
        self.closing().fail(cause);
        if open && !self.rules.fail_by_drop {
            self.write_close(frame, out);
        }
        self.state.apply(Transition::Fail);
    }

    fn write_close(&mut self, mut frame: Option<CloseFrame>, out: &mut Output) {
        let mut body = Vec::new();
        if let Some(frame) = &mut frame {
            frame.cut_reason();
            body.extend_from_slice(&frame.code.as_u16().to_be_bytes());
            body.extend_from_slice(frame.reason.as_bytes());
        }
        self.write_control(Opcode::Close, &body, out);
        self.closing().send(frame);
        self.state.apply(Transition::SendClose);
    }

    /// Takes note that TCP has ended, and says how the connection ended. Any cause given earlier
    /// is kept.
    #[must_use]
    pub fn end(&mut self, cause: CloseCause) -> CloseInfo {
        let state = self.state;
        let info = self.closing().info(state, cause);
        self.state.apply(Transition::Fail);
        info
    }

    /// Takes what compression did since it was taken last.
    #[cfg(feature = "tokio")]
    pub(crate) fn take_squeeze(&mut self) -> Squeeze {
        let deflation = self.deflation.as_mut();
        deflation.map_or_else(Squeeze::default, |it| std::mem::take(&mut it.squeeze))
    }

    /// Draws four random octets from the source of the masking keys.
    pub fn random(&mut self) -> [u8; 4] {
        *(self.keys)().as_bytes()
    }

    fn closing(&mut self) -> &mut Closing {
        self.closing.get_or_insert_default()
    }

    fn check_open(&self) -> Result<(), SendError> {
        match (self.state, &self.partial) {
            (State::Open, None) => Ok(()),
            (State::Open, Some(_)) => Err(SendError::Busy),
            _ => Err(SendError::Closed),
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
