//! Nanoseconds for headers, compression and the opening handshake, without a network.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use bytes::BytesMut;
use motorway::extension::deflate::codec::{Deflater, DeflaterConfig, Inflater, InflaterConfig};
use motorway::frame::{Header, MaskingKey, Opcode, Rsv};
use motorway::handshake::server::{self, Checked};
use motorway::handshake::{HeadLimits, HeadReader, client};
use motorway::{ClientOptions, ConnectionAccept, DeflateOptions, Peer, ServerOptions, Url};

fn main() -> Result<(), Box<dyn Error>> {
    println!("{:>24} {:>12} {:>12}", "payload", "decode", "encode");
    for length in [64, 1024, 1 << 20] {
        for mask in [None, Some(MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]))] {
            header(length, mask)?;
        }
    }
    println!(
        "\n{:>24} {:>12} {:>12} {:>8}",
        "JSON", "deflate", "inflate", "octets"
    );
    for octets in [1024, 64 * 1024] {
        for context_takeover in [true, false] {
            compression(octets, context_takeover)?;
        }
    }
    println!("\n{:>24} {:>12}", "opening handshake", "");
    println!("{:>24} {:>12.1}", "server", nanoseconds(1000, accept)?);
    println!("{:>24} {:>12.1}", "client", nanoseconds(1000, ask)?);
    Ok(())
}

fn header(length: u64, mask: Option<MaskingKey>) -> Result<(), Box<dyn Error>> {
    let header = Header {
        fin: true,
        rsv: Rsv::NONE,
        opcode: Opcode::Binary,
        mask,
        length,
    };
    let octets = header.encode();
    let decode = nanoseconds(100_000, || {
        black_box(Header::decode(black_box(&octets))?);
        Ok(())
    })?;
    let encode = nanoseconds(100_000, || {
        black_box(black_box(&header).encode());
        Ok(())
    })?;
    let masked = if mask.is_some() { "masked" } else { "plain" };
    println!(
        "{:>24} {decode:>12.1} {encode:>12.1}",
        format!("{length} {masked}")
    );
    Ok(())
}

/// Compresses and inflates messages that follow each other, no two alike, and more than a window remembers.
fn compression(octets: usize, context_takeover: bool) -> Result<(), Box<dyn Error>> {
    let messages = json(octets, (64 * 1024 / octets).max(4));
    let mut deflater = Deflater::new(DeflaterConfig {
        context_takeover,
        ..DeflaterConfig::default()
    })?;
    let mut inflater = Inflater::new(InflaterConfig { context_takeover });
    let mut compressed = vec![BytesMut::new(); messages.len()];
    let deflate = nanoseconds(4, || {
        // From where the inflater will start, too.
        deflater.reset();
        for (text, out) in messages.iter().zip(&mut compressed) {
            out.clear();
            deflater.compress(black_box(text.as_bytes()), out)?;
            deflater.finish(out);
        }
        Ok(())
    })?;
    let mut out = BytesMut::new();
    let inflate = nanoseconds(16, || {
        inflater.reset();
        for octets in &compressed {
            out.clear();
            inflater.inflate(black_box(octets), &mut out, None)?;
            inflater.finish()?;
        }
        Ok(())
    })?;
    let count = messages.len();
    let size = compressed.iter().map(|octets| octets.len()).sum::<usize>() / count;
    let kept = match context_takeover {
        true => "takeover",
        false => "alone",
    };
    let (deflate, inflate) = (deflate / count as f64, inflate / count as f64);
    println!(
        "{:>24} {deflate:>12.1} {inflate:>12.1} {size:>8}",
        format!("{octets} {kept}")
    );
    Ok(())
}

/// Reads, checks and accepts what a browser asks.
fn accept() -> Result<(), Box<dyn Error>> {
    let options = ServerOptions::default().per_message_deflate(DeflateOptions::default());
    let mut reader = HeadReader::new(HeadLimits::from(&options));
    let (head, _) = reader
        .request(black_box(REQUEST))?
        .ok_or("no whole request")?;
    let Checked::Upgrade(request) = server::check(head, &options, Peer::Unknown) else {
        return Err("not an opening handshake".into());
    };
    let accept = ConnectionAccept::new().protocol("chat");
    black_box(server::accept(&request, &accept, &options)?);
    Ok(())
}

/// Makes a request, and checks the answer to it.
fn ask() -> Result<(), Box<dyn Error>> {
    let url: Url = black_box("ws://server.example.com/chat").parse()?;
    let options = ClientOptions::default().protocols(["chat"]);
    let (octets, sent) = client::request(&url, &options, None, *b"the sample nonce")?;
    black_box(octets);
    let mut reader = HeadReader::new(HeadLimits::from(&options));
    let (head, _) = reader
        .response(black_box(RESPONSE))?
        .ok_or("no whole response")?;
    black_box(client::check(head, &sent)?);
    Ok(())
}

/// Returns the least time of several runs, which is the one that others disturbed least.
fn nanoseconds(
    rounds: usize,
    mut run: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let mut least = f64::INFINITY;
    for _ in 0..15 {
        let start = Instant::now();
        for _ in 0..rounds {
            run()?;
        }
        least = f64::min(least, start.elapsed().as_secs_f64() * 1e9 / rounds as f64);
    }
    Ok(least)
}

/// Makes messages as tickers send them, of so many octets.
fn json(octets: usize, count: usize) -> Vec<String> {
    let mut price = 1_087_300_u64;
    let mut message = || {
        let mut text = String::from("[");
        while text.len() < octets {
            price = price * 6_364_136_223 % 1_999_993;
            let (symbol, size) = (price % 7, price % 97);
            text += &format!(r#"{{"symbol":"EUR{symbol}","price":{price},"size":{size}}},"#);
        }
        text.truncate(octets - 1);
        text + "]"
    };
    (0..count).map(|_| message()).collect()
}

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
const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Server: motorway\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Protocol: chat\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
