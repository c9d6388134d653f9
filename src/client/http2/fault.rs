//! The errors of `h2`, as those of a stream and of a request.

use crate::error::{Error, Http2Error};
use std::io;

/// Says what an error means for a stream of octets.
pub(super) fn of_stream(error: &h2::Error) -> io::Error {
    if let Some(source) = error.get_io() {
        return io::Error::new(source.kind(), source.to_string());
    }
    let kind = match error {
        error if error.is_reset() => io::ErrorKind::ConnectionReset,
        error if error.is_go_away() => io::ErrorKind::ConnectionAborted,
        error if error.reason().is_some() => io::ErrorKind::ConnectionReset,
        _ => io::ErrorKind::BrokenPipe,
    };
    io::Error::new(kind, error.to_string())
}

/// Says why a connection takes no request.
pub(super) fn not_open(error: &h2::Error) -> Error {
    let source = of_stream(error);
    Http2Error::NotOpen { source }.into()
}

/// Says why a request was not answered.
pub(super) fn of_request(error: &h2::Error) -> Error {
    let source = of_stream(error);
    match error.reason() {
        // RFC 9113 §6.8: what the server has not seen before it said GOAWAY.
        _ if error.is_go_away() && error.is_remote() => Http2Error::NotOpen { source }.into(),
        Some(reason) => {
            let code = reason.into();
            Http2Error::Reset { code, source }.into()
        }
        None => Error::Io(source),
    }
}

/// Says why a connection did not become ready.
pub(super) fn of_start(error: &h2::Error) -> Error {
    let source = of_stream(error);
    match error.is_io() {
        true => Error::Io(source),
        false => Http2Error::Broken { source }.into(),
    }
}
