//! Thousands of connections with all kinds of traffic, for a time: `soak --secs 60 --connections 5000`.
//!
//! Asks what short tests cannot: whether anything is lost, doubled or torn under load, and whether
//! anything is left when all are gone: connections, members, tasks, descriptors, memory. Clients run in
//! processes of their own. Fails, with what was wrong, where any of it is not as it was.

mod client;
mod server;
mod traffic;

use clap::Parser;
use server::{Left, Served};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use table::{Fault, Result, system};

/// Runs a server and its clients, and looks at what is left of them.
#[derive(Debug, Parser)]
struct Plan {
    /// How long, in seconds, both passes together.
    #[arg(long, default_value_t = 60)]
    secs: u64,
    #[arg(long, default_value_t = 5_000)]
    connections: usize,
    /// In how many processes the clients run.
    #[arg(long, default_value_t = 2)]
    processes: usize,
    /// Where the numbers begin that decide who does what.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The port of the server: this process is one of clients.
    #[arg(long, hide = true)]
    port: Option<u16>,
    /// Which process of clients this is.
    #[arg(long, hide = true, default_value_t = 0)]
    place: usize,
}

fn main() -> ExitCode {
    let plan = Plan::parse();
    system::raise_descriptor_limit();
    let outcome = match plan.port {
        Some(port) => client::run(&plan, port),
        None => soak(&plan),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("soak: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// Two passes with the same clients: the second one shows whether the first has left anything.
fn soak(plan: &Plan) -> Result<()> {
    let runtime = table::serve::runtime_of(2)?;
    let served = runtime.block_on(Served::start())?;
    let before = served.left(&runtime);
    let mut resident = Vec::new();
    for pass in 1..=PASSES {
        let began = Instant::now();
        let mut clients = Clients::start(plan, served.port, pass)?;
        let most = watch(&served, &mut clients)?;
        let left = settled(&served, &runtime, &before);
        let memory = system::resident_kib(std::process::id()) / 1024.0;
        println!(
            "pass {pass}: {:.0} s, at most {most} connections, {}, {left:?}, {memory:.0} MiB resident",
            began.elapsed().as_secs_f64(),
            served.tell(),
        );
        if left != before {
            return Err(format!("{left:?} left, {before:?} before").into());
        }
        served.check()?;
        if most < plan.connections * 9 / 10 {
            return Err(format!("only {most} connections at a time").into());
        }
        resident.push(memory);
    }
    match resident.as_slice() {
        [first, .., last] if *last > first * GROWTH + SLACK_MIB => {
            Err(format!("memory grows from pass to pass: {resident:.0?} MiB").into())
        }
        _ => {
            println!("nothing was lost, and nothing is left");
            Ok(())
        }
    }
}

/// Prints what goes on until the clients have ended; returns how many connections there were at a time.
fn watch(served: &Served, clients: &mut Clients) -> Result<usize> {
    let (mut most, mut said) = (0, Instant::now());
    while clients.are_running()? {
        most = most.max(served.connections());
        if said.elapsed() > Duration::from_secs(10) {
            said = Instant::now();
            println!("{} connections, {}", served.connections(), served.tell());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(most)
}

/// What is left once it is as before, or after a while.
fn settled(served: &Served, runtime: &tokio::runtime::Runtime, before: &Left) -> Left {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let left = served.left(runtime);
        if left == *before || Instant::now() > deadline {
            return left;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The processes of the clients; ended when dropped.
struct Clients {
    children: Vec<Child>,
    deadline: Instant,
}

impl Clients {
    fn start(plan: &Plan, port: u16, pass: u64) -> Result<Self> {
        let secs = (plan.secs / PASSES).max(1);
        let mut clients = Self {
            children: Vec::new(),
            deadline: Instant::now() + Duration::from_secs(secs + PATIENCE),
        };
        for place in 0..plan.processes {
            let mut client = Command::new(std::env::current_exe()?);
            let numbers = [
                ("--secs", secs),
                ("--seed", plan.seed + pass * 1_000),
                ("--port", u64::from(port)),
                ("--place", place as u64),
                ("--connections", (plan.connections / plan.processes) as u64),
            ];
            for (name, number) in numbers {
                client.arg(name).arg(number.to_string());
            }
            clients.children.push(client.stdin(Stdio::null()).spawn()?);
        }
        Ok(clients)
    }

    /// Tells whether one is running.
    ///
    /// # Errors
    /// Fails if one has failed, or takes too long.
    fn are_running(&mut self) -> Result<bool> {
        if Instant::now() > self.deadline {
            return Err("the clients do not come to an end".into());
        }
        let mut running = false;
        for child in &mut self.children {
            match child.try_wait()? {
                None => running = true,
                Some(status) if status.success() => {}
                Some(status) => return Err(Fault::from(format!("clients failed: {status}"))),
            }
        }
        Ok(running)
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Fails where it has ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

const PASSES: u64 = 2;
/// How much longer the clients may take than they were told to, in seconds.
const PATIENCE: u64 = 120;
/// How much more memory the second pass may leave resident than the first: allocators keep what they had.
const GROWTH: f64 = 1.2;
const SLACK_MIB: f64 = 24.0;
