//! Frame headers, against a plain reading of RFC 6455 §5.2 and against tungstenite.

use motorway::frame::{FrameError, Header};
use std::io::Cursor;
use tungstenite::protocol::frame::FrameHeader;

/// What a header says: FIN, reserved bits, opcode, key, length of the payload.
type Said = (bool, u8, u8, Option<[u8; 4]>, u64);

/// A header is decoded as the RFC reads, no octet of it is guessed, and it is encoded to the same.
pub fn header(data: &[u8]) {
    let decoded = Header::decode(data);
    assert_eq!(decoded.map(|found| found.map(said)), plain(data));
    // It is judged as soon as it can be, and never differently after that.
    for end in 0..data.len().min(Header::MAX_LENGTH) {
        match Header::decode(&data[..end]) {
            Ok(None) => {}
            early => {
                assert_eq!(early, decoded, "after {end} octets");
                break;
            }
        }
    }
    let Ok(Some((header, length))) = decoded else {
        return;
    };
    assert_eq!(*header.encode(), data[..length]);
    let mut cursor = Cursor::new(data);
    let theirs = FrameHeader::parse(&mut cursor).expect("valid for tungstenite, too");
    let (theirs, size) = theirs.expect("whole for tungstenite, too");
    let bits = u8::from(theirs.rsv1) << 6 | u8::from(theirs.rsv2) << 5 | u8::from(theirs.rsv3) << 4;
    let opcode = u8::from(theirs.opcode);
    let theirs = (theirs.is_final, bits, opcode, theirs.mask, size);
    assert_eq!(
        (theirs, cursor.position()),
        (said((header, length)).0, length as u64)
    );
}

fn said((header, length): (Header, usize)) -> (Said, usize) {
    let key = header.mask.map(|key| *key.as_bytes());
    let bits = header.rsv.bits();
    let said = (header.fin, bits, header.opcode as u8, key, header.length);
    (said, length)
}

/// §5.2, octet by octet.
fn plain(data: &[u8]) -> Result<Option<(Said, usize)>, FrameError> {
    if data.len() < 2 {
        return Ok(None);
    }
    let (fin, bits, opcode) = (data[0] & 0x80 != 0, data[0] & 0x70, data[0] & 15);
    let (masked, short) = (data[1] & 0x80 != 0, data[1] & 0x7f);
    if (3..8).contains(&opcode) || opcode > 10 {
        return Err(FrameError::ReservedOpcode { opcode });
    }
    if opcode >= 8 && !fin {
        return Err(FrameError::FragmentedControlFrame);
    }
    if opcode >= 8 && short > 125 {
        return Err(FrameError::ControlFrameTooLong);
    }
    let extended = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if data.len() < 2 + extended {
        return Ok(None);
    }
    let mut length = 0;
    for octet in &data[2..2 + extended] {
        length = length << 8 | u64::from(*octet);
    }
    match extended {
        0 => length = u64::from(short),
        2 if length < 126 => return Err(FrameError::NonMinimalLength { length }),
        8 if length < 1 << 16 => return Err(FrameError::NonMinimalLength { length }),
        8 if length >= 1 << 63 => return Err(FrameError::LengthTooLarge { length }),
        _ => {}
    }
    if !masked {
        return Ok(Some(((fin, bits, opcode, None, length), 2 + extended)));
    }
    let key = data.get(2 + extended..6 + extended);
    let key = key.map(|key| key.try_into().expect("four octets"));
    Ok(key.map(|key| ((fin, bits, opcode, Some(key), length), 6 + extended)))
}
