//! Nanoseconds to receive and echo a message in the engine alone, without a network.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Buf;
use motorway::connection::{DeflateSettings, Event, Output, Receiver, Rules, Sender};
use motorway::extension::deflate::DeflateParameters;
use motorway::frame::MaskingKey;
use motorway::{ClientOptions, DeflateOptions, Message, ServerOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let deflate = DeflateSettings {
        parameters: DeflateParameters::default(),
        options: DeflateOptions::default(),
    };
    println!("{:>8} {:>12} {:>12}", "octets", "plain", "deflate");
    for len in [16, 64, 125, 1024, 16 * 1024, 1 << 20] {
        let plain = nanoseconds(len, None)?;
        let deflated = nanoseconds(len, Some(&deflate))?;
        println!("{len:>8} {plain:>12.1} {deflated:>12.1}");
    }
    Ok(())
}

/// Returns the least time of several runs, which is the one that others disturbed least.
fn nanoseconds(
    len: usize,
    deflate: Option<&DeflateSettings>,
) -> Result<f64, Box<dyn std::error::Error>> {
    let server = Arc::new(Rules::server(&ServerOptions::default()));
    let client = Arc::new(Rules::client(&ClientOptions::default()));
    let key = || MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);
    let text: String =
        r#"{"id":7,"name":"motorway","tags":["a","b"]},"#.chars().cycle().take(len).collect();

    // About as many messages as fit into one read.
    let messages = (64 * 1024 / (len + 14)).max(1);
    let mut sender = Sender::new(client, deflate, Box::new(key));
    let mut sent = Output::default();
    for _ in 0..messages {
        let message = Message::from(text.as_str());
        sender.send(message, &mut sent)?;
    }
    let sent = sent.copy_to_bytes(sent.remaining());

    let rounds = (4_000_000 / (messages * (len + 40))).max(2);
    let mut least = f64::INFINITY;
    for _ in 0..15 {
        let mut receiver = Receiver::new(Arc::clone(&server), deflate);
        let mut echoer = Sender::new(Arc::clone(&server), deflate, Box::new(key));
        let mut out = Output::default();
        // With context takeover the same octets make sense only once.
        let rounds = if deflate.is_some() { 1 } else { rounds };
        let mut spent = 0.0;
        for _ in 0..rounds {
            let mut input = sent.to_vec();
            let start = Instant::now();
            let mut rest: &mut [u8] = black_box(&mut input);
            while let (Some(event), after) = receiver.receive(rest)? {
                if let Event::Message(message) = event {
                    echoer.send(message, &mut out)?;
                }
                rest = after;
            }
            black_box(&out);
            out.clear();
            spent += start.elapsed().as_secs_f64();
        }
        least = f64::min(least, spent * 1e9 / (rounds * messages) as f64);
    }
    Ok(least)
}
