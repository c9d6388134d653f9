//! What the fuzz targets try: each function takes any octets and panics where a promise is broken.

mod connection;
mod handshake;

pub use connection::connection;
pub use handshake::{extensions, origins, proxy, request, response, url};

use bytes::BytesMut;
use motorway::extension::deflate::codec::{InflateError, Inflater, InflaterConfig};
use motorway::frame::Header;
use motorway::utf8::Utf8Validator;

/// A header that is decoded is encoded to the same octets, unless its length was longer than need be,
/// which is an error.
pub fn header(data: &[u8]) {
    if let Ok(Some((header, length))) = Header::decode(data) {
        assert_eq!(*header.encode(), data[..length]);
        for end in 0..length {
            assert_eq!(Header::decode(&data[..end]), Ok(None));
        }
    }
}

/// The limit holds, and in chunks comes out what comes out of the whole.
pub fn inflate(data: &[u8]) {
    let [chunk, limit, data @ ..] = data else {
        return;
    };
    let (chunk, limit) = (usize::from(*chunk).max(1), u64::from(*limit) << 6);
    let run = |chunk: usize| -> Result<BytesMut, InflateError> {
        let mut inflater = Inflater::new(InflaterConfig::default());
        let mut out = BytesMut::new();
        for chunk in data.chunks(chunk) {
            let result = inflater.inflate(chunk, &mut out, Some(limit));
            assert!(out.len() as u64 <= limit + 1);
            result?;
        }
        inflater.finish()?;
        Ok(out)
    };
    match (run(usize::MAX), run(chunk)) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        (whole, pieces) => assert_eq!(whole.is_err(), pieces.is_err()),
    }
}

/// The validator agrees with the standard library, in any chunks, and fails no later.
pub fn utf8(data: &[u8]) {
    let [chunk, data @ ..] = data else {
        return;
    };
    let mut validator = Utf8Validator::new();
    let mut chunks = data.chunks(usize::from(*chunk).max(1));
    let valid = chunks.all(|chunk| validator.validate(chunk).is_ok()) && validator.finish().is_ok();
    assert_eq!(valid, std::str::from_utf8(data).is_ok());
    assert_eq!(valid, motorway::utf8::is_valid(data));
}
