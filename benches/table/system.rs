//! What the system says of a process and of itself, and the cores that a process may use.

use crate::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs;
use std::process::Command;

/// CPU time of all living threads of a process, in nanoseconds, by the scheduler's own clock.
pub fn cpu_ns(process: u32) -> u64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
        return 0;
    };
    let on_core = threads.flatten().filter_map(|thread| {
        let schedstat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        schedstat.split_whitespace().next()?.parse::<u64>().ok()
    });
    on_core.sum()
}

/// Resident memory of a process, in KiB.
pub fn resident_kib(process: u32) -> f64 {
    in_file(&format!("/proc/{process}/status"), "VmRSS:")
}

/// The kernel's own objects (`Slab` of `/proc/meminfo`), in KiB: sockets, inodes, epoll entries.
pub fn slab_kib() -> f64 {
    in_file("/proc/meminfo", "Slab:")
}

/// Octets that sockets of TCP hold in the kernel (`mem` of `/proc/net/sockstat`), in KiB.
pub fn socket_buffers_kib() -> f64 {
    let Ok(text) = fs::read_to_string("/proc/net/sockstat") else {
        return 0.0;
    };
    let line = text.lines().find(|line| line.starts_with("TCP:"));
    let pages = line.and_then(|line| line.split(" mem ").nth(1)?.trim().parse::<f64>().ok());
    pages.unwrap_or_default() * (rustix::param::page_size() / 1024) as f64
}

fn in_file(path: &str, name: &str) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}

/// The cores that this process may use, in ascending order.
///
/// # Errors
/// Fails if the system does not say.
pub fn cores() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect())
}

/// Has this thread, and every process that it starts from now on, run on these cores only.
///
/// # Errors
/// Fails if the system has no such cores.
pub fn pin(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    Ok(sched_setaffinity(None, &set)?)
}

/// Raises the limit of descriptors as far as it may be, for this process and those it starts; says how far.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(1 << 20),
        Err(_) => limit.current.unwrap_or(1 << 20),
    }
}

/// The machine in one line: processor, cores, memory, kernel.
pub fn machine() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models = processors
        .lines()
        .filter_map(|line| line.strip_prefix("model name"));
    let names: Vec<&str> = models
        .filter_map(|rest| rest.split_once(": "))
        .map(|(_, name)| name)
        .collect();
    let name = names.first().copied().unwrap_or(std::env::consts::ARCH);
    let cores = processors
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let memory = in_file("/proc/meminfo", "MemTotal:") / f64::from(1 << 20);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // The part behind the numbers names a build, which says nothing to a reader.
    let kernel = kernel
        .trim()
        .split('-')
        .next()
        .unwrap_or_default()
        .to_owned();
    format!("{name}, {cores} cores, {memory:.0} GiB, Linux {kernel}")
}

/// What a program prints, in one line; empty if it cannot be run.
pub fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().trim().to_owned()
}
