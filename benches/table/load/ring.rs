//! The messages of a load as the frames of a client, made once and sent round and round.

use crate::Plan;
use crate::opening::Agreed;
use flate2::{Compress, Compression, FlushCompress};
use table::Result;
use table::payload::{Kind, Numbers, payload};
use table::wire::push_masked;

/// Frames, message by message.
///
/// With context takeover, the first lap differs from those after it, which begin at `start`.
pub(crate) struct Ring {
    pub(crate) octets: Vec<u8>,
    /// Where each message begins, and the end of the last.
    pub(crate) offsets: Vec<usize>,
    pub(crate) start: usize,
    /// The payloads before compression.
    pub(crate) payloads: Vec<Vec<u8>>,
}

impl Ring {
    pub(crate) fn new(plan: &Plan, agreed: Agreed) -> Result<Self> {
        let mut numbers = Numbers::default();
        let messages = messages(plan);
        let mut ring = Self {
            octets: Vec::new(),
            offsets: vec![0],
            start: 0,
            payloads: (0..messages)
                .map(|_| payload(plan.kind, plan.size, &mut numbers))
                .collect(),
        };
        let mut deflate = Compress::new(Compression::new(6), false);
        let takes_over = agreed.deflate && !agreed.client_starts_anew;
        for lap in 0..=usize::from(takes_over) {
            ring.start = lap * messages;
            for index in 0..messages {
                if !agreed.deflate {
                    ring.push(plan, index, &mut numbers);
                    continue;
                }
                if agreed.client_starts_anew {
                    deflate.reset();
                }
                let compressed = compressed(&mut deflate, &ring.payloads[index])?;
                let key = (numbers.next_u64() as u32).to_le_bytes();
                push_masked(&mut ring.octets, RSV1 | first(plan.kind), &compressed, key);
                ring.offsets.push(ring.octets.len());
            }
        }
        Ok(ring)
    }

    /// The number of messages in all laps.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The number of octets of a message.
    pub(crate) fn size(&self, message: usize) -> usize {
        self.offsets[message + 1] - self.offsets[message]
    }

    /// The message after this one.
    pub(crate) fn after(&self, message: usize) -> usize {
        let next = message + 1;
        if next == self.len() { self.start } else { next }
    }

    /// Appends a message, in as many frames as the plan says.
    fn push(&mut self, plan: &Plan, index: usize, numbers: &mut Numbers) {
        let payload = &self.payloads[index];
        let step = payload.len().div_ceil(plan.fragments).max(1);
        let mut fragments = payload.chunks(step).peekable();
        let mut opcode = first(plan.kind) & !FIN;
        loop {
            let fragment = fragments.next().unwrap_or_default();
            let fin = if fragments.peek().is_none() { FIN } else { 0 };
            let key = (numbers.next_u64() as u32).to_le_bytes();
            push_masked(&mut self.octets, fin | opcode, fragment, key);
            opcode = 0;
            if fin == FIN {
                break;
            }
        }
        self.offsets.push(self.octets.len());
    }
}

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;

fn first(kind: Kind) -> u8 {
    FIN | if kind == Kind::Binary { 2 } else { 1 }
}

/// Enough for what is in flight on a connection, and little enough to be made quickly.
fn messages(plan: &Plan) -> usize {
    let mut messages = plan.depth.clamp(8, 1024);
    while messages > 1 && messages * plan.size > 4 << 20 {
        messages /= 2;
    }
    if plan.is_plain() {
        return messages;
    }
    messages.max((64 << 10) / plan.size.max(1)).max(2)
}

/// RFC 7692 §7.2.1: a block that ends in 00 00 ff ff, without these.
fn compressed(deflate: &mut Compress, payload: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(payload.len() + 1024);
    let begin = deflate.total_in();
    loop {
        let used = (deflate.total_in() - begin) as usize;
        deflate.compress_vec(&payload[used..], &mut out, FlushCompress::Sync)?;
        let used = (deflate.total_in() - begin) as usize;
        if used == payload.len() && out.len() < out.capacity() {
            break;
        }
        out.reserve(out.capacity());
    }
    let end = out.len() - 4;
    if out[end..] != [0, 0, 0xff, 0xff] {
        return Err("a block does not end where it should".into());
    }
    out.truncate(end);
    Ok(out)
}
