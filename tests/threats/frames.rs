//! Frames that break a rule: answered with the right close code, and then the connection is finished.

use crate::child::Process;
use crate::world::{
    BINARY, CLOSE, Came, FIN, Masks, PING, PONG, RSV1, Raw, TEXT, Talk, both_ends, request, status,
    until, within,
};
use motorway::{ClientOptions, ServerOptions};
use std::collections::HashSet;

/// Both ends are sent these octets, by a peer that goes on as if nothing was: they answer with this code,
/// and are finished.
async fn fails(what: &str, code: u16, octets: impl Fn(&Talk) -> Vec<u8>) {
    for mut talk in both_ends("").await {
        let octets = octets(&talk);
        let more = [talk.frame(TEXT, "more"), talk.frame(PING, "more")].concat();
        talk.raw.write(&[&octets[..], &more].concat()).await;
        talk.raw.write(&more).await;
        let name = talk.name;
        assert_eq!(talk.ended().await, code, "{name}: {what}");
    }
}

/// A header by hand: what its second octet says of the length, and what follows that.
fn header(talk: &Talk, first: u8, length: u8, rest: &[u8]) -> Vec<u8> {
    let mut octets = vec![first, talk.mask_bit() | length];
    octets.extend(rest);
    if talk.mask_bit() != 0 {
        octets.extend([0; 4]);
    }
    octets
}

/// The top bit of a length, 2^64-1 (CVE-2020-13935, CVE-2020-27813, CVE-2026-50161), and lengths above the
/// limit: refused at the header (RFC 6455 §5.2), before a sum or a cast.
#[tokio::test]
async fn lengths_are_refused_at_the_header() {
    let top = [1 << 63, u64::MAX, u64::MAX - 13, (1 << 63) | 5];
    for (length, code) in top.map(|length| (length, 1002)).into_iter().chain([
        ((1 << 63) - 1, 1009),
        (1 << 32, 1009),
        ((1 << 32) + 5, 1009),
        ((16 << 20) + 1, 1009),
    ]) {
        for first in [BINARY, TEXT, TEXT & !FIN] {
            let octets = |talk: &Talk| header(talk, first, 127, &length.to_be_bytes());
            fails(&format!("{length:#x}"), code, octets).await;
        }
    }
    // Behind fragments it would overflow the sum.
    fails("a sum above 2^63", 1009, |talk| {
        let begun = talk.frame(BINARY & !FIN, "begun");
        let next = header(talk, FIN, 127, &((1_u64 << 63) - 1).to_be_bytes());
        [begun, next].concat()
    })
    .await;
}

/// A buffer as large as a header says (CVE-2022-35922): what did not come takes no memory.
#[tokio::test]
async fn a_buffer_is_not_sized_by_the_header() {
    let server = Process::server();
    let address = server.address();
    let mut peers = Vec::new();
    for _ in 0..60 {
        let mut raw = Raw::on(tokio::net::TcpStream::connect(address).await.unwrap());
        raw.write(request("")).await;
        assert_eq!(status(&raw.head().await), 101);
        peers.push(raw);
    }
    let before = server.asked_for();
    let octets = [
        &[BINARY, 0xff][..],
        &(16_u64 << 20).to_be_bytes(),
        &[0; 4],
        &[0; 1000],
    ]
    .concat();
    for raw in &mut peers {
        raw.write(&octets).await;
    }
    // Each of them is read as soon as one that came later is answered.
    let mut raw = Raw::on(tokio::net::TcpStream::connect(address).await.unwrap());
    raw.write(request("")).await;
    raw.head().await;
    let grown = server.asked_for().saturating_sub(before);
    assert!(grown < 60 * 256, "{grown} KiB for 60 KiB that came");
}

/// Lengths in more octets than they need (RFC 6455 §5.2: "the minimal number of bytes MUST be used").
#[tokio::test]
async fn lengths_that_are_not_minimal_are_refused() {
    for first in [TEXT, PING, CLOSE] {
        fails("5 in two octets", 1002, |talk| {
            header(talk, first, 126, &5_u16.to_be_bytes())
        })
        .await;
        fails("5 in eight octets", 1002, |talk| {
            header(talk, first, 127, &5_u64.to_be_bytes())
        })
        .await;
    }
    fails("125 in two octets", 1002, |talk| {
        header(talk, TEXT, 126, &125_u16.to_be_bytes())
    })
    .await;
    fails("65535 in eight", 1002, |talk| {
        header(talk, TEXT, 127, &0xffff_u64.to_be_bytes())
    })
    .await;
}

/// Reserved bits and opcodes, masks, control frames and fragments (RFC 6455 §5.1, §5.2, §5.4, §5.5).
#[tokio::test]
async fn broken_rules_are_answered_with_1002() {
    for bits in [0x10, 0x20, RSV1, 0x70] {
        for first in [TEXT, BINARY, PING, PONG, CLOSE] {
            fails("a reserved bit", 1002, |talk| talk.frame(first | bits, "")).await;
        }
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        fails("a reserved opcode", 1002, |talk| {
            talk.frame(FIN | opcode, "")
        })
        .await;
    }
    fails("a mask where there is none, or none", 1002, |talk| {
        let masks = if talk.mask_bit() == 0 {
            Masks::Yes
        } else {
            Masks::No
        };
        crate::world::frame(TEXT, b"bare", masks)
    })
    .await;
    for first in [PING, PONG, CLOSE] {
        fails("control of 126 octets", 1002, |talk| {
            talk.frame(first, [b'a'; 126])
        })
        .await;
        fails("control in fragments", 1002, |talk| {
            talk.frame(first & !FIN, "")
        })
        .await;
    }
    fails("a continuation of nothing", 1002, |talk| {
        talk.frame(FIN, "")
    })
    .await;
    fails("a message in a message", 1002, |talk| {
        [talk.frame(TEXT & !FIN, "a"), talk.frame(TEXT, "b")].concat()
    })
    .await;
}

