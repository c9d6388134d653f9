//! Heads of requests and responses, against a plain reading of their lines.

use motorway::handshake::client::{self, AnswerReader, BodyReader};
use motorway::handshake::server::{self, Checked};
use motorway::handshake::{HandshakeError, HeadLimits, HeadReader, ResponseHead};
use motorway::http::{HeaderMap, Method, StatusCode};
use motorway::{
    ClientOptions, ConnectionAccept, ConnectionRequest, DeflateOptions, Peer, ServerOptions, Url,
};
use tungstenite::handshake::derive_accept_key;

/// The length of a head that was found, or why it is none.
pub type Found = Result<Option<usize>, HandshakeError>;

/// A request is judged the same whether it arrives whole or octet by octet, says what its lines say,
/// becomes a WebSocket only by the rules, and every answer is a head that a client reads.
pub fn request(data: &[u8]) {
    let whole = HeadReader::new(HeadLimits::default()).request(data);
    let mut reader = HeadReader::new(HeadLimits::default());
    let pieces = piecewise(data, |octets| {
        Ok(reader.request(octets)?.map(|(_, length)| length))
    });
    let length = whole
        .as_ref()
        .map(|it| it.as_ref().map(|(_, length)| *length));
    check_same(length, pieces);
    let small = HeadReader::new(SMALL).request(data);
    check_limits(data, length, small.map(|it| it.map(|(_, length)| length)));
    let Ok(Some((head, length))) = whole else {
        return;
    };
    let (first, fields) = lines(data, length);
    let version = format!("{:?}", head.version());
    let parts = [head.method().as_str(), head.target(), &version];
    assert_eq!(
        first.split(|it| *it == b' ').collect::<Vec<_>>(),
        parts.map(str::as_bytes)
    );
    check_fields(head.headers(), &fields);
    let options = ServerOptions::default()
        .per_message_deflate(DeflateOptions::default())
        .protocols(["chat"]);
    let response = match server::check(head, &options, Peer::Unknown) {
        Checked::Upgrade(request) => upgrade(&request, &fields, &options),
        Checked::Http(request) => {
            assert!([Method::GET, Method::HEAD].contains(request.method()));
            assert!(values(&fields, "upgrade").is_empty());
            server::status_page(&request, &options)
        }
        Checked::Refused { response, .. } => {
            let status = read(&response).status();
            assert!(status.is_client_error() || status.is_server_error());
            response
        }
        _ => return,
    };
    read(&response);
}

/// RFC 6455 §4.2.1 on the fields as they stand there, and §4.2.2 on the answer; returns that.
fn upgrade(request: &ConnectionRequest, fields: &[Field], options: &ServerOptions) -> Vec<u8> {
    assert_eq!(values(fields, "host").len(), 1);
    assert!(has(fields, "upgrade", "websocket") && has(fields, "connection", "upgrade"));
    assert!(values(fields, "transfer-encoding").is_empty());
    assert!([vec![], vec!["0".to_owned()]].contains(&values(fields, "content-length")));
    let version = values(fields, "sec-websocket-version");
    assert_eq!(version, [request.version().to_string()]);
    assert!(["8", "13"].contains(&version[0].as_str()));
    let key = values(fields, "sec-websocket-key");
    assert!(key.len() == 1 && key[0].len() == 24 && key[0].ends_with("=="));
    let accept = match request.protocols() {
        [first, ..] => ConnectionAccept::new().protocol(first),
        [] => ConnectionAccept::new(),
    };
    let (response, agreed) = server::accept(request, &accept, options).expect("accepted");
    let head = read(&response);
    assert_eq!(head.status(), StatusCode::SWITCHING_PROTOCOLS);
    let headers = head.headers();
    assert_eq!(
        headers["sec-websocket-accept"],
        derive_accept_key(key[0].as_bytes())
    );
    let protocol = headers.get("sec-websocket-protocol");
    assert_eq!(
        protocol.map(|it| it.as_bytes()),
        request.protocols().first().map(String::as_bytes)
    );
    let extensions = headers.get("sec-websocket-extensions");
    assert_eq!(extensions.is_some(), agreed.deflate.is_some());
    assert!(extensions.is_none() || !values(fields, "sec-websocket-extensions").is_empty());
    response
}

