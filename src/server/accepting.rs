//! Accepting connections, also where descriptors run out.

use super::bind::Accepted;
#[cfg(feature = "rustls")]
use super::incoming::secure;
use super::incoming::{Incoming, Security};
use super::lifecycle::Lifecycle;
use super::opening::Serve;
use crate::handshake::TransportDetails;
use crate::socket::set_up;
use crate::transport::Stream;
use socket2::SockRef;
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::task::spawn;
use tokio::time::{Duration, sleep};

/// Where connections come from: a socket that listens.
pub(super) trait Source: Send + Sync + 'static {
    /// Returns the socket address, where there is one.
    fn socket_addr(&self) -> Option<SocketAddr>;

    fn accept(&self) -> impl Future<Output = io::Result<Accepted>> + Send;
}

/// Accepts connections and serves each in a task of its own, until the server ends.
pub(super) async fn accept_loop(
    (listener, security): (impl Source, Security),
    factory: Arc<impl Serve>,
    lifecycle: Arc<Lifecycle>,
) {
    let mut pause = SHORTEST_PAUSE;
    let at = listener.socket_addr();
    // Every address of IPv4 can also be written as one of IPv6 that is not unspecified itself.
    let at = at.filter(|address| !address.ip().to_canonical().is_unspecified());
    loop {
        let accepted = tokio::select! {
            biased;
            () = lifecycle.draining.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => {
                pause = SHORTEST_PAUSE;
                if let Some(limit) = factory.settings().options.max_handshaking {
                    // Whoever comes after this one waits where the system lets it wait.
                    tokio::select! {
                        biased;
                        () = lifecycle.draining.cancelled() => {}
                        () = lifecycle.lobby.room(limit) => {}
                    }
                }
                serve(accepted, at, &security, (&factory, &lifecycle));
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, ?pause, "cannot accept connections for now");
                tokio::select! {
                    () = lifecycle.draining.cancelled() => return,
                    () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                }
            }
        }
    }
}

fn serve(
    accepted: Accepted,
    at: Option<SocketAddr>,
    security: &Security,
    shared: (&Arc<impl Serve>, &Arc<Lifecycle>),
) {
    match accepted {
        Accepted::Tcp(stream, peer) => {
            // Fails only on a socket that is gone already.
            let _ = set_up(&SockRef::from(&stream), &shared.0.settings().options.common);
            // Only who listens at every address has to ask which one it is.
            let at = at.or_else(|| stream.local_addr().ok());
            let details = TransportDetails::server(peer).at(at);
            serve_stream(stream, details, security, shared);
        }
        #[cfg(unix)]
        Accepted::Unix(stream, peer) => {
            serve_stream(stream, TransportDetails::server(peer), security, shared);
        }
    }
}

fn serve_stream<S: Stream>(
    stream: S,
    details: TransportDetails,
    security: &Security,
    (factory, lifecycle): (&Arc<impl Serve>, &Arc<Lifecycle>),
) {
    let mut incoming = Incoming::new(stream, details, factory.counter().count());
    incoming.token = Some(lifecycle.tasks.token());
    if factory.settings().options.max_handshaking.is_some() {
        incoming.seat = Some(lifecycle.lobby.seat());
    }
    let (factory, lifecycle) = (Arc::clone(factory), Arc::clone(lifecycle));
    match security {
        Security::None => spawn(factory.serve(lifecycle, ready(Ok(incoming)))),
        #[cfg(feature = "rustls")]
        Security::Tls(tls) => {
            let with = (tls.clone(), factory.settings());
            let securing = secure(incoming, Arc::clone(&lifecycle), with);
            spawn(factory.serve(lifecycle, securing))
        }
    };
}

