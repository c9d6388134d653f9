//! What proxies tell of the client: the PROXY protocol and `X-Forwarded-For`.

use motorway::handshake::server::{self, Checked};
use motorway::handshake::{HandshakeError, HeadLimits, HeadReader, ProxyHeader};
use motorway::{Peer, ServerOptions};

/// Reads at once and octet by octet; both must find the same.
fn parse(octets: &[u8]) -> Result<Option<(Option<String>, usize)>, HandshakeError> {
    let found = |octets: &[u8]| {
        let parsed = ProxyHeader::parse(octets)?;
        let text = |header: ProxyHeader| header.source().map(|source| source.to_string());
        Ok(parsed.map(|(header, length)| (text(header), length)))
    };
    let mut steps = (0..=octets.len()).map(|end| found(&octets[..end]));
    let slowly = steps.find(|found| *found != Ok(None)).unwrap_or(Ok(None));
    assert_eq!(found(octets), slowly);
    slowly
}

fn version_2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let head = [command, family, length[0], length[1]];
    [b"\r\n\r\n\0\r\nQUIT\n", &head[..], body].concat()
}

const FOUR: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 1, 0xc3, 0x50, 1, 187];

fn six() -> Vec<u8> {
    let mut body = vec![0; 36];
    body[15] = 1;
    body[31] = 2;
    body[32..].copy_from_slice(&[0xc3, 0x50, 1, 187]);
    body
}

#[test]
fn version_1_is_a_line() {
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let v6 = format!("PROXY TCP6 {longest} {longest} 65535 65535\r\n");
    for (line, source) in [
        (
            "PROXY TCP4 192.0.2.1 198.51.100.1 50000 443\r\n",
            Some("192.0.2.1:50000"),
        ),
        ("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", Some("0.0.0.0:0")),
        ("PROXY TCP6 ::1 ::2 50000 443\r\n", Some("[::1]:50000")),
        (
            v6.as_str(),
            Some("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
        ),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN whatever there is\r\n", None),
    ] {
        let octets = format!("{line}GET / HTTP/1.1\r\n\r\n");
        let expected = Some((source.map(str::to_owned), line.len()));
        assert_eq!(parse(octets.as_bytes()), Ok(expected), "{line}");
    }
}

#[test]
fn version_2_is_binary() {
    let with_fields = [&FOUR[..], b"\x04\x00\x01x"].concat();
    for (header, source) in [
        (version_2(0x21, 0x11, &FOUR), Some("192.0.2.1:50000")),
        (version_2(0x21, 0x11, &with_fields), Some("192.0.2.1:50000")),
        (version_2(0x21, 0x21, &six()), Some("[::1]:50000")),
        (version_2(0x20, 0x00, b""), None),
        (version_2(0x20, 0x11, b"ignored"), None),
        (version_2(0x20, 0xff, b""), None),
        (version_2(0x21, 0x00, b""), None),
        (version_2(0x21, 0x12, &FOUR), None),
        (version_2(0x21, 0x31, &[b'x'; 216]), None),
        (version_2(0x20, 0x00, &[0; 4080]), None),
    ] {
        let expected = Some((source.map(str::to_owned), header.len()));
        let octets = [header, b"GET / HTTP/1.1\r\n\r\n".to_vec()].concat();
        assert_eq!(parse(&octets), Ok(expected), "{octets:?}");
    }
}

#[test]
fn what_is_no_header_is_refused() {
    for octets in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n",
        b"PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n",
        b"PROXY TCP4 1.1.1.1 ::1 1 1\r\n",
        b"PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY TCP4 1.1.1 1.1.1.1 1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n",
        b"PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n",
        b"PROXY TCP4 \xff 1.1.1.1 1 1\r\n",
        &[b"PROXY UNKNOWN ", &[b'x'; 100][..]].concat(),
        b"\r\n\r\n\0\r\nQUIT\r",
        &version_2(0x11, 0x11, &FOUR),
        &version_2(0x22, 0x11, &FOUR),
        &version_2(0x21, 0x13, &FOUR),
        &version_2(0x21, 0x41, &FOUR),
        &version_2(0x21, 0x11, &FOUR[..11]),
        &version_2(0x21, 0x21, &six()[..35]),
        &version_2(0x20, 0x00, &[0; 4081]),
    ] {
        let error = Err(HandshakeError::InvalidProxyHeader);
        assert_eq!(
            parse(octets),
            error,
            "{:?}",
            String::from_utf8_lossy(octets)
        );
    }
}

