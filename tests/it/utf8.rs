//! RFC 3629, and RFC 6455 §8.1 on where it fails.

#![cfg(test)]

use motorway::utf8::{Utf8Validator, is_valid};

const SAMPLES: &[&[u8]] = &[
    b"",
    b"plain ASCII text of more than one word",
    "κόσμε".as_bytes(),
    "Hello-µ@ßöäüàá-UTF-8!! 日本語 🎉 \u{10FFFF}".as_bytes(),
    b"\x00\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF",
    b"\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBD",
    b"abc\xED\xA0\x80edited",
    b"abc\xED\xBF\xBF",
    b"abc\xF4\x90\x80\x80",
    b"abc\xF8\x88\x80\x80\x80",
    b"abc\xFC\x84\x80\x80\x80\x80",
    b"\xC0\xAF",
    b"\xC1\xBF",
    b"\xE0\x80\xAF",
    b"\xE0\x9F\xBF",
    b"\xF0\x80\x80\xAF",
    b"\xF0\x8F\xBF\xBF",
    b"\x80",
    b"a\xBFb",
    b"\xC3(",
    b"\xE2\x82(",
    b"\xF0\x9F\x8E(",
    b"\xF0\x9F(\x8E",
    b"\xCE\xCE\xBA",
    b"\xFE\xFE\xFF\xFF",
    b"open \xC3",
    b"open \xE2\x82",
    b"open \xF0\x9F\x8E",
];

/// The index of the first octet that makes `text` impossible, by what std says of its prefixes.
fn first_impossible(text: &[u8]) -> Option<usize> {
    (0..text.len()).find(|&at| {
        std::str::from_utf8(&text[..=at]).is_err_and(|error| error.error_len().is_some())
    })
}

/// Feeds the chunks and returns the first impossible octet, counted from the start of the text.
fn fed(chunks: &[&[u8]]) -> (Option<usize>, Utf8Validator) {
    let mut validator = Utf8Validator::new();
    let mut fed = 0;
    for chunk in chunks {
        if let Err(error) = validator.validate(chunk) {
            return (Some(fed + error.valid_up_to), validator);
        }
        fed += chunk.len();
    }
    (None, validator)
}

fn check(text: &[u8], chunks: &[&[u8]]) {
    let (failed, mut validator) = fed(chunks);
    assert_eq!(failed, first_impossible(text), "{text:x?} as {chunks:x?}");
    let is_text = std::str::from_utf8(text).is_ok();
    assert_eq!(is_valid(text), is_text, "{text:x?}");
    if failed.is_none() {
        assert_eq!(validator.is_complete(), is_text);
        assert_eq!(validator.finish().is_ok(), is_text);
        assert!(validator.is_complete());
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize
    }
}

#[test]
fn samples_agree_with_std_at_every_split() {
    for sample in SAMPLES {
        for padding in [0, 1, 30, 61, 62, 63, 64, 130, 255, 256, 300] {
            let text = [&vec![b'.'; padding], *sample, b"rest"].concat();
            for text in [&text[..], &text[..text.len() - 4]] {
                check(text, &[text]);
                for cut in 0..=text.len() {
                    let (head, tail) = text.split_at(cut);
                    let (middle, end) = tail.split_at(tail.len().min(1));
                    check(text, &[head, tail]);
                    check(text, &[head, b"", middle, end]);
                }
                check(text, &text.chunks(1).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn all_pairs_agree_with_std() {
    for first in 0..=255 {
        for second in 0..=255 {
            let text = [first, second];
            check(&text, &[&text]);
            check(&text, &[&text[..1], &text[1..]]);
        }
    }
}

#[test]
fn longer_sequences_agree_with_std() {
    const EDGES: [u8; 20] = [
        0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF, 0xE0, 0xE1, 0xED,
        0xEF, 0xF0, 0xF1, 0xF4, 0xF5,
    ];
    for first in 0xC0..=0xFF {
        for second in EDGES {
            for third in EDGES {
                let text = [first, second, third];
                check(&text, &[&text]);
                check(&text, &[&text[..2], &text[2..]]);
                for fourth in [0x41, 0x7F, 0x80, 0xBF, 0xC0, 0xFF] {
                    let text = [first, second, third, fourth];
                    check(&text, &[&text]);
                    check(&text, &[&text[..1], &text[1..3], &text[3..]]);
                }
            }
        }
    }
}

#[test]
fn random_text_in_random_chunks_agrees_with_std() {
    for seed in 1..400 {
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ seed << 20);
        let mut text = Vec::new();
        while text.len() < random.next() % 700 {
            let code = match random.next() % 4 {
                0 => random.next() % 0x80,
                1 => random.next() % 0x800,
                2 => random.next() % 0x1_0000,
                _ => random.next() % 0x11_0000,
            };
            let code = u32::try_from(code)
                .ok()
                .and_then(char::from_u32)
                .unwrap_or('x');
            text.extend_from_slice(code.encode_utf8(&mut [0; 4]).as_bytes());
        }
        if !text.is_empty() && seed % 2 == 0 {
            let at = random.next() % text.len();
            text[at] = random.next().to_le_bytes()[0];
        }
        let mut chunks = Vec::new();
        let mut rest = &text[..];
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at((random.next() % 90).min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        check(&text, &chunks);
    }
}

#[test]
fn impossible_sequence_fails_before_it_is_complete() {
    for (text, at) in [
        (&b"\xED\xA0"[..], 1),
        (b"\xF4\x90", 1),
        (b"\xE0\x80", 1),
        (b"\xF0\x80", 1),
        (b"\xF8", 0),
        (b"\xC0", 0),
        (b"\xF5", 0),
    ] {
        assert_eq!(fed(&[text]).0, Some(at), "{text:x?}");
        assert_eq!(fed(&text.chunks(1).collect::<Vec<_>>()).0, Some(at));
    }
}

#[test]
fn validator_starts_anew_after_an_error() {
    let mut validator = Utf8Validator::new();
    assert!(validator.validate(b"\xE2\x82").is_ok());
    assert!(validator.validate(b"(").is_err());
    assert!(validator.is_complete());
    assert!(validator.validate(b"\xE2\x82").is_ok());
    assert!(validator.finish().is_err());
    assert!(validator.finish().is_ok());
}

#[test]
fn validator_is_small() {
    assert!(size_of::<Utf8Validator>() <= 8);
}
