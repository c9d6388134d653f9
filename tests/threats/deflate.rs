//! permessage-deflate (RFC 7692): bombs, garbage, and what its states cost.

use crate::bomb::zeros;
use crate::child::Process;
use crate::world::{
    BINARY, DEFLATE, FIN, Masks, RSV1, Raw, TEXT, Talk, both_ends, frame, request, status, until,
};
use motorway::{ClientOptions, DeflateOptions, ServerOptions};
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// A stored block of nothing, which ends a message where its last four octets are left out.
const EMPTY_BLOCK: &[u8] = &[0, 0, 0, 0xff, 0xff];

async fn open(address: SocketAddr) -> Raw {
    let mut raw = Raw::on(TcpStream::connect(address).await.unwrap());
    raw.write(request(DEFLATE)).await;
    let head = raw.head().await;
    assert!(
        status(&head) == 101 && head.contains("permessage-deflate"),
        "{head}"
    );
    raw
}

/// A bomb that passes the check of compressed octets (CVE-2016-10544, CVE-2018-1000518, CVE-2026-1526,
/// CVE-2026-27571): stopped while it is inflated, at 64 MiB, with 1009.
#[tokio::test]
async fn a_bomb_stops_at_the_limit_while_it_is_inflated() {
    let server = Process::deflating_server();
    let address = server.address();
    let mut raw = open(address).await;
    let before = server.memory();
    // 640 KiB for 100 MiB.
    raw.write(frame(BINARY | RSV1, &zeros(400_000), Masks::Yes))
        .await;
    assert_eq!(raw.frame().await.unwrap().code(), 1009);
    assert_eq!(raw.rest().await, b"");
    let grown = server.peak().saturating_sub(before);
    // The message up to the limit, and once more while it grew.
    assert!(grown < (128 + 8) << 10, "{grown} KiB more");
    until("it is given back", || server.memory() < before + (4 << 10)).await;
}

/// The same where the limit is lower, in many small fragments, at both ends; nothing is delivered, and the
/// end is the same one (CVE-2026-85024).
#[tokio::test]
async fn a_bomb_in_fragments_stops_at_the_limit() {
    let bomb = zeros(8000);
    let server = ServerOptions::default().max_message_payload_size(1 << 20);
    let client = ClientOptions::default().max_message_payload_size(1 << 20);
    let deflate = DeflateOptions::default();
    for mut talk in [
        Talk::to_server(server.per_message_deflate(deflate), DEFLATE).await,
        Talk::to_client(client.per_message_deflate(deflate), DEFLATE).await,
    ] {
        let mut octets = talk.frame(BINARY & !FIN | RSV1, &bomb[..1]);
        for fragment in bomb[1..].chunks(100) {
            octets.extend(talk.frame(0, fragment));
        }
        octets.extend(talk.frame(FIN, ""));
        octets.extend(talk.frame(BINARY | RSV1, &bomb));
        talk.raw.write(octets).await;
        let told = std::sync::Arc::clone(&talk.told);
        assert_eq!(talk.ended().await, 1009);
        assert_eq!(told.lock().unwrap().len(), 2, "{told:?}");
    }
}

const GARBAGE: &[(&str, &[u8], u16)] = &[
    ("reserved block type", &[0x07], 1007),
    (
        "stored block whose lengths differ",
        &[0x00, 0x05, 0x00, 0x00, 0x00, 1, 2, 3, 4, 5],
        1007,
    ),
    (
        "stored block that breaks off",
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 1, 2],
        1007,
    ),
    (
        "a distance before the start",
        &[0x63, 0x00, 0x12, 0xff, 0xff, 0xff, 0xff],
        1007,
    ),
    ("noise", &[0xff; 64], 1007),
    ("text that is not UTF-8", &[0xfa, 0x07, 0x00], 1007),
];

