//! Writing: what the callbacks of one read have sent leaves in one write.

use super::cork;
use super::io::{Io, Stream, add, now};
use super::waiters::Wish;
use crate::connection::{CloseCause, Output, Squeeze, State};
use crate::observe::Direction;
use bytes::Buf;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

impl<S: Stream> Io<S> {
    /// Takes the cork of this thread for the connection, so that `send` needs no lock.
    #[inline]
    pub(super) fn cork(&mut self) {
        if !self.corked {
            self.corked = cork::take(self.ws.0.facts.id);
        }
    }

    /// Gives the cork back, for the next connection of this thread.
    pub(super) fn uncork(&mut self) {
        if std::mem::take(&mut self.corked) {
            cork::release(|_, _| {});
        }
    }

    /// Writes what was sent, as far as the stream takes it; the rest waits in the shared queue.
    pub(super) fn flush(&mut self, context: &mut Context<'_>) {
        if self.corked {
            self.corked = false;
            cork::release(|output, messages| self.write_corked(context, output, messages));
        }
        if self.ws.0.has_work() {
            self.write_shared(context);
        }
        if self.unflushed
            && let Some(stream) = &mut self.stream
        {
            match Pin::new(stream).poll_flush(context) {
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    if !self.ws.0.has_work() {
                        self.timers.unstalled();
                    }
                }
                Poll::Ready(Err(error)) => self.end(CloseCause::Io(Arc::new(error))),
                // What sits in a buffer of the stream is not taken by the peer either.
                Poll::Pending => self.timers.stalled(self.receiver.rules(), now()),
            }
        }
    }

    fn write_corked(&mut self, context: &mut Context<'_>, output: &mut Output, messages: u64) {
        add(&self.ws.0.traffic.messages_corked, messages);
        self.count_frames(output);
        if self.stream.is_none() {
            return;
        }
        // What waits in the shared queue was sent later than what is corked, unless part of it is
        // left over from an earlier write; and then nothing was corked.
        let written = self.write(context, output);
        if !output.is_empty() {
            let rest = std::mem::take(output);
            self.ws.0.update(|half| half.queue_first(rest));
        }
        if let Err(error) = written {
            self.end(CloseCause::Io(Arc::new(error)));
        }
    }

    fn write_shared(&mut self, context: &mut Context<'_>) {
        loop {
            let mut half = self.ws.0.lock();
            half.release_pongs();
            let mut output = std::mem::take(&mut half.output);
            if output.is_empty() || self.stream.is_none() {
                self.ws.0.publish(&half);
                return;
            }
            half.in_flight = output.len();
            let squeeze = half.sender.take_squeeze();
            let is_last = half.sender.state() == State::Complete;
            drop(half);
            let joined = is_last && self.join_end(&output);
            self.count_frames(&mut output);
            if squeeze != Squeeze::default() {
                let (plain, compressed) = &self.ws.0.traffic.deflated;
                add(plain, squeeze.plain);
                add(compressed, squeeze.compressed);
            }
            let written = self.write(context, &mut output);
            let blocked = !output.is_empty();
            if joined && blocked {
                self.hold_back(false);
            }
            let more = self.requeue(output);
            match written {
                Err(error) => return self.end(CloseCause::Io(Arc::new(error))),
                Ok(()) if blocked || !more => return,
                Ok(()) => {}
            }
        }
    }

    /// Counts the frames that are about to be written.
    fn count_frames(&self, output: &mut Output) {
        let framed = output.take_framed();
        add(&self.ws.0.traffic.frames_sent, framed.frames);
        add(&self.ws.0.traffic.payload_sent, framed.payload);
    }

    /// Puts back what the stream did not take, and tells those who wait for room; returns whether there
    /// is anything to be written.
    fn requeue(&mut self, mut rest: Output) -> bool {
        let mut half = self.ws.0.lock();
        let written = std::mem::take(&mut half.in_flight) - rest.len();
        rest.append(std::mem::take(&mut half.output));
        half.output = rest;
        let has_spent = half.release();
        if half.wrote(written) {
            self.timers.ping_progressed(now());
        }
        let mut waiting = Vec::new();
        if half.held() <= self.receiver.rules().send_low_water {
            self.notices.drained |= std::mem::take(&mut half.was_full);
            waiting = half.waiters.take(Wish::Room);
        } else if half.backlog.is_some() {
            waiting = half.take_hopeful();
        }
        let more = !half.output.is_empty() || half.held.is_some();
        self.ws.0.publish(&half);
        drop(half);
        waiting.into_iter().for_each(Waker::wake);
        if has_spent {
            self.ws.0.drop_spent();
        }
        more
    }

    /// Writes until the stream takes no more or all is written.
    fn write(&mut self, context: &mut Context<'_>, output: &mut Output) -> io::Result<()> {
        let before = output.len();
        let written = self.write_on(context, output);
        if output.len() < before {
            self.unflushed = true;
            self.timers.unstalled();
        }
        if output.has_remaining() {
            self.timers
                .stalled(self.receiver.rules(), Instant::now().into_std());
        }
        // Also what was taken before a failure.
        add(
            &self.ws.0.traffic.octets_sent,
            (before - output.len()) as u64,
        );
        written
    }

    fn write_on(&mut self, context: &mut Context<'_>, output: &mut Output) -> io::Result<()> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        while output.has_remaining() {
            match poll_write(Pin::new(stream), context, output) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(length)) => {
                    if let Some(observation) = self.ws.0.observation() {
                        observation.moved(Direction::Sent, &front(output, length));
                    }
                    output.advance(length);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        Ok(())
    }
}

/// Copies the octets that one write has taken.
#[cold]
fn front(output: &Output, length: usize) -> Vec<u8> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let filled = output.chunks_vectored(&mut slices);
    let mut octets = Vec::with_capacity(length);
    for slice in slices.iter().take(filled) {
        let more = (length - octets.len()).min(slice.len());
        octets.extend_from_slice(slice.get(..more).unwrap_or_default());
    }
    octets
}

fn poll_write<S: AsyncWrite>(
    stream: Pin<&mut S>,
    context: &mut Context<'_>,
    output: &Output,
) -> Poll<io::Result<usize>> {
    let chunk = output.chunk();
    if chunk.len() == output.remaining() || !stream.is_write_vectored() {
        return stream.poll_write(context, chunk);
    }
    let mut slices = [IoSlice::new(&[]); SLICES];
    let filled = output.chunks_vectored(&mut slices);
    stream.poll_write_vectored(context, slices.get(..filled).unwrap_or_default())
}

/// The most slices in one vectored write.
const SLICES: usize = 64;
