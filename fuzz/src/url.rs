//! URLs, against the URIs of the crate `http`, and where redirects lead.

use motorway::handshake::client::{self, Journey};
use motorway::handshake::{HandshakeError, HeadLimits, HeadReader};
use motorway::http::Uri;
use motorway::{ClientOptions, Url};

/// A URL that is accepted prints as one that is the same, leads to the host that others see in it, and
/// makes a request without a line break of its own; so does where it redirects to.
pub fn url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (text, reference) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(url) = text.parse::<Url>() else {
        return;
    };
    if let (Ok(uri), None) = (text.parse::<Uri>(), url.socket()) {
        check_same(&url, &uri);
    }
    assert_eq!(url.to_string().parse().as_ref(), Ok(&url), "{text:?}");
    check(&url);
    let mut journey = Journey::new(url.clone(), ClientOptions::default().max_redirects(1));
    if journey.follow(reference).is_ok() {
        let next = journey.url();
        check(next);
        assert!(
            next.is_secure() || !url.is_secure(),
            "never back to plain text"
        );
        let target = (next.is_secure(), next.host(), next.port(), next.socket());
        let stayed = target == (url.is_secure(), url.host(), url.port(), url.socket());
        assert_eq!(journey.has_crossed(), !stayed);
        if !reference.contains("//") {
            assert!(stayed, "a path leads to no other server: {reference:?}");
            let path = next.resource().split('?').next().unwrap_or("");
            let mut segments = path.split('/');
            assert!(segments.all(|it| it != "." && it != ".."), "{path:?}");
        }
    }
}

fn check(url: &Url) {
    assert!(url.resource().starts_with('/'));
    let uri: Uri = url.resource().parse().expect("a target");
    assert_eq!(
        uri.path_and_query().map(|it| it.as_str()),
        Some(url.resource())
    );
    if url.socket().is_none() {
        let whole: Uri = url.to_string().parse().expect("a URI");
        check_same(url, &whole);
        assert_eq!(whole.path_and_query(), uri.path_and_query());
    }
    let request = client::request(url, &ClientOptions::default(), None, [0; 16]);
    let (octets, _) = request.expect("a valid URL makes a valid request");
    let mut reader = HeadReader::new(HeadLimits::default());
    match reader.request(&octets) {
        Ok(Some((head, length))) => {
            assert_eq!(length, octets.len());
            assert_eq!(head.target(), url.resource());
            let default = if url.is_secure() { 443 } else { 80 };
            let expected = match url.port() {
                port if port == default => url.host().to_owned(),
                port => format!("{}:{port}", url.host()),
            };
            assert_eq!(head.headers()["host"], expected);
        }
        Err(HandshakeError::HeadTooLarge { .. } | HandshakeError::TargetTooLong { .. }) => {}
        other => panic!("{other:?}"),
    }
}

fn check_same(url: &Url, uri: &Uri) {
    let host = uri.host().map(str::to_ascii_lowercase);
    assert_eq!(host.as_deref(), Some(url.host()), "{uri}");
    let default = if url.is_secure() { 443 } else { 80 };
    assert_eq!(uri.port_u16().unwrap_or(default), url.port(), "{uri}");
    let is_secure = uri
        .scheme_str()
        .is_some_and(|it| it.eq_ignore_ascii_case("wss"));
    assert_eq!(is_secure, url.is_secure(), "{uri}");
}
