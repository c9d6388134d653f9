//! A client that connects again.

use crate::wire::{Raw, Wire, header, response, within};
use motorway::{
    ClientOptions, CloseCause, ConnectingRequest, Connections, Connector, Error, Reconnect,
    TimeoutKind, WebSocketClientFactory,
};
use motorway::{WebSocket, WebSocketClientProtocol};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Counts the instances, and the times that one of them was opened.
struct Counting {
    opened: Arc<AtomicUsize>,
    mine: usize,
}

impl WebSocketClientProtocol for Counting {
    async fn on_open(&mut self, _: &WebSocket) -> motorway::HandlerResult {
        assert_eq!(self.mine, 0, "an instance is used once");
        self.mine += 1;
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

async fn accept(listener: &TcpListener) -> (Raw<TcpStream>, String) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut peer = Raw::server(stream);
    let request = peer.head().await;
    (peer, request)
}

fn hasty() -> Reconnect {
    Reconnect::default()
        .initial(Duration::from_millis(2))
        .max(Duration::from_millis(10))
}

#[tokio::test]
async fn it_comes_back_until_the_connection_ends_well() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let (opened, made) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (opens, makes) = (Arc::clone(&opened), Arc::clone(&made));
    let factory = WebSocketClientFactory::new(url, move || {
        makes.fetch_add(1, Ordering::SeqCst);
        Counting {
            opened: Arc::clone(&opens),
            mine: 0,
        }
    });
    let client = factory.unwrap().reconnect(hasty());
    let task = tokio::spawn(async move { client.run().await });

    // Overloaded, then gone, then restarting, and at last a normal end.
    let (mut peer, _) = accept(&listener).await;
    peer.write("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")
        .await;
    drop(peer);
    let (mut peer, request) = accept(&listener).await;
    peer.write(response(&request, "")).await;
    drop(peer);
    for code in [1012, 1000] {
        let (mut peer, request) = accept(&listener).await;
        peer.write(response(&request, "")).await;
        peer.send(Wire::close(code, "")).await;
        assert_eq!(peer.frame().await.code(), code);
    }
    let info = within(task).await.unwrap().unwrap();
    assert!(matches!(info.cause, CloseCause::Peer) && info.was_clean);
    assert_eq!(opened.load(Ordering::SeqCst), 3);
    assert_eq!(made.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn it_gives_up_when_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    drop(listener);
    let made = Arc::new(AtomicUsize::new(0));
    let makes = Arc::clone(&made);
    let factory = WebSocketClientFactory::new(url, move || {
        makes.fetch_add(1, Ordering::SeqCst);
        Counting {
            opened: Arc::default(),
            mine: 0,
        }
    });
    let policy = hasty().max_retries(3);
    let ended = within(factory.unwrap().reconnect(policy).run()).await;
    assert!(
        matches!(ended, Err(motorway::Error::Connect(_))),
        "{ended:?}"
    );
    assert!(made.load(Ordering::SeqCst) <= 4);
}

/// A client that comes back hastily, and where.
async fn coming_back(policy: Reconnect) -> (TcpListener, Connections) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let mut connector = Connector::new(url).unwrap();
    connector.on_connecting(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Ok(ConnectingRequest::new().header("x-attempt", number.to_string())) }
    });
    (listener, connector.reconnecting_with(policy))
}

