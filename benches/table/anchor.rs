//! The barest correct echo of WebSocket: parse, unmask, validate text, echo, nothing else.
//!
//! Shows what the protocol itself costs on tokio. No limits, no closing handshake to speak of, no timeouts:
//! not a server for anything but to be measured.

use crate::wire::push_header;

/// What a connection keeps between two reads.
#[derive(Debug, Default)]
pub struct Echo {
    /// The begin of a frame whose end has not been read.
    pub part: Vec<u8>,
    /// The length of that frame once its header is there.
    pub need: usize,
    fragments: Vec<u8>,
    opcode: u8,
}

/// The peer broke a rule, or has sent what this does not know.
#[derive(Debug)]
pub struct Broken;

impl Echo {
    /// Appends the replies to all frames that are complete; keeps what is not.
    ///
    /// # Errors
    /// Fails if text is not UTF-8, or a frame is not to be expected.
    pub fn step(&mut self, read: &mut [u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        if self.part.is_empty() {
            let used = self.frames(read, out)?;
            let rest = &read[used..];
            self.need = frame_len(rest);
            if self.need > LARGE {
                self.part.reserve_exact(self.need);
            }
            self.part.extend_from_slice(rest);
            return Ok(());
        }
        let mut part = std::mem::take(&mut self.part);
        part.extend_from_slice(read);
        let used = self.frames(&mut part, out)?;
        part.drain(..used);
        self.need = frame_len(&part);
        self.part = part;
        Ok(())
    }

    /// Whether the rest of a large frame is best read right behind its begin.
    pub fn wants_large(&self) -> bool {
        self.need > LARGE && self.need > self.part.len()
    }

    fn frames(&mut self, read: &mut [u8], out: &mut Vec<u8>) -> Result<usize, Broken> {
        let mut at = 0;
        while let Some((header, length)) = head(&read[at..]) {
            let Some(frame) = read.get_mut(at..at + header + length) else {
                break;
            };
            at += header + length;
            let (head, payload) = frame.split_at_mut(header);
            unmask(payload, key(head));
            self.reply(head[0], payload, out)?;
        }
        Ok(at)
    }

    fn reply(&mut self, first: u8, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        match (first, self.opcode) {
            (0x81 | 0x82, 0) => {
                validate(first, payload)?;
                push(out, first, payload);
            }
            (0x01 | 0x02, 0) => {
                self.opcode = first;
                self.fragments.extend_from_slice(payload);
            }
            (0x00, 1..) => self.fragments.extend_from_slice(payload),
            (0x80, 1..) => {
                self.fragments.extend_from_slice(payload);
                validate(self.opcode, &self.fragments)?;
                push(out, 0x80 | self.opcode, &self.fragments);
                self.fragments.clear();
                self.opcode = 0;
            }
            (0x88, _) => push(out, 0x88, payload),
            (0x89, _) => push(out, 0x8a, payload),
            (0x8a, _) => {}
            _ => return Err(Broken),
        }
        Ok(())
    }
}

/// Turns a large frame into its own reply, in place; says where the reply starts.
///
/// # Errors
/// Fails if text is not UTF-8.
pub fn reply_in_place(frame: &mut [u8]) -> Result<usize, Broken> {
    let (header, _) = head(frame).ok_or(Broken)?;
    let (head, payload) = frame.split_at_mut(header);
    unmask(payload, key(head));
    validate(head[0], payload)?;
    // The reply's header is the client's without the mask, moved up to the payload.
    head[1] &= 0x7f;
    head.copy_within(..header - 4, 4);
    Ok(4)
}

/// Payloads from here on are not gathered by small reads, in octets.
const LARGE: usize = 64 << 10;

fn push(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    push_header(out, first, 0, payload.len());
    out.extend_from_slice(payload);
}

fn validate(first: u8, payload: &[u8]) -> Result<(), Broken> {
    let is_text = first & 0x0f == 1;
    if is_text && simdutf8::basic::from_utf8(payload).is_err() {
        return Err(Broken);
    }
    Ok(())
}

/// The length of a masked frame's header, and of its payload.
fn head(octets: &[u8]) -> Option<(usize, usize)> {
    match octets {
        [_, second, ..] if second & 0x7f == 126 => {
            let length = octets.get(2..4)?.try_into().ok()?;
            Some((8, u16::from_be_bytes(length).into()))
        }
        [_, second, ..] if second & 0x7f == 127 => {
            let length = octets.get(2..10)?.try_into().ok()?;
            Some((14, u64::from_be_bytes(length) as usize))
        }
        [_, second, ..] => Some((6, (second & 0x7f).into())),
        _ => None,
    }
}

fn frame_len(octets: &[u8]) -> usize {
    head(octets).map_or(0, |(header, length)| header + length)
}

fn key(head: &[u8]) -> [u8; 4] {
    head.last_chunk().copied().unwrap_or_default()
}

fn unmask(payload: &mut [u8], key: [u8; 4]) {
    let word = u32::from_ne_bytes(key);
    let wide = u64::from(word) << 32 | u64::from(word);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for octets in words {
        *octets = (u64::from_ne_bytes(*octets) ^ wide).to_ne_bytes();
    }
    for (octet, key) in rest.iter_mut().zip(key) {
        *octet ^= key;
    }
    for (octet, key) in rest.iter_mut().skip(4).zip(key) {
        *octet ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::push_masked;

    #[test]
    fn messages_come_back_however_they_are_cut() {
        let mut sent = Vec::new();
        let mut wanted = Vec::new();
        for size in [0, 1, 5, 125, 126, 70_000] {
            let payload = vec![b'x'; size];
            push_masked(&mut sent, 0x81, &payload, [1, 2, 3, 4]);
            push(&mut wanted, 0x81, &payload);
        }
        push_masked(&mut sent, 0x02, b"one", [9, 8, 7, 6]);
        push_masked(&mut sent, 0x80, b"two", [5, 4, 3, 2]);
        push(&mut wanted, 0x82, b"onetwo");
        for cut in [1, 7, 1_000, sent.len()] {
            let (mut echo, mut out) = (Echo::default(), Vec::new());
            for read in sent.clone().chunks_mut(cut) {
                echo.step(read, &mut out).unwrap();
            }
            assert!(out == wanted, "cut {cut}");
        }
    }

    #[test]
    fn large_frame_becomes_its_reply() {
        let payload = vec![b'y'; 70_001];
        let (mut frame, mut wanted) = (Vec::new(), Vec::new());
        push_masked(&mut frame, 0x82, &payload, [4, 3, 2, 1]);
        push(&mut wanted, 0x82, &payload);
        let start = reply_in_place(&mut frame).unwrap();
        assert!(frame[start..] == wanted[..]);
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        let mut frame = Vec::new();
        push_masked(&mut frame, 0x81, &[0xff], [0; 4]);
        assert!(Echo::default().step(&mut frame, &mut Vec::new()).is_err());
    }
}
