//! What was counted before: lines of a level, a case and a count, in `recorded.txt`.

use super::{Count, Fallible};
use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::process::Command;

/// How a count compares to what was recorded.
pub(crate) enum Verdict {
    Same,
    Worse,
    Better,
    Unknown,
}

impl Verdict {
    pub(crate) fn of(recorded: Option<f64>, counted: f64) -> Self {
        match recorded {
            None => Self::Unknown,
            Some(recorded) if counted > recorded * (1.0 + TOLERANCE) => Self::Worse,
            Some(recorded) if counted < recorded * (1.0 - TOLERANCE) => Self::Better,
            Some(_) => Self::Same,
        }
    }
}

/// What was recorded of one level.
pub(crate) struct Record {
    level: String,
    /// With which tools it was counted.
    tools: String,
    counts: HashMap<String, f64>,
}

impl Record {
    pub(crate) fn read(level: &str) -> Fallible<Self> {
        let mut record = Self {
            level: level.to_owned(),
            tools: String::new(),
            counts: HashMap::new(),
        };
        for line in fs::read_to_string(PATH).unwrap_or_default().lines() {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                [of, "with", ref tools @ ..] if of == level => {
                    record.tools = tools.join(" ");
                }
                [of, name, count] if of == level => {
                    record.counts.insert(name.to_owned(), count.parse()?);
                }
                _ => {}
            }
        }
        Ok(record)
    }

    /// Writes what was counted at this level in place of what was recorded; leaves other levels as they are.
    pub(crate) fn write(level: &str, counts: &[Count]) -> Fallible<()> {
        let mut text = String::from(HEAD);
        let before = fs::read_to_string(PATH).unwrap_or_default();
        for line in before.lines().filter(|line| !line.starts_with('#')) {
            if line.split_whitespace().next() != Some(level) {
                writeln!(text, "{line}")?;
            }
        }
        writeln!(text, "{level} with {}", tools())?;
        for count in counts {
            writeln!(text, "{level} {} {:.1}", count.name, count.instructions)?;
        }
        Ok(fs::write(PATH, text)?)
    }

    pub(crate) fn level(&self) -> &str {
        &self.level
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Returns what was recorded of a case.
    pub(crate) fn of(&self, name: &str) -> Option<f64> {
        self.counts.get(name).copied()
    }

    /// Says so if it was counted with other tools.
    pub(crate) fn tell_tools(&self) {
        let now = tools();
        if now != self.tools {
            println!("Recorded with {}; counted with {now}.", self.tools);
        }
    }
}

/// What a count depends on, besides the code.
fn tools() -> String {
    let version = |tool: &str| {
        let told = Command::new(tool).arg("--version").output();
        told.map(|run| String::from_utf8_lossy(&run.stdout).trim().to_owned())
            .unwrap_or_else(|_| format!("{tool} unknown"))
    };
    format!("{}, {}", version("rustc"), version("valgrind"))
}

/// By how much of it a count may differ from what was recorded.
const TOLERANCE: f64 = 0.05;
const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/instructions/recorded.txt"
);
const HEAD: &str = "\
# Instructions: level, case, count. Written by `cargo bench --bench instructions -- --record`.
";
