//! A client on callbacks, as Python's websocket-client has it.

use super::connect::Connector;
use super::websocket::WebSocket;
use crate::connection::CloseInfo;
use crate::error::{Error, HandlerResult, Result};
use crate::message::Message;
use std::fmt;

/// A client on callbacks, all called by the thread that calls [`run_forever`](Self::run_forever).
///
/// A callback that fails closes the connection: with 1011, or as
/// [`HandlerError::close`](crate::HandlerError::close) says.
///
/// ```no_run
/// use motorway::blocking::{Connector, WebSocketApp};
///
/// let closed = WebSocketApp::new(Connector::new("ws://localhost:4040/")?)
///     .on_open(|ws| Ok(ws.send("hello there")?))
///     .on_message(|ws, message| {
///         println!("received message as {}", message.into_text()?);
///         Ok(ws.send("hello again")?)
///     })
///     .on_error(|error| println!("received error as {error}"))
///     .on_close(|info| println!("{info}"))
///     .run_forever()?;
/// # Ok::<(), motorway::Error>(())
/// ```
#[must_use = "nothing happens until run_forever is called"]
pub struct WebSocketApp<'a> {
    connector: Connector,
    on_open: Box<dyn FnMut(&WebSocket) -> HandlerResult + 'a>,
    on_message: OnMessage<'a>,
    on_error: Box<dyn FnMut(&Error) + 'a>,
    on_close: Box<dyn FnMut(&CloseInfo) + 'a>,
}

type OnMessage<'a> = Box<dyn FnMut(&WebSocket, Message<'static>) -> HandlerResult + 'a>;

impl<'a> WebSocketApp<'a> {
    /// Makes a client whose callbacks do nothing.
    pub fn new(connector: Connector) -> Self {
        Self {
            connector,
            on_open: Box::new(|_| Ok(())),
            on_message: Box::new(|_, _| Ok(())),
            on_error: Box::new(|_| {}),
            on_close: Box::new(|_| {}),
        }
    }

    /// Sets what is called once the connection is open.
    pub fn on_open(mut self, call: impl FnMut(&WebSocket) -> HandlerResult + 'a) -> Self {
        self.on_open = Box::new(call);
        self
    }

    /// Sets what is called for each message.
    pub fn on_message(
        mut self,
        call: impl FnMut(&WebSocket, Message<'static>) -> HandlerResult + 'a,
    ) -> Self {
        self.on_message = Box::new(call);
        self
    }

    /// Sets what is called if the connection does not open, or ends in another way than in order.
    pub fn on_error(mut self, call: impl FnMut(&Error) + 'a) -> Self {
        self.on_error = Box::new(call);
        self
    }

    /// Sets what is called once the connection has ended, if it ever was open.
    pub fn on_close(mut self, call: impl FnMut(&CloseInfo) + 'a) -> Self {
        self.on_close = Box::new(call);
        self
    }

    /// Connects, and runs the connection to its end. To close it from inside of a callback, call
    /// [`WebSocket::close`], or return [`HandlerError::close`](crate::HandlerError::close). A callback
    /// that panics ends the connection with 1001, and the panic goes on in this thread.
    ///
    /// # Errors
    ///
    /// Fails if the connection does not open; `on_error` is told before. One that opened is
    /// described by what is returned, however it ended.
    pub fn run_forever(mut self) -> Result<CloseInfo> {
        let mut ws = match self.connector.connect() {
            Ok(ws) => ws,
            Err(error) => {
                (self.on_error)(&error);
                return Err(error);
            }
        };
        let handle = ws.handle().clone();
        let mut verdict = (self.on_open)(&handle);
        while verdict.is_ok() {
            match ws.recv() {
                Ok(Some(message)) => verdict = (self.on_message)(&handle, message),
                Ok(None) => break,
                Err(error) => {
                    (self.on_error)(&error);
                    break;
                }
            }
        }
        let info = handle.close_after(verdict);
        (self.on_close)(&info);
        Ok(info)
    }
}

impl fmt::Debug for WebSocketApp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketApp")
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}
