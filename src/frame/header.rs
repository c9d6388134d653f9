//! The frame header: 2 to 14 octets (RFC 6455 §5.2).
//!
//! Decodes and encodes; keeps no state. What a header means after the ones before it, and which
//! reserved bits an extension has claimed, is for `connection` to judge.

use super::{FrameError, MaskingKey, Opcode};

/// The three reserved bits, as they stand in the first octet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rsv(u8);

impl Rsv {
    /// No reserved bit is set.
    pub const NONE: Self = Self(0);
    /// RSV1: the message is compressed, where permessage-deflate is in use (RFC 7692 §6).
    pub const RSV1: Self = Self(0x40);

    /// Returns the bits as they stand in the first octet of a header.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// A frame header without its payload.
///
/// ```
/// use motorway::frame::{Header, Opcode};
///
/// // §5.7: a single-frame unmasked text message.
/// let (header, length) = Header::decode(b"\x81\x05Hello")?.expect("whole header");
/// assert_eq!((header.opcode, header.fin, header.length), (Opcode::Text, true, 5));
/// assert_eq!(length, 2);
/// assert_eq!(&*header.encode(), b"\x81\x05");
/// # Ok::<(), motorway::frame::FrameError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether this is the last fragment of a message.
    pub fin: bool,
    /// The reserved bits.
    pub rsv: Rsv,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The masking key; clients send one with every frame.
    pub mask: Option<MaskingKey>,
    /// The length of the payload in octets, below 2⁶³.
    pub length: u64,
}

/// A header in the form that it has on the wire. Derefs to the octets.
#[derive(Clone, Copy, Debug)]
pub struct EncodedHeader {
    octets: [u8; Header::MAX_LENGTH],
    length: u8,
}

impl Header {
    /// The most octets that a header can have.
    pub const MAX_LENGTH: usize = 14;

    /// Decodes the header at the start of `input`: the header and its length in octets, or `None`
    /// if more octets are needed.
    ///
    /// # Errors
    ///
    /// Fails as soon as the octets at hand cannot become a valid header.
    #[inline]
    pub fn decode(input: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let &[first, second, ref rest @ ..] = input else {
            return Ok(None);
        };
        let opcode = Opcode::try_from(first & OPCODE)?;
        let (fin, short) = (first & FIN != 0, second & LENGTH);
        if opcode.is_control() {
            check_control(fin, short)?;
        }
        let Some((length, rest, extended)) = decode_length(short, rest)? else {
            return Ok(None);
        };
        let mut header = Self {
            fin,
            rsv: Rsv(first & RSV),
            opcode,
            mask: None,
            length,
        };
        if second & MASK == 0 {
            return Ok(Some((header, 2 + extended)));
        }
        let Some(key) = rest.first_chunk() else {
            return Ok(None);
        };
        header.mask = Some(MaskingKey::from(*key));
        Ok(Some((header, 2 + extended + 4)))
    }

    /// Encodes the header in the fewest octets.
    #[must_use]
    #[inline]
    pub fn encode(&self) -> EncodedHeader {
        let first = u8::from(self.fin) << 7 | self.rsv.0 | self.opcode as u8;
        let mask = u8::from(self.mask.is_some()) << 7;
        let mut encoded = EncodedHeader {
            octets: [0; Self::MAX_LENGTH],
            length: 0,
        };
        encoded.push([first]);
        match (u8::try_from(self.length), u16::try_from(self.length)) {
            (Ok(length @ 0..=125), _) => encoded.push([mask | length]),
            (_, Ok(length)) => {
                encoded.push([mask | 126]);
                encoded.push(length.to_be_bytes());
            }
            _ => {
                encoded.push([mask | 127]);
                encoded.push(self.length.to_be_bytes());
            }
        }
        if let Some(key) = self.mask {
            encoded.push(*key.as_bytes());
        }
        encoded
    }
}

