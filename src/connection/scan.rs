//! Looking ahead: control frames among octets that are still to be received.
//!
//! While an application is busy with one message, the ones after it wait. The control frames
//! between them should not: a ping wants its answer, a close wants to be seen. The scanner walks
//! over the frame headers in what has been read ahead and reports the control frames; it changes
//! nothing, and leaves every judgement about the rest to the receiver, which meets it in its turn.

use super::partial::{PartialControl, PartialHeader, parse_close};
use super::{Receiver, Rules};
use crate::close::CloseFrame;
use crate::frame::Opcode;
use std::sync::Arc;

/// Walks over octets ahead of a [`Receiver`] and reports the control frames among them.
#[derive(Debug)]
pub struct Scanner {
    rules: Arc<Rules>,
    header: PartialHeader,
    control: Option<PartialControl>,
    can_inflate: bool,
    skip: u64,
    /// How many octets were looked at.
    scanned: u64,
    /// Where the last data frame that was seen ends, counted in octets looked at.
    data_until: u64,
    /// The length of the last control frame, with its header.
    control_length: usize,
    finished: bool,
}

/// A control frame that was seen ahead of its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// A ping, to be answered.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// A valid close frame; nothing after it matters.
    Close(Option<CloseFrame>),
}

impl Scanner {
    /// Makes a scanner that starts where `receiver` stands.
    #[must_use]
    pub fn new(receiver: &Receiver) -> Self {
        let (header, control, skip) = receiver.position();
        Self {
            rules: Arc::clone(receiver.rules()),
            header,
            control,
            can_inflate: receiver.can_inflate(),
            skip,
            scanned: 0,
            data_until: 0,
            control_length: 0,
            finished: receiver.is_finished(),
        }
    }

    /// Returns the next control frame in `input`, which moves on past it; `None` once all of
    /// `input` was looked at.
    pub fn next(&mut self, input: &mut &[u8]) -> Option<Ahead> {
        let before = input.len();
        let ahead = self.step(input);
        self.scanned += (before - input.len()) as u64;
        if ahead.is_none() {
            self.scanned += input.len() as u64;
            *input = &[];
        }
        ahead
    }

    fn step(&mut self, input: &mut &[u8]) -> Option<Ahead> {
        let start = input.len() as u64 + self.scanned;
        while !self.finished && (!input.is_empty() || self.control.is_some()) {
            if self.skip > 0 {
                let skipped = self.skip.min(input.len() as u64);
                self.skip -= skipped;
                *input = input
                    .get(usize::try_from(skipped).ok()?..)
                    .unwrap_or_default();
                self.data_until = start - input.len() as u64;
                continue;
            }
            if let Some(control) = &mut self.control {
                let taken = control.push(input);
                *input = input.get(taken..).unwrap_or_default();
                let (opcode, payload) = control.finish()?;
                self.control = None;
                return self.report(opcode, payload);
            }
            if self.begin_frame(input) {
                self.data_until = start - input.len() as u64;
            }
        }
        None
    }

    /// Tells whether data stand before the point that the scanner has reached, of which the receiver
    /// has taken all but `waiting` octets; octets given behind a close frame are counted, too.
    #[must_use]
    pub fn has_data_in(&self, waiting: u64) -> bool {
        self.data_until > self.scanned.saturating_sub(waiting)
    }

    /// Takes the control frame that was reported last out of what was looked at, since the receiver
    /// is not to meet it.
    pub fn forget_control(&mut self) {
        self.scanned -= self.control_length as u64;
    }

    /// Returns how long the control frame was that was reported last, with its header.
    #[must_use]
    pub fn control_length(&self) -> usize {
        self.control_length
    }

    /// Takes the header of a frame; tells whether it is one of a data frame.
    fn begin_frame(&mut self, input: &mut &[u8]) -> bool {
        match self.header.decode(input) {
            Ok(Some((header, length)))
                if Receiver::check_header(&header, &self.rules, self.can_inflate).is_ok() =>
            {
                *input = input.get(length..).unwrap_or_default();
                if header.opcode.is_control() {
                    let payload = usize::try_from(header.length).unwrap_or_default();
                    self.control_length = header.encode().len() + payload;
                    self.control = Some(PartialControl::new(&header, &self.rules));
                } else {
                    self.skip = header.length;
                    return true;
                }
            }
            Ok(None) => *input = &[],
            // The receiver will meet the header in its turn and fail the connection.
            Ok(Some(_)) | Err(_) => self.finished = true,
        }
        false
    }

    fn report(&mut self, opcode: Opcode, payload: Vec<u8>) -> Option<Ahead> {
        match opcode {
            Opcode::Ping => Some(Ahead::Ping(payload)),
            Opcode::Pong => Some(Ahead::Pong(payload)),
            _ => {
                self.finished = true;
                parse_close(&payload).ok().map(Ahead::Close)
            }
        }
    }
}
