//! RFC 6455 as far as a load needs it, apart from any crate that is measured.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The value of `Sec-WebSocket-Accept` for a key (RFC 6455 §4.2.2).
pub fn accept_key(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}

/// The value of a header field of a request or a response, if it is there.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The response to the request of an opening handshake.
pub fn response(request: &str) -> Option<String> {
    let accept = accept_key(field(request, "sec-websocket-key")?);
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}

/// The length of a header without a masking key, by its second octet.
pub fn header_len(second: u8) -> usize {
    match second & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    }
}

/// Appends a header, with `mask` (0x80 or 0) as the bit that says whether a masking key follows.
pub fn push_header(out: &mut Vec<u8>, first: u8, mask: u8, length: usize) {
    match length {
        0..=125 => out.extend_from_slice(&[first, mask | length as u8]),
        126..=0xffff => {
            out.extend_from_slice(&[first, mask | 126]);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.extend_from_slice(&[first, mask | 127]);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// Appends a frame as a client sends it: masked.
pub fn push_masked(out: &mut Vec<u8>, first: u8, payload: &[u8], key: [u8; 4]) {
    push_header(out, first, 0x80, payload.len());
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b));
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 6455 §1.3.
    #[test]
    fn accept_key_of_the_rfc() {
        let accept = accept_key("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    // RFC 6455 §5.7.
    #[test]
    fn masked_frame_of_the_rfc() {
        let mut frame = Vec::new();
        push_masked(&mut frame, 0x81, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(frame, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    }
}
