//! Happy Eyeballs (RFC 8305): which address is tried when.

use crate::error::Result;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Puts addresses in the order in which they are tried: the families by turns, beginning with that
/// of the first (RFC 8305 §4).
pub(super) fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let preferred = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == preferred);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return ordered;
        }
        for address in pair.into_iter().flatten() {
            if !ordered.contains(&address) {
                ordered.push(address);
            }
        }
    }
}

/// Connects to the first of the addresses that answers; there is at least one. Dropped, it gives up
/// all attempts.
pub(super) async fn race(
    addresses: Vec<SocketAddr>,
    local: Option<SocketAddr>,
) -> Result<TcpStream, (SocketAddr, io::Error)> {
    let mut waiting = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failure = None;
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(async move { (address, attempt(address, local).await) });
        }
        let joined = tokio::select! {
            joined = attempts.join_next() => joined,
            () = sleep(STAGGER), if waiting.len() > 0 => continue,
        };
        match joined {
            Some(Ok((_, Ok(stream)))) => return Ok(stream),
            Some(Ok((address, Err(error)))) => failure = Some((address, error)),
            // The runtime is shutting down.
            Some(Err(_)) => {}
            None => {
                let unknown = || (SocketAddr::from(([0; 4], 0)), io::ErrorKind::Other.into());
                return Err(failure.unwrap_or_else(unknown));
            }
        }
    }
}

async fn attempt(address: SocketAddr, local: Option<SocketAddr>) -> io::Result<TcpStream> {
    let Some(local) = local else {
        return TcpStream::connect(address).await;
    };
    let socket = match local {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.bind(local)?;
    socket.connect(address).await
}

/// RFC 8305 §5: "One recommended value for a default delay is 250 milliseconds."
const STAGGER: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::{STAGGER, interleave, race};
    use std::net::SocketAddr;
    use std::time::Instant;
    use tokio::net::TcpListener;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_beginning_with_the_first() {
        for (found, ordered) in [
            (&[][..], &[][..]),
            (&["1.1.1.1:1"], &["1.1.1.1:1"]),
            (
                &["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"],
                &["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"],
            ),
            (
                &["1.1.1.1:1", "1.1.1.2:1", "1.1.1.1:1", "[::1]:1"],
                &["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"],
            ),
        ] {
            assert_eq!(interleave(addresses(found)), addresses(ordered));
        }
    }

    /// A listener whose queue is full, so that nothing is answered, and what fills it.
    #[cfg(target_os = "linux")]
    async fn silent() -> (TcpListener, Vec<tokio::net::TcpStream>) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let (mut queue, time) = (Vec::new(), std::time::Duration::from_millis(300));
        let connect = || tokio::time::timeout(time, tokio::net::TcpStream::connect(address));
        while let Ok(stream) = connect().await {
            queue.push(stream.unwrap());
        }
        (listener, queue)
    }

    async fn good() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_address_that_is_silent_holds_the_next_up_a_moment_only() {
        let (silent, _queue) = silent().await;
        let (_listener, good) = good().await;
        let start = Instant::now();
        let addresses = vec![silent.local_addr().unwrap(), good];
        let stream = race(addresses, None).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let waited = start.elapsed();
        assert!(waited >= STAGGER && waited < STAGGER * 8, "{waited:?}");
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_hold_the_next_up() {
        let (refusing, address) = good().await;
        drop(refusing);
        let (_listener, good) = good().await;
        let mut addresses = vec![address; 20];
        addresses.push(good);
        let start = Instant::now();
        let stream = race(addresses, None).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(start.elapsed() < STAGGER * 10);
        let (failed, error) = race(vec![address], None).await.unwrap_err();
        assert_eq!(failed, address);
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
