//! What nodes tell each other of who is in a topic, on its channel `presence/…`.
//!
//! ```text
//! 0x31 node version id info            appeared: a connection of the node, under this text
//! 0x32 node version id                 disappeared
//! 0x33 node version                    the node lives
//! 0x34 node target                     the node asks another, or all (16 zeros), for what they have
//! 0x35 node version part parts (id length info)*    all of a node, in so many parts
//! ```
//!
//! A node is 16 octets, a version and an id 8, a part, the parts and a length 2, all in network
//! order. The version counts the changes of a node to a topic, this one included.

use crate::hub::envelope::NodeId;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) node: NodeId,
    pub(super) news: News,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    Appeared {
        version: u64,
        id: u64,
        info: Arc<str>,
    },
    Disappeared {
        version: u64,
        id: u64,
    },
    Beat {
        version: u64,
    },
    Ask {
        target: NodeId,
    },
    State {
        version: u64,
        part: u16,
        parts: u16,
        entries: Vec<(u64, Arc<str>)>,
    },
}

impl Notice {
    pub(super) fn encode(&self) -> Bytes {
        let mut octets = BytesMut::with_capacity(64);
        let mut begin = |kind| {
            octets.put_u8(kind);
            octets.put_slice(&self.node);
        };
        match &self.news {
            News::Appeared { version, id, info } => {
                begin(APPEARED);
                octets.put_u64(*version);
                octets.put_u64(*id);
                octets.put_slice(info.as_bytes());
            }
            News::Disappeared { version, id } => {
                begin(DISAPPEARED);
                octets.put_u64(*version);
                octets.put_u64(*id);
            }
            News::Beat { version } => {
                begin(BEAT);
                octets.put_u64(*version);
            }
            News::Ask { target } => {
                begin(ASK);
                octets.put_slice(target);
            }
            News::State {
                version,
                part,
                parts,
                entries,
            } => {
                begin(STATE);
                octets.put_u64(*version);
                octets.put_u16(*part);
                octets.put_u16(*parts);
                for (id, info) in entries {
                    octets.put_u64(*id);
                    // Texts are at most 1 KiB long.
                    octets.put_u16(u16::try_from(info.len()).unwrap_or(u16::MAX));
                    octets.put_slice(info.as_bytes());
                }
            }
        }
        octets.freeze()
    }

    /// Reads a notice; `None` if it is none.
    pub(super) fn decode(mut octets: Bytes) -> Option<Self> {
        let kind = octets.try_get_u8().ok()?;
        let node = take_node(&mut octets)?;
        let news = match kind {
            APPEARED => News::Appeared {
                version: octets.try_get_u64().ok()?,
                id: octets.try_get_u64().ok()?,
                info: info_of(&octets)?,
            },
            DISAPPEARED => News::Disappeared {
                version: octets.try_get_u64().ok()?,
                id: octets.try_get_u64().ok()?,
            },
            BEAT => News::Beat {
                version: octets.try_get_u64().ok()?,
            },
            ASK => News::Ask {
                target: take_node(&mut octets)?,
            },
            STATE => News::State {
                version: octets.try_get_u64().ok()?,
                part: octets.try_get_u16().ok()?,
                parts: octets.try_get_u16().ok()?,
                entries: take_entries(octets)?,
            },
            _ => return None,
        };
        Some(Self { node, news })
    }
}

fn take_node(octets: &mut Bytes) -> Option<NodeId> {
    let mut node = NodeId::default();
    octets.try_copy_to_slice(&mut node).ok()?;
    Some(node)
}

/// Texts are as long as nodes make them, whoever sends them.
fn info_of(octets: &[u8]) -> Option<Arc<str>> {
    match octets.len() > MAX_INFO {
        true => None,
        false => Some(str::from_utf8(octets).ok()?.into()),
    }
}

fn take_entries(mut octets: Bytes) -> Option<Vec<(u64, Arc<str>)>> {
    let mut entries = Vec::new();
    while octets.has_remaining() {
        let id = octets.try_get_u64().ok()?;
        let length = usize::from(octets.try_get_u16().ok()?);
        let info = info_of(octets.get(..length)?)?;
        octets.advance(length);
        entries.push((id, info));
    }
    Some(entries)
}

/// The most octets of the text that a connection is seen under.
pub(in crate::hub) const MAX_INFO: usize = 1024;

const APPEARED: u8 = 0x31;
const DISAPPEARED: u8 = 0x32;
const BEAT: u8 = 0x33;
const ASK: u8 = 0x34;
const STATE: u8 = 0x35;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_survive_the_way() {
        let info: Arc<str> = "Änn".into();
        for news in [
            News::Appeared {
                version: 1,
                id: 2,
                info: Arc::clone(&info),
            },
            News::Disappeared { version: 3, id: 4 },
            News::Beat { version: u64::MAX },
            News::Ask { target: [7; 16] },
            News::State {
                version: 5,
                part: 1,
                parts: 2,
                entries: vec![(6, info), (7, "".into())],
            },
        ] {
            let notice = Notice {
                node: *b"0123456789abcdef",
                news,
            };
            let octets = notice.encode();
            assert_eq!(Notice::decode(octets.clone()), Some(notice.clone()));
            let least = match notice.news {
                // Texts end with the notice, and a state may have no entries.
                News::Appeared { .. } => 33,
                News::State { .. } => 29,
                _ => octets.len(),
            };
            for end in 0..least {
                assert_eq!(
                    Notice::decode(octets.slice(..end)),
                    None,
                    "{notice:?} {end}"
                );
            }
        }
        for (length, is_notice) in [(1024, true), (1025, false)] {
            let notice = Notice {
                node: [0; 16],
                news: News::Appeared {
                    version: 1,
                    id: 2,
                    info: "x".repeat(length).into(),
                },
            };
            assert_eq!(Notice::decode(notice.encode()).is_some(), is_notice);
        }
        assert_eq!(
            Notice::decode(Bytes::from_static(b"\x360123456789abcdef")),
            None
        );
    }
}
