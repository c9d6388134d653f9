//! What users can rely on: rule 4, errors and panics end one connection, and what precedes a
//! violation is handled.

use crate::probe::{End, PIPE, Probe, What, echo, open, probe, quiet};
use crate::wire::{Raw, Wire, masked, request, settle, status, within};
use motorway::{CloseCause, HandlerError, HandlerResult, ServerOptions, WebSocketServerFactory};
use std::time::Duration;

/// A masked frame of no octets with a reserved bit.
const RSV2: &[u8] = b"\xa1\x80\0\0\0\0";

async fn fails_with(
    hook: impl Fn(What) -> HandlerResult + Send + Sync + Clone + 'static,
) -> Raw<tokio::io::DuplexStream> {
    let probe = probe(move |what| {
        let result = hook.clone();
        async move {
            tokio::task::yield_now().await;
            result(what)
        }
    });
    let factory = probe.factory(ServerOptions::default());
    let mut peers = Vec::new();
    for _ in 0..2 {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        tokio::spawn(factory.serve_stream(ours));
        let mut peer = Raw::client(theirs);
        peer.write(request("")).await;
        peer.head().await;
        peers.push(peer);
    }
    let mut other = peers.pop().unwrap();
    let mut peer = peers.pop().unwrap();
    peer.send_all(&[Wire::text("fail"), Wire::text("next"), Wire::text("next")])
        .await;
    settle().await;
    other.send(Wire::ping("still there")).await;
    assert_eq!(other.frame().await, Wire::pong("still there"));
    drop(other);
    settle().await;
    let lines = probe.log().lines();
    assert!(!lines.contains(&"message next".to_owned()), "{lines:?}");
    peer
}

#[tokio::test(start_paused = true)]
async fn an_error_closes_with_1011_and_its_text_stays_here() {
    let mut peer = fails_with(|what| match what {
        What::Message(..) => Ok("secret".parse::<u16>().map(drop)?),
        _ => Ok(()),
    })
    .await;
    assert_eq!(peer.frame().await, Wire::close(1011, ""));
    peer.say_goodbye().await;
}

#[tokio::test(start_paused = true)]
async fn an_error_may_choose_the_code() {
    let mut peer = fails_with(|what| match what {
        What::Message(..) => Err(HandlerError::close(4321, "because")),
        _ => Ok(()),
    })
    .await;
    assert_eq!(peer.frame().await, Wire::close(4321, "because"));
    peer.say_goodbye().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_closes_with_1011() {
    let mut peer = fails_with(|what| match what {
        What::Message(..) => panic!("on purpose"),
        _ => Ok(()),
    })
    .await;
    assert_eq!(peer.frame().await, Wire::close(1011, ""));
    peer.say_goodbye().await;
}

#[tokio::test(start_paused = true)]
async fn on_close_comes_once_after_a_failed_callback() {
    for panics in [false, true] {
        let probe = probe(move |what| async move {
            match what {
                What::Message(..) if panics => panic!("on purpose"),
                What::Message(..) => Err(HandlerError::close(4000, "")),
                // Fails too, which changes nothing.
                What::Close if panics => panic!("on purpose"),
                What::Close => Err(std::fmt::Error.into()),
                _ => Ok(()),
            }
        });
        let factory = probe.factory(ServerOptions::default());
        let mut session = open(&probe, ServerOptions::default()).await;
        session.peer.text("x").await;
        session.peer.frame().await;
        session
            .peer
            .send_all(&[Wire::text("y"), Wire::close(1000, "")])
            .await;
        let log = session.log.clone();
        let info = session.end().await;
        assert_eq!(log.lines(), ["connect", "open", "message x", "close"]);
        assert!(
            matches!(info.cause, CloseCause::Panic | CloseCause::Handler),
            "{info:?}"
        );
        assert_eq!(factory.connection_count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_on_open_closes_with_1011() {
    let probe = probe(|what| async move {
        assert!(!matches!(what, What::Open(_)), "on purpose");
        Ok(())
    });
    let mut session = open(&probe, ServerOptions::default()).await;
    assert_eq!(session.peer.frame().await, Wire::close(1011, ""));
    session
        .peer
        .send_all(&[Wire::text("x"), Wire::close(1011, "")])
        .await;
    let log = session.log.clone();
    session.end().await;
    assert_eq!(log.lines(), ["connect", "open", "close"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_on_connect_is_answered_with_500() {
    let probe = quiet().on_connect(|_| async { panic!("on purpose, a secret") });
    let factory = probe.factory(ServerOptions::default());
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let task = tokio::spawn(factory.serve_stream(ours));
    let mut peer = Raw::client(theirs);
    peer.write(request("")).await;
    let head = peer.head().await;
    assert_eq!(status(&head), 500);
    assert!(!String::from_utf8_lossy(&peer.rest().await).contains("secret"));
    drop(peer);
    within(task).await.unwrap().unwrap_err();
    assert_eq!(probe.log().lines(), ["connect", "close"]);
    assert!(!probe.log().info().opened);
    assert_eq!(factory.connection_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_factory_is_answered_with_500() {
    let factory =
        WebSocketServerFactory::new(|| -> Probe<crate::probe::Messages> { panic!("on purpose") });
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let task = tokio::spawn(factory.serve_stream(ours));
    let mut peer = Raw::client(theirs);
    peer.write(request("")).await;
    assert_eq!(status(&peer.head().await), 500);
    drop(peer);
    within(task).await.unwrap().unwrap_err();
    assert_eq!(factory.connection_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_comes_with_the_request_is_received_up_to_a_violation() {
    let probe = echo();
    let (ours, theirs) = tokio::io::duplex(PIPE);
    End::Server(ServerOptions::default()).start(&probe, ours);
    let mut peer = Raw::client(theirs);
    let mut octets = request("").into_bytes();
    octets.extend(masked(&[Wire::text("one"), Wire::text("two")]));
    octets.extend_from_slice(RSV2);
    octets.extend(masked(&[Wire::ping("never"), Wire::text("never")]));
    peer.write(octets).await;
    assert_eq!(status(&peer.head().await), 101);
    assert_eq!(peer.frame().await, Wire::text("one"));
    assert_eq!(peer.frame().await, Wire::text("two"));
    assert_eq!(peer.frame().await.code(), 1002);
    assert_eq!(peer.next().await, None);
    assert_eq!(probe.log().count("message never"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_ping_behind_a_violation_is_not_answered_while_a_callback_waits() {
    let probe = probe(|what| async move {
        if let What::Message(..) = what {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        Ok(())
    });
    let mut session = open(&probe, ServerOptions::default()).await;
    let mut octets = masked(&[Wire::text("sleep")]);
    octets.extend_from_slice(RSV2);
    octets.extend(masked(&[Wire::ping("never")]));
    session.peer.write(octets).await;
    assert_eq!(session.peer.frame().await.code(), 1002);
    assert_eq!(session.peer.next().await, None);
}
