//! RFC 7692 §7.2.

#![cfg(test)]

use bytes::BytesMut;
use motorway::extension::deflate::codec::{
    DeflateError, Deflater, DeflaterConfig, InflateError, Inflater, InflaterConfig,
};

fn deflated(deflater: &mut Deflater, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for part in parts {
        deflater.compress(part, &mut out).unwrap();
    }
    deflater.finish(&mut out);
    out.to_vec()
}

fn inflated(inflater: &mut Inflater, chunks: &[&[u8]]) -> Result<Vec<u8>, InflateError> {
    let mut out = BytesMut::new();
    for chunk in chunks {
        inflater.inflate(chunk, &mut out, None)?;
    }
    inflater.finish()?;
    Ok(out.to_vec())
}

fn inflater(context_takeover: bool) -> Inflater {
    Inflater::new(InflaterConfig { context_takeover })
}

#[track_caller]
fn assert_inflates(payload: &[u8], text: &[u8]) {
    let mut at_once = inflater(true);
    let mut by_octets = inflater(true);
    let octets: Vec<_> = payload.chunks(1).collect();
    for _ in 0..3 {
        assert_eq!(inflated(&mut at_once, &[payload]).as_deref(), Ok(text));
        assert_eq!(inflated(&mut by_octets, &octets).as_deref(), Ok(text));
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

    fn octets(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

fn text(len: usize) -> Vec<u8> {
    let words = ["motorway", "\"id\":", "lane", ",{", "exit 12", "0123", " "];
    let mut random = Random(7);
    let mut text = Vec::new();
    while text.len() < len {
        text.extend_from_slice(words[random.next() % words.len()].as_bytes());
    }
    text.truncate(len);
    text
}

// RFC 7692 §7.2.3.1.
#[test]
fn hello_is_one_compressed_block() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    assert_inflates(hello, b"Hello");
    let mut deflater = Deflater::new(DeflaterConfig::default()).unwrap();
    assert_eq!(deflated(&mut deflater, &[b"Hello"]), hello);
}

// RFC 7692 §7.2.3.2.
#[test]
fn second_hello_refers_to_the_first() {
    let first = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let second = b"\xf2\x00\x11\x00\x00";
    let mut kept = inflater(true);
    assert_eq!(inflated(&mut kept, &[first]).unwrap(), b"Hello");
    assert_eq!(inflated(&mut kept, &[second]).unwrap(), b"Hello");

    let mut dropped = inflater(false);
    assert_eq!(inflated(&mut dropped, &[first]).unwrap(), b"Hello");
    assert_eq!(
        inflated(&mut dropped, &[second]),
        Err(InflateError::Corrupt)
    );

    let mut deflater = Deflater::new(DeflaterConfig::default()).unwrap();
    assert_eq!(deflated(&mut deflater, &[b"Hello"]), first);
    assert_eq!(deflated(&mut deflater, &[b"Hello"]), second);
    deflater.reset();
    assert_eq!(deflated(&mut deflater, &[b"Hello"]), first);
}

// RFC 7692 §7.2.3.3.
#[test]
fn block_without_compression_is_inflated() {
    assert_inflates(b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", b"Hello");
}

// RFC 7692 §7.2.3.4.
#[test]
fn block_with_bfinal_is_inflated() {
    assert_inflates(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"Hello");
}

// RFC 7692 §7.2.3.5.
#[test]
fn two_blocks_in_one_message_are_inflated() {
    assert_inflates(
        b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        b"Hello",
    );
}

// RFC 7692 §7.2.3.6.
#[test]
fn empty_message_is_a_single_zero() {
    assert_inflates(b"\x00", b"");
    let mut deflater = Deflater::new(DeflaterConfig::default()).unwrap();
    for _ in 0..2 {
        assert_eq!(deflated(&mut deflater, &[]), b"\x00");
        assert_eq!(deflated(&mut deflater, &[b"", b""]), b"\x00");
        deflated(&mut deflater, &[b"Hello"]);
    }
}

#[test]
fn message_without_octets_is_empty() {
    let mut inflater = inflater(true);
    assert_eq!(inflated(&mut inflater, &[]).unwrap(), b"");
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    assert_eq!(
        inflated(&mut inflater, &[b"", hello, b""]).unwrap(),
        b"Hello"
    );
    assert_eq!(inflated(&mut inflater, &[b""]).unwrap(), b"");
    assert_eq!(
        inflated(&mut inflater, &[b"\xf2\x00\x11\x00\x00"]).unwrap(),
        b"Hello"
    );
}

#[test]
fn stream_end_may_be_followed_by_another_stream_or_nothing() {
    let ended = b"\xf3\x48\xcd\xc9\xc9\x07\x00";
    assert_inflates(ended, b"Hello");
    assert_inflates(&[&ended[..], ended, b"\x00"].concat(), b"HelloHello");
    assert_inflates(&b"\x03\x00".repeat(5000), b"");
    // The last block is the one that the receiver completes.
    assert_inflates(b"\xf2\x48\xcd\xc9\xc9\x07\x04", b"Hello");
}

#[test]
fn message_that_does_not_end_with_a_block_is_truncated() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    for len in 1..hello.len() {
        assert!(
            inflated(&mut inflater(true), &[&hello[..len]]).is_err(),
            "{len}"
        );
    }
    let with_tail = [&hello[..], b"\x00\x00\xff\xff"].concat();
    assert_eq!(
        inflated(&mut inflater(true), &[&with_tail]),
        Err(InflateError::Truncated)
    );
    // A block of five octets without compression, of which three came.
    let stored = b"\x00\x05\x00\xfa\xff\x48\x65\x6c";
    assert_eq!(
        inflated(&mut inflater(true), &[stored]),
        Err(InflateError::Truncated)
    );
}

#[test]
fn parts_of_a_message_can_be_inflated_as_they_come() {
    let parts: [&[u8]; 5] = [b"Hello, ", b"", b"Hello", &text(70_000), b"!"];
    let mut deflater = Deflater::new(DeflaterConfig::default()).unwrap();
    let mut inflater = inflater(true);
    for _ in 0..3 {
        for part in parts {
            let (mut frame, mut out) = (BytesMut::new(), BytesMut::new());
            deflater.compress(part, &mut frame).unwrap();
            inflater.inflate(&frame, &mut out, None).unwrap();
            assert_eq!(out, part);
        }
        let mut last = BytesMut::new();
        deflater.finish(&mut last);
        assert!(last.is_empty());
        inflater.finish().unwrap();
    }
}

#[test]
fn every_setting_survives_a_round_trip() {
    let mut random = Random(3);
    let noise = random.octets(5000);
    let (words, zeros) = (text(40_000), vec![0; 70_000]);
    let mixed = [&noise[..700], &words[..900], &zeros[..300], &words[..900]].concat();
    let messages: [&[u8]; 7] = [b"", b"a", b"Hello", &noise, &words, &zeros, &mixed];
    for window_bits in 9..=15 {
        for mem_level in 1..=9 {
            for context_takeover in [true, false] {
                let level = (window_bits + mem_level) % 10;
                let config = DeflaterConfig {
                    window_bits,
                    context_takeover,
                    level,
                    mem_level,
                    ..DeflaterConfig::default()
                };
                let mut deflater = Deflater::new(config).unwrap();
                let mut inflater = inflater(context_takeover);
                for message in messages {
                    let (head, tail) = message.split_at(message.len() / 3);
                    for parts in [&[message][..], &[head, tail]] {
                        let payload = deflated(&mut deflater, parts);
                        let step = payload.len() / 5 + 1;
                        let chunks: Vec<_> = payload.chunks(step).collect();
                        let out = inflated(&mut inflater, &chunks);
                        assert_eq!(out.as_deref(), Ok(message), "{config:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_size_survives_a_round_trip_at_every_level() {
    let mut random = Random(5);
    let (words, noise) = (text(200_000), random.octets(200_000));
    for level in 0..=9 {
        let config = DeflaterConfig {
            level,
            ..DeflaterConfig::default()
        };
        let mut deflater = Deflater::new(config).unwrap();
        let mut inflater = inflater(true);
        let sizes = [
            1, 2, 63, 64, 65, 1000, 16_383, 32_768, 65_535, 65_536, 100_003, 200_000,
        ];
        for size in sizes {
            for source in [&words, &noise] {
                let payload = deflated(&mut deflater, &[&source[..size]]);
                assert!(!payload.ends_with(b"\x00\x00\xff\xff"));
                let out = inflated(&mut inflater, &[&payload]);
                assert!(
                    out.as_deref() == Ok(&source[..size]),
                    "level {level} size {size}"
                );
            }
        }
    }
}

#[test]
fn payload_is_inflated_one_octet_at_a_time() {
    let words = text(30_000);
    let mut deflater = Deflater::new(DeflaterConfig::default()).unwrap();
    assert_inflates(&deflated(&mut deflater, &[&words]), &words);
}

#[test]
fn setting_out_of_range_is_refused() {
    let base = DeflaterConfig::default();
    for window_bits in [0, 1, 8, 16, 255] {
        let config = DeflaterConfig {
            window_bits,
            ..base
        };
        let error = Deflater::new(config).err();
        assert_eq!(error, Some(DeflateError::WindowBits(window_bits)));
    }
    for mem_level in [0, 10, 255] {
        let config = DeflaterConfig { mem_level, ..base };
        assert_eq!(
            Deflater::new(config).err(),
            Some(DeflateError::MemLevel(mem_level))
        );
    }
    for level in [10, 255] {
        let config = DeflaterConfig { level, ..base };
        assert_eq!(
            Deflater::new(config).err(),
            Some(DeflateError::Level(level))
        );
    }
}

#[test]
fn limit_is_inclusive_and_counts_the_whole_message() {
    let zeros = vec![0; 100_000];
    let mut deflater = Deflater::new(DeflaterConfig::default()).unwrap();
    let payload = deflated(&mut deflater, &[&zeros]);
    for chunk in [1, 7, payload.len()] {
        for limit in [0, 1, 99_999, 100_000, 100_001, u64::MAX] {
            let mut inflater = inflater(true);
            let mut out = BytesMut::new();
            let result = payload
                .chunks(chunk)
                .try_for_each(|chunk| inflater.inflate(chunk, &mut out, Some(limit)));
            if limit < 100_000 {
                assert_eq!(result, Err(InflateError::TooLarge { limit }));
                assert!(out.len() as u64 <= limit + 1);
                let again = inflater.inflate(&payload, &mut out, Some(limit));
                assert_eq!(again, Err(InflateError::TooLarge { limit }));
                assert!(out.len() as u64 <= limit + 1);
            } else {
                assert_eq!(result, Ok(()));
                assert_eq!(inflater.finish(), Ok(()));
                assert_eq!(out, zeros);
            }
        }
    }
}

#[test]
fn limit_starts_anew_with_each_message() {
    let mut deflater = Deflater::new(DeflaterConfig::default()).unwrap();
    let mut inflater = inflater(true);
    for _ in 0..5 {
        let payload = deflated(&mut deflater, &[&text(1000)]);
        let mut out = BytesMut::new();
        inflater.inflate(&payload, &mut out, Some(1000)).unwrap();
        inflater.finish().unwrap();
    }
}

#[test]
fn bomb_stops_at_the_limit() {
    // A GiB of zeros is 64 times what 16 MiB of them become.
    let mut deflater = Deflater::new(DeflaterConfig::default()).unwrap();
    let mut block = BytesMut::new();
    deflater.compress(&vec![0; 16 << 20], &mut block).unwrap();
    block.extend_from_slice(b"\x00\x00\xff\xff");
    let bomb = block.repeat(64);
    assert!(bomb.len() < 2 << 20);
    let mut out = BytesMut::new();
    let result = inflater(true).inflate(&bomb, &mut out, Some(1 << 20));
    assert_eq!(result, Err(InflateError::TooLarge { limit: 1 << 20 }));
    assert!(out.len() <= (1 << 20) + 1);
    assert!(out.capacity() <= 3 << 20);
}

#[test]
fn small_message_takes_little_memory() {
    let mut out = BytesMut::new();
    inflater(true)
        .inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", &mut out, None)
        .unwrap();
    assert!(out.capacity() <= 512);
}

#[test]
fn corrupt_payload_neither_panics_nor_outgrows_the_limit() {
    let mut deflater = Deflater::new(DeflaterConfig::default()).unwrap();
    let good = deflated(&mut deflater, &[&text(3000)]);
    for seed in 1..3000 {
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ seed << 20);
        let mut payload = if seed % 3 == 0 {
            let len = random.next() % 200;
            random.octets(len)
        } else {
            good.clone()
        };
        for _ in 0..=random.next() % 4 {
            if !payload.is_empty() {
                let at = random.next() % payload.len();
                payload[at] = random.next().to_le_bytes()[0];
            }
        }
        let mut inflater = inflater(seed % 2 == 0);
        let mut out = BytesMut::new();
        let chunk = 1 + random.next() % 300;
        let result = payload
            .chunks(chunk)
            .try_for_each(|chunk| inflater.inflate(chunk, &mut out, Some(4000)));
        assert!(out.len() <= 4001);
        if result.is_ok() {
            let _ = inflater.finish();
        }
        inflater.reset();
        assert_eq!(
            inflated(&mut inflater, &[&good]).as_deref(),
            Ok(&text(3000)[..])
        );
    }
}

#[test]
fn states_may_move_between_threads() {
    fn assert_send<T: Send + std::fmt::Debug>() {}
    assert_send::<Deflater>();
    assert_send::<Inflater>();
}

// Made by zlib itself: two messages each, of which the second refers to the first.
#[test]
fn messages_of_zlib_are_inflated() {
    for (first, second) in ZLIB {
        let mut inflater = inflater(true);
        assert_eq!(inflated(&mut inflater, &[first]).as_deref(), Ok(FIRST));
        assert_eq!(inflated(&mut inflater, &[second]).as_deref(), Ok(SECOND));
    }
    assert_inflates(ZLIB_FINISHED, FIRST);
}

const FIRST: &[u8] = br#"{"id":1,"name":"motorway","tags":["a","b","a","b"]}"#;
const SECOND: &[u8] = br#"{"id":2,"name":"motorway","tags":["a","b","c","d"]}"#;

const ZLIB: &[(&[u8], &[u8])] = &[
    // level 1, wbits -15, memLevel 8
    (
        b"\xaa\x56\xca\x4c\x51\xb2\x32\xd4\x51\xca\x4b\xcc\x4d\x55\xb2\x52\xca\xcd\x2f\xc9\
            \x2f\x2a\x4f\xac\x54\xd2\x51\x2a\x49\x4c\x2f\x56\xb2\x8a\x56\x4a\x04\xb2\x93\x80\
            \x18\x42\xc7\xd6\x02\x00",
        b"\xaa\x06\x6b\x31\x22\x46\x4b\x32\x50\x5b\x8a\x52\x6c\x2d\x00",
    ),
    // level 9, wbits -9, memLevel 1
    (
        b"\xaa\x56\xca\x4c\x51\xb2\x32\xd4\x51\xca\x4b\xcc\x4d\x55\xb2\x52\xca\xcd\x2f\xc9\
            \x2f\x2a\x4f\xac\x54\xd2\x51\x2a\x49\x4c\x2f\x56\xb2\x8a\x56\x4a\x04\xb2\x93\x80\
            \x18\x42\xc7\xd6\x02\x00",
        b"\xaa\x06\x6b\x31\x22\x46\x4b\x32\x10\xa7\x00\xb5\x00\x00",
    ),
    // level 6, wbits -15, memLevel 8
    (
        b"\xaa\x56\xca\x4c\x51\xb2\x32\xd4\x51\xca\x4b\xcc\x4d\x55\xb2\x52\xca\xcd\x2f\xc9\
            \x2f\x2a\x4f\xac\x54\xd2\x51\x2a\x49\x4c\x2f\x56\xb2\x8a\x56\x4a\x04\xb2\x93\x80\
            \x18\x42\xc7\xd6\x02\x00",
        b"\xaa\x06\x6b\x31\x22\x46\x4b\x32\x10\xa7\x00\xb5\x00\x00",
    ),
    // level 6, wbits -12, memLevel 5
    (
        b"\xaa\x56\xca\x4c\x51\xb2\x32\xd4\x51\xca\x4b\xcc\x4d\x55\xb2\x52\xca\xcd\x2f\xc9\
            \x2f\x2a\x4f\xac\x54\xd2\x51\x2a\x49\x4c\x2f\x56\xb2\x8a\x56\x4a\x04\xb2\x93\x80\
            \x18\x42\xc7\xd6\x02\x00",
        b"\xaa\x06\x6b\x31\x22\x46\x4b\x32\x10\xa7\x00\xb5\x00\x00",
    ),
    // level 0, wbits -15, memLevel 8
    (
        b"\x00\x33\x00\xcc\xff\x7b\x22\x69\x64\x22\x3a\x31\x2c\x22\x6e\x61\x6d\x65\x22\x3a\
            \x22\x6d\x6f\x74\x6f\x72\x77\x61\x79\x22\x2c\x22\x74\x61\x67\x73\x22\x3a\x5b\x22\
            \x61\x22\x2c\x22\x62\x22\x2c\x22\x61\x22\x2c\x22\x62\x22\x5d\x7d\x00",
        b"\x00\x33\x00\xcc\xff\x7b\x22\x69\x64\x22\x3a\x32\x2c\x22\x6e\x61\x6d\x65\x22\x3a\
            \x22\x6d\x6f\x74\x6f\x72\x77\x61\x79\x22\x2c\x22\x74\x61\x67\x73\x22\x3a\x5b\x22\
            \x61\x22\x2c\x22\x62\x22\x2c\x22\x63\x22\x2c\x22\x64\x22\x5d\x7d\x00",
    ),
];

// Z_FINISH and the zero of RFC 7692 §7.2.3.4.
const ZLIB_FINISHED: &[u8] =
    b"\xab\x56\xca\x4c\x51\xb2\x32\xd4\x51\xca\x4b\xcc\x4d\x55\xb2\x52\xca\xcd\x2f\xc9\
            \x2f\x2a\x4f\xac\x54\xd2\x51\x2a\x49\x4c\x2f\x56\xb2\x8a\x56\x4a\x04\xb2\x93\x80\
            \x18\x42\xc7\xd6\x02\x00\x00";
