//! What stands above the tables: when, on what, of what, how.

use table::system::{machine, said_by};

/// Prints date, machine, versions, the way of measuring, and the command.
pub(crate) fn print(way: &str) {
    let date = said_by("date", &["-u", "+%Y-%m-%d"]);
    println!(
        "{date}; {}; {}.",
        machine(),
        said_by("rustc", &["--version"])
    );
    println!("{}.", versions().join(", "));
    println!("CPU time of the subject for each message, user and system; {way}.\n");
    println!("```sh\n{}\n```", command());
}

/// The command that prints the same again.
fn command() -> String {
    let mut command = "cargo run --release --manifest-path benches/Cargo.toml".to_owned();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.is_empty() {
        command += " -- ";
        command += &arguments.join(" ");
    }
    command
}

fn versions() -> Vec<String> {
    let folder = env!("CARGO_MANIFEST_DIR");
    let commit = said_by(
        "git",
        &[
            "-C",
            folder,
            "describe",
            "--always",
            "--dirty",
            "--exclude=*",
        ],
    );
    let versions = CRATES
        .iter()
        .map(|name| format!("{name} {}", version(name)));
    let mut versions: Vec<String> = versions.collect();
    if let Some(own) = versions.first_mut()
        && !commit.is_empty()
    {
        *own += &format!(" ({commit})");
    }
    versions
}

const CRATES: &[&str] = &[
    "motorway",
    "fastwebsockets",
    "sockudo-ws",
    "tokio-tungstenite",
    "tokio-websockets",
    "yawc",
    "tokio",
];

/// The version in the lock file that this was built by.
fn version(name: &str) -> &'static str {
    let mut lines = include_str!("../../Cargo.lock").lines();
    let wanted = format!("name = \"{name}\"");
    let found = lines
        .find(|line| *line == wanted)
        .and_then(|_| lines.next());
    let version = found.and_then(|line| line.split('"').nth(1));
    version.unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_is_in_the_lock_file() {
        for name in CRATES {
            assert_ne!(version(name), "?", "{name}");
        }
    }
}
