//! Examples as processes, as their users run them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Builds an example, which `cargo test --test NAME` does not do itself, with the features of this test.
fn build(name: &str) {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--quiet", "--example", name]);
    for (feature, is_on) in [
        ("axum", cfg!(feature = "axum")),
        ("blocking", cfg!(feature = "blocking")),
        ("cli", cfg!(feature = "cli")),
        ("http2", cfg!(feature = "http2")),
        ("hyper", cfg!(feature = "hyper")),
        ("json", cfg!(feature = "json")),
        ("nats", cfg!(feature = "nats")),
        ("redis", cfg!(feature = "redis")),
        ("rustls", cfg!(feature = "rustls")),
    ] {
        if is_on {
            cargo.args(["--features", feature]);
        }
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    // What cargo tells tests of their package would make it build dependencies anew.
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    assert!(cargo.status().unwrap().success());
}

/// An example, which cargo has put beside the folder of this test.
pub(crate) fn example(name: &str) -> Command {
    build(name);
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap();
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    Command::new(folder.join("examples").join(name))
}

/// What a program prints that ends by itself, and in order.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{complaint}");
    text
}

/// A program that ends with the test.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            let lines = stdout.lines().map_while(Result::ok);
            lines
                .take_while(|line| sender.send(line.clone()).is_ok())
                .count()
        });
        Self { child, lines }
    }

    /// The next line that it prints.
    pub(crate) fn line(&self) -> String {
        let line = self.lines.recv_timeout(Duration::from_secs(60));
        line.expect("a line in time")
    }

    /// Waits for a line that starts so, and returns the rest of it.
    pub(crate) fn find(&self, start: &str) -> String {
        loop {
            if let Some(rest) = self.line().strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    /// What Ctrl-C does, once the program is prepared for it; returns whether it ended in order.
    #[cfg(target_os = "linux")]
    pub(crate) fn interrupt(mut self) -> bool {
        let id = self.child.id().to_string();
        let is_caught = || {
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
            let signals = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            u64::from_str_radix(signals.unwrap().trim(), 16).unwrap() & 2 != 0
        };
        while !is_caught() {
            thread::yield_now();
        }
        let kill = Command::new("kill").args(["-INT", &id]).status();
        assert!(kill.unwrap().success());
        self.child.wait().unwrap().success()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