/// Tells errors of one connection, which was gone before it was accepted, from those of the
/// process, such as a lack of descriptors, which last a while.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{WebSocketServerFactory, WebSocketServerProtocol};
    use std::future::pending;
    use std::sync::Mutex;
    use tokio::net::UnixStream;
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, timeout};

    struct Quiet;
    impl WebSocketServerProtocol for Quiet {}

    /// What a listener gives: the number of an error, or a connection.
    type Outcome = Option<i32>;

    /// Gives one outcome after the other, and then nothing; notes when it was asked.
    struct Script {
        outcomes: Vec<Outcome>,
        asked: Arc<Mutex<Vec<Instant>>>,
        peers: Mutex<Vec<UnixStream>>,
    }

    impl Source for Script {
        fn socket_addr(&self) -> Option<SocketAddr> {
            None
        }

        async fn accept(&self) -> io::Result<Accepted> {
            let place = {
                let mut asked = self.asked.lock().unwrap();
                asked.push(Instant::now());
                asked.len() - 1
            };
            match self.outcomes.get(place) {
                Some(Some(error)) => Err(io::Error::from_raw_os_error(*error)),
                Some(None) => {
                    let (ours, theirs) = UnixStream::pair()?;
                    self.peers.lock().unwrap().push(theirs);
                    Ok(Accepted::Unix(ours, crate::peer::Peer::Unix(None)))
                }
                None => pending().await,
            }
        }
    }

    /// Runs the loop on these outcomes; returns when it asked for them.
    fn run(outcomes: Vec<Outcome>) -> (Arc<Mutex<Vec<Instant>>>, Arc<Lifecycle>, JoinHandle<()>) {
        let (asked, lifecycle) = (Arc::default(), Arc::<Lifecycle>::default());
        let script = Script {
            outcomes,
            asked: Arc::clone(&asked),
            peers: Mutex::default(),
        };
        let factory = WebSocketServerFactory::new(|| Quiet).shared;
        let accepting = accept_loop((script, Security::None), factory, Arc::clone(&lifecycle));
        (asked, lifecycle, spawn(accepting))
    }

    /// EMFILE and ENFILE, as every Unix numbers them.
    const NO_DESCRIPTORS: [i32; 2] = [24, 23];

    #[tokio::test(start_paused = true)]
    async fn it_backs_off_up_to_a_second_and_anew_after_a_connection() {
        let errors = NO_DESCRIPTORS.into_iter().cycle().map(Some);
        let mut outcomes: Vec<_> = errors.take(11).collect();
        outcomes.extend([None, Some(NO_DESCRIPTORS[0]), Some(NO_DESCRIPTORS[1])]);
        let count = outcomes.len();
        let (asked, lifecycle, accepting) = run(outcomes);
        sleep(Duration::from_secs(60)).await;
        let asked = asked.lock().unwrap().clone();
        assert_eq!(asked.len(), count + 1, "it goes on, and then waits");
        let pauses: Vec<_> = asked
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_millis())
            .collect();
        let grown = [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000];
        assert_eq!(pauses[..11], grown);
        // The connection comes at once, and the errors behind it are the first of others.
        assert_eq!(pauses[11..], [0, 5, 10]);
        lifecycle.draining.cancel();
        accepting.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_went_before_they_were_accepted_cost_no_pause() {
        let kinds = [
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::Interrupted,
        ];
        let numbers = (1..200).filter(|number| {
            let kind = io::Error::from_raw_os_error(*number).kind();
            kinds.contains(&kind)
        });
        let outcomes: Vec<_> = numbers.cycle().take(1000).map(Some).collect();
        let start = Instant::now();
        let (asked, ..) = run(outcomes);
        sleep(Duration::from_secs(1)).await;
        let asked = asked.lock().unwrap();
        assert_eq!((asked.len(), asked.last()), (1001, Some(&start)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_ends_does_not_wait_for_a_pause() {
        let (asked, lifecycle, accepting) = run(vec![Some(NO_DESCRIPTORS[0]); 100]);
        sleep(Duration::from_millis(10_100)).await;
        let before = asked.lock().unwrap().len();
        lifecycle.draining.cancel();
        timeout(Duration::from_millis(1), accepting)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(asked.lock().unwrap().len(), before);
    }
}