#[tokio::test]
async fn one_stream_follows_the_other_until_the_end_is_a_good_one() {
    let (listener, mut connections) = coming_back(hasty()).await;
    let serving = tokio::spawn(async move {
        let (mut peer, request) = accept(&listener).await;
        assert_eq!(header(&request, "x-attempt").as_deref(), Some("1"));
        peer.write("HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")
            .await;
        drop(peer);
        // Restarting; dropped by the client; lost; a normal end.
        for (number, end) in [(2, Some(1012)), (3, None), (4, None), (5, Some(1000))] {
            let (mut peer, request) = accept(&listener).await;
            assert_eq!(header(&request, "x-attempt"), Some(number.to_string()));
            peer.write(response(&request, "")).await;
            peer.text(&number.to_string()).await;
            match end {
                Some(code) => {
                    peer.send(Wire::close(code, "")).await;
                    assert_eq!(peer.frame().await.code(), code);
                }
                None if number == 3 => assert_eq!(peer.frame().await.code(), 1001),
                None => drop(peer),
            }
        }
    });
    assert!(connections.ended().is_none() && connections.error().is_none());
    for number in ["2", "3", "4", "5"] {
        let mut ws = within(connections.next()).await.unwrap();
        let text = within(ws.recv_text()).await.unwrap().unwrap();
        assert_eq!(&*text, number);
        match number {
            "2" => assert!(matches!(connections.error().unwrap().status(), Some(it) if it == 503)),
            _ => assert!(connections.error().is_none()),
        }
        if number != "3" {
            let ended = within(ws.recv()).await;
            assert_eq!(ended.is_err(), number == "4");
        }
    }
    assert!(within(connections.next()).await.is_none());
    assert!(within(connections.next()).await.is_none());
    let Some(Ok(info)) = connections.ended() else {
        panic!("{:?}", connections.ended());
    };
    assert!(info.was_clean && info.code == 1000.into());
    within(serving).await.unwrap();
}

#[tokio::test]
async fn a_fault_that_does_not_pass_ends_it_and_is_told() {
    let (listener, mut connections) = coming_back(hasty()).await;
    let answering = async {
        let (mut peer, _) = accept(&listener).await;
        peer.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            .await;
    };
    let (next, ()) = tokio::join!(within(connections.next()), answering);
    assert!(next.is_none());
    let error = connections.error().unwrap();
    assert_eq!(error.status().unwrap(), 403);
    assert_eq!(error.body().unwrap().text(), "no");
}

