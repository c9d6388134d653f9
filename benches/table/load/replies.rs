//! Replies as they are read: counted, and in the first pass compared.

use crate::ring::Ring;
use flate2::{Decompress, FlushDecompress};
use table::Result;
use table::wire::header_len;

/// What a connection knows of the replies on it.
#[derive(Default)]
pub(crate) struct Replies {
    header: [u8; 10],
    header_len: usize,
    /// Octets of the payload that have not been read.
    left: u64,
    /// The first octet of the frame being read, or none of a frame.
    first: Option<u8>,
    is_compressed: bool,
    message_len: u64,
    check: Option<Check>,
}

/// What replies must be.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// The octets of each, if they are known.
    pub(crate) size: Option<u64>,
    /// Whether each is decompressed by itself.
    pub(crate) starts_anew: bool,
}

#[derive(Default)]
struct Check {
    message: Vec<u8>,
    number: usize,
    inflate: Option<Decompress>,
}

impl Replies {
    /// Compares what is read.
    pub(crate) fn checked() -> Self {
        Self {
            check: Some(Check::default()),
            ..Self::default()
        }
    }

    /// Reads on, and says how many messages are complete now.
    pub(crate) fn read(&mut self, mut octets: &[u8], wanted: Wanted, ring: &Ring) -> Result<u64> {
        let mut complete = 0;
        loop {
            if self.first.is_none() {
                let Some(rest) = self.read_header(octets)? else {
                    return Ok(complete);
                };
                octets = rest;
            }
            let taken = self.left.min(octets.len() as u64) as usize;
            let (payload, rest) = octets.split_at(taken);
            octets = rest;
            self.left -= taken as u64;
            let first = self.first.unwrap_or_default();
            let is_data = first & 0x0f < 8;
            if is_data && let Some(check) = &mut self.check {
                check.message.extend_from_slice(payload);
            }
            if self.left > 0 {
                return Ok(complete);
            }
            self.first = None;
            if is_data && first & 0x80 != 0 {
                self.finish(wanted, ring)?;
                complete += 1;
            }
        }
    }

    /// Reads a header and returns what is behind it; `None` if it is not all here.
    fn read_header<'a>(&mut self, octets: &'a [u8]) -> Result<Option<&'a [u8]>> {
        if self.header_len == 0
            && let Some(second) = octets.get(1)
            && let Some((header, rest)) = octets.split_at_checked(header_len(*second))
        {
            self.begin(header)?;
            return Ok(Some(rest));
        }
        for (index, octet) in octets.iter().enumerate() {
            self.header[self.header_len] = *octet;
            self.header_len += 1;
            if self.header_len >= 2 && self.header_len == header_len(self.header[1]) {
                let header = self.header;
                self.begin(&header[..self.header_len])?;
                self.header_len = 0;
                return Ok(Some(&octets[index + 1..]));
            }
        }
        Ok(None)
    }

    fn begin(&mut self, header: &[u8]) -> Result<()> {
        let (first, second) = (header[0], header[1]);
        if second & 0x80 != 0 {
            return Err("the server has sent a masked frame".into());
        }
        if first & 0x0f == 8 {
            return Err("the server has closed the connection".into());
        }
        self.left = match header {
            [_, _, a, b] => u16::from_be_bytes([*a, *b]).into(),
            [_, _, length @ ..] if length.len() == 8 => u64::from_be_bytes(length.try_into()?),
            _ => second.into(),
        };
        self.first = Some(first);
        if first & 0x0f >= 8 {
            return Ok(());
        }
        if first & 0x0f != 0 {
            self.is_compressed = first & 0x40 != 0;
            self.message_len = 0;
        }
        self.message_len += self.left;
        Ok(())
    }

    fn finish(&mut self, wanted: Wanted, ring: &Ring) -> Result<()> {
        if wanted.size.is_some_and(|size| size != self.message_len) {
            return Err(format!("a reply of {} octets", self.message_len).into());
        }
        let Some(check) = &mut self.check else {
            return Ok(());
        };
        let mut message = std::mem::take(&mut check.message);
        if self.is_compressed {
            let inflate = check.inflate.get_or_insert_with(|| Decompress::new(false));
            if wanted.starts_anew {
                inflate.reset(false);
            }
            message.extend_from_slice(&[0, 0, 0xff, 0xff]);
            message = inflated(inflate, &message)?;
        }
        if message != ring.payloads[check.number % ring.payloads.len()] {
            return Err("a reply differs from the message".into());
        }
        check.number += 1;
        Ok(())
    }
}

fn inflated(inflate: &mut Decompress, mut octets: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(64 << 10);
    loop {
        if out.capacity() - out.len() < 32 << 10 {
            out.reserve(out.capacity());
        }
        let (read, written) = (inflate.total_in(), inflate.total_out());
        inflate.decompress_vec(octets, &mut out, FlushDecompress::Sync)?;
        let used = inflate.total_in() - read;
        octets = &octets[used as usize..];
        let is_done = octets.is_empty() && out.len() < out.capacity();
        let is_stuck = used == 0 && inflate.total_out() == written;
        if is_done || is_stuck {
            return Ok(out);
        }
    }
}
