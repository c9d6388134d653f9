//! Following the frames on a wire without taking part.
//!
//! Judges nothing: what breaks a rule is shown all the same. What is no frame at all ends it.

use crate::frame::{self, Header, Opcode, Rsv};

/// Walks over the octets of one direction and reports the frames among them.
#[derive(Debug)]
pub(super) struct Follower {
    apply_mask: bool,
    /// The start of a header whose end has not come.
    header: Vec<u8>,
    frame: Option<Frame>,
    /// How many octets of a payload that was reported are to come.
    skip: u64,
    /// Whether the message under way is text that can be read.
    is_text: bool,
    lost: bool,
}

/// A frame whose payload begins.
#[derive(Debug)]
struct Frame {
    header: Header,
    payload: Vec<u8>,
}

/// A frame, with the start of its payload.
#[derive(Debug)]
pub(super) struct Followed<'a> {
    pub(super) header: &'a Header,
    /// Unmasked; at most [`SHOWN_PAYLOAD`] octets.
    pub(super) payload: &'a [u8],
    /// Whether the payload is uncompressed text.
    pub(super) is_text: bool,
}

impl Follower {
    pub(super) fn new(apply_mask: bool) -> Self {
        Self {
            apply_mask,
            header: Vec::new(),
            frame: None,
            skip: 0,
            is_text: false,
            lost: false,
        }
    }

    /// Takes the next octets; reports each frame once as much of it is there as is shown.
    pub(super) fn follow(&mut self, mut octets: &[u8], mut report: impl FnMut(&Followed<'_>)) {
        while !self.lost && !octets.is_empty() {
            if self.skip > 0 {
                let skipped = length(self.skip).min(octets.len());
                self.skip -= skipped as u64;
                octets = octets.get(skipped..).unwrap_or_default();
                continue;
            }
            octets = match &mut self.frame {
                Some(frame) => {
                    let wanted = frame.wanted().min(octets.len());
                    let (taken, rest) = octets.split_at_checked(wanted).unwrap_or_default();
                    frame.payload.extend_from_slice(taken);
                    rest
                }
                None => self.begin(octets),
            };
            if self.frame.as_ref().is_some_and(|frame| frame.wanted() == 0)
                && let Some(frame) = self.frame.take()
            {
                self.finish(frame, &mut report);
            }
        }
    }

    /// Takes a header, or the start of one; returns what comes after it.
    fn begin<'a>(&mut self, octets: &'a [u8]) -> &'a [u8] {
        let before = self.header.len();
        let more = octets.len().min(Header::MAX_LENGTH - before);
        let start = octets.get(..more).unwrap_or_default();
        self.header.extend_from_slice(start);
        match Header::decode(&self.header) {
            Ok(Some((header, length))) => {
                self.header.clear();
                self.frame = Some(Frame {
                    header,
                    payload: Vec::new(),
                });
                octets.get(length - before..).unwrap_or_default()
            }
            Ok(None) => &[],
            Err(_) => {
                self.lost = true;
                &[]
            }
        }
    }

    fn finish(&mut self, frame: Frame, report: &mut impl FnMut(&Followed<'_>)) {
        let Frame {
            header,
            mut payload,
        } = frame;
        if let Some(key) = header.mask.filter(|_| self.apply_mask) {
            frame::apply(key, 0, &mut payload);
        }
        if matches!(header.opcode, Opcode::Text | Opcode::Binary) {
            self.is_text = header.opcode == Opcode::Text && header.rsv == Rsv::NONE;
        }
        self.skip = header.length - payload.len() as u64;
        report(&Followed {
            header: &header,
            payload: &payload,
            is_text: self.is_text && !header.opcode.is_control(),
        });
    }
}

impl Frame {
    /// How many octets are missing of those that are shown.
    fn wanted(&self) -> usize {
        length(self.header.length).min(SHOWN_PAYLOAD) - self.payload.len()
    }
}

fn length(octets: u64) -> usize {
    usize::try_from(octets).unwrap_or(usize::MAX)
}

/// How many octets of a payload are shown.
pub(super) const SHOWN_PAYLOAD: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = (Opcode, bool, u64, Vec<u8>, bool);

    fn frames(octets: &[u8], step: usize) -> Vec<Seen> {
        let mut follower = Follower::new(true);
        let mut seen = Vec::new();
        for piece in octets.chunks(step) {
            follower.follow(piece, |frame| {
                let header = frame.header;
                let (opcode, fin, length) = (header.opcode, header.fin, header.length);
                seen.push((opcode, fin, length, frame.payload.to_vec(), frame.is_text));
            });
        }
        seen
    }

    #[test]
    fn frames_are_seen_however_their_octets_come() {
        let mut octets =
            b"\x01\x02He\x89\x01p\x80\x03llo\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58".to_vec();
        octets.extend(b"\x82\x7e\x02\x00");
        octets.extend([7; 512]);
        octets.extend(b"\xc1\x01x\x82\x00\x88\x02\x03\xe8");
        let expected: Vec<Seen> = vec![
            (Opcode::Text, false, 2, b"He".to_vec(), true),
            (Opcode::Ping, true, 1, b"p".to_vec(), false),
            (Opcode::Continuation, true, 3, b"llo".to_vec(), true),
            (Opcode::Text, true, 5, b"Hello".to_vec(), true),
            (Opcode::Binary, true, 512, vec![7; SHOWN_PAYLOAD], false),
            (Opcode::Text, true, 1, b"x".to_vec(), false),
            (Opcode::Binary, true, 0, Vec::new(), false),
            (Opcode::Close, true, 2, vec![3, 0xe8], false),
        ];
        for step in [1, 2, 3, 7, 100, 300, 1000] {
            assert_eq!(frames(&octets, step), expected, "step {step}");
        }
    }

    #[test]
    fn what_is_no_frame_ends_it() {
        assert_eq!(frames(b"\x83\x00\x81\x00", 1).len(), 0);
    }
}
