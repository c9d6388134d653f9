//! What is written for users: nothing of Autobahn is left out, and every name of ours is one.
//!
//! Reads `src/`: a name that a table promises is a function, a type, a constant, a variant or a field there.

#![cfg(test)]

use regex::Regex;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

const GUIDE: &str = include_str!("../src/guide/autobahn.md");

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

/// The rows of all tables, as their cells.
fn rows() -> Vec<Vec<&'static str>> {
    let lines = GUIDE.lines().filter(|line| line.starts_with("| "));
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

#[test]
fn nothing_of_autobahn_is_left_out() {
    let rows = rows();
    let theirs: Vec<String> = rows.iter().flat_map(|row| names(row[0])).collect();
    for name in OPTIONS.split_whitespace().chain(METHODS.split_whitespace()) {
        assert!(theirs.iter().any(|known| known == name), "{name}");
    }
}

#[test]
fn every_name_of_ours_is_one() {
    let source = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let defined = Regex::new(
        r"\b(?:fn|struct|enum|trait|type|const|mod) (\w+)|\bpub (\w+): |(?m)^    (\w+)(?:,| =|\()",
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
        offered known value state url move f P crate with_ clone";
    let free: HashSet<&str> = free.split_whitespace().collect();
    for row in rows() {
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