#[tokio::test]
async fn waiting_for_the_next_stream_may_be_given_up_and_taken_up_again() {
    let (listener, mut connections) = coming_back(hasty()).await;
    let moment = Duration::from_millis(30);
    let (mut peer, request) = {
        let mut accepting = std::pin::pin!(accept(&listener));
        loop {
            tokio::select! {
                accepted = &mut accepting => break accepted,
                next = tokio::time::timeout(moment, connections.next()) => assert!(next.is_err()),
            }
        }
    };
    assert!(
        tokio::time::timeout(moment, connections.next())
            .await
            .is_err()
    );
    peer.write(response(&request, "")).await;
    let ws = within(connections.next()).await.unwrap();
    assert_eq!(ws.request().header("x-attempt"), Some("1"));
    // The one before goes on, and there is no other before it has ended.
    assert!(
        tokio::time::timeout(moment, connections.next())
            .await
            .is_err()
    );
    assert!(ws.close_info().is_none());
    assert!(
        tokio::time::timeout(moment, listener.accept())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn only_a_connection_that_lived_begins_the_row_anew() {
    for (stable_after, streams) in [(Duration::from_secs(600), 3), (Duration::ZERO, 6)] {
        let policy = hasty().max_retries(2).stable_after(stable_after);
        let (listener, mut connections) = coming_back(policy).await;
        let serving = tokio::spawn(async move {
            loop {
                let (mut peer, request) = accept(&listener).await;
                peer.write(response(&request, "")).await;
            }
        });
        let mut count = 0;
        while count < 6 && within(connections.next()).await.is_some() {
            count += 1;
        }
        assert_eq!(count, streams);
        serving.abort();
    }
}

#[tokio::test]
async fn a_stream_that_this_end_has_closed_is_the_last() {
    let (listener, mut connections) = coming_back(hasty()).await;
    let serving = tokio::spawn(async move {
        let (mut peer, request) = accept(&listener).await;
        peer.write(response(&request, "")).await;
        assert_eq!(peer.frame().await.code(), 1000);
        peer.send(Wire::close(1000, "")).await;
    });
    let mut ws = within(connections.next()).await.unwrap();
    assert!(within(ws.close(1000, "")).await.unwrap().was_clean);
    assert!(within(connections.next()).await.is_none());
    within(serving).await.unwrap();
}

/// Regression: what happened to the stream after our close frame counted as a loss.
#[tokio::test]
async fn a_stream_that_this_end_has_closed_is_the_last_also_if_it_is_lost_then() {
    let (listener, mut connections) = coming_back(hasty()).await;
    let serving = tokio::spawn(async move {
        let (mut peer, request) = accept(&listener).await;
        peer.write(response(&request, "")).await;
        assert_eq!(peer.frame().await.code(), 1000);
        drop(peer);
        listener.accept().await
    });
    let mut ws = within(connections.next()).await.unwrap();
    let info = within(ws.close(1000, "")).await.unwrap();
    assert!(matches!(info.cause, CloseCause::Dropped), "{info:?}");
    tokio::select! {
        next = within(connections.next()) => assert!(next.is_none()),
        again = serving => panic!("{again:?}"),
    }
}

/// A client that hears nothing wants another connection, not the end: its own timeouts are reasons to come
/// back, as with any other loss. A normal end is one also if the server does not drop TCP (regression).
#[tokio::test]
async fn who_hears_nothing_for_too_long_connects_again_until_a_normal_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let opened = Arc::new(AtomicUsize::new(0));
    let opens = Arc::clone(&opened);
    let factory = WebSocketClientFactory::new(url, move || Counting {
        opened: Arc::clone(&opens),
        mine: 0,
    });
    let mut factory = factory.unwrap();
    let options = ClientOptions::default()
        .idle_timeout(Duration::from_millis(500))
        .close_handshake_timeout(Duration::from_millis(50))
        .server_connection_drop_timeout(Duration::from_millis(50));
    factory.set_protocol_options(options).unwrap();
    let client = tokio::spawn(async move { factory.reconnect(hasty()).run().await });
    // The second does not answer either, as one that is not there any more.
    for answers in [true, false] {
        let (mut peer, request) = accept(&listener).await;
        peer.write(response(&request, "")).await;
        assert_eq!(peer.frame().await.code(), 1001);
        if answers {
            peer.send(Wire::close(1001, "")).await;
        } else {
            assert_eq!(peer.rest().await, b"");
        }
    }
    let (mut peer, request) = accept(&listener).await;
    peer.write(response(&request, "")).await;
    peer.send(Wire::close(1000, "")).await;
    let ended = tokio::select! {
        ended = within(client) => ended.unwrap().unwrap(),
        _ = accept(&listener) => panic!("it came back"),
    };
    let kind = TimeoutKind::ServerConnectionDrop;
    assert!(
        matches!(ended.cause, CloseCause::Timeout(it) if it == kind),
        "{ended:?}"
    );
    assert_eq!(opened.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn each_attempt_is_told_before_it_is_waited_for() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tells = Arc::clone(&told);
    let policy = hasty().max_retries(2).on_reconnect(move |attempt| {
        assert!(attempt.wait() <= Duration::from_millis(10));
        let status = attempt.ended().as_ref().err().and_then(Error::status);
        let status = status.map(|status| status.as_u16());
        tells.lock().unwrap().push((attempt.number(), status));
    });
    let (listener, mut connections) = coming_back(policy).await;
    let serving = tokio::spawn(async move {
        for status in [503, 502, 500] {
            let (mut peer, _) = accept(&listener).await;
            let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
            peer.write(answer).await;
        }
    });
    assert!(within(connections.next()).await.is_none());
    within(serving).await.unwrap();
    assert_eq!(*told.lock().unwrap(), [(1, Some(503)), (2, Some(502))]);
}

/// Regression: the time to connect counted as the life of the connection, so that a server that is
/// slow to answer and then drops began the row anew each time.
#[tokio::test]
async fn the_time_to_connect_is_no_part_of_the_life_of_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let slow = Duration::from_millis(400);
    let accepted = Arc::new(AtomicUsize::new(0));
    let accepts = Arc::clone(&accepted);
    let serving = tokio::spawn(async move {
        loop {
            let (mut peer, request) = accept(&listener).await;
            accepts.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(slow).await;
            peer.write(response(&request, "")).await;
        }
    });
    let factory = WebSocketClientFactory::new(url, || Counting {
        opened: Arc::default(),
        mine: 0,
    });
    let policy = hasty().max_retries(1).stable_after(slow);
    let ended = within(factory.unwrap().reconnect(policy).run()).await;
    assert!(ended.is_ok(), "{ended:?}");
    assert_eq!(accepted.load(Ordering::SeqCst), 2);
    serving.abort();
}
