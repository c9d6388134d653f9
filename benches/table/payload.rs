//! The payloads that are sent: always the same ones.

use clap::ValueEnum;
use serde::Serialize;

/// What a message is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
pub enum Kind {
    /// Lower-case letters.
    Text,
    /// Any octets, as a binary message.
    Binary,
    /// Greek, Cyrillic, Chinese, emoji and some spaces.
    Utf8,
    /// Records of a market feed.
    Json,
}

/// Numbers that look random and are the same each time (xorshift).
#[derive(Debug)]
pub struct Numbers(u64);

impl Default for Numbers {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Numbers {
    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// The next number, below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64() % end
    }
}

/// A payload of `size` octets, which never starts with `B`: to servers that broadcast, that is a publication.
pub fn payload(kind: Kind, size: usize, numbers: &mut Numbers) -> Vec<u8> {
    let mut octets = Vec::with_capacity(size + 256);
    match kind {
        Kind::Text => octets.extend((0..size).map(|_| b'a' + numbers.below(26) as u8)),
        Kind::Utf8 => characters(&mut octets, size, numbers),
        Kind::Binary => {
            while octets.len() < size {
                octets.extend_from_slice(&numbers.next_u64().to_le_bytes());
            }
        }
        Kind::Json => {
            octets.push(b'[');
            while octets.len() < size {
                octets.extend_from_slice(record(numbers).as_bytes());
            }
        }
    }
    octets.truncate(size);
    if octets.first() == Some(&b'B') {
        octets[0] = b'x';
    }
    octets
}

fn characters(octets: &mut Vec<u8>, size: usize, numbers: &mut Numbers) {
    while octets.len() < size {
        let code = match numbers.below(10) {
            0 | 1 => 0x3b1 + numbers.below(24),
            2..=4 => 0x430 + numbers.below(32),
            5..=7 => 0x4e00 + numbers.below(20_000),
            8 => 0x1f600 + numbers.below(64),
            _ => 0x20,
        };
        let character = char::from_u32(code as u32).unwrap_or('x');
        let fits = character.len_utf8() <= size - octets.len();
        let character = if fits { character } else { '.' };
        octets.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

fn record(numbers: &mut Numbers) -> String {
    let symbol = ["BTC-USD", "ETH-USD", "EUR-GBP", "AAPL", "MSFT", "GOOG"];
    let event = ["trade", "quote", "book", "status"];
    let side = ["buy", "sell"];
    format!(
        r#"{{"seq":{},"event":"{}","symbol":"{}","price":{}.{:02},"qty":{},"side":"{}","ts":"2025-03-{:02}T{:02}:{:02}:{:02}.{:06}Z","flags":[{},{}],"ok":true}},"#,
        numbers.below(10_000_000),
        event[numbers.below(4) as usize],
        symbol[numbers.below(6) as usize],
        numbers.below(70_000),
        numbers.below(100),
        numbers.below(1_000),
        side[numbers.below(2) as usize],
        1 + numbers.below(28),
        numbers.below(24),
        numbers.below(60),
        numbers.below(60),
        numbers.below(1_000_000),
        numbers.below(8),
        numbers.below(256)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_have_their_size_and_text_is_utf8() {
        for kind in [Kind::Text, Kind::Binary, Kind::Utf8, Kind::Json] {
            for size in [0, 1, 7, 64, 4_096] {
                let octets = payload(kind, size, &mut Numbers::default());
                assert_eq!(octets.len(), size);
                assert!(kind == Kind::Binary || std::str::from_utf8(&octets).is_ok());
            }
        }
    }
}
