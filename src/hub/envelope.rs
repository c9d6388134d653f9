//! Publications as brokers carry them.
//!
//! ```text
//! 0x01 payload                   text, in UTF-8
//! 0x02 payload                   binary
//! 0x11 node (16 octets) payload  text, published by this node
//! 0x12 node (16 octets) payload  binary, published by this node
//! ```
//!
//! Anybody may publish, in any language: the channel of the topic `lobby` is `topic/lobby`, as the
//! broker writes it. A node takes no notice of what has its own number.

use crate::connection::PreparedMessage;
use crate::message::{Message, Payload, Text};
use bytes::{BufMut, Bytes, BytesMut};

/// What tells the nodes of a cluster apart: random, made anew with each hub.
pub(super) type NodeId = [u8; 16];

/// Wraps a message of this node.
pub(super) fn wrap(message: &Message<'_>, node: &NodeId) -> Bytes {
    let payload = message.as_bytes();
    let mut octets = BytesMut::with_capacity(1 + node.len() + payload.len());
    octets.put_u8(FROM_NODE | if message.is_binary() { BINARY } else { TEXT });
    octets.put_slice(node);
    octets.put_slice(payload);
    octets.freeze()
}

/// What came in.
#[derive(Debug)]
pub(super) enum Unwrapped {
    Message(PreparedMessage),
    /// Our own.
    Echo,
    /// Of a kind that is not known here, or text that is not UTF-8.
    Unknown,
}

/// Takes out what somebody has published.
pub(super) fn unwrap(mut octets: Bytes, own: &NodeId) -> Unwrapped {
    let Some(kind) = octets.first().copied() else {
        return Unwrapped::Unknown;
    };
    let mut payload = octets.split_off(1);
    if kind & FROM_NODE != 0 {
        if payload.len() < own.len() {
            return Unwrapped::Unknown;
        }
        if payload.split_to(own.len()) == own[..] {
            return Unwrapped::Echo;
        }
    }
    match kind & !FROM_NODE {
        TEXT => match Text::try_from(payload) {
            Ok(text) => Unwrapped::Message(PreparedMessage::new(Message::Text(text))),
            Err(_) => Unwrapped::Unknown,
        },
        BINARY => {
            let message = Message::Binary(Payload::from(payload));
            Unwrapped::Message(PreparedMessage::new(message))
        }
        _ => Unwrapped::Unknown,
    }
}

const TEXT: u8 = 0x01;
const BINARY: u8 = 0x02;
/// The number of the node comes next.
const FROM_NODE: u8 = 0x10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_publish_is_taken() {
        for (octets, expected) in [
            (&b"\x01hello"[..], Message::from("hello")),
            (b"\x02\xff", Message::from(&b"\xff"[..])),
            (b"\x110123456789abcdefhello", Message::from("hello")),
            (b"\x120123456789abcdef", Message::from(&b""[..])),
        ] {
            match unwrap(Bytes::from_static(octets), b"ours-ours-ours-o") {
                Unwrapped::Message(prepared) => assert_eq!(*prepared.message(), expected),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn our_own_is_known() {
        let node = b"ours-ours-ours-o";
        for message in [Message::from("text"), Message::from(&b"octets"[..])] {
            let octets = wrap(&message, node);
            assert!(matches!(unwrap(octets.clone(), node), Unwrapped::Echo));
            match unwrap(octets, b"another-another-") {
                Unwrapped::Message(prepared) => assert_eq!(*prepared.message(), message),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn nonsense_is_told_apart() {
        for octets in [
            &b""[..],
            b"\x00",
            b"\x03x",
            b"\x01\xff",
            b"\x11too short",
            b"\x21x",
        ] {
            let unwrapped = unwrap(Bytes::from_static(octets), b"ours-ours-ours-o");
            assert!(matches!(unwrapped, Unwrapped::Unknown), "{octets:?}");
        }
    }
}
