//! Heads, and what stands in them.

use motorway::extension::{Offer, deflate::negotiate};
use motorway::handshake::server::Checked;
use motorway::handshake::{
    HandshakeError, HeadLimits, HeadReader, ProxyHeader, client, server,
};
use motorway::{
    AllowedOrigins, ClientOptions, ConnectionAccept, DeflateOptions, Peer, ServerOptions, Url,
};

/// A request is judged the same whether it arrives whole or octet by octet; every answer is a head.
pub fn request(data: &[u8]) {
    let whole = HeadReader::new(HeadLimits::default()).request(data);
    let mut reader = HeadReader::new(HeadLimits::default());
    let pieces = piecewise(data, |octets| {
        Ok(reader.request(octets)?.map(|(_, length)| length))
    });
    check_same(
        whole
            .as_ref()
            .map(|found| found.as_ref().map(|(_, length)| *length)),
        pieces,
    );
    let Ok(Some((head, _))) = whole else {
        return;
    };
    let options = ServerOptions::default().per_message_deflate(DeflateOptions::default());
    let response = match server::check(head, &options, Peer::Unknown) {
        Checked::Upgrade(request) => {
            server::accept(&request, &ConnectionAccept::new(), &options)
                .expect("accepted")
                .0
        }
        Checked::Http(request) => server::status_page(&request, &options),
        Checked::Refused { response, .. } => response,
        _ => return,
    };
    let mut reader = HeadReader::new(HeadLimits::default());
    let head = reader.response(&response).expect("a valid head");
    assert!(head.is_some(), "a whole head");
}

/// An answer is judged the same whether it arrives whole or octet by octet, and never by a panic.
pub fn response(data: &[u8]) {
    let whole = HeadReader::new(HeadLimits::default()).response(data);
    let mut reader = HeadReader::new(HeadLimits::default());
    let pieces = piecewise(data, |octets| {
        Ok(reader.response(octets)?.map(|(_, length)| length))
    });
    check_same(
        whole
            .as_ref()
            .map(|found| found.as_ref().map(|(_, length)| *length)),
        pieces,
    );
    if let Ok(Some((head, _))) = whole {
        let url: Url = "ws://example.com/".parse().expect("a valid URL");
        let options = ClientOptions::default().per_message_deflate(DeflateOptions::default());
        let (_, sent) = client::request(&url, &options, None, [0; 16]).expect("a valid request");
        let _ = client::check(head, &sent);
    }
}

/// A header of the PROXY protocol is judged the same whether it arrives whole or octet by octet,
/// and is not waited for beyond its limit.
pub fn proxy(data: &[u8]) {
    let read = |octets: &[u8]| Ok(ProxyHeader::parse(octets)?.map(|(_, length)| length));
    let whole: Found = read(data);
    check_same(whole.as_ref().map(|found| *found), piecewise(data, read));
    match whole {
        Ok(Some(length)) => assert!(length <= data.len() && length <= 4096),
        Ok(None) => assert!(data.len() < 4096),
        Err(_) => {}
    }
}

type Found = Result<Option<usize>, HandshakeError>;

fn piecewise(data: &[u8], mut read: impl FnMut(&[u8]) -> Found) -> Found {
    for end in 1..=data.len() {
        match read(&data[..end]) {
            Ok(None) => {}
            done => return done,
        }
    }
    Ok(None)
}

fn check_same(whole: Result<Option<usize>, &HandshakeError>, pieces: Found) {
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        (whole, pieces) => assert_eq!(whole.is_err(), pieces.is_err()),
    }
}

/// What is parsed prints as what parses to the same, and is answered by what a client accepts.
pub fn extensions(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(offers) = Offer::parse_list(text) else {
        return;
    };
    let printed: Vec<_> = offers.iter().map(ToString::to_string).collect();
    assert_eq!(Offer::parse_list(&printed.join(", ")), Ok(offers.clone()));
    if let Some((parameters, _)) = negotiate::answer(&offers, &DeflateOptions::default()) {
        assert!((9..=15).contains(&parameters.server_max_window_bits));
        assert!((8..=15).contains(&parameters.client_max_window_bits));
    }
}

/// A URL that is accepted makes a request without a line break of its own.
pub fn url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(url) = text.parse::<Url>() {
        let request = client::request(&url, &ClientOptions::default(), None, [0; 16]);
        let (octets, _) = request.expect("a valid URL makes a valid request");
        let mut reader = HeadReader::new(HeadLimits::default());
        match reader.request(&octets) {
            Ok(Some((head, length))) => {
                assert_eq!(length, octets.len());
                assert_eq!(head.target(), url.resource());
            }
            Err(HandshakeError::HeadTooLarge { .. } | HandshakeError::TargetTooLong { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A pattern and an origin never lead to a panic, and a list of one origin matches itself.
pub fn origins(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (pattern, origin) = text.split_once('\n').unwrap_or((text, text));
    if let Ok(origins) = AllowedOrigins::new([pattern]) {
        let allows = origins.allows(origin);
        // Browsers write a port without zeros in front, and so it is compared.
        let is_canonical = !pattern.contains('*') && !pattern.contains(":0");
        if pattern == origin && is_canonical {
            assert!(allows, "{pattern}");
        }
    }
}
