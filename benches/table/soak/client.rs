//! The clients of one process: each connects, talks for a while, and goes in one way or another.

use crate::Plan;
use crate::life::{Life, Tally};
use crate::pace::Pace;
use crate::sockets;
use crate::traffic::Numbers;
use motorway::{ClientOptions, Connector, DeflateOptions, WebSocketStream};
use std::sync::Arc;
use std::time::Duration;
use table::Result;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Runs the clients until the time is over.
pub(crate) fn run(plan: &Plan, port: u16) -> Result<()> {
    let runtime = table::serve::runtime_of(1)?;
    let (secs, room) = (plan.secs, (plan.room as usize) << 20);
    let pace = Arc::new(Pace::new(room, plan.connections));
    let tally = runtime.block_on(async {
        let watched = Arc::clone(&pace);
        tokio::spawn(async move { watched.watch().await });
        let mut clients = JoinSet::new();
        for number in 0..plan.connections {
            let seed = plan.seed * 1_000_003 + (plan.place * plan.connections + number) as u64;
            // Another address for each process, so that there are ports enough.
            let address = format!("127.0.0.{}:{port}", 1 + plan.place);
            let pace = Arc::clone(&pace);
            clients.spawn(async move {
                let lived = live(&address, Numbers::new(seed), &pace, secs).await;
                lived.map_err(|fault| format!("client {number}, seed {seed}: {fault}"))
            });
        }
        let mut sum = Tally::default();
        while let Some(ended) = clients.join_next().await {
            let lived = ended?;
            sum.add(&lived.inspect_err(|_| eprintln!("{}", sockets::waiting(port)))?);
        }
        Ok::<_, table::Fault>(sum)
    })?;
    let told = pace.tell();
    println!("clients {}: {tally:?} in {secs} s, {told}", plan.place);
    match tally.echoed > 0 && tally.pings > 0 && tally.aborted > 0 {
        true => Ok(()),
        false => Err("not all was tried".into()),
    }
}

async fn live(address: &str, mut numbers: Numbers, pace: &Pace, secs: u64) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut end = None;
    while end.is_none_or(|end| Instant::now() < end) {
        let ws = tokio::select! {
            ws = pace.opening(connect(address, &mut numbers)) => ws??,
            () = pace.stillness() => return Err("no opening handshake while nothing moves".into()),
        };
        tally.lives += 1;
        if end.is_none() {
            // However long it takes: the time is for all of them.
            pace.come().await;
        }
        let end = *end.get_or_insert_with(|| Instant::now() + Duration::from_secs(secs));
        let mut life = Life::new(ws, pace, &mut numbers, &mut tally);
        tokio::select! {
            lived = life.lead(end) => lived?,
            () = pace.stillness() => return Err(life.silence().into()),
        }
        pace.moved();
    }
    Ok(tally)
}

async fn connect(address: &str, numbers: &mut Numbers) -> Result<WebSocketStream> {
    // Where nobody pings, nothing else wakes a connection that was forgotten.
    let path = ["", "news", "quiet", "quiet"][numbers.index(4)];
    let mut connector = Connector::new(format!("ws://{address}/{path}"))?;
    let deflate = [
        None,
        Some(DeflateOptions::default()),
        Some(DeflateOptions::no_context()),
    ];
    let deflate = deflate.get(numbers.index(5)).copied().flatten();
    let fragments = numbers.one_in(4).then_some(1_000);
    // However slow the machine is: `Pace` tells what is lost.
    let hour = Duration::from_secs(3_600);
    connector.set_protocol_options(
        ClientOptions::default()
            .connect_timeout(hour)
            .open_handshake_timeout(hour)
            .close_handshake_timeout(hour)
            .server_connection_drop_timeout(hour)
            .auto_fragment_size(fragments)
            .per_message_deflate(deflate),
    )?;
    Ok(connector.connect().await?)
}
