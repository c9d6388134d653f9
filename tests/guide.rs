//! What is written for users: nothing of those they come from is left out, and every name of ours is one.
//!
//! Reads `src/`: a name that a table promises is a function, a type, a constant, a variant or a field there.

#![cfg(test)]

use regex::Regex;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

const AUTOBAHN: &str = include_str!("../src/guide/autobahn.md");
const TOKIO_TUNGSTENITE: &str = include_str!("../src/guide/tokio_tungstenite.md");
const AXUM: &str = include_str!("../src/guide/axum.md");

/// Autobahn's options, as `setProtocolOptions` and `setSessionParameters` take them.
const OPTIONS: &str = "logOctets logFrames trackTimings utf8validateIncoming applyMask maxFramePayloadSize \
    maxMessagePayloadSize autoFragmentSize failByDrop echoCloseCodeReason openHandshakeTimeout \
    closeHandshakeTimeout tcpNoDelay autoPingInterval autoPingTimeout autoPingSize \
    autoPingRestartOnAnyTraffic versions webStatus requireMaskedClientFrames maskServerFrames \
    perMessageCompressionAccept perMessageCompressionOffers serveFlashSocketPolicy flashSocketPolicy \
    allowedOrigins allowNullOrigin maxConnections trustXForwardedFor version acceptMaskedServerFrames \
    maskClientFrames serverConnectionDropTimeout url protocols server headers externalPort origin \
    useragent proxy";

/// Autobahn's callbacks, and what its protocols and factories can be asked to do.
const METHODS: &str = "onConnecting onConnect onOpen onMessage onMessageBegin onMessageFrameBegin \
    onMessageFrameData onMessageFrameEnd onMessageFrame onMessageEnd onPing onPong onClose onCloseFrame \
    onAutoPong onAutoPingTimeout onOpenHandshakeTimeout onCloseHandshakeTimeout \
    onServerConnectionDropTimeout registerProducer unregisterProducer is_open is_closed sendMessage \
    beginMessage beginMessageFrame sendMessageFrameData sendMessageFrame endMessage sendPing sendPong \
    sendClose dropConnection prepareMessage sendPreparedMessage setProtocolOptions resetProtocolOptions \
    setSessionParameters listenWS connectWS";

/// What tokio-tungstenite 0.29 exports, and what its streams, requests, messages, options and errors have.
const OF_TOKIO_TUNGSTENITE: &str = "connect_async connect_async_with_config connect_async_tls_with_config \
    client_async client_async_with_config client_async_tls accept_async accept_async_with_config \
    accept_hdr_async accept_hdr_async_with_config Callback Connector MaybeTlsStream WebSocketStream \
    ClientRequestBuilder IntoClientRequest Request Response ErrorResponse next send close split feed flush \
    Text Binary Ping Pong Close Frame text binary into_data into_text to_text Utf8Bytes CloseFrame \
    CloseCode FrameCodec WebSocketConfig read_buffer_size write_buffer_size max_write_buffer_size \
    max_message_size max_frame_size accept_unmasked_frames can_read can_write ConnectionClosed \
    AlreadyClosed Io Tls MessageTooLong Protocol WriteBufferFull Utf8 Url Http HttpFormat \
    UnableToConnect SendAfterClosing ResetWithoutClosingHandshake disable_nagle tungstenite";

/// What `axum::extract::ws` 0.8 has.
const OF_AXUM: &str = "WebSocketUpgrade read_buffer_size write_buffer_size max_write_buffer_size \
    max_message_size max_frame_size accept_unmasked_frames protocols requested_protocols \
    set_selected_protocol selected_protocol on_failed_upgrade on_upgrade OnFailedUpgrade WebSocket recv \
    send protocol Utf8Bytes CloseFrame Message Text Binary Ping Pong Close WebSocketUpgradeRejection \
    close_code with_graceful_shutdown ConnectInfo";

/// The rows of all tables of a page, as their cells.
fn rows(page: &'static str) -> Vec<Vec<&'static str>> {
    let lines = page.lines().filter(|line| line.starts_with("| "));
    lines
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// The identifiers that stand in backticks.
fn names(cell: &str) -> Vec<String> {
    static CODE: LazyLock<Regex> = LazyLock::new(|| Regex::new("`([^`]+)`").unwrap());
    static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[A-Za-z_][A-Za-z0-9_]*").unwrap());
    // Strings, such as the names of subprotocols, are no names of ours.
    static STRING: LazyLock<Regex> = LazyLock::new(|| Regex::new("\"[^\"]*\"").unwrap());
    let mut found = Vec::new();
    for span in CODE.captures_iter(cell) {
        let bare = STRING.replace_all(&span[1], "");
        found.extend(NAME.find_iter(&bare).map(|name| name.as_str().to_owned()));
    }
    found
}

fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.extension() {
        None => sources(&path),
        Some(extension) if extension == "rs" => fs::read_to_string(path).unwrap(),
        Some(_) => String::new(),
    });
    texts.collect()
}

/// Looks for all of these names in the first column of the tables of a page.
fn has_all(page: &'static str, promised: &str) {
    let rows = rows(page);
    let theirs: Vec<String> = rows.iter().flat_map(|row| names(row[0])).collect();
    for name in promised.split_whitespace() {
        assert!(theirs.iter().any(|known| known == name), "{name}");
    }
}

#[test]
fn nothing_of_autobahn_is_left_out() {
    has_all(AUTOBAHN, OPTIONS);
    has_all(AUTOBAHN, METHODS);
}

#[test]
fn nothing_of_tokio_tungstenite_is_left_out() {
    has_all(TOKIO_TUNGSTENITE, OF_TOKIO_TUNGSTENITE);
}

#[test]
fn nothing_of_axum_is_left_out() {
    has_all(AXUM, OF_AXUM);
}

#[test]
fn every_name_of_ours_is_one() {
    let source = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let defined = Regex::new(
        r"\b(?:fn|struct|enum|trait|type|const|mod) (\w+)|\bpub (\w+): |(?m)^    (\w+)(?:,| =|\(| \{)",
    )
    .unwrap();
    let defined: HashSet<&str> = defined
        .captures_iter(&source)
        .flat_map(|found| {
            found
                .iter()
                .skip(1)
                .flatten()
                .map(|name| name.as_str())
                .collect::<Vec<_>>()
        })
        .collect();
    // What arguments and variables are called in the examples of calls.
    let free = "ws factory payload code reason length chunk rtt address kind message options tls policy status \
        offered known value state url move f P crate with_ clone handler instance signal false Ok None \
        with_graceful_shutdown";
    let free: HashSet<&str> = free.split_whitespace().collect();
    for row in [AUTOBAHN, TOKIO_TUNGSTENITE, AXUM]
        .into_iter()
        .flat_map(rows)
    {
        for name in names(row.get(1).unwrap_or(&"")) {
            let name = name.as_str();
            assert!(free.contains(name) || defined.contains(name), "{name}");
        }
    }
}

#[test]
fn every_option_stands_in_the_readme() {
    let readme = include_str!("../README.md");
    let table = readme.split("## Options").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let listed = names(table);
    let setter = Regex::new(r"pub fn (\w+)\(\s*mut self").unwrap();
    for source in [
        include_str!("../src/options/setters.rs"),
        include_str!("../src/options/server.rs"),
        include_str!("../src/options/client.rs"),
    ] {
        assert!(setter.is_match(source));
        for found in setter.captures_iter(source) {
            assert!(listed.iter().any(|name| *name == found[1]), "{}", &found[1]);
        }
    }
}