/// An answer is judged the same whether it arrives whole or octet by octet, says what its lines say,
/// and opens a connection only by the rules; so is the body of one that refuses.
pub fn response(data: &[u8]) {
    let whole = HeadReader::new(HeadLimits::default()).response(data);
    let mut reader = HeadReader::new(HeadLimits::default());
    let pieces = piecewise(data, |octets| {
        Ok(reader.response(octets)?.map(|(_, length)| length))
    });
    let length = whole
        .as_ref()
        .map(|it| it.as_ref().map(|(_, length)| *length));
    check_same(length, pieces);
    let small = HeadReader::new(SMALL).response(data);
    check_limits(data, length, small.map(|it| it.map(|(_, length)| length)));
    if let Ok(Some((head, length))) = whole {
        let (first, fields) = lines(data, length);
        let start = format!("{:?} {}", head.version(), head.status().as_u16());
        assert!(first.starts_with(start.as_bytes()), "{start}");
        check_fields(head.headers(), &fields);
        check_body(&head, &data[length..]);
        opened(head, &fields);
    }
    let answer = AnswerReader::new(HeadLimits::default()).response(data);
    let mut reader = AnswerReader::new(HeadLimits::default());
    let pieces = piecewise(data, |octets| {
        Ok(reader.response(octets)?.map(|(_, length)| length))
    });
    check_same(
        answer
            .as_ref()
            .map(|it| it.as_ref().map(|(_, length)| *length)),
        pieces,
    );
}

/// RFC 6455 §4.1 on the fields as they stand there.
fn opened(head: ResponseHead, fields: &[Field]) {
    let url: Url = "ws://example.com/".parse().expect("a valid URL");
    let options = ClientOptions::default()
        .per_message_deflate(DeflateOptions::default())
        .protocols(["chat", "superchat"]);
    let (_, sent) = client::request(&url, &options, None, [0; 16]).expect("a valid request");
    let status = head.status();
    let Ok((_, agreed)) = client::check(head, &sent) else {
        return;
    };
    assert_eq!(status, StatusCode::SWITCHING_PROTOCOLS);
    assert!(has(fields, "upgrade", "websocket") && has(fields, "connection", "upgrade"));
    let accept = derive_accept_key(b"AAAAAAAAAAAAAAAAAAAAAA==");
    assert_eq!(values(fields, "sec-websocket-accept"), [accept]);
    let protocols = values(fields, "sec-websocket-protocol");
    assert_eq!(protocols.first(), agreed.subprotocol.as_ref());
    assert!(
        protocols.len() < 2
            && protocols
                .iter()
                .all(|it| ["chat", "superchat"].contains(&it.as_str()))
    );
    let is_compressed = has(fields, "sec-websocket-extensions", "permessage-deflate");
    assert!(agreed.deflate.is_some() || !is_compressed);
}

/// A body is the same in whatever pieces it comes, and is made of octets that came.
fn check_body(head: &ResponseHead, data: &[u8]) {
    let bodies = [usize::MAX, 1, 7].map(|chunk| {
        let mut reader = BodyReader::new(head);
        data.chunks(chunk).for_each(|chunk| reader.receive(chunk));
        reader.receive_eof();
        (reader.is_done(), reader.finish())
    });
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(bodies[0], bodies[2]);
    assert!(bodies[0].1.as_bytes().len() <= data.len());
}

/// A field as it stands there: its name in lower case, and its value without the space around it.
type Field = (String, Vec<u8>);

