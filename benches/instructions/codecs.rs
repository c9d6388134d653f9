//! The codecs, one by one: masks, text, headers, compression, and the opening handshake.

use super::{Case, Fallible};
use bytes::BytesMut;
use motorway::extension::deflate::codec::{Deflater, DeflaterConfig, Inflater, InflaterConfig};
use motorway::frame::{Header, MaskingKey, Opcode, Rsv, apply};
use motorway::handshake::server::{self, Checked};
use motorway::handshake::{HeadLimits, HeadReader, client};
use motorway::utf8::{Utf8Validator, is_valid};
use motorway::{
    ClientOptions, ConnectionAccept, DeflateOptions, Peer, ServerOptions, TransportDetails, Url,
};
use std::hint::black_box;

pub(crate) const CASES: &[Case] = &[
    case("mask/64", "call", 20_000, |rounds| mask(rounds, 64)),
    case("mask/1024", "call", 10_000, |rounds| mask(rounds, 1024)),
    case("utf8/ascii-1024", "call", 10_000, |rounds| {
        utf8(rounds, &"x".repeat(1024))
    }),
    case("utf8/greek-1024", "call", 5_000, |rounds| {
        utf8(rounds, &"κόσμε ".repeat(94))
    }),
    case("utf8/in-pieces", "text", 2_000, pieces),
    case("header/decode", "header", 50_000, decode),
    case("header/encode", "header", 50_000, encode),
    case("deflate/takeover", "message", 200, |rounds| {
        deflate(rounds, true)
    }),
    case("deflate/alone", "message", 200, |rounds| {
        deflate(rounds, false)
    }),
    case("inflate/takeover", "message", 400, |rounds| {
        inflate(rounds, true)
    }),
    case("inflate/alone", "message", 400, |rounds| {
        inflate(rounds, false)
    }),
    case("handshake/server", "handshake", 200, handshake),
    case("handshake/client", "handshake", 200, ask),
];

const fn case(
    name: &'static str,
    unit: &'static str,
    rounds: u32,
    run: fn(u32) -> Fallible<()>,
) -> Case {
    Case {
        name,
        unit: (unit, 1),
        rounds,
        run,
    }
}

fn mask(rounds: u32, octets: usize) -> Fallible<()> {
    // Aligned as badly as behind a header of six octets.
    let mut data = vec![7_u8; octets + 6];
    let (_, data) = data.split_at_mut(6);
    for _ in 0..rounds {
        apply(black_box(KEY), 0, black_box(&mut *data));
    }
    Ok(())
}

fn utf8(rounds: u32, text: &str) -> Fallible<()> {
    for _ in 0..rounds {
        if !is_valid(black_box(text.as_bytes())) {
            return Err("valid text was refused".into());
        }
    }
    Ok(())
}

/// Checks 1 KiB that comes in pieces of 100 octets, which cut characters.
fn pieces(rounds: u32) -> Fallible<()> {
    let text = "κόσμε ".repeat(94);
    for _ in 0..rounds {
        let mut validator = Utf8Validator::new();
        for piece in black_box(text.as_bytes()).chunks(100) {
            validator.validate(piece)?;
        }
        validator.finish()?;
    }
    Ok(())
}

fn decode(rounds: u32) -> Fallible<()> {
    let octets = b"\x82\xfe\x04\x00\x37\xfa\x21\x3d";
    for _ in 0..rounds {
        black_box(Header::decode(black_box(octets))?);
    }
    Ok(())
}

fn encode(rounds: u32) -> Fallible<()> {
    let header = Header {
        fin: true,
        rsv: Rsv::NONE,
        opcode: Opcode::Binary,
        mask: Some(KEY),
        length: 1024,
    };
    for _ in 0..rounds {
        black_box(black_box(&header).encode());
    }
    Ok(())
}

fn deflate(rounds: u32, context_takeover: bool) -> Fallible<()> {
    let mut deflater = deflater(context_takeover)?;
    let (messages, mut out) = (messages(), BytesMut::new());
    for text in messages.iter().cycle().take(rounds as usize) {
        out.clear();
        deflater.compress(black_box(text.as_bytes()), &mut out)?;
        deflater.finish(&mut out);
        black_box(&out);
    }
    Ok(())
}

fn inflate(rounds: u32, context_takeover: bool) -> Fallible<()> {
    let mut deflater = deflater(context_takeover)?;
    let mut inflater = Inflater::new(InflaterConfig { context_takeover });
    // Each refers to those before it, so from the last on it starts anew.
    let mut compressed = Vec::new();
    for text in messages() {
        let mut octets = BytesMut::new();
        deflater.compress(text.as_bytes(), &mut octets)?;
        deflater.finish(&mut octets);
        compressed.push(octets);
    }
    let mut out = BytesMut::new();
    for round in 0..rounds as usize {
        let place = round % compressed.len();
        if place == 0 {
            inflater.reset();
        }
        out.clear();
        let octets = compressed.get(place).map(AsRef::as_ref).unwrap_or_default();
        inflater.inflate(black_box(octets), &mut out, Some(1 << 20))?;
        inflater.finish()?;
        black_box(&out);
    }
    Ok(())
}

fn deflater(context_takeover: bool) -> Fallible<Deflater> {
    Ok(Deflater::new(DeflaterConfig {
        context_takeover,
        ..DeflaterConfig::default()
    })?)
}

/// Messages of 1 KiB as tickers send them, no two alike, and more than a window remembers.
fn messages() -> Vec<String> {
    let mut price = 1_087_300_u64;
    let mut message = || {
        let mut text = String::from("[");
        while text.len() < 1024 {
            price = price * 6_364_136_223 % 1_999_993;
            let (symbol, size) = (price % 7, price % 97);
            text += &format!(r#"{{"symbol":"EUR{symbol}","price":{price},"size":{size}}},"#);
        }
        text.truncate(1023);
        text + "]"
    };
    (0..40).map(|_| message()).collect()
}

/// Reads, checks and accepts what a browser asks.
fn handshake(rounds: u32) -> Fallible<()> {
    let options = ServerOptions::default().per_message_deflate(DeflateOptions::default());
    for _ in 0..rounds {
        let mut reader = HeadReader::new(HeadLimits::from(&options));
        let head = reader.request(black_box(REQUEST))?;
        let (head, _) = head.ok_or("no whole head")?;
        let details = TransportDetails::server(Peer::Unknown);
        let Checked::Upgrade(request) = server::check(head, &options, details) else {
            return Err("not an opening handshake".into());
        };
        let accept = ConnectionAccept::new().protocol("chat");
        black_box(server::accept(&request, &accept, &options)?);
    }
    Ok(())
}

/// Makes a request, and checks the answer to it.
fn ask(rounds: u32) -> Fallible<()> {
    let url: Url = "ws://server.example.com/chat".parse()?;
    let options = ClientOptions::default().protocols(["chat"]);
    let response = "HTTP/1.1 101 Switching Protocols\r\nServer: motorway\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Protocol: chat\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    for _ in 0..rounds {
        let (octets, sent) =
            client::request(black_box(&url), &options, None, *b"the sample nonce")?;
        black_box(octets);
        let mut reader = HeadReader::new(HeadLimits::from(&options));
        let head = reader.response(black_box(response.as_bytes()))?;
        let (head, _) = head.ok_or("no whole head")?;
        black_box(client::check(head, &sent)?);
    }
    Ok(())
}

const KEY: MaskingKey = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);
const REQUEST: &[u8] = b"GET /chat?room=1 HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n\
    Upgrade: websocket\r\n\
    Origin: https://server.example.com\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    Cookie: session=0123456789abcdef\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\n\r\n";
