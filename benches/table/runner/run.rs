//! One run: a server on its core, a load on another.

use crate::build::program;
use crate::scenarios::Scenario;
use crate::subjects::{Family, Kind, Subject};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use table::measurement::Measurement;
use table::{Result, system};

/// What starts programs, and where.
pub(crate) struct Runner {
    secs: f64,
    warm: f64,
    cores: Vec<usize>,
    /// How many descriptors a process may have.
    pub(crate) descriptors: u64,
}

impl Runner {
    pub(crate) fn new(secs: f64, warm: f64) -> Result<Self> {
        let cores = system::cores()?;
        if cores.len() == 1 {
            eprintln!(
                "one core only: server and load take turns on it. CPU time for each message still holds, messages a second and latencies do not"
            );
        }
        Ok(Self {
            secs,
            warm,
            cores,
            descriptors: system::raise_descriptor_limit(),
        })
    }

    /// Which core is whose, in words.
    pub(crate) fn placement(&self) -> String {
        let (server, load) = (self.first(), self.last());
        match server == load {
            true => "server and load on one core".to_owned(),
            false => format!("server on core {server}, load on core {load}"),
        }
    }

    fn first(&self) -> usize {
        self.cores.first().copied().unwrap_or_default()
    }

    fn last(&self) -> usize {
        self.cores.last().copied().unwrap_or_default()
    }

    /// Measures a subject once.
    pub(crate) fn measure(
        &mut self,
        subject: &Subject,
        scenario: &Scenario,
    ) -> Result<Measurement> {
        let server = self.serve(subject, scenario)?;
        let mut load = self.load(&server)?;
        load.args([
            "--secs",
            &self.secs.to_string(),
            "--warm",
            &self.warm.to_string(),
        ]);
        load.args(&scenario.arguments);
        if subject.kind == Kind::Raw {
            load.arg("--raw");
        }
        system::pin(&[self.last()])?;
        let output = load.stderr(Stdio::inherit()).output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// A load on a server, with nothing said yet of which.
    pub(crate) fn load(&self, server: &Running) -> Result<Command> {
        let mut load = Command::new(program("load")?);
        load.arg(server.port.to_string());
        load.args(["--process", &server.child.id().to_string()]);
        Ok(load)
    }

    fn serve(&self, subject: &Subject, scenario: &Scenario) -> Result<Running> {
        let mode = match scenario.family {
            Family::Deflate => "deflate",
            Family::Broadcast => "broadcast",
            _ => "echo",
        };
        let mut command = Command::new(program(subject.program)?);
        command.envs(subject.environment.iter().copied());
        self.start(command, mode)
    }

    /// Starts a server on the first core, and waits until it listens.
    pub(crate) fn start(&self, mut command: Command, mode: &str) -> Result<Running> {
        system::pin(&[self.first()])?;
        // Free now, and hardly taken by someone else before the server has it.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = free.local_addr()?.port();
        drop(free);
        command.args([&port.to_string(), mode]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn()?;
        let mut server = Running { child, port };
        let begin = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("the server has ended: {status}").into());
            }
            if begin.elapsed() > Duration::from_secs(10) {
                return Err("the server does not listen".into());
            }
            sleep(Duration::from_millis(10));
        }
        sleep(Duration::from_millis(50));
        Ok(server)
    }
}

/// A server, which ends with this value.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which the run has shown then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
