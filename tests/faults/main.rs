//! Faults: of user code, of those who drop what they wait for, of networks. Whatever happens, it ends
//! one connection at most, is told once, and leaves nothing behind.

#[cfg(test)]
mod blocked;
#[cfg(test)]
mod callbacks;
#[cfg(test)]
mod futures;
#[cfg(test)]
mod futures_all;
#[cfg(test)]
mod futures_outside;
#[cfg(test)]
mod network;
#[cfg(test)]
#[path = "../tokio/probe.rs"]
#[expect(dead_code, reason = "the tests of tokio need more")]
mod probe;
#[cfg(test)]
mod runtimes;
#[cfg(test)]
mod senders;
#[cfg(test)]
mod trickle;
#[cfg(test)]
#[path = "../tokio/wire.rs"]
#[expect(dead_code, reason = "the tests of tokio need more")]
mod wire;

/// Longer than anything takes.
#[cfg(test)]
const LONG: std::time::Duration = std::time::Duration::from_secs(300);
