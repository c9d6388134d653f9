//! Tests of the blocking face, over TCP on this host.

#[cfg(test)]
mod closing;
#[cfg(test)]
mod dialing;
#[cfg(test)]
mod echo;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod receiving;
#[cfg(test)]
mod redirects;
#[cfg(test)]
mod server;
#[cfg(test)]
mod threads;
#[cfg(test)]
mod timeouts;
