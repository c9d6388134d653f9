//! A process of its own: what it takes of memory, processor and descriptors is what one end takes.
//!
//! It is the binary of the tests once more, with a role that the test `child::plays_the_role_that_it_is_given`
//! plays.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A process, which ends with this.
pub(crate) struct Process {
    child: Child,
    /// The process ends when this is closed, also where the test dies.
    _stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Process {
    pub(crate) fn start(role: &str, descriptors: u32) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {descriptors}; exec \"$@\""), "sh"]);
        shell.arg(std::env::current_exe().unwrap());
        shell.args(["--exact", "child::plays_the_role_that_it_is_given"]);
        shell.args(["--nocapture", "--test-threads=1"]);
        shell.env(ROLE, role);
        // What is freed goes back to the system at once, so that what is kept can be told.
        shell.env("MALLOC_ARENA_MAX", "1");
        shell.env("MALLOC_MMAP_THRESHOLD_", "65536");
        shell.env("MALLOC_TRIM_THRESHOLD_", "65536");
        shell.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = stdout.lines().map_while(Result::ok);
            lines
                .take_while(|line| sender.send(line.clone()).is_ok())
                .count()
        });
        Self {
            child,
            _stdin: stdin,
            lines,
        }
    }

    /// What the process says after this.
    pub(crate) fn find(&self, start: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            if let Some((_, rest)) = line.unwrap().split_once(start) {
                return rest.to_owned();
            }
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.find("listening on ").parse().unwrap()
    }

    fn status(&self, name: &str) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(name));
        let value = value.unwrap().trim().trim_end_matches(" kB");
        value.parse().unwrap()
    }

    /// How many KiB of memory it has now.
    pub(crate) fn memory(&self) -> usize {
        self.status("VmRSS:")
    }

    /// The most KiB of memory that it has had.
    pub(crate) fn peak(&self) -> usize {
        self.status("VmHWM:")
    }

    /// How many KiB it has asked for, whether it used them or not.
    pub(crate) fn asked_for(&self) -> usize {
        self.status("VmData:")
    }

    /// How much time of the processor it has taken.
    pub(crate) fn processor(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let mut fields = fields.split_whitespace().skip(11);
        let mut ticks = || fields.next().unwrap().parse::<u64>().unwrap();
        // A hundred a second, whatever the kernel counts in.
        Duration::from_millis((ticks() + ticks()) * 10)
    }

    /// How many descriptors it has.
    pub(crate) fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(folder).unwrap().count()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The role that this process is given, if it is one apart; it ends when its parent does.
pub(crate) fn role() -> Option<String> {
    let role = std::env::var(ROLE).ok()?;
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    Some(role)
}

const ROLE: &str = "MOTORWAY_THREATS_ROLE";
