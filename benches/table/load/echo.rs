//! Messages that come back.

use crate::engine::{Counter, Engine};
use crate::opening::{Agreed, open, open_all};
use crate::replies::{Replies, Wanted};
use crate::ring::Ring;
use crate::stream::Connector;
use crate::{Offer, Plan, Window};
use std::time::Duration;
use table::Result;
use table::histogram::Histogram;
use table::measurement::Measurement;

pub(crate) fn run(plan: &Plan) -> Result<Measurement> {
    let connector = Connector::new(plan)?;
    let (_, agreed) = open(&connector, 0)?;
    if plan.deflate != Offer::None && !plan.raw && !agreed.deflate {
        return Err("permessage-deflate was not agreed".into());
    }
    let ring = Ring::new(plan, agreed)?;
    let wanted = wanted(plan, agreed);
    if !plan.raw {
        check(&connector, &ring, wanted)?;
    }
    let streams = open_all(&connector, plan.connections)?;
    let mut engine = Engine::new((plan, &ring), wanted, streams, || counter(plan, &ring))?;
    engine.run(plan.warm(), u64::MAX)?;
    let (done, read) = (engine.done, engine.read);
    engine.latencies = Some(Histogram::default());
    let window = Window::open(plan);
    engine.run(plan.secs(), u64::MAX)?;
    let messages = (engine.done - done) as f64;
    let measured = window.close(messages);
    let latencies = engine.latencies.unwrap_or_default();
    Ok(Measurement {
        p50_us: latencies.quantile(0.5),
        p99_us: latencies.quantile(0.99),
        reply_octets: Some((engine.read - read) as f64 / messages.max(1.0)),
        ..measured
    })
}

pub(crate) fn wanted(plan: &Plan, agreed: Agreed) -> Wanted {
    Wanted {
        size: plan.is_plain().then_some(plan.size as u64),
        starts_anew: agreed.server_starts_anew,
    }
}

pub(crate) fn counter(plan: &Plan, ring: &Ring) -> Counter {
    match plan.raw {
        true => Counter::Octets {
            message: 0,
            left: ring.size(0),
        },
        false => Counter::Messages(Box::default()),
    }
}

/// Compares what comes back on two connections, two laps of the ring.
fn check(connector: &Connector<'_>, ring: &Ring, wanted: Wanted) -> Result<()> {
    let plan = connector.plan;
    let streams = open_all(connector, plan.connections.min(2))?;
    let laps = (ring.payloads.len() as u64 * 2).min(128);
    let total = laps.min((512 << 20) / plan.size.max(1) as u64).max(2) * streams.len() as u64;
    let counter = || Counter::Messages(Box::new(Replies::checked()));
    let mut engine = Engine::new((plan, ring), wanted, streams, counter)?;
    engine.run(Duration::from_secs(20), total)?;
    match engine.done < total {
        true => Err("the first pass has taken 20 seconds".into()),
        false => Ok(()),
    }
}
