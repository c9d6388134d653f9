//! Inflating, against miniz_oxide and flate2 in one go.

use bytes::BytesMut;
use flate2::{Decompress, FlushDecompress, Status};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use motorway::extension::deflate::codec::{InflateError, Inflater, InflaterConfig};

/// The limit holds after every octet, in chunks comes out what comes out of the whole, and that is
/// what another implementation makes of it.
pub fn inflate(data: &[u8]) {
    let [chunk, limit, data @ ..] = data else {
        return;
    };
    let (chunk, limit) = (usize::from(*chunk).max(1), u64::from(*limit) << 6);
    let (whole, verdict) = run(data, usize::MAX, limit);
    for chunk in [chunk, 1] {
        let (pieces, same) = run(data, chunk, limit);
        // Of what is corrupt and too large, chunks decide which is met first.
        assert_eq!(verdict.is_ok(), same.is_ok(), "{verdict:?}, {same:?}");
        if verdict.is_ok() {
            assert_eq!(whole, pieces);
        }
    }
    let limit = usize::try_from(limit).expect("16 KiB at most");
    let (theirs, is_valid) = one_shot(data, limit);
    match verdict {
        Ok(()) => {
            assert!(whole.len() <= limit);
            assert!(
                is_valid && whole == theirs,
                "{is_valid} {whole:?} {theirs:?}"
            );
        }
        Err(InflateError::TooLarge { .. }) => assert_eq!(whole[..], theirs[..limit + 1]),
        // zlib is stricter about codes that are incomplete, so here another caller of it is asked.
        Err(InflateError::Corrupt) => assert!(is_corrupt(data, limit)),
        // Where a block ends the other one does not tell.
        Err(_) => {}
    }
}

fn run(data: &[u8], chunk: usize, limit: u64) -> (BytesMut, Result<(), InflateError>) {
    let mut inflater = Inflater::new(InflaterConfig::default());
    let mut out = BytesMut::new();
    for chunk in data.chunks(chunk) {
        let result = inflater.inflate(chunk, &mut out, Some(limit));
        // One octet more is made, to tell that it is too much.
        assert!(out.len() as u64 <= limit + 1);
        assert!(result.is_err() || out.len() as u64 <= limit);
        if result.is_err() {
            return (out, result);
        }
    }
    let result = inflater.finish();
    if result.is_ok() {
        check_next(&mut inflater);
    }
    (out, result)
}

/// After a message comes another one: it is not harmed by what was there before.
fn check_next(inflater: &mut Inflater) {
    // RFC 7692 §7.2.3.1: "Hello".
    let mut out = BytesMut::new();
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    inflater
        .inflate(&hello, &mut out, Some(5))
        .expect("it is valid");
    inflater.finish().expect("it is whole");
    assert_eq!(out[..], *b"Hello");
}

/// What comes out, up to an octet behind the limit, and whether nothing was wrong until then.
fn one_shot(data: &[u8], limit: usize) -> (Vec<u8>, bool) {
    let input = [data, &[0, 0, 0xff, 0xff]].concat();
    let mut rest = &input[..];
    // Room enough that it is never what stops it short of the limit.
    let (mut out, mut length) = (vec![0; limit + 1], 0);
    let mut state = DecompressorOxide::new();
    // A stream may end within a message, and what follows it is another one, without a window.
    let mut start = 0;
    loop {
        let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
            | miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
        let room = &mut out[start..];
        let (status, taken, written) = decompress(&mut state, rest, room, length - start, flags);
        rest = &rest[taken..];
        length += written;
        match status {
            TINFLStatus::Done if !rest.is_empty() => {
                state = DecompressorOxide::new();
                start = length;
            }
            TINFLStatus::Done | TINFLStatus::NeedsMoreInput => {
                out.truncate(length);
                return (out, true);
            }
            TINFLStatus::HasMoreOutput => return (out, true),
            _ => {
                out.truncate(length);
                return (out, false);
            }
        }
    }
}

/// Whether flate2 comes to a fault before it is behind the limit.
fn is_corrupt(data: &[u8], limit: usize) -> bool {
    let (mut rest, mut room) = (data, limit + 1);
    loop {
        let mut state = Decompress::new(false);
        let mut out = vec![0; room];
        let Ok(status) = state.decompress(rest, &mut out, FlushDecompress::None) else {
            return true;
        };
        let taken = usize::try_from(state.total_in()).expect("part of the input");
        room -= usize::try_from(state.total_out()).expect("part of the room");
        rest = &rest[taken..];
        if status != Status::StreamEnd || rest.is_empty() || room == 0 {
            return false;
        }
    }
}
