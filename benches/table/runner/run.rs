//! One run: a server on its core, a load on another.

use crate::build::program;
use crate::scenarios::Scenario;
use crate::subjects::{Family, Kind, Subject};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use table::measurement::Measurement;
use table::{Result, system, tls};

/// What starts programs, and where.
pub(crate) struct Runner {
    secs: f64,
    warm: f64,
    cores: Vec<usize>,
    /// Where the certificate is.
    folder: PathBuf,
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
        let folder = std::env::temp_dir().join(format!("motorway-table-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        tls::write(&folder)?;
        Ok(Self {
            folder,
            secs,
            warm,
            cores,
            descriptors: system::raise_descriptor_limit(),
        })
    }

    /// Which core is whose, in words.
    pub(crate) fn placement(&self, chosen: &[Scenario]) -> String {
        let (first, last) = (self.first(), self.last());
        let has_several = |scenario: &Scenario| scenario.family.has_several_threads();
        let mut words = match first == last {
            true => "both ends on one core".to_owned(),
            false => format!("the subject on core {first}, the other end on core {last}"),
        };
        if chosen.iter().any(has_several) {
            words += &format!(
                "; subjects of several threads on cores {:?}",
                self.several()
            );
        }
        words
    }

    fn first(&self) -> usize {
        self.cores.first().copied().unwrap_or_default()
    }

    /// The cores of a server with several threads: all but the load's, if that leaves two.
    fn several(&self) -> Vec<usize> {
        match self.cores.split_last() {
            Some((_, others)) if others.len() >= 2 => others.to_vec(),
            _ => self.cores.clone(),
        }
    }

    fn last(&self) -> usize {
        self.cores.last().copied().unwrap_or_default()
    }

    /// Has what is started from now on run where subjects of one thread do.
    pub(crate) fn pin_subjects(&self) -> Result<()> {
        system::pin(&[self.first()])
    }

    /// Has what is started from now on run where the other end does.
    pub(crate) fn pin_loads(&self) -> Result<()> {
        system::pin(&[self.last()])
    }

    /// Measures a subject once.
    pub(crate) fn measure(
        &mut self,
        subject: &Subject,
        scenario: &Scenario,
    ) -> Result<Measurement> {
        let server = self.serve(subject, scenario)?;
        let mut load = match scenario.family {
            Family::Client => {
                let mut client = Command::new(program(subject.program)?);
                client.args([&server.port.to_string(), subject.name]);
                client
            }
            _ => self.load(&server)?,
        };
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
        match scenario.family {
            Family::Client => self.pin_subjects()?,
            _ => self.pin_loads()?,
        }
        let output = load.stderr(Stdio::inherit()).output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// A load on a server, with nothing said yet of which.
    pub(crate) fn load(&self, server: &Running) -> Result<Command> {
        let mut load = Command::new(program("load")?);
        load.env(tls::FOLDER, &self.folder);
        load.arg(server.port.to_string());
        load.args(["--process", &server.child.id().to_string()]);
        Ok(load)
    }

    fn serve(&self, subject: &Subject, scenario: &Scenario) -> Result<Running> {
        let (name, cores) = match scenario.family {
            Family::Client => ("limit_tokio", vec![self.last()]),
            family if family.has_several_threads() => (subject.program, self.several()),
            _ => (subject.program, vec![self.first()]),
        };
        let mut command = Command::new(program(name)?);
        command.envs(subject.environment.iter().copied());
        command.env(tls::FOLDER, &self.folder);
        if scenario.family == Family::Multi {
            command.env("RT", "multi");
        }
        system::pin(&cores)?;
        self.start(command, scenario.mode)
    }

    /// Starts a server, and waits until it listens.
    pub(crate) fn start(&self, mut command: Command, mode: &str) -> Result<Running> {
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

impl Drop for Runner {
    fn drop(&mut self) {
        // What is left behind is a certificate that nobody trusts.
        let _ = std::fs::remove_dir_all(&self.folder);
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
