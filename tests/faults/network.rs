//! Networks that cut connections at any octet, stall, delay, and cut everything into other pieces.
//!
//! What a seed does is the same each time: `MOTORWAY_SEED=17 cargo test --test faults a_network`.

use crate::probe::{Log, Messages, Probe, What, probe};
use crate::wire::within;
use motorway::{ClientOptions, CloseInfo, DeflateOptions, Result, ServerOptions};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// How a direction ends, and after how many octets.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// The whole connection is gone.
    Reset(usize),
    /// Nothing more comes in this direction, and that is told.
    Half(usize),
    /// Nothing more comes, and nobody says so.
    Stall(usize),
}

impl Cut {
    fn at(self) -> usize {
        match self {
            Self::Reset(at) | Self::Half(at) | Self::Stall(at) => at,
        }
    }
}

const NEVER: Cut = Cut::Reset(usize::MAX);

/// Numbers that look random (splitmix).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        usize::try_from(((mixed ^ (mixed >> 27)) >> 8) % end).unwrap()
    }
}

/// Passes on what comes in one direction; returns whether the whole connection is to be reset.
async fn pass<S: AsyncRead + AsyncWrite>(
    reader: &mut ReadHalf<S>,
    writer: &mut WriteHalf<S>,
    cut: Cut,
    mut numbers: Option<Numbers>,
) -> bool {
    let mut left = cut.at();
    let mut buffer = [0; 1000];
    loop {
        if left == 0 {
            match cut {
                Cut::Reset(_) => return true,
                Cut::Half(_) => break,
                Cut::Stall(_) => std::future::pending().await,
            }
        }
        let mut most = buffer.len().min(left);
        if let Some(numbers) = &mut numbers {
            most = most.min(1 + numbers.below(700));
            if numbers.below(3) == 0 {
                sleep(Duration::from_millis(numbers.below(40) as u64)).await;
            }
        }
        let Ok(count @ 1..) = reader.read(&mut buffer[..most]).await else {
            break;
        };
        left -= count;
        if writer.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _ = writer.shutdown().await;
    false
}

/// A network between two streams; gives them back once it is reset, or both directions are over.
async fn network<S: AsyncRead + AsyncWrite + Unpin>(
    (client, server): (S, S),
    [up, down]: [Cut; 2],
    seed: Option<u64>,
) -> (S, S) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let numbers = |more| seed.map(|seed| Numbers(seed ^ more));
    {
        let mut upward = std::pin::pin!(pass(&mut from_client, &mut to_server, up, numbers(1)));
        let mut downward = std::pin::pin!(pass(&mut from_server, &mut to_client, down, numbers(2)));
        let is_reset = tokio::select! {
            is_reset = &mut upward => is_reset || downward.await,
            is_reset = &mut downward => is_reset || upward.await,
        };
        let _ = is_reset;
    }
    (
        from_client.unsplit(to_client),
        from_server.unsplit(to_server),
    )
}

const SIZES: [usize; 5] = [5, 0, 130, 3, 700];

fn letter(number: usize) -> Vec<u8> {
    vec![b'a' + u8::try_from(number).unwrap(); SIZES[number]]
}

/// A server that echoes, and a client that sends some messages and closes when all are back.
fn ends() -> (Probe<Messages>, Probe<Messages>) {
    let server = probe(|what| async move {
        if let What::Message(ws, message) = what {
            ws.send(message).await?;
        }
        Ok(())
    });
    let client = probe(|what| async move {
        match what {
            What::Open(ws) => {
                for number in 0..SIZES.len() {
                    ws.send(letter(number)).await?;
                }
            }
            What::Message(ws, message) if message.len() == SIZES[4] => {
                ws.close(1000, "").await?;
            }
            _ => {}
        }
        Ok(())
    });
    (server, client)
}

/// What is told of one end, whatever the network did: its end, once and last, if it ever began; and
/// the messages, which are the first of all there are.
fn check(log: &Log, name: &str) {
    let lines = log.lines();
    let begun = usize::from(!lines.is_empty());
    assert_eq!(log.count("close"), begun, "{name}: {lines:?}");
    if begun == 1 {
        assert_eq!(lines.last().unwrap(), "close", "{name}: {lines:?}");
    }
    let received = lines.iter().filter(|line| line.starts_with("binary"));
    let expected = SIZES.iter().map(|size| format!("binary of {size}"));
    let fits = received
        .clone()
        .zip(expected)
        .all(|(line, size)| *line == size);
    assert!(fits && received.count() <= SIZES.len(), "{name}: {lines:?}");
}

fn is_clean(ended: &Result<CloseInfo>) -> bool {
    ended.as_ref().is_ok_and(|info| info.was_clean)
}

/// Both ends agree with what got through.
fn agree(server: &Probe<Messages>, ended: (&Result<CloseInfo>, &Result<CloseInfo>), name: &str) {
    if is_clean(ended.0) && is_clean(ended.1) {
        let lines = server.log().lines();
        let count = lines
            .iter()
            .filter(|line| line.starts_with("binary"))
            .count();
        assert_eq!(count, SIZES.len(), "{name}: {lines:?}");
    }
}

