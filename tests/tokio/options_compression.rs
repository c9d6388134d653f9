//! Closures that decide about compression, on the wire.

use crate::probe::{End, PIPE, Session, quiet};
use crate::wire::{Raw, Wire, header, request, response, settle, within};
use motorway::extension::NegotiationError;
use motorway::{
    ClientOptions, DeflateOptions, Error, HandshakeError, PerMessageDeflateOffer,
    PerMessageDeflateOfferAccept, PerMessageDeflateResponse, PerMessageDeflateResponseAccept,
    ServerOptions,
};
use std::sync::{Arc, Mutex};

const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
const HELLO_AGAIN: &[u8] = b"\xf2\x00\x11\x00\x00";

type Accept = PerMessageDeflateOfferAccept;

fn server(
    accept: impl Fn(&[PerMessageDeflateOffer]) -> Option<Accept> + Send + Sync + 'static,
) -> End {
    End::Server(ServerOptions::default().per_message_compression_accept(accept))
}

/// Opens a connection of a server with these offers; returns the answer to them.
async fn open(end: End, offers: &str) -> (Session, Option<String>) {
    let headers = match offers {
        "" => String::new(),
        offers => format!("Sec-WebSocket-Extensions: {offers}\r\n"),
    };
    let pipe = tokio::io::duplex(PIPE);
    let (session, head) = end.open_on(&quiet(), pipe, &headers).await;
    (session, header(&head, "sec-websocket-extensions"))
}

/// Starts a client and answers with these extensions; returns what it offered, too.
async fn answer(options: ClientOptions, granted: &str) -> (Result<Session, Error>, Option<String>) {
    let headers = format!("Sec-WebSocket-Extensions: {granted}\r\n");
    let headers = if granted.is_empty() { "" } else { &headers };
    let end = End::Client(options);
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let probe = quiet();
    let task = end.start(&probe, ours);
    let mut peer = Raw::server(theirs);
    let head = peer.head().await;
    peer.write(response(&head, headers)).await;
    let offered = header(&head, "sec-websocket-extensions");
    settle().await;
    if task.is_finished() {
        return (Err(within(task).await.unwrap().unwrap_err()), offered);
    }
    let session = Session {
        peer,
        task,
        log: probe.log(),
    };
    (Ok(session), offered)
}

async fn hello_twice(session: &mut Session) -> [(bool, Vec<u8>); 2] {
    let mut sent = [const { (false, Vec::new()) }; 2];
    for slot in &mut sent {
        session.ws().send("Hello").await.unwrap();
        let frame = session.peer.frame().await;
        *slot = (frame.rsv1, frame.payload);
    }
    sent
}

fn compressed(payload: &[u8]) -> Wire {
    let mut frame = Wire::binary(payload);
    frame.rsv1 = true;
    frame
}