/// The first line and the fields of a head, found by nothing but the ends of lines and the first colons.
fn lines(data: &[u8], length: usize) -> (&[u8], Vec<Field>) {
    let end = data.windows(4).position(|it| it == b"\r\n\r\n");
    assert_eq!(
        end.map(|end| end + 4),
        Some(length),
        "a head ends at its first empty line"
    );
    let mut lines = Vec::new();
    let mut rest = &data[..length - 2];
    while let Some(end) = rest.windows(2).position(|it| it == b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    let fields = lines[1..].iter().map(|line| {
        let colon = line.iter().position(|it| *it == b':').expect("a colon");
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        assert!(
            !name.is_empty() && name.iter().all(u8::is_ascii_graphic),
            "{name:?}"
        );
        let is_space = |octet: &u8| [b' ', b'\t'].contains(octet);
        let start = value
            .iter()
            .position(|it| !is_space(it))
            .unwrap_or(value.len());
        let end = value
            .iter()
            .rposition(|it| !is_space(it))
            .map_or(start, |at| at + 1);
        (
            String::from_utf8_lossy(name).to_ascii_lowercase(),
            value[start..end].to_vec(),
        )
    });
    (lines[0], fields.collect())
}

/// The head has every field, and nothing besides.
fn check_fields(headers: &HeaderMap, fields: &[Field]) {
    assert_eq!(headers.len(), fields.len());
    for name in headers.keys() {
        let ours: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|it| it.as_bytes())
            .collect();
        let theirs = fields.iter().filter(|(other, _)| other == name.as_str());
        assert_eq!(
            ours,
            theirs.map(|(_, value)| &value[..]).collect::<Vec<_>>()
        );
    }
}

fn values(fields: &[Field], name: &str) -> Vec<String> {
    let fields = fields.iter().filter(|(other, _)| other == name);
    fields
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// Whether a field that is a list has this token.
fn has(fields: &[Field], name: &str, token: &str) -> bool {
    let list = values(fields, name).join(",").to_ascii_lowercase();
    list.split(',')
        .any(|item| item.split(';').next().unwrap_or("").trim() == token)
}

fn read(response: &[u8]) -> ResponseHead {
    let read = HeadReader::new(HeadLimits::default()).response(response);
    read.expect("a valid head").expect("a whole head").0
}

/// Limits that inputs of a fuzzer reach.
const SMALL: HeadLimits = HeadLimits {
    size: 200,
    line: 60,
    headers: 4,
};

/// Under smaller limits a head is the same or refused: refused if it is above them.
fn check_limits(data: &[u8], default: Result<Option<usize>, &HandshakeError>, small: Found) {
    match (default, &small) {
        (_, Ok(Some(length))) => {
            assert_eq!(default, Ok(Some(*length)));
            let (first, _) = lines(data, *length);
            assert!(*length <= SMALL.size && first.len() <= SMALL.line);
            let lines = data[..*length].split(|it| *it == b'\n').map(<[u8]>::len);
            // With the CR; the request line, the empty line, and what is behind the last end.
            assert!(lines.clone().all(|line| line <= SMALL.line + 1));
            assert!(lines.count() <= SMALL.headers + 3);
        }
        (_, Ok(None)) => assert!(data.len() < SMALL.size),
        (Ok(Some(length)), Err(_)) => {
            let lines = data[..length].split(|it| *it == b'\n').map(<[u8]>::len);
            let too_long = lines.clone().any(|line| line > SMALL.line + 1);
            assert!(length > SMALL.size || too_long || lines.count() > SMALL.headers + 3);
        }
        _ => {}
    }
}

/// Reads octet by octet.
pub fn piecewise(data: &[u8], mut read: impl FnMut(&[u8]) -> Found) -> Found {
    for end in 1..=data.len() {
        match read(&data[..end]) {
            Ok(None) => {}
            done => return done,
        }
    }
    Ok(None)
}

/// Both found the same, or neither anything.
pub fn check_same(whole: Result<Option<usize>, &HandshakeError>, pieces: Found) {
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        (whole, pieces) => assert_eq!(whole.is_err(), pieces.is_err(), "{whole:?} {pieces:?}"),
    }
}
