//! Headers of the PROXY protocol, against a plain reading of its specification.

use super::heads::{Found, check_same, piecewise};
use motorway::handshake::ProxyHeader;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A header is read as the specification says, the same whether it arrives whole or octet by octet,
/// and is not waited for beyond its limit.
pub fn proxy(data: &[u8]) {
    let read = |octets: &[u8]| Ok(ProxyHeader::parse(octets)?.map(|(_, length)| length));
    let whole: Found = read(data);
    check_same(whole.as_ref().map(|found| *found), piecewise(data, read));
    let ours = match ProxyHeader::parse(data) {
        Ok(Some((header, length))) => Plain::Header(header.source(), length),
        Ok(None) => Plain::More,
        Err(_) => Plain::Invalid,
    };
    assert_eq!(ours, plain(data));
    match whole {
        Ok(Some(length)) => assert!(length <= data.len() && length <= 4096),
        Ok(None) => assert!(data.len() < 4096),
        Err(_) => {}
    }
}

#[derive(Debug, PartialEq)]
enum Plain {
    Header(Option<SocketAddr>, usize),
    More,
    Invalid,
}

fn plain(data: &[u8]) -> Plain {
    let (text, binary) = (b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n");
    if text.starts_with(&data[..data.len().min(6)]) {
        let end = (0..data.len().min(106)).find(|at| data[*at..].starts_with(b"\r\n"));
        return match end {
            Some(end) => match line(&data[..end]) {
                Some(source) => Plain::Header(source, end + 2),
                None => Plain::Invalid,
            },
            // "CRLF" has to be there within 107 octets.
            None if data.len() >= 107 => Plain::Invalid,
            None => Plain::More,
        };
    }
    if !binary.starts_with(&data[..data.len().min(12)]) {
        return Plain::Invalid;
    }
    if data.len() < 16 {
        return Plain::More;
    }
    let length = usize::from(data[14]) << 8 | usize::from(data[15]);
    if !matches!(data[12], 0x20 | 0x21) || length > 4096 - 16 {
        return Plain::Invalid;
    }
    if data.len() < 16 + length {
        return Plain::More;
    }
    let body = &data[16..16 + length];
    let port = |at: usize| u16::from(body[at]) << 8 | u16::from(body[at + 1]);
    let source = match (data[12], data[13]) {
        (0x20, _) => None,
        (_, 0x11) if length >= 12 => {
            let four: [u8; 4] = body[..4].try_into().expect("four");
            Some(SocketAddr::new(Ipv4Addr::from(four).into(), port(8)))
        }
        (_, 0x21) if length >= 36 => {
            let sixteen: [u8; 16] = body[..16].try_into().expect("sixteen");
            Some(SocketAddr::new(Ipv6Addr::from(sixteen).into(), port(32)))
        }
        (_, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => None,
        _ => return Plain::Invalid,
    };
    Plain::Header(source, 16 + length)
}

/// The line of version 1, without its end.
fn line(line: &[u8]) -> Option<Option<SocketAddr>> {
    let line = std::str::from_utf8(line).ok()?;
    let parts: Vec<_> = line.split(' ').collect();
    if parts.get(1) == Some(&"UNKNOWN") {
        return Some(None);
    }
    let [_, family, source, target, from, to] = parts[..] else {
        return None;
    };
    let address = |text: &str| match family {
        "TCP4" => text.parse().ok().map(IpAddr::V4),
        "TCP6" => text.parse().ok().map(IpAddr::V6),
        _ => None,
    };
    // A number of at most 65535, as it is printed.
    let port = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|port| port.to_string() == text)
    };
    address(target).zip(port(to))?;
    Some(Some(SocketAddr::new(address(source)?, port(from)?)))
}