#[tokio::test(start_paused = true)]
async fn a_server_is_given_the_valid_offers_in_their_order() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let end = server(move |offers| {
        log.lock().unwrap().push(offers.to_vec());
        let offer = offers
            .iter()
            .find(|offer| offer.request_max_window_bits() == Some(11))?;
        let accept = Accept::new(offer).with_request_no_context_takeover(true);
        accept.ok()
    });
    let offers = "foo, permessage-deflate; server_max_window_bits=8, \
        permessage-deflate; server_max_window_bits=12, permessage-deflate; bar, \
        permessage-deflate; server_max_window_bits=11; client_max_window_bits";
    let (mut session, answer) = open(end.clone(), offers).await;
    assert_eq!(
        answer.as_deref(),
        Some("permessage-deflate; server_max_window_bits=11; client_no_context_takeover")
    );
    assert_eq!(
        hello_twice(&mut session).await,
        [(true, HELLO.to_vec()), (true, HELLO_AGAIN.to_vec())]
    );
    // The client was asked to forget its window.
    session
        .peer
        .send_all(&[compressed(HELLO), compressed(HELLO_AGAIN)])
        .await;
    assert_eq!(session.peer.frame().await.code(), 1007);
    {
        let seen = seen.lock().unwrap();
        let bits: Vec<_> = seen[0]
            .iter()
            .map(PerMessageDeflateOffer::request_max_window_bits)
            .collect();
        assert_eq!(bits, [Some(12), Some(11)]);
    }
    // It is not called without an offer that is valid.
    for offers in ["", "foo", "permessage-deflate; bar"] {
        let (mut session, answer) = open(end.clone(), offers).await;
        assert_eq!(answer, None);
        assert!(!hello_twice(&mut session).await[0].0);
    }
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_declines_goes_on_without_compression() {
    let stranger = PerMessageDeflateOffer::new().with_request_no_context_takeover(true);
    let ends = [
        server(|_| None),
        // None of those that the client made.
        server(move |_| Some(Accept::new(&stranger))),
        // The ready policy does not step in.
        End::Server(
            ServerOptions::default()
                .per_message_deflate(DeflateOptions::default())
                .per_message_compression_accept(|_| None),
        ),
    ];
    for end in ends {
        let (mut session, answer) = open(end, "permessage-deflate").await;
        assert_eq!(answer, None);
        assert!(!hello_twice(&mut session).await[0].0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_may_bind_itself_further_than_it_says() {
    let end = server(|offers| {
        Accept::new(offers.first()?)
            .with_no_context_takeover(true)
            .and_then(|accept| accept.with_mem_level(1))
            .ok()
    });
    let (mut session, answer) = open(end, "permessage-deflate").await;
    assert_eq!(answer.as_deref(), Some("permessage-deflate"));
    assert_eq!(
        hello_twice(&mut session).await,
        [(true, HELLO.to_vec()), (true, HELLO.to_vec())]
    );
}

#[tokio::test(start_paused = true)]
async fn tuning_comes_from_the_ready_policy() {
    let options = ServerOptions::default()
        .per_message_deflate(DeflateOptions::default().threshold(6).max_message_size(5))
        .per_message_compression_accept(|offers| offers.first().map(Accept::new));
    let (mut session, _) = open(End::Server(options), "permessage-deflate").await;
    assert!(!hello_twice(&mut session).await[0].0, "below the threshold");
    session.ws().send("Hello!").await.unwrap();
    assert!(session.peer.frame().await.rsv1);
    session.peer.send(compressed(HELLO)).await;
    settle().await;
    assert_eq!(session.log.count("binary of 5"), 1);
}

#[tokio::test(start_paused = true)]
async fn compressed_messages_may_have_a_limit_of_their_own() {
    let of_server = server(|offers| Accept::new(offers.first()?).with_max_message_size(4).ok());
    let (server, _) = open(of_server, "permessage-deflate").await;
    let options = ClientOptions::default()
        .per_message_compression_offers([PerMessageDeflateOffer::new()])
        .per_message_compression_accept(|response| {
            let accept = PerMessageDeflateResponseAccept::new(response);
            accept.with_max_message_size(4).ok()
        });
    let (client, _) = answer(options, "permessage-deflate").await;
    for mut session in [server, client.unwrap()] {
        session.peer.send(Wire::binary("uncompressed")).await;
        settle().await;
        assert_eq!(session.log.count("binary of 12"), 1);
        session.peer.send(compressed(HELLO)).await;
        assert_eq!(session.peer.frame().await.code(), 1009);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_sends_all_its_offers() {
    let new = PerMessageDeflateOffer::new();
    let strict = new
        .with_request_no_context_takeover(true)
        .with_request_max_window_bits(10)
        .unwrap();
    let options = ClientOptions::default().per_message_compression_offers([strict, new]);
    let (session, offered) = answer(options.clone(), "").await;
    assert_eq!(
        offered.as_deref(),
        Some(
            "permessage-deflate; client_no_context_takeover; client_max_window_bits; \
             server_no_context_takeover; server_max_window_bits=10, \
             permessage-deflate; client_no_context_takeover; client_max_window_bits"
        )
    );
    // Declined by the server.
    assert!(!hello_twice(&mut session.unwrap()).await[0].0);
    // What fits either of them is accepted, what fits none is not.
    for (granted, is_good) in [
        ("permessage-deflate", true),
        ("permessage-deflate; server_max_window_bits=12", true),
        ("permessage-deflate; client_max_window_bits=9", true),
        ("permessage-deflate; foo", false),
        ("permessage-deflate, permessage-deflate", false),
        ("foo", false),
    ] {
        let (opened, _) = answer(options.clone(), granted).await;
        assert_eq!(opened.is_ok(), is_good, "{granted}");
    }
    let (opened, _) = answer(
        ClientOptions::default().per_message_compression_offers([strict]),
        "permessage-deflate; server_no_context_takeover",
    )
    .await;
    let Err(Error::Handshake(error)) = opened else {
        panic!("it was not what was offered")
    };
    assert!(matches!(
        *error,
        HandshakeError::Extensions(NegotiationError::Missing {
            parameter: "server_max_window_bits",
            ..
        })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_declines_the_response_fails_the_handshake() {
    let judge = |options: ClientOptions| {
        options.per_message_compression_accept(|response: &PerMessageDeflateResponse| {
            let accept = PerMessageDeflateResponseAccept::new(response);
            response.server_no_context_takeover().then_some(accept)
        })
    };
    let by_offers =
        ClientOptions::default().per_message_compression_offers([PerMessageDeflateOffer::new()]);
    let by_options = ClientOptions::default().per_message_deflate(DeflateOptions::default());
    for options in [judge(by_offers), judge(by_options)] {
        let (opened, _) = answer(options.clone(), "permessage-deflate").await;
        let Err(Error::Handshake(error)) = opened else {
            panic!("the response was accepted")
        };
        assert!(matches!(
            *error,
            HandshakeError::Extensions(NegotiationError::Declined)
        ));
        let granted = "permessage-deflate; server_no_context_takeover";
        let (opened, _) = answer(options.clone(), granted).await;
        let sent = hello_twice(&mut opened.unwrap()).await;
        assert_eq!(sent[1], (true, HELLO_AGAIN.to_vec()));
        // No response, nothing to judge.
        assert!(answer(options, "").await.0.is_ok());
    }
    // Nor without an offer.
    let (opened, offered) = answer(judge(ClientOptions::default()), "").await;
    assert!(opened.is_ok() && offered.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_may_bind_itself_further_than_it_was_asked_to() {
    let options = ClientOptions::default()
        .per_message_compression_offers([PerMessageDeflateOffer::new()])
        .per_message_compression_accept(|response| {
            PerMessageDeflateResponseAccept::new(response)
                .with_no_context_takeover(true)
                .ok()
        });
    let (session, _) = answer(options, "permessage-deflate").await;
    assert_eq!(
        hello_twice(&mut session.unwrap()).await,
        [(true, HELLO.to_vec()), (true, HELLO.to_vec())]
    );
    // As the policy that made the offer does, whoever judges the response.
    let options = ClientOptions::default()
        .per_message_deflate(DeflateOptions::default().client_no_context_takeover(true))
        .per_message_compression_accept(|response| {
            Some(PerMessageDeflateResponseAccept::new(response))
        });
    let (session, offered) = answer(options, "permessage-deflate").await;
    assert_eq!(
        offered.as_deref(),
        Some("permessage-deflate; client_no_context_takeover; client_max_window_bits")
    );
    assert_eq!(hello_twice(&mut session.unwrap()).await[1].1, HELLO);
}

// Its server is told nothing odd, and others are served.
#[tokio::test(start_paused = true)]
async fn a_closure_that_panics_harms_its_connection_only() {
    let options = ServerOptions::default().per_message_compression_accept(|offers| {
        assert!(offers.len() == 1, "more than one");
        None
    });
    let end = End::Server(options);
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let task = end.clone().start(&quiet(), ours);
    let mut peer = Raw::client(theirs);
    let offers = "Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate\r\n";
    peer.write(request(offers)).await;
    let ended = within(task).await;
    assert!(ended.is_err() || ended.unwrap().is_err());
    let (session, _) = open(end, "permessage-deflate").await;
    assert!(session.ws().is_open());
}
