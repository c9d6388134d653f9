//! Connections that are open, and the memory of the process that has them.

use crate::opening::open_all;
use crate::stream::{Connector, Stream};
use crate::{Plan, Window};
use std::io::{Read, Write};
use std::thread::sleep;
use std::time::Duration;
use table::measurement::Measurement;
use table::payload::{Kind, Numbers, payload};
use table::wire::push_masked;
use table::{Result, system};

pub(crate) fn run(plan: &Plan) -> Result<Measurement> {
    let before = system::resident_kib(plan.process);
    let connector = Connector::new(plan)?;
    let window = Window::open(plan);
    let mut streams = open_all(&connector, plan.connections)?;
    let measured = window.close(plan.connections as f64);
    let for_each = || {
        // What the server frees or gives back after the last reply.
        sleep(Duration::from_millis(300));
        (system::resident_kib(plan.process) - before) / plan.connections as f64
    };
    let open = for_each();
    if plan.hold {
        // Whoever holds connections measures by itself, and these must live on.
        std::mem::forget(streams);
        return Ok(Measurement {
            open_kib: Some(open),
            ..measured
        });
    }
    exchange(plan, &mut streams, 64)?;
    let small = for_each();
    exchange(plan, &mut streams, 16 << 10)?;
    let large = for_each();
    Ok(Measurement {
        open_kib: Some(open),
        small_kib: Some(small),
        large_kib: Some(large),
        ..measured
    })
}

/// Sends a message on each connection, one after the other, and waits for the reply.
fn exchange(plan: &Plan, streams: &mut [Stream], size: usize) -> Result<()> {
    let text = payload(Kind::Text, size, &mut Numbers::default());
    let mut frame = Vec::new();
    push_masked(&mut frame, 0x81, &text, [0x12, 0xa4, 0x55, 0xe7]);
    let mask = if plan.raw { 0 } else { 4 };
    let mut reply = vec![0; frame.len() - mask];
    for stream in streams {
        stream.write_all(&frame)?;
        stream.read_exact(&mut reply)?;
        if !plan.raw && !reply.ends_with(&text) {
            return Err("a reply differs from the message".into());
        }
    }
    Ok(())
}
