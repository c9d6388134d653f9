//! Measures motorway beside other crates and prints the README's table.
//!
//! ```sh
//! cargo run --release --manifest-path benches/Cargo.toml
//! cargo run --release --manifest-path benches/Cargo.toml -- --set client --rounds 3
//! ```
//!
//! Each server is started anew for each run, on the first core, under a load on the last; the servers take turns,
//! and what is printed are medians of rounds.

mod build;
mod format;
mod heading;
mod many;
mod report;
mod run;
mod scenarios;
mod subjects;

use clap::Parser;
use run::Runner;
use scenarios::Scenario;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use subjects::{SUBJECTS, Subject};
use table::Result;
use table::measurement::Measurement;

/// Measures motorway beside other crates and prints tables in Markdown.
#[derive(Debug, Parser)]
struct Arguments {
    /// What is measured: main, full, idle, client, tls, multi, growth, workers, many, or loads by name (`--list`).
    #[arg(long, value_delimiter = ',', default_value = "main")]
    set: Vec<String>,
    /// Only these servers and clients.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Rounds, in each of which everyone has a turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each run that are measured.
    #[arg(long, default_value_t = 1.0)]
    secs: f64,
    /// Seconds of each run before them.
    #[arg(long, default_value_t = 0.3)]
    warm: f64,
    /// Pairs of a server and a load for `many`, with as many connections each as there may be descriptors.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Prints messages a second, latencies and use of cores, too.
    #[arg(long)]
    details: bool,
    /// Adds what was measured to a file, as JSON.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Measures nothing: prints the tables of such a file.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Measures nothing: prints the names of loads, servers and clients.
    #[arg(long)]
    list: bool,
}

impl Arguments {
    fn has(&self, subject: &Subject) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == subject.name)
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.list {
        list();
        return Ok(());
    }
    if let Some(path) = &arguments.report {
        let text = std::fs::read_to_string(path)?;
        let rows: serde_json::Result<Vec<_>> = text.lines().map(serde_json::from_str).collect();
        report::print(&rows?, arguments.details);
        return Ok(());
    }
    let unknown = arguments
        .only
        .iter()
        .find(|name| !SUBJECTS.iter().any(|subject| subject.name == *name));
    if let Some(name) = unknown {
        return Err(format!("nobody is called {name:?}: --list names all").into());
    }
    build::build()?;
    let mut runner = Runner::new(arguments.secs, arguments.warm)?;
    if arguments.set == ["many"] {
        heading::print(&runner.placement(&[]));
        return many::run(&mut runner, arguments.pairs, |subject| {
            arguments.has(subject)
        });
    }
    let chosen = scenarios::chosen(&arguments.set)?;
    let rows = measure(&mut runner, &chosen, &arguments)?;
    let rounds = arguments.rounds;
    let placement = runner.placement(&chosen);
    heading::print(&format!(
        "medians, rounds: {rounds}, of {} s each; {placement}",
        arguments.secs
    ));
    report::print(&rows, arguments.details);
    match rows.iter().find(|row| row.error.is_some()) {
        Some(_) => Err("not everything could be measured: see above".into()),
        None => Ok(()),
    }
}

fn list() {
    for scenario in scenarios::all() {
        println!("{:24} {}", scenario.name, scenario.title);
    }
    let mut names: Vec<_> = SUBJECTS.iter().map(|subject| subject.name).collect();
    names.sort_unstable();
    names.dedup();
    println!("\n{}", names.join(" "));
}

fn measure(
    runner: &mut Runner,
    chosen: &[Scenario],
    arguments: &Arguments,
) -> Result<Vec<Measurement>> {
    let mut out = match &arguments.out {
        Some(path) => Some(File::options().append(true).create(true).open(path)?),
        None => None,
    };
    let mut rows = Vec::new();
    for (number, scenario) in chosen.iter().enumerate() {
        let takes_part =
            |subject: &&Subject| subject.does(scenario.family) && arguments.has(subject);
        let mut subjects: Vec<_> = SUBJECTS.iter().filter(takes_part).collect();
        for round in 0..if scenario.is_slow() {
            arguments.rounds.min(1)
        } else {
            arguments.rounds
        } {
            for subject in &subjects {
                let row = Measurement {
                    scenario: scenario.name.clone(),
                    subject: subject.name.to_owned(),
                    round,
                    ..runner
                        .measure(subject, scenario)
                        .unwrap_or_else(Measurement::failed)
                };
                if let Some(error) = &row.error {
                    eprintln!("{}, {}: {error}", scenario.name, subject.name);
                }
                if let Some(out) = &mut out {
                    writeln!(out, "{}", serde_json::to_string(&row)?)?;
                }
                rows.push(row);
            }
            // Nobody always comes after the same one.
            if !subjects.is_empty() {
                subjects.rotate_left(1);
            }
        }
        eprintln!("{} of {}: {}", number + 1, chosen.len(), scenario.name);
    }
    Ok(rows)
}