fn server_options() -> ServerOptions {
    ServerOptions::default()
        .auto_ping_interval(Duration::from_secs(1))
        .auto_ping_timeout(Duration::from_secs(1))
}

fn client_options() -> ClientOptions {
    ClientOptions::default()
        .auto_ping_interval(Duration::from_secs(1))
        .auto_ping_timeout(Duration::from_secs(1))
}

/// One connection over TCP, reset after so many octets; returns whether it ended in order.
async fn reset_over_tcp(cuts: [Cut; 2], name: &str) -> bool {
    let (server, client) = ends();
    let factory = server.factory(ServerOptions::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let pair = async || {
        let near = TcpStream::connect(address).await.unwrap();
        (near, listener.accept().await.unwrap().0)
    };
    let ((client_end, near), (far, server_end)) = (pair().await, pair().await);
    let serving = tokio::spawn(factory.serve_stream(server_end));
    let dialing = client.client(ClientOptions::default());
    let running = tokio::spawn(async move { dialing.run_stream(client_end).await });
    let (near, far) = within(network((near, far), cuts, None)).await;
    for stream in [near, far] {
        // RST, whatever is on the way.
        let _ = socket(&stream).set_linger(Some(Duration::ZERO));
        drop(stream);
    }
    let served = within(serving).await.expect("no panic");
    let ran = within(running).await.expect("no panic");
    assert_eq!(factory.connection_count(), 0, "{name}");
    check(&server.log(), name);
    check(&client.log(), name);
    agree(&server, (&served, &ran), name);
    is_clean(&served) && is_clean(&ran)
}

fn socket(stream: &TcpStream) -> socket2::SockRef<'_> {
    socket2::SockRef::from(stream)
}

#[tokio::test]
async fn a_reset_at_each_octet_ends_both_ends_once() {
    assert!(reset_over_tcp([NEVER; 2], "never").await);
    for direction in 0..2 {
        let mut resets = 0;
        for at in 0.. {
            let mut cuts = [NEVER; 2];
            cuts[direction] = Cut::Reset(at);
            if reset_over_tcp(cuts, &format!("{direction} at {at}")).await {
                break;
            }
            resets += 1;
            assert!(resets < 5_000);
        }
        assert!(resets > 800, "{resets}");
    }
}

/// One connection in memory over such a network.
async fn over(cuts: [Cut; 2], seed: Option<u64>, name: &str) -> bool {
    let (server, client) = ends();
    let deflate = seed.filter(|seed| seed.is_multiple_of(2));
    let deflate = deflate.map(|_| DeflateOptions::default());
    let factory = server.factory(server_options().per_message_deflate(deflate));
    let dialing = client.client(client_options().per_message_deflate(deflate));
    let (client_end, near) = tokio::io::duplex(300);
    let (far, server_end) = tokio::io::duplex(300);
    let serving = tokio::spawn(factory.serve_stream(server_end));
    let running = tokio::spawn(async move { dialing.run_stream(client_end).await });
    let between = tokio::spawn(async move { drop(network((near, far), cuts, seed).await) });
    let served = within(serving).await.expect("no panic");
    let ran = within(running).await.expect("no panic");
    between.abort();
    assert_eq!(factory.connection_count(), 0, "{name}");
    check(&server.log(), name);
    check(&client.log(), name);
    agree(&server, (&served, &ran), name);
    is_clean(&served) && is_clean(&ran)
}

#[tokio::test(start_paused = true)]
async fn an_end_or_a_stall_anywhere_ends_both_ends_once() {
    for how in [Cut::Half, Cut::Stall] {
        for direction in 0..2 {
            for at in (direction..1_500).step_by(5) {
                let mut cuts = [NEVER; 2];
                cuts[direction] = how(at);
                over(cuts, None, &format!("{direction}: {:?}", cuts[direction])).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_network_that_delays_cuts_and_stalls_ends_both_ends_once() {
    let one = std::env::var("MOTORWAY_SEED").ok();
    let one: Option<u64> = one.map(|seed| seed.parse().expect("a number"));
    let seeds = one.map_or(0..300, |seed| seed..seed + 1);
    let mut clean = 0;
    for seed in seeds {
        // Shown if the test fails.
        println!("MOTORWAY_SEED={seed}");
        let mut numbers = Numbers(seed);
        let cuts = [0, 1].map(|_| match numbers.below(8) {
            0 => Cut::Reset(numbers.below(2_500)),
            1 => Cut::Half(numbers.below(2_500)),
            2 => Cut::Stall(numbers.below(2_500)),
            _ => NEVER,
        });
        let is_whole = cuts.iter().all(|cut| cut.at() == usize::MAX);
        let ended = over(cuts, Some(seed), &format!("seed {seed}, {cuts:?}")).await;
        assert!(ended || !is_whole, "seed {seed}: nothing was cut");
        clean += usize::from(ended);
    }
    assert!(one.is_some() || clean > 50, "{clean}");
}
