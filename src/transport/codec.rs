//! Frames through `tokio_util::codec`, for those who build on `Framed`.
//!
//! The driver does not go through it, since `Framed` copies every payload once more.

use crate::connection::{IncomingMask, ProtocolError, Rules};
use crate::frame::{self, Header, MaskingKey, Opcode, Rsv};
use bytes::{Bytes, BytesMut};
use std::io;
use tokio_util::codec::{Decoder, Encoder};

/// A frame with its payload unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Whether this is the last fragment of a message.
    pub fin: bool,
    /// The reserved bits.
    pub rsv: Rsv,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The payload.
    pub payload: Bytes,
}

/// Decodes and encodes single frames; knows nothing of messages and the closing handshake.
///
/// ```
/// use bytes::BytesMut;
/// use motorway::connection::Rules;
/// use motorway::{FrameCodec, ServerOptions, frame::Opcode};
/// use tokio_util::codec::Decoder;
///
/// let mut codec = FrameCodec::new(Rules::server(&ServerOptions::default()));
/// let mut wire = BytesMut::from(&b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"[..]);
/// let frame = codec.decode(&mut wire)?.expect("a whole frame");
/// assert_eq!((frame.opcode, &frame.payload[..]), (Opcode::Text, &b"Hello"[..]));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct FrameCodec {
    rules: Rules,
    header: Option<Header>,
}

impl FrameCodec {
    /// Makes a codec that obeys the masks and the frame limit of these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            header: None,
        }
    }

    fn check(&self, header: &Header) -> Result<(), ProtocolError> {
        match (header.mask, self.rules.incoming_mask) {
            (None, IncomingMask::Required) => Err(ProtocolError::UnmaskedFrame),
            (Some(_), IncomingMask::Refused) => Err(ProtocolError::MaskedFrame),
            _ if header.length > self.rules.max_frame => {
                let (size, limit) = (header.length, self.rules.max_frame);
                Err(ProtocolError::FrameTooLarge { size, limit })
            }
            _ => Ok(()),
        }
    }
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = io::Error;

    fn decode(&mut self, source: &mut BytesMut) -> io::Result<Option<Frame>> {
        let header = match self.header.take() {
            Some(header) => header,
            None => {
                let decoded = Header::decode(source).map_err(ProtocolError::from);
                let Some((header, length)) = decoded.map_err(invalid)? else {
                    return Ok(None);
                };
                self.check(&header).map_err(invalid)?;
                let _ = source.split_to(length);
                header
            }
        };
        let length = usize::try_from(header.length).map_err(io::Error::other)?;
        if source.len() < length {
            self.header = Some(header);
            return Ok(None);
        }
        let mut payload = source.split_to(length);
        if let Some(key) = header.mask.filter(|_| self.rules.apply_mask) {
            frame::apply(key, 0, &mut payload);
        }
        let Header {
            fin, rsv, opcode, ..
        } = header;
        Ok(Some(Frame {
            fin,
            rsv,
            opcode,
            payload: payload.freeze(),
        }))
    }
}

impl Encoder<Frame> for FrameCodec {
    type Error = io::Error;

    fn encode(&mut self, frame: Frame, target: &mut BytesMut) -> io::Result<()> {
        let mask: Option<MaskingKey> = self.rules.mask_outgoing.then(super::masking_key);
        let Frame {
            fin,
            rsv,
            opcode,
            payload,
        } = frame;
        let header = Header {
            fin,
            rsv,
            opcode,
            mask,
            length: payload.len() as u64,
        };
        target.extend_from_slice(&header.encode());
        let start = target.len();
        target.extend_from_slice(&payload);
        if let Some(key) = mask.filter(|_| self.rules.apply_mask) {
            frame::apply(key, 0, target.get_mut(start..).unwrap_or_default());
        }
        Ok(())
    }
}

fn invalid(error: ProtocolError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
