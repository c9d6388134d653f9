//! Thousands of connections with all kinds of traffic, for a time: `soak --secs 60 --connections 5000`.
//!
//! Asks what short tests cannot: whether anything is lost, doubled or torn under load, and whether
//! anything is left when all are gone: connections, members, tasks, descriptors, memory. Clients run in
//! processes of their own. Fails, with what was wrong, where any of it is not as it was.
//!
//! How fast the machine is decides nothing: see `pace` and `memory`.

mod client;
mod life;
mod memory;
mod pace;
mod server;
mod sockets;
mod traffic;

use clap::Parser;
use memory::Memory;
use server::{Left, Served};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use table::{Fault, Result, system};

/// Runs a server and its clients, and looks at what is left of them.
#[derive(Debug, Parser)]
struct Plan {
    /// How long, in seconds, all passes together.
    #[arg(long, default_value_t = 60)]
    secs: u64,
    /// How often all of it, with the same server.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(2..))]
    passes: u64,
    #[arg(long, default_value_t = 5_000)]
    connections: usize,
    /// In how many processes the clients run.
    #[arg(long, default_value_t = 2)]
    processes: usize,
    /// How much each of them has on its way at a time, in MiB: little enough that a slow machine has
    /// carried it in seconds, and enough that no core waits for work. With more, echoes come later.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    room: u64,
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
    let descriptors = system::raise_descriptor_limit();
    let outcome = match plan.port {
        _ if descriptors < plan.connections as u64 + SPARE => Err(format!(
            "{descriptors} descriptors are too few for {} connections",
            plan.connections,
        )
        .into()),
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

/// Several passes with the same server: a later one shows whether the first has left anything.
fn soak(plan: &Plan) -> Result<()> {
    let runtime = table::serve::runtime_of(2)?;
    let served = runtime.block_on(Served::start())?;
    let before = served.left(&runtime);
    let first = Memory::now();
    let mut rests = Vec::new();
    for pass in 1..=plan.passes {
        let began = Instant::now();
        let mut clients = Clients::start(plan, served.port, pass)?;
        let most = watch(&served, &mut clients)?;
        let left = settled(&served, &runtime, &before);
        let rest = Memory::now();
        println!(
            "pass {pass}: {:.0} s, at most {most} connections, {}, {left:?}, {rest}",
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
        rests.push(rest);
    }
    memory::check_passes(&rests)?;
    // With its threads go the buffers that they keep.
    runtime.shutdown_timeout(Duration::from_secs(30));
    let last = Memory::now();
    println!("without threads: {last}; before the first connection: {first}");
    memory::check_end(&first, &last, plan.connections)?;
    println!("nothing was lost, and nothing is left");
    Ok(())
}

/// Prints what goes on until the clients have ended; returns how many connections there were at a time.
fn watch(served: &Served, clients: &mut Clients) -> Result<usize> {
    let (mut most, mut said, mut told) = (0, Instant::now(), String::new());
    while clients.are_running()? {
        most = most.max(served.connections());
        if said.elapsed() > Duration::from_secs(10) {
            said = Instant::now();
            let tells = served.tell();
            println!("{} connections, {tells}", served.connections());
            if tells == told {
                println!("nothing came for 10 s; {}", served.open());
            }
            told = tells;
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
        let secs = (plan.secs / plan.passes).max(1);
        let mut clients = Self {
            children: Vec::new(),
            deadline: Instant::now() + Duration::from_secs(secs + PATIENCE),
        };
        for place in 0..plan.processes {
            let mut client = Command::new(std::env::current_exe()?);
            let numbers = [
                ("--secs", secs),
                ("--seed", plan.seed + pass * 1_000),
                ("--room", plan.room),
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

/// How many descriptors a process needs besides those of its connections.
const SPARE: u64 = 100;
/// How much longer the clients may take than they were told to, to come and to go, in seconds: where nothing moves any
/// more, they say so before.
const PATIENCE: u64 = 600;
