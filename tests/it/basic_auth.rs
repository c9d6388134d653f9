//! Basic authentication (RFC 7617).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use motorway::handshake::server;
use motorway::{BasicAuth, HeaderMap, HeaderValue, StatusCode};

fn auth() -> BasicAuth {
    BasicAuth::new("a \"club\" of käfer")
        .user("Aladdin", "open sesame")
        .user("test", "123£")
        .user("bob", "")
}

fn headers(values: &[impl AsRef<str>]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(
            "authorization",
            HeaderValue::from_str(value.as_ref()).unwrap(),
        );
    }
    headers
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

#[test]
fn those_with_the_password_are_let_in() {
    for (value, user) in [
        // RFC 7617 §2 and §2.1.
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin"),
        ("Basic dGVzdDoxMjPCow==", "test"),
        ("basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin"),
        (basic("bob:").as_str(), "bob"),
    ] {
        assert_eq!(auth().check(&headers(&[value])).unwrap(), user);
    }
}

#[test]
fn all_others_are_asked_for_it() {
    let valid = basic("Aladdin:open sesame");
    for values in [
        vec![],
        vec![basic("Aladdin:open sesam")],
        vec![basic("Aladdin:open sesame ")],
        vec![basic("Aladdin:")],
        vec![basic("aladdin:open sesame")],
        vec![basic(":open sesame")],
        vec![basic("Aladdin")],
        vec![basic("test:open sesame")],
        vec![basic("")],
        vec!["Basic".to_owned()],
        vec!["Basic ?".to_owned()],
        vec!["Basic /w==".to_owned()],
        vec!["Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned()],
        vec![valid.clone(), valid],
    ] {
        let deny = auth().check(&headers(&values)).unwrap_err();
        assert_eq!(deny.status(), StatusCode::UNAUTHORIZED);
        let response = String::from_utf8(server::deny(&deny)).unwrap();
        assert!(response.starts_with("HTTP/1.1 401 Unauthorized\r\n"));
        let challenge = "\r\nwww-authenticate: Basic realm=\"a \\\"club\\\" of k?fer\", \
            charset=\"UTF-8\"\r\n";
        assert!(
            response
                .to_ascii_lowercase()
                .contains(&challenge.to_ascii_lowercase()),
            "{response}"
        );
    }
    let nobody = BasicAuth::new("club");
    assert!(nobody.check(&headers(&[&basic(":")])).is_err());
}

#[test]
fn secrets_are_not_printed() {
    let printed = format!("{:?}", auth());
    assert!(
        !printed.contains("sesame") && !printed.contains("Aladdin"),
        "{printed}"
    );
}