/// Close frames (RFC 6455 §5.5.1, §7.4): codes that must not be sent, half a code, a reason that is no text.
#[tokio::test]
async fn close_frames_are_checked() {
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65535_u16,
    ] {
        fails(&format!("close code {code}"), 1002, |talk| {
            talk.frame(CLOSE, code.to_be_bytes())
        })
        .await;
    }
    fails("half a code", 1002, |talk| talk.frame(CLOSE, [3])).await;
    fails("a reason that is no text", 1007, |talk| {
        talk.frame(CLOSE, b"\x03\xe8\xff")
    })
    .await;
}

/// Text that is not UTF-8 (RFC 6455 §8.1) fails, wherever it is cut, and text that is comes back: also where a
/// character is split, and at the edges of the blocks that vector code reads.
#[tokio::test]
async fn utf8_is_checked_wherever_it_is_cut() {
    let mut good = "x".repeat(60) + "ä€😀" + &"y".repeat(64) + "😀";
    good.push_str(&"é".repeat(20));
    for mut talk in both_ends("").await {
        for cut in 0..=good.len() {
            let (start, end) = good.as_bytes().split_at(cut);
            let octets = [talk.frame(TEXT & !FIN, start), talk.frame(FIN, end)].concat();
            talk.raw.write(octets).await;
            assert_eq!(
                talk.next().await.payload,
                good.as_bytes(),
                "{talk:?} cut at {cut}"
            );
        }
    }
    for (at, octets) in [
        (0, &b"\xff"[..]),
        (31, b"\xc0\x80"),
        (63, b"\xed\xa0\x80"),
        (64, b"\xf4\x90\x80\x80"),
        (127, b"\xe2\x82"),
        (15, b"\x80"),
    ] {
        let bad = [&vec![b'x'; at][..], octets, b"yyyy"].concat();
        for cut in [0, at, at + 1, bad.len()] {
            fails("not UTF-8", 1007, |talk| {
                let (start, end) = bad.split_at(cut);
                [talk.frame(TEXT & !FIN, start), talk.frame(FIN, end)].concat()
            })
            .await;
        }
    }
    // Cut short at the end of the message.
    fails("half a character", 1007, |talk| {
        talk.frame(TEXT, b"abc\xe2\x82")
    })
    .await;
}

/// An error that leaves the connection usable: a failed one reads nothing any more, also where its close
/// frame cannot go out, and is gone though the peer goes on sending.
#[tokio::test]
async fn an_error_is_terminal() {
    for mut talk in both_ends("").await {
        talk.send(FIN | 3, "").await;
        assert_eq!(talk.next().await.code(), 1002);
        let block = talk.frame(TEXT, "more").repeat(1000);
        let told = std::sync::Arc::clone(&talk.told);
        let sending = async { while talk.raw.write(&block).await {} };
        within(sending).await;
        let messages = || {
            let told = told.lock().unwrap();
            told.iter()
                .filter(|told| matches!(told, crate::world::Told::Message(_)))
                .count()
        };
        assert_eq!(messages(), 0);
        assert!(talk.ws.try_send("more").is_err());
        let closed = talk.ws.closed().await;
        assert_eq!(closed.local.unwrap().code.as_u16(), 1002);
    }
}

/// Masking keys fixed or weak (CVE-2025-10148, GHSA-w67g-5rqw-f597), handshake keys: fresh for each frame and
/// each connection (RFC 6455 §5.3, §10.3, §4.1).
#[tokio::test]
async fn masking_keys_are_fresh() {
    let mut keys = HashSet::new();
    let mut octets = [
        HashSet::new(),
        HashSet::new(),
        HashSet::new(),
        HashSet::new(),
    ];
    for _ in 0..2 {
        let mut talk = Talk::to_client(ClientOptions::default(), "").await;
        let block = talk.frame(TEXT, "same").repeat(1000);
        talk.raw.write(block).await;
        for _ in 0..1000 {
            let Came { key, payload, .. } = talk.next().await;
            assert_eq!(payload, b"same");
            let key = key.expect("a mask");
            keys.insert(key);
            key.iter()
                .zip(&mut octets)
                .for_each(|(octet, seen)| _ = seen.insert(*octet));
        }
    }
    // Two of 2,000 are equal once in two thousand times; three pairs hardly ever.
    assert!(keys.len() >= 1998, "{} keys in 2000 frames", keys.len());
    assert!(
        octets.iter().all(|seen| seen.len() > 240),
        "octets that do not vary"
    );

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let mut keys = HashSet::new();
    for _ in 0..20 {
        let url = url.clone();
        let dialing = tokio::spawn(async move { motorway::connect(url).await });
        let mut raw = Raw::on(within(listener.accept()).await.unwrap().0);
        keys.insert(crate::world::field(&raw.head().await, "sec-websocket-key").unwrap());
        drop(raw);
        within(dialing).await.unwrap().unwrap_err();
    }
    assert_eq!(keys.len(), 20);
}

/// Octets that no frame can be made of, of many kinds: whatever comes, both ends end, and soon.
#[tokio::test]
async fn noise_ends_a_connection() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..30 {
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed.to_be_bytes()[0]
        })
        .take(4096)
        .collect();
        for options in [ServerOptions::default(), ServerOptions::autobahn()] {
            let mut talk = Talk::to_server(options, "").await;
            talk.raw.write(&noise).await;
            let ws = talk.ws.clone();
            // The end of the stream, for noise that is a long frame by chance.
            drop(talk.raw);
            until("it has ended", || ws.close_info().is_some()).await;
        }
    }
}
