//! What the driver calls: the callbacks of either protocol trait, under one name.

use super::WebSocket;
use crate::connection::{CloseInfo, MessageKind, Receive, TimeoutKind};
use crate::error::{Error, HandlerResult};
use crate::message::{Message, Payload};
use std::time::Duration;

/// A protocol instance as the driver sees it. The methods only pass on, so that a callback's
/// future is polled where it is and not wrapped in another.
pub(crate) trait Handler: Send {
    const RECEIVE: Receive;
    const AUTO_PONG: bool;

    fn on_open(&mut self, ws: &WebSocket) -> impl Future<Output = HandlerResult> + Send;
    fn on_message(
        &mut self,
        ws: &WebSocket,
        message: Message<'_>,
    ) -> impl Future<Output = HandlerResult> + Send;
    fn on_message_begin(
        &mut self,
        ws: &WebSocket,
        kind: MessageKind,
    ) -> impl Future<Output = HandlerResult> + Send;
    fn on_message_frame_begin(
        &mut self,
        ws: &WebSocket,
        length: u64,
    ) -> impl Future<Output = HandlerResult> + Send;
    fn on_message_frame_data(
        &mut self,
        ws: &WebSocket,
        chunk: Payload<'_>,
    ) -> impl Future<Output = HandlerResult> + Send;
    fn on_message_frame_end(
        &mut self,
        ws: &WebSocket,
    ) -> impl Future<Output = HandlerResult> + Send;
    fn on_message_frame(
        &mut self,
        ws: &WebSocket,
        payload: Payload<'_>,
    ) -> impl Future<Output = HandlerResult> + Send;
    fn on_message_end(&mut self, ws: &WebSocket) -> impl Future<Output = HandlerResult> + Send;
    fn on_ping(
        &mut self,
        ws: &WebSocket,
        payload: &[u8],
    ) -> impl Future<Output = HandlerResult> + Send;
    fn on_pong(
        &mut self,
        ws: &WebSocket,
        payload: &[u8],
    ) -> impl Future<Output = HandlerResult> + Send;
    fn on_auto_pong(
        &mut self,
        ws: &WebSocket,
        rtt: Duration,
    ) -> impl Future<Output = HandlerResult> + Send;
    fn on_drain(&mut self, ws: &WebSocket) -> impl Future<Output = HandlerResult> + Send;
    fn on_timeout(
        &mut self,
        ws: &WebSocket,
        kind: TimeoutKind,
    ) -> impl Future<Output = HandlerResult> + Send;
    fn on_error(&mut self, error: &Error) -> impl Future<Output = HandlerResult> + Send;
    fn on_close(&mut self, info: CloseInfo) -> impl Future<Output = HandlerResult> + Send;
}

/// Implements [`Handler`] for a wrapper around a type with one of the two protocol traits, which
/// share these callbacks; blanket implementations for both would overlap.
macro_rules! impl_handler {
    ($wrapper:ident, $protocol:ident) => {
        impl<P: $protocol> Handler for $wrapper<P> {
            const RECEIVE: Receive = P::RECEIVE;
            const AUTO_PONG: bool = P::AUTO_PONG;

            fn on_open(&mut self, ws: &WebSocket) -> impl Future<Output = HandlerResult> + Send {
                self.0.on_open(ws)
            }

            fn on_message(
                &mut self,
                ws: &WebSocket,
                message: Message<'_>,
            ) -> impl Future<Output = HandlerResult> + Send {
                self.0.on_message(ws, message)
            }

            fn on_message_begin(
                &mut self,
                ws: &WebSocket,
                kind: MessageKind,
            ) -> impl Future<Output = HandlerResult> + Send {
                self.0.on_message_begin(ws, kind)
            }

            fn on_message_frame_begin(
                &mut self,
                ws: &WebSocket,
                length: u64,
            ) -> impl Future<Output = HandlerResult> + Send {
                self.0.on_message_frame_begin(ws, length)
            }

            fn on_message_frame_data(
                &mut self,
                ws: &WebSocket,
                chunk: Payload<'_>,
            ) -> impl Future<Output = HandlerResult> + Send {
                self.0.on_message_frame_data(ws, chunk)
            }

            fn on_message_frame_end(
                &mut self,
                ws: &WebSocket,
            ) -> impl Future<Output = HandlerResult> + Send {
                self.0.on_message_frame_end(ws)
            }

            fn on_message_frame(
                &mut self,
                ws: &WebSocket,
                payload: Payload<'_>,
            ) -> impl Future<Output = HandlerResult> + Send {
                self.0.on_message_frame(ws, payload)
            }

            fn on_message_end(
                &mut self,
                ws: &WebSocket,
            ) -> impl Future<Output = HandlerResult> + Send {
                self.0.on_message_end(ws)
            }

            fn on_ping(
                &mut self,
                ws: &WebSocket,
                payload: &[u8],
            ) -> impl Future<Output = HandlerResult> + Send {
                self.0.on_ping(ws, payload)
            }

            fn on_pong(
                &mut self,
                ws: &WebSocket,
                payload: &[u8],
            ) -> impl Future<Output = HandlerResult> + Send {
                self.0.on_pong(ws, payload)
            }

            fn on_auto_pong(
                &mut self,
                ws: &WebSocket,
                rtt: Duration,
            ) -> impl Future<Output = HandlerResult> + Send {
                self.0.on_auto_pong(ws, rtt)
            }

            fn on_drain(&mut self, ws: &WebSocket) -> impl Future<Output = HandlerResult> + Send {
                self.0.on_drain(ws)
            }

            fn on_timeout(
                &mut self,
                ws: &WebSocket,
                kind: TimeoutKind,
            ) -> impl Future<Output = HandlerResult> + Send {
                self.0.on_timeout(ws, kind)
            }

            fn on_error(&mut self, error: &Error) -> impl Future<Output = HandlerResult> + Send {
                self.0.on_error(error)
            }

            fn on_close(&mut self, info: CloseInfo) -> impl Future<Output = HandlerResult> + Send {
                self.0.on_close(info)
            }
        }
    };
}
pub(crate) use impl_handler;