#[test]
fn the_peer_is_counted_from_the_right() {
    let own = Peer::Unknown;
    for (hops, lines, expected) in [
        (0, "X-Forwarded-For: 1.1.1.1\r\n", None),
        (1, "", None),
        (1, "X-Forwarded-For: 1.1.1.1\r\n", Some("1.1.1.1")),
        (1, "X-Forwarded-For: 9.9.9.9, 1.1.1.1\r\n", Some("1.1.1.1")),
        (
            2,
            "X-Forwarded-For: 9.9.9.9,2.2.2.2 , 1.1.1.1\r\n",
            Some("2.2.2.2"),
        ),
        (
            2,
            "X-Forwarded-For: 9.9.9.9, 2.2.2.2\r\nx-forwarded-for: 1.1.1.1\r\n",
            Some("2.2.2.2"),
        ),
        (5, "X-Forwarded-For: 2.2.2.2, 1.1.1.1\r\n", Some("2.2.2.2")),
        (1, "X-Forwarded-For: ::1\r\n", Some("::1")),
        (1, "X-Forwarded-For: [::1]\r\n", Some("::1")),
        (1, "X-Forwarded-For: [::1]:80\r\n", Some("::1")),
        (1, "X-Forwarded-For: 1.1.1.1:80\r\n", Some("1.1.1.1")),
        (1, "X-Forwarded-For: 1.1.1.1, unknown\r\n", None),
        (1, "X-Forwarded-For: 1.1.1.1,\r\n", None),
        (1, "X-Forwarded-For: 1.1.1.1, \"x\"\r\n", None),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut reader = HeadReader::new(HeadLimits::default());
        let (head, _) = reader.request(request.as_bytes()).unwrap().unwrap();
        let options = ServerOptions::default().trust_x_forwarded_for(hops);
        let Checked::Http(request) = server::check(head, &options, own.clone()) else {
            panic!("{lines}");
        };
        let peer = request.peer().to_string();
        assert_eq!(peer, expected.unwrap_or("unknown"), "{hops} {lines}");
    }
}

fn forwarded(lines: &[&str], hops: u32) -> Peer {
    let mut request = "GET / HTTP/1.1\r\nHost: a\r\n".to_owned();
    for line in lines {
        request.push_str(&format!("Forwarded: {line}\r\n"));
    }
    request.push_str("\r\n");
    let head = HeadReader::new(HeadLimits::default()).request(request.as_bytes());
    let options = ServerOptions::default().trust_forwarded(hops);
    match server::check(head.unwrap().unwrap().0, &options, Peer::Unknown) {
        Checked::Http(request) => request.peer().clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn forwarded_elements_are_counted_from_the_right() {
    // The examples of RFC 7239 §4 and §7.1, and what proxies make of them.
    let list = "for=192.0.2.43, for=\"[2001:db8:cafe::17]\";proto=http, for=198.51.100.17";
    for (lines, hops, expected) in [
        (
            &["for=192.0.2.60;proto=http;by=203.0.113.43"][..],
            1,
            "192.0.2.60",
        ),
        (
            &["For=\"[2001:db8:cafe::17]:4711\""],
            1,
            "2001:db8:cafe::17",
        ),
        (
            &["proto=https;FOR = \"192.0.2.43:47011\" ; host=a"],
            1,
            "192.0.2.43",
        ),
        (&[list], 1, "198.51.100.17"),
        (&[list], 2, "2001:db8:cafe::17"),
        (&[list], 3, "192.0.2.43"),
        (&[list], 9, "192.0.2.43"),
        (&["for=192.0.2.1", "for=192.0.2.2"], 1, "192.0.2.2"),
        (&["for=192.0.2.1", "for=192.0.2.2"], 2, "192.0.2.1"),
        (&["for=192.0.2.1,, for=192.0.2.2,"], 2, "192.0.2.1"),
        (&["for=\"192.0.2.\\1\""], 1, "192.0.2.1"),
        // What a client invents stands further to the left.
        (&["for=\"a,b;for=1.1.1.1\", for=192.0.2.2"], 1, "192.0.2.2"),
        (&["for=\"", "for=192.0.2.2"], 1, "192.0.2.2"),
    ] {
        assert_eq!(forwarded(lines, hops).to_string(), expected, "{lines:?}");
    }
}

#[test]
fn forwarded_elements_without_an_address_say_nothing() {
    for lines in [
        &[][..],
        &["for=unknown"],
        &["for=_hidden"],
        &["for=\"_gazonk\""],
        &["by=192.0.2.1"],
        &["for=192.0.2.1;for=192.0.2.2"],
        &["for=192.0.2.1, proto=http"],
        &["192.0.2.1"],
        &["for=\"192.0.2.1"],
        &["for=192.0.2.1, for=\"unknown"],
    ] {
        assert_eq!(forwarded(lines, 1), Peer::Unknown, "{lines:?}");
    }
    assert_eq!(forwarded(&["for=192.0.2.1"], 0), Peer::Unknown, "off");
    let both = ServerOptions::default()
        .trust_forwarded(1)
        .trust_x_forwarded_for(1);
    assert_eq!(both.validate().unwrap_err().option(), "trust_forwarded");
}
