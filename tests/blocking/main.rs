//! Tests of the blocking face, over TCP on this host.

#[cfg(test)]
#[cfg(target_os = "linux")]
#[path = "../threats/apart.rs"]
mod apart;
#[cfg(test)]
#[path = "../threats/bomb.rs"]
mod bomb;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod child;
#[cfg(test)]
mod closing;
#[cfg(test)]
mod dialing;
#[cfg(test)]
mod echo;
#[cfg(test)]
mod every_option;
#[cfg(test)]
mod examples;
#[cfg(test)]
#[path = "../threats/heads.rs"]
mod heads;
#[cfg(test)]
mod limits;
#[cfg(test)]
#[path = "../threats/octets.rs"]
mod octets;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod options;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod receiving;
#[cfg(test)]
mod redirects;
#[cfg(test)]
mod server;
#[cfg(test)]
mod shares;
#[cfg(test)]
mod strangers;
#[cfg(test)]
mod threads;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod threats;
#[cfg(test)]
mod timeouts;
#[cfg(test)]
mod watch;