const ODD: &[(&str, &[u8], &str)] = &[
    (
        "Hello of §7.2.3.1",
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        "Hello",
    ),
    (
        "a stored block, §7.2.3.3",
        &[
            0x00, 0x05, 0x00, 0xfa, 0xff, b'H', b'e', b'l', b'l', b'o', 0x00,
        ],
        "Hello",
    ),
    (
        "BFINAL, §7.2.3.4",
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        "Hello",
    ),
    (
        "two blocks, §7.2.3.5",
        &[
            0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
        ],
        "Hello",
    ),
    ("nothing", &[0x00], ""),
    ("nothing, in no octets", &[], ""),
];

/// Garbage, data that break off, a last block with more behind it, references before the start: 1007, or
/// decoded as RFC 7692 §7.2.3 has it; and what follows is right.
#[tokio::test]
async fn garbage_is_refused_and_what_is_odd_decoded() {
    for &(what, payload, code) in GARBAGE {
        for mut talk in both_ends(DEFLATE).await {
            let octets = [talk.frame(TEXT | RSV1, payload), talk.frame(TEXT, "more")].concat();
            talk.raw.write(octets).await;
            assert_eq!(talk.ended().await, code, "{what}");
        }
    }
    for &(what, payload, text) in ODD {
        for mut talk in both_ends(DEFLATE).await {
            let octets = [
                talk.frame(BINARY | RSV1, payload),
                talk.frame(TEXT, "after"),
            ]
            .concat();
            talk.raw.write(octets).await;
            let came = talk.next().await;
            // What is short goes out as it is.
            assert_eq!(came.payload, text.as_bytes(), "{what}");
            assert_eq!(talk.next().await.payload, b"after", "{what}");
        }
    }
}

/// RSV1 where nothing was agreed, on continuations and on control frames (RFC 7692 §6).
#[tokio::test]
async fn rsv1_is_refused_where_it_means_nothing() {
    for mut talk in both_ends("").await {
        talk.send(TEXT | RSV1, [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00])
            .await;
        assert_eq!(talk.ended().await, 1002);
    }
    for first in [RSV1 | FIN, RSV1] {
        for mut talk in both_ends(DEFLATE).await {
            let octets = [talk.frame(TEXT & !FIN, "a"), talk.frame(first, "b")].concat();
            talk.raw.write(octets).await;
            assert_eq!(talk.ended().await, 1002);
        }
    }
}

/// Blocks that inflate to nothing, without end: they count as octets, and are stopped.
#[tokio::test]
async fn empty_blocks_without_end_are_cut_off() {
    let options = ServerOptions::default().max_message_payload_size(1 << 20);
    let options = options.per_message_deflate(DeflateOptions::default());
    let mut talk = Talk::to_server(options, DEFLATE).await;
    let blocks = EMPTY_BLOCK.repeat(12_800);
    let mut octets = talk.frame(BINARY & !FIN | RSV1, &blocks);
    let next = talk.frame(0, &blocks);
    for _ in 0..20 {
        octets.extend(&next);
    }
    talk.raw.write(octets).await;
    assert_eq!(talk.ended().await, 1009);
}

/// States of zlib for those who idle: none before the first compressed message, and none after it without
/// context takeover (RFC 7692 §7.1.1).
#[tokio::test]
async fn zlib_costs_an_idle_connection_nothing() {
    const IDLE: usize = 300;
    let server = Process::deflating_server();
    let address = server.address();
    let hello = frame(
        TEXT | RSV1,
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        Masks::Yes,
    );
    let lines = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n";
    let mut idle = Vec::new();
    let mut before = 0;
    for count in 0..IDLE + 20 {
        if count == 20 {
            before = server.memory();
        }
        let mut raw = Raw::on(TcpStream::connect(address).await.unwrap());
        // Every second one has said nothing yet, and may keep its context.
        let used = count % 2 == 0;
        raw.write(request(if used { lines } else { DEFLATE })).await;
        assert!(raw.head().await.contains("permessage-deflate"));
        if used {
            raw.write(&hello).await;
            assert!(raw.frame().await.is_some());
        }
        idle.push(raw);
    }
    let each = server.memory().saturating_sub(before) * 1024 / IDLE;
    assert!(each < 4096, "{each} octets for each");
}
