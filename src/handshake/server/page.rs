//! Responses that open no connection: refusals, and the page for browsers.
//!
//! Nothing in them comes from the request, but for the URL of a redirect where that is asked for
//! with an option.

use http::{Method, StatusCode};

use super::{HttpRequest, HttpResponse, respond, server_header};
use crate::handshake::HandshakeError;
use crate::handshake::write::HeadWriter;
use crate::options::ServerOptions;

/// Makes the response to a request that failed its checks.
///
/// The body is a fixed sentence for each status. Under
/// [`ServerOptions::autobahn`](crate::ServerOptions::autobahn) an origin and a version that are
/// not accepted are answered with 400, as Autobahn does. With
/// [`serve_flash_socket_policy`](crate::ServerOptions::serve_flash_socket_policy) a request for the
/// policy file is answered with the file, and no head.
#[must_use]
pub fn refuse(error: &HandshakeError, options: &ServerOptions) -> Vec<u8> {
    if *error == HandshakeError::FlashPolicyRequest && options.serve_flash_socket_policy {
        return options.flash_socket_policy.clone().into_bytes();
    }
    let (head, body) = refusal(error, options);
    head.finish(body.as_bytes())
}

fn refusal(error: &HandshakeError, options: &ServerOptions) -> (HeadWriter, &'static str) {
    let status = match error {
        HandshakeError::OriginRefused | HandshakeError::UnsupportedVersion
            if options.autobahn_status =>
        {
            StatusCode::BAD_REQUEST
        }
        error => error.status(),
    };
    let mut head = start(status, options);
    let mut connection = "close";
    match error {
        HandshakeError::UnsupportedMethod => head.header("Allow", "GET, HEAD"),
        HandshakeError::UnsupportedVersion => {
            let mut versions = options.versions.clone();
            versions.sort_unstable_by(|left, right| right.cmp(left));
            versions.dedup();
            let versions: Vec<_> = versions.iter().map(u8::to_string).collect();
            head.header("Sec-WebSocket-Version", versions.join(", "));
        }
        _ => {}
    }
    if status == StatusCode::UPGRADE_REQUIRED {
        // RFC 9110 §7.8: "A sender of Upgrade MUST also send an 'Upgrade' connection option".
        head.header("Upgrade", "websocket");
        connection = "close, Upgrade";
    }
    head.header("Content-Type", "text/plain; charset=utf-8");
    let body = sentence(status);
    head.header("Content-Length", body.len().to_string());
    head.header("Connection", connection);
    (head, body)
}

/// Makes the response of a server that takes no further connection (503).
#[must_use]
pub fn unavailable(options: &ServerOptions) -> Vec<u8> {
    refuse(&HandshakeError::TooManyConnections, options)
}

/// Makes the answer to a plain request that nothing else answers: a page that says what runs here,
/// or 426 where [`web_status`](crate::ServerOptions::web_status) is off.
///
/// With [`web_status_redirect`](crate::ServerOptions::web_status_redirect) the page can lead
/// elsewhere.
#[must_use]
pub fn status_page(request: &HttpRequest, options: &ServerOptions) -> Vec<u8> {
    let method = request.method();
    if !options.web_status {
        let (head, body) = refusal(&HandshakeError::UpgradeRequired, options);
        let is_head = *method == Method::HEAD;
        return head.finish(if is_head { b"" } else { body.as_bytes() });
    }
    let page = match redirect(request, options) {
        Some((url, None)) => HttpResponse::redirect(url.as_str()),
        Some((url, Some(seconds))) => {
            let url = url.replace('&', "&amp;");
            let refresh =
                format!("<meta http-equiv=\"refresh\" content=\"{seconds}; url={url}\">\n</head>");
            HttpResponse::html(PAGE.replacen("</head>", &refresh, 1))
        }
        None => HttpResponse::html(PAGE),
    };
    let page = page.header("x-content-type-options", "nosniff");
    let page = page.header("cache-control", "no-store");
    respond(method, &page, options)
}

/// The URL that the query names, and after how many seconds to go there.
fn redirect(request: &HttpRequest, options: &ServerOptions) -> Option<(String, Option<u32>)> {
    if !options.web_status_redirect {
        return None;
    }
    let url = request.param("redirect")?;
    let (scheme, rest) = url.split_once("://")?;
    let is_web = ["http", "https"].contains(&scheme) && !rest.is_empty();
    // Stays in one attribute of HTML and one header: no quotes, brackets or spaces.
    let is_plain = |octet: u8| octet.is_ascii_graphic() && !b"\"'<>`\\".contains(&octet);
    if !is_web || !url.bytes().all(is_plain) {
        return None;
    }
    let after = request.param("after");
    Some((url.into_owned(), after.and_then(|text| text.parse().ok())))
}

fn start(status: StatusCode, options: &ServerOptions) -> HeadWriter {
    let reason = status.canonical_reason().unwrap_or("Refused");
    let mut head = HeadWriter::response(status, reason);
    server_header(&mut head, options);
    head
}

fn sentence(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "This is not a valid WebSocket opening handshake.\n",
        StatusCode::FORBIDDEN => "Pages of this origin may not connect here.\n",
        StatusCode::NOT_FOUND => "There is nothing at this path.\n",
        StatusCode::METHOD_NOT_ALLOWED => "Only GET requests are answered here.\n",
        StatusCode::NOT_IMPLEMENTED => "Only the protocol websocket is spoken here.\n",
        StatusCode::URI_TOO_LONG => "The request line is too long.\n",
        StatusCode::UPGRADE_REQUIRED => "Only WebSocket connections are served here.\n",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "The head of the request is too large.\n",
        StatusCode::SERVICE_UNAVAILABLE => "The server takes no connection at present.\n",
        StatusCode::HTTP_VERSION_NOT_SUPPORTED => "Only HTTP/1.1 is spoken here.\n",
        _ => "The server could not fulfil the request.\n",
    }
}

const PAGE: &str = "<!DOCTYPE html>\n\
<html lang=\"en\">\n\
<head>\n\
<meta charset=\"utf-8\">\n\
<meta name=\"viewport\" content=\"width=device-width\">\n\
<title>WebSocket server</title>\n\
<style>\n\
body { font: 1.1em/1.5 system-ui, sans-serif; max-width: 34em; margin: 15vh auto; \
padding: 0 1em; color: #223; background: #fcfcfa; }\n\
h1 { font-weight: 600; }\n\
@media (prefers-color-scheme: dark) { body { color: #dde; background: #181a20; } }\n\
</style>\n\
</head>\n\
<body>\n\
<h1>WebSocket server</h1>\n\
<p>This address speaks the WebSocket protocol. It is up and running, but there is no page to \
see here: connect with a WebSocket client.</p>\n\
</body>\n\
</html>\n";
