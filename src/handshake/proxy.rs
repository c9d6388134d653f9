//! The PROXY protocol, versions 1 and 2: who a proxy speaks for, told before the first octet.
//!
//! Anyone can write such a header, so it is read only from peers that are trusted, and there it
//! must be. Values of type-length-value fields are skipped, their checksum with them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::HandshakeError;

/// Who is at the other end of a proxy.
///
/// ```
/// use motorway::handshake::ProxyHeader;
///
/// let octets = b"PROXY TCP4 192.0.2.1 198.51.100.1 50000 443\r\nGET / ";
/// let (header, length) = ProxyHeader::parse(octets)?.unwrap();
/// assert_eq!(header.source(), Some("192.0.2.1:50000".parse().unwrap()));
/// assert_eq!(&octets[length..], b"GET / ");
/// assert_eq!(ProxyHeader::parse(b"PROXY TCP4 192")?, None);
/// # Ok::<(), motorway::HandshakeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    source: Option<SocketAddr>,
}

impl ProxyHeader {
    /// Reads a header of either version; `None` until it is complete, then with its length.
    ///
    /// # Errors
    ///
    /// Fails on what is no such header, at the first octet that shows it, and on one above 107
    /// octets in version 1 or 4 KiB in version 2.
    pub fn parse(octets: &[u8]) -> Result<Option<(Self, usize)>, HandshakeError> {
        let has_start_of = |signature: &[u8]| {
            let length = octets.len().min(signature.len());
            octets.get(..length) == signature.get(..length)
        };
        if has_start_of(SIGNATURE) {
            return version_2(octets);
        }
        if has_start_of(b"PROXY ") {
            return version_1(octets);
        }
        Err(HandshakeError::InvalidProxyHeader)
    }

    /// Returns the address of the client; `None` where the proxy speaks for itself, or for a
    /// client of which it tells nothing.
    #[must_use]
    pub fn source(&self) -> Option<SocketAddr> {
        self.source
    }
}

type Parsed = Result<Option<(ProxyHeader, usize)>, HandshakeError>;

fn version_1(octets: &[u8]) -> Parsed {
    let line = octets.get(..MAX_LINE).unwrap_or(octets);
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return match octets.len() {
            MAX_LINE.. => Err(HandshakeError::InvalidProxyHeader),
            _ => Ok(None),
        };
    };
    let line = line.get(..end).unwrap_or_default();
    let source = str::from_utf8(line).ok().and_then(parse_line);
    let source = source.ok_or(HandshakeError::InvalidProxyHeader)?;
    Ok(Some((ProxyHeader { source }, end + 2)))
}

/// Reads the line of version 1, of which one space is between any two parts.
fn parse_line(line: &str) -> Option<Option<SocketAddr>> {
    let mut parts = line.split(' ').skip(1);
    let is_v4 = match parts.next()? {
        // "the receiver must ignore anything presented before the CRLF is found."
        "UNKNOWN" => return Some(None),
        "TCP4" => true,
        "TCP6" => false,
        _ => return None,
    };
    let (source, destination): (IpAddr, IpAddr) =
        (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (from, _to) = (port(parts.next()?)?, port(parts.next()?)?);
    let fits = source.is_ipv4() == is_v4 && destination.is_ipv4() == is_v4;
    (fits && parts.next().is_none()).then_some(Some(SocketAddr::new(source, from)))
}

fn port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|octet| octet.is_ascii_digit());
    let is_canonical = text == "0" || !text.starts_with('0');
    (is_number && is_canonical).then(|| text.parse().ok())?
}

fn version_2(octets: &[u8]) -> Parsed {
    let invalid = HandshakeError::InvalidProxyHeader;
    let Some((head, rest)) = octets.split_first_chunk::<16>() else {
        return Ok(None);
    };
    let [.., version_and_command, family, high, low] = *head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length + head.len() > MAX_HEADER {
        return Err(invalid);
    }
    let is_local = match version_and_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(invalid),
    };
    let Some(body) = rest.get(..length) else {
        return Ok(None);
    };
    let source = match (is_local, family) {
        // "must discard the protocol block including the family which is ignored"
        (true, _) => None,
        (false, 0x11) => Some(source_4(body).ok_or(invalid)?),
        (false, 0x21) => Some(source_6(body).ok_or(invalid)?),
        // Unspecified, datagrams and Unix sockets: nothing that tells who is there.
        (false, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => None,
        _ => return Err(invalid),
    };
    Ok(Some((ProxyHeader { source }, length + head.len())))
}

/// Source and destination, then their ports.
fn source_4(body: &[u8]) -> Option<SocketAddr> {
    let (address, rest) = body.split_first_chunk::<4>()?;
    let (port, _) = rest.get(4..)?.split_first_chunk::<2>()?;
    rest.get(..8)?;
    let address = Ipv4Addr::from(*address);
    Some(SocketAddr::from((address, u16::from_be_bytes(*port))))
}

fn source_6(body: &[u8]) -> Option<SocketAddr> {
    let (address, rest) = body.split_first_chunk::<16>()?;
    let (port, _) = rest.get(16..)?.split_first_chunk::<2>()?;
    rest.get(..20)?;
    let address = Ipv6Addr::from(*address);
    Some(SocketAddr::from((address, u16::from_be_bytes(*port))))
}

/// What version 2 starts with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1, its end included.
const MAX_LINE: usize = 107;
/// The longest header of version 2 that is read.
const MAX_HEADER: usize = 4 << 10;
