//! Connections on tokio: the driver, the handle, the opening handshake on a stream.
//!
//! The driver of a connection is one future. It owns the stream, the receiving half and the user's
//! protocol instance; the handle shares the sending half with it.
//!
//! ```text
//! run:  on_open
//!       loop { for each event in what was read { callback; while it waits: meanwhile }
//!              turn: flush what the callbacks sent | orders | timers | read }
//!       on_close
//! meanwhile: flush | orders | timers | read ahead, up to a window, and answer control frames
//! ```
//!
//! # Cancel safety
//!
//! Dropping a driver drops its connection at once; handles then report it as closed. Inside, only
//! callbacks are awaited, and they are not cancelled while the server runs.

mod any_stream;
mod backlog;
mod by_id;
mod codec;
mod cork;
mod driver;
mod end;
mod flush;
mod handler;
mod io;
#[cfg(feature = "json")]
mod json;
mod lookahead;
mod offering;
mod opening;
mod overflow;
mod pings;
mod pool;
mod read;
mod sending;
mod shared;
mod tally;
mod telling;
mod unsaid;
mod waiters;
mod watch;
mod websocket;
mod writer;

use crate::observe::Stats;
use crate::random;
pub(crate) use any_stream::AnyStream;
pub(crate) use by_id::ById;
pub use codec::{Frame, FrameCodec};
pub(crate) use driver::Driver;
pub(crate) use end::tcp_below;
pub(crate) use handler::{Handler, impl_handler};
pub(crate) use io::Hold;
pub use io::Stream;
#[cfg(feature = "rustls")]
pub(crate) use opening::read_proxy_header_only;
pub(crate) use opening::{
    Panicked, Read, catch_panic, close_stream, read_proxy_header, read_request, read_response,
    within, write_all,
};
pub(crate) use random::{masking_key, octets as random_octets};
pub use sending::{Sending, UncompressedSending};
pub(crate) use shared::Facts;
pub(crate) use tally::{Entry, Tally};
pub(crate) use unsaid::tell_afterwards;
pub use websocket::WebSocket;
pub use writer::MessageWriter;