impl EncodedHeader {
    #[inline]
    fn push<const N: usize>(&mut self, octets: [u8; N]) {
        for octet in octets {
            if let Some(slot) = self.octets.get_mut(usize::from(self.length)) {
                *slot = octet;
                self.length += 1;
            }
        }
    }
}

impl std::ops::Deref for EncodedHeader {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.octets
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }
}

fn check_control(fin: bool, short: u8) -> Result<(), FrameError> {
    // §5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be
    // fragmented."
    if !fin {
        return Err(FrameError::FragmentedControlFrame);
    }
    if short > 125 {
        return Err(FrameError::ControlFrameTooLong);
    }
    Ok(())
}

/// The payload length, what follows it, and how many octets it took beyond the 7 bits.
type Length<'a> = (u64, &'a [u8], usize);

#[inline]
fn decode_length(short: u8, rest: &[u8]) -> Result<Option<Length<'_>>, FrameError> {
    match short {
        126 => {
            let Some((octets, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            match u64::from(u16::from_be_bytes(*octets)) {
                length @ ..=125 => Err(FrameError::NonMinimalLength { length }),
                length => Ok(Some((length, rest, 2))),
            }
        }
        127 => {
            let Some((octets, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            match u64::from_be_bytes(*octets) {
                length @ ..=0xffff => Err(FrameError::NonMinimalLength { length }),
                length if length >> 63 != 0 => Err(FrameError::LengthTooLarge { length }),
                length => Ok(Some((length, rest, 8))),
            }
        }
        length => Ok(Some((u64::from(length), rest, 0))),
    }
}

const FIN: u8 = 0x80;
const RSV: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASK: u8 = 0x80;
const LENGTH: u8 = 0x7f;

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(octets: &[u8]) -> Result<Option<(Header, usize)>, FrameError> {
        Header::decode(octets)
    }

    #[test]
    fn every_length_round_trips_in_the_fewest_octets() {
        for (length, octets) in [
            (0, 2),
            (125, 2),
            (126, 4),
            (0xffff, 4),
            (0x1_0000, 10),
            (u64::MAX >> 1, 10),
        ] {
            for mask in [None, Some(MaskingKey::from([1, 2, 3, 4]))] {
                let header = Header {
                    fin: true,
                    rsv: Rsv::RSV1,
                    opcode: Opcode::Binary,
                    mask,
                    length,
                };
                let encoded = header.encode();
                assert_eq!(encoded.len(), octets + if mask.is_some() { 4 } else { 0 });
                assert_eq!(decode(&encoded), Ok(Some((header, encoded.len()))));
                for cut in 0..encoded.len() {
                    assert_eq!(decode(&encoded[..cut]), Ok(None), "needs more at {cut}");
                }
            }
        }
    }

    #[test]
    fn reserved_opcodes_are_refused_at_the_second_octet() {
        for opcode in (3..8).chain(11..16) {
            assert_eq!(
                decode(&[0x80 | opcode, 0]),
                Err(FrameError::ReservedOpcode { opcode })
            );
        }
    }

    #[test]
    fn control_frames_are_short_and_whole() {
        for opcode in 8..11 {
            assert_eq!(
                decode(&[opcode, 0]),
                Err(FrameError::FragmentedControlFrame)
            );
            assert_eq!(
                decode(&[0x80 | opcode, 126]),
                Err(FrameError::ControlFrameTooLong)
            );
            assert_eq!(
                decode(&[0x80 | opcode, 127]),
                Err(FrameError::ControlFrameTooLong)
            );
        }
    }

    #[test]
    fn lengths_are_minimal_and_below_2_to_the_63() {
        let non_minimal = |length| Err(FrameError::NonMinimalLength { length });
        assert_eq!(decode(b"\x82\x7e\x00\x7d"), non_minimal(125));
        assert_eq!(
            decode(b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"),
            non_minimal(0xffff)
        );
        assert_eq!(
            decode(b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"),
            Err(FrameError::LengthTooLarge { length: 1 << 63 })
        );
    }
}
