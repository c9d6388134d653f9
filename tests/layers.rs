//! The layers: what lies below imports nothing from above, and siblings nothing from each other.
//!
//! Reads `src/`, so that a layer is as firm as the compiler would make it if each were a crate.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the bottom to the top, and what each may use besides those of lower layers.
const LAYERS: &[&[(&str, &[&str])]] = &[
    &[
        ("close", &[]),
        ("message", &[]),
        ("peer", &[]),
        ("options", &["close"]),
        ("address", &["options"]),
    ],
    &[
        ("frame", &[]),
        ("utf8", &[]),
        ("extension", &[]),
        ("handshake", &["extension"]),
    ],
    &[("connection", &[])],
    &[
        ("tls", &[]),
        ("error", &["tls"]),
        ("random", &[]),
        ("observe", &["error"]),
        ("socket", &[]),
        ("transport", &["error", "observe", "random", "tls"]),
        ("blocking", &["error", "observe", "random", "socket", "tls"]),
    ],
    &[("stream", &[])],
    &[("server", &[]), ("client", &[])],
    &[("testing", &[]), ("broker", &[]), ("mount", &[])],
    &[("hub", &[])],
    // Pages, which import nothing.
    &[("guide", &[])],
];

fn layer(module: &str) -> Option<(usize, &'static [&'static str])> {
    LAYERS.iter().enumerate().find_map(|(height, modules)| {
        let found = modules.iter().find(|(name, _)| *name == module);
        found.map(|(_, siblings)| (height, *siblings))
    })
}

/// Every `.rs` file below `folder`, with its text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            files.push((path, source));
        }
    }
    files
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The module of the crate's root that a file belongs to.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(src()).unwrap();
    let first = inside.iter().next().unwrap().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// A source without comments and without the tests at its end.
fn code(source: &str) -> String {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = source.lines();
    let code = lines.map(|line| line.split("//").next().unwrap_or_default());
    code.collect::<Vec<_>>().join("\n")
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The modules that a source names behind `crate::`, also in braces.
fn imports(source: &str) -> Vec<String> {
    let code = code(source);
    let mut modules = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        // `$crate::` is the same; `some_crate::` is not.
        if before.is_some_and(is_name) {
            continue;
        }
        let rest = code[at + found.len()..].trim_start();
        match rest.strip_prefix('{') {
            Some(list) => modules.extend(first_names(list)),
            None => modules.extend(name(rest)),
        }
    }
    modules
}

fn name(text: &str) -> Option<String> {
    let text = text.trim_start();
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The first names of the paths in a list, up to the brace that closes it.
fn first_names(list: &str) -> Vec<String> {
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, character) in list.char_indices() {
        match (character, depth) {
            ('{', _) => depth += 1,
            ('}', 0) => {
                names.extend(name(&list[start..at]));
                break;
            }
            ('}', _) => depth -= 1,
            (',', 0) => {
                names.extend(name(&list[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names
}

/// What a source of `module` imports and must not.
fn violations(module: &str, source: &str) -> Vec<String> {
    let Some((height, siblings)) = layer(module) else {
        return vec![format!("{module} is in no layer")];
    };
    let allowed = |import: &String| {
        import == module
            || siblings.contains(&import.as_str())
            || layer(import).is_some_and(|(other, _)| other < height)
    };
    let imports = imports(source).into_iter();
    imports
        .filter(|import| !allowed(import))
        .map(|import| format!("{module} uses {import}"))
        .collect()
}

#[test]
fn nothing_imports_upward_or_sideways() {
    for (path, source) in sources(&src()) {
        let module = module_of(&path);
        // The command-line tool is a crate of its own, which sees what users see.
        if module == "lib" || module == "bin" {
            continue;
        }
        let violations = violations(&module, &source);
        assert!(violations.is_empty(), "{}: {violations:?}", path.display());
    }
}

#[test]
fn every_module_of_the_root_has_a_layer() {
    let root = fs::read_to_string(src().join("lib.rs")).unwrap();
    let modules = root.lines().filter_map(|line| {
        let line = line.trim_start_matches("pub ");
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    for module in modules {
        assert!(layer(module).is_some(), "{module} is in no layer");
    }
}

#[test]
fn violations_are_found() {
    for (module, source) in [
        ("frame", "use crate::connection::Rules;"),
        ("frame", "use crate::utf8;"),
        ("close", "use crate::message::Message;"),
        ("connection", "fn f() -> crate::error::Error { todo!() }"),
        (
            "connection",
            "use crate::{frame::Header, transport::{Driver, X}};",
        ),
        ("extension", "pub(in crate::handshake) fn f() {}"),
        ("server", "use crate::client::WebSocketClientFactory;"),
        ("error", "use crate::transport;"),
        ("blocking", "use crate::transport::within;"),
        ("transport", "let x = <crate::server::Server>::new();"),
        ("message", "use crate::Message;"),
        ("nowhere", ""),
    ] {
        assert_eq!(violations(module, source).len(), 1, "{module}: {source}");
    }
}

#[test]
fn what_is_allowed_is_no_violation() {
    for (module, source) in [
        (
            "frame",
            "use crate::close::CloseCode; use crate::frame::Header; use my_crate::client;",
        ),
        (
            "handshake",
            "use crate::extension::Offer; use crate::options::ServerOptions;",
        ),
        ("extension", "use crate::options::DeflateOptions;"),
        (
            "transport",
            "use crate::error::Result; use crate::connection::{Event, Rules};",
        ),
        (
            "server",
            "use crate::{error::Result, transport::{Driver, Handler}, close::CloseCode};",
        ),
        (
            "close",
            "// use crate::server;\n/// crate::client\n#[cfg(test)]\nmod tests { use crate::server; }",
        ),
    ] {
        assert_eq!(violations(module, source), Vec::<String>::new());
    }
}

#[test]
fn no_file_is_longer_than_500_lines() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/table");
    for (path, source) in [sources(&src()), sources(&table)].concat() {
        let lines = source.lines().count();
        assert!(lines <= 500, "{} has {lines} lines", path.display());
    }
}

#[test]
fn one_line_has_unsafe_code() {
    let count = |source: &str| {
        let code = code(source);
        let words = code.split(|c| !is_name(c));
        words.filter(|word| *word == "unsafe").count()
    };
    assert_eq!(count("fn f() { unsafe { g() } }"), 1);
    assert_eq!(count("#[expect(unsafe_code)] // unsafe"), 0);
    let files = sources(&src()).into_iter();
    let files: Vec<_> = files
        .map(|(path, source)| (path, count(&source)))
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(files, [(src().join("message/text.rs"), 1)]);
}

/// The tests that a text names, as path and name: each in backquotes, with two colons between.
fn named_tests(text: &str) -> Vec<(&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    let named = quoted.filter(|quoted| quoted.starts_with("tests/"));
    named.filter_map(|named| named.split_once("::")).collect()
}

#[test]
fn every_guarantee_of_security_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let (_, guarantees) = text.split_once("## Guarantees").unwrap();
    let (guarantees, _) = guarantees.split_once("\n## ").unwrap();
    for number in 1..=16 {
        let (_, guarantee) = guarantees.split_once(&format!("\n{number}. ")).unwrap();
        let next = guarantee.find(&format!("\n{}. ", number + 1));
        let tests = named_tests(&guarantee[..next.unwrap_or(guarantee.len())]);
        assert!(!tests.is_empty(), "guarantee {number} names no test");
        for (path, name) in tests {
            let source = fs::read_to_string(root.join(path)).unwrap();
            let exists = source.contains(&format!("fn {name}("));
            assert!(exists, "{path} has no test {name}");
        }
    }
}
