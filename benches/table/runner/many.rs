//! As many idle connections as there may be: several servers, each with all the descriptors that a process may have.

use crate::build::program;
use crate::format::{number, row};
use crate::run::{Runner, Running};
use crate::subjects::{Family, SUBJECTS, Subject};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use table::measurement::Measurement;
use table::{Result, system};

/// Opens them for each subject, one after the other, and prints what they take in the processes and in the kernel.
pub(crate) fn run(runner: &mut Runner, pairs: usize, has: impl Fn(&Subject) -> bool) -> Result<()> {
    // A process has some descriptors of its own.
    let each = runner.descriptors.saturating_sub(64).min(25_000);
    println!(
        "\n| | connections | processes | server, KiB each | kernel objects, KiB each | socket buffers, KiB each | opening, us each |"
    );
    println!("|---|---|---|---|---|---|---|");
    for subject in SUBJECTS
        .iter()
        .filter(|subject| subject.does(Family::Idle) && has(subject))
    {
        let cells = measure(runner, subject, (pairs, each))?;
        println!("{}", row(cells));
    }
    println!(
        "\nKernel objects are `Slab` of `/proc/meminfo`, socket buffers `mem` of `/proc/net/sockstat`; both count both ends of each connection."
    );
    Ok(())
}

fn measure(runner: &Runner, subject: &Subject, (pairs, each): (usize, u64)) -> Result<[String; 7]> {
    let mut servers = Vec::new();
    runner.pin_subjects()?;
    for _ in 0..pairs {
        let mut command = Command::new(program(subject.program)?);
        command.envs(subject.environment.iter().copied());
        servers.push(runner.start(command, "echo")?);
    }
    let resident = || {
        servers
            .iter()
            .map(|server| system::resident_kib(server.child.id()))
            .sum::<f64>()
    };
    let before = [resident(), system::slab_kib(), system::socket_buffers_kib()];
    runner.pin_loads()?;
    let mut loads = Vec::new();
    let mut opening = 0.0;
    for server in &servers {
        let (load, measured) = Load::open(runner, server, each)?;
        loads.push(load);
        opening += measured.cpu_us.unwrap_or_default() / pairs as f64;
    }
    sleep(Duration::from_secs(1));
    let after = [resident(), system::slab_kib(), system::socket_buffers_kib()];
    let connections = pairs as f64 * each as f64;
    let grown = |index: usize| number((after[index] - before[index]) / connections);
    Ok([
        subject.name.to_owned(),
        number(connections),
        pairs.to_string(),
        grown(0),
        grown(1),
        grown(2),
        number(opening),
    ])
}

/// A load that holds connections, which ends with this value.
struct Load(Child);

impl Load {
    fn open(runner: &Runner, server: &Running, connections: u64) -> Result<(Self, Measurement)> {
        let mut command = runner.load(server)?;
        command.args([
            "--load",
            "idle",
            "--hold",
            "--connections",
            &connections.to_string(),
        ]);
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut load = Self(child);
        let stdout = load.0.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let measured: Measurement = serde_json::from_str(&line)?;
        match &measured.error {
            Some(error) => Err(error.clone().into()),
            None => Ok((load, measured)),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It may have ended by itself, which its measurement has shown then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
