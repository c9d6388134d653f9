//! How many instructions the hot paths take, which does not depend on what else the machine does; fails where one takes
//! over 5 % more than was recorded.
//!
//! ```sh
//! cargo bench --bench instructions                      # compares
//! cargo bench --bench instructions -- --record          # writes recorded.txt anew
//! cargo bench --bench instructions -- --only tokio      # some of the cases
//! ```
//!
//! Each case runs for so many rounds, and for twice as many, under callgrind, a tool of valgrind; the difference is what
//! the rounds cost, without the start of the process. Valgrind shows programs a processor of its own, with what the real
//! one has up to AVX2, and what they choose by that is counted: so the record names its level, and where there is no
//! record of a level, there is nothing to fail. Other compilers make other code: a new one is a reason to record anew.

mod codecs;
mod connections;
mod engine;
mod record;

use clap::Parser;
use record::{Record, Verdict};
use std::env::current_exe;
use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{available_parallelism, scope};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Something to count.
struct Case {
    name: &'static str,
    /// What the count is of, and how many of these a round has.
    unit: (&'static str, u32),
    /// How many rounds make the start of a process, and what it draws at random, too little to matter.
    rounds: u32,
    run: fn(u32) -> Fallible<()>,
}

#[derive(Parser)]
struct Arguments {
    /// Writes down what was counted
    #[arg(long)]
    record: bool,
    /// Counts the cases with this in their name
    #[arg(long, default_value = "")]
    only: String,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
    /// Runs the case of this name
    #[arg(long, hide = true, requires = "rounds")]
    case: Option<String>,
    /// Runs it for so many rounds
    #[arg(long, hide = true)]
    rounds: Option<u32>,
}

fn main() -> Fallible<ExitCode> {
    let arguments = Arguments::parse();
    let mut cases = Vec::new();
    for group in [engine::CASES, connections::CASES, codecs::CASES] {
        cases.extend(group);
    }
    if let (Some(name), Some(rounds)) = (&arguments.case, arguments.rounds) {
        let case = cases.iter().find(|case| case.name == name);
        (case.ok_or("no such case")?.run)(rounds)?;
        println!("{}", level());
        return Ok(ExitCode::SUCCESS);
    }
    cases.retain(|case| case.name.contains(&arguments.only));
    let (level, counts) = count_all(&cases)?;
    if arguments.record {
        if !arguments.only.is_empty() {
            return Err("all cases are recorded, or none".into());
        }
        Record::write(&level, &counts)?;
    }
    compare(&Record::read(&level)?, &counts)
}

/// What was counted of a case, for each of its units.
struct Count {
    name: &'static str,
    unit: &'static str,
    instructions: f64,
}

/// Prints how the counts compare to the record, and what is to be done about it.
fn compare(record: &Record, counts: &[Count]) -> Fallible<ExitCode> {
    println!("instructions at the level {}", record.level());
    println!(
        "{:<28} {:<14} {:>12} {:>12} {:>7}",
        "case", "for each", "recorded", "counted", "ratio"
    );
    let (mut worse, mut better, mut unknown) = (0, 0, 0);
    for Count {
        name,
        unit,
        instructions,
    } in counts
    {
        let recorded = record.of(name);
        let told = recorded.map_or("-".into(), |count| format!("{count:.1}"));
        let ratio = recorded.map_or("-".into(), |count| format!("{:.3}", instructions / count));
        let (number, remark) = match Verdict::of(recorded, *instructions) {
            Verdict::Same => (&mut 0, ""),
            Verdict::Worse => (&mut worse, "  TOO MANY"),
            Verdict::Better => (&mut better, "  fewer"),
            Verdict::Unknown => (&mut unknown, "  not recorded"),
        };
        *number += 1;
        println!("{name:<28} {unit:<14} {told:>12} {instructions:>12.1} {ratio:>7}{remark}");
    }
    let again = "cargo bench --bench instructions -- --record";
    if record.is_empty() {
        println!("There is no record of this level; to make one: {again}");
        return Ok(ExitCode::SUCCESS);
    }
    record.tell_tools();
    if better > 0 {
        println!("The record is stale where there are fewer; to keep what was gained: {again}");
    }
    if worse + unknown > 0 {
        println!("{worse} above their bound, {unknown} without; if it has to be so: {again}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Counts all cases, on as many processors as there are; returns the level, too.
fn count_all(cases: &[&Case]) -> Fallible<(String, Vec<Count>)> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let counted = count(case).map_err(|error| format!("{}: {error}", case.name));
            let mut done = done.lock().unwrap_or_else(|lock| lock.into_inner());
            done.push((case, counted));
        }
    };
    scope(|scope| {
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap_or_else(|lock| lock.into_inner());
    // In their order again.
    done.sort_by_key(|(done, _)| cases.iter().position(|case| case.name == done.name));
    let (mut level, mut counts) = (String::new(), Vec::new());
    for (case, counted) in done {
        let (name, (unit, _)) = (case.name, case.unit);
        let instructions;
        (instructions, level) = counted?;
        counts.push(Count {
            name,
            unit,
            instructions,
        });
    }
    Ok((level, counts))
}

/// Returns how many instructions a unit of the case takes, and the level.
fn count(case: &Case) -> Fallible<(f64, String)> {
    let (few, _) = callgrind(case.name, case.rounds)?;
    let (many, level) = callgrind(case.name, 2 * case.rounds)?;
    let (rounds, units) = (f64::from(case.rounds), f64::from(case.unit.1));
    Ok(((many - few) / rounds / units, level))
}

/// Runs a case under callgrind; returns how many instructions the whole process took, and the level.
fn callgrind(case: &str, rounds: u32) -> Fallible<(f64, String)> {
    let program = current_exe()?;
    let (Some(folder), Some(file)) = (program.parent(), program.file_name()) else {
        return Err("this program has no place".into());
    };
    // Arguments lie on the heap. From another folder, or with more digits, they would be longer, and what lies behind
    // them would be aligned otherwise.
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        // An instruction that sets or copies a whole block would be counted once for each octet.
        .env("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS")
        .current_dir(folder)
        .arg(Path::new(".").join(file))
        .args(["--case", case, "--rounds"])
        .arg(format!("{rounds:08}"))
        .output()
        .map_err(|error| format!("valgrind, which counts, cannot be run: {error}"))?;
    let errors = String::from_utf8_lossy(&run.stderr);
    let collected = errors
        .lines()
        .find_map(|line| line.split_once("Collected :"));
    match collected {
        Some((_, count)) if run.status.success() => {
            let level = String::from_utf8(run.stdout)?.trim().to_owned();
            Ok((count.trim().parse()?, level))
        }
        _ => Err(format!("valgrind failed:\n{errors}").into()),
    }
}

/// Names what the processor has, as libraries see it.
fn level() -> String {
    #[cfg(target_arch = "x86_64")]
    let features = [
        ("-avx2", is_x86_feature_detected!("avx2")),
        ("-avx", is_x86_feature_detected!("avx")),
        ("-sse4.2", is_x86_feature_detected!("sse4.2")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let features = [("", true)];
    let best = features.into_iter().find(|(_, has)| *has);
    let feature = best.map_or("", |(feature, _)| feature);
    format!("{}{feature}", std::env::consts::ARCH)
}
