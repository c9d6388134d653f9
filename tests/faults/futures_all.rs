//! That no public future is forgotten: each says what dropping it does, and is dropped in a test.

use std::fs;
use std::path::{Path, PathBuf};

/// Every `pub async fn`, by its file, and the test that drops it; more of the same name in a file are
/// made of the same code.
const DROPPED: &[(&str, &[&str], &str)] = &[
    (
        "broker/nats.rs",
        &["connect"],
        "without a server nothing is left to look at",
    ),
    ("broker/redis/builder.rs", &["connect"], "as above"),
    ("broker/redis/mod.rs", &["connect"], "as above"),
    ("client/connections.rs", &["next"], "futures_outside"),
    (
        "client/connector.rs",
        &["connect", "connect_stream"],
        "futures_outside",
    ),
    ("client/factory.rs", &["run", "connect"], "futures_outside"),
    (
        "client/factory.rs",
        &["connect_stream", "run_stream"],
        "tests/tokio/cancellation.rs",
    ),
    (
        "client/http2/connecting.rs",
        &["connect_http2", "connect_http2_stream"],
        "tests/http2/cancellation.rs",
    ),
    (
        "client/http2/opening.rs",
        &["connect_over", "run_over"],
        "tests/http2/cancellation.rs",
    ),
    (
        "client/http2/opening.rs",
        &["connect_http2", "connect_http2_stream"],
        "tests/http2/cancellation.rs",
    ),
    (
        "client/reconnect.rs",
        &["run"],
        "futures_outside: is `connect` and `closed` in turns",
    ),
    ("hub/event.rs", &["next"], "futures_outside"),
    (
        "hub/handle.rs",
        &["publish", "publish_except", "publish_from", "broadcast"],
        "futures_outside",
    ),
    (
        "mount/axum.rs",
        &["serve", "serve_as", "on_upgrade", "on_upgrade_with"],
        "tests/mount/lifecycle.rs",
    ),
    (
        "server/factory.rs",
        &["listen", "listen_all"],
        "futures_outside",
    ),
    (
        "server/factory.rs",
        &["listen_workers"],
        "futures_outside: is `listen`",
    ),
    (
        "server/factory.rs",
        &["shutdown"],
        "tests/mount/lifecycle.rs",
    ),
    (
        "server/handler.rs",
        &["serve", "serve_with"],
        "futures_outside",
    ),
    (
        "server/listen.rs",
        &["run_until", "shutdown"],
        "tests/tokio/cancellation.rs",
    ),
    (
        "server/listen_tls.rs",
        &["listen_tls", "listen_all_tls", "listen_workers_tls"],
        "futures_outside: are `listen`",
    ),
    (
        "server/router.rs",
        &["listen", "listen_all", "listen_workers"],
        "futures_outside: are those of factories",
    ),
    (
        "stream/mod.rs",
        &["recv", "recv_text", "recv_bytes", "close"],
        "futures",
    ),
    (
        "stream/reader.rs",
        &["recv", "recv_text", "recv_bytes"],
        "futures",
    ),
    ("stream/writer.rs", &["close"], "futures"),
    ("testing.rs", &["pair"], "futures_outside"),
    ("tls/client.rs", &["connect"], "is that of tokio-rustls"),
    ("tls/server.rs", &["accept"], "is that of tokio-rustls"),
    ("transport/json.rs", &["send_json"], "futures: is `send`"),
    (
        "transport/websocket.rs",
        &[
            "send_prepared",
            "begin_message",
            "begin_uncompressed_message",
        ],
        "futures",
    ),
    (
        "transport/websocket.rs",
        &["ping", "close", "closed"],
        "futures",
    ),
    ("transport/writer.rs", &["write", "finish"], "futures"),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(sources(&path)),
            false => files.push(path),
        }
    }
    files
}

/// The names of the public futures of a source, and whether each says what dropping it does.
fn futures(source: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut says = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("///") {
            says |= line.starts_with("/// # Cancel safety");
            continue;
        }
        if let Some(rest) = line.strip_prefix("pub async fn ") {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            found.push((name.to_owned(), says));
        }
        // Attributes stand between the two.
        says &= line.starts_with("#[");
    }
    found
}

#[test]
fn every_public_future_is_dropped_and_says_what_that_does() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = Vec::new();
    for path in sources(&src) {
        let file = path.strip_prefix(&src).unwrap().to_str().unwrap();
        if file.starts_with("bin") {
            continue;
        }
        for (name, says) in futures(&fs::read_to_string(&path).unwrap()) {
            assert!(says, "{name} of {file} does not say what dropping it does");
            let is_listed = DROPPED
                .iter()
                .any(|(listed, names, _)| *listed == file && names.contains(&name.as_str()));
            assert!(is_listed, "{name} of {file} is dropped in no test");
            seen.push((file.to_owned(), name));
        }
    }
    for (file, names, _) in DROPPED {
        for name in *names {
            let is_there = seen
                .iter()
                .any(|(there, found)| there == file && found == name);
            assert!(is_there, "there is no {name} in {file}");
        }
    }
}

#[test]
fn futures_are_found() {
    let source = "/// A.\n///\n/// # Cancel safety\n///\n/// B.\n#[must_use]\npub async fn a<T>(\n\n\
                  /// C.\npub async fn b() {}";
    assert_eq!(
        futures(source),
        [("a".to_owned(), true), ("b".to_owned(), false)]
    );
}
