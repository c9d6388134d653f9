//! Tests of TLS, over TCP on this machine.

#[cfg(test)]
mod authority;
#[cfg(test)]
#[cfg(feature = "blocking")]
mod blocking;
#[cfg(test)]
#[cfg(feature = "blocking")]
mod blocking_ends;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod files;
#[cfg(test)]
mod listening;
#[cfg(test)]
#[path = "../programs/process.rs"]
mod process;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod servers;
#[cfg(test)]
mod together;
#[cfg(test)]
mod truncation;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod world;
#[cfg(test)]
mod wrapped;
