//! Hubs joined by servers of NATS and of Redis, which the tests start and stop.

#![cfg(test)]

mod nats;
mod nodes;
#[path = "../programs/process.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod process;
mod redis;
mod redis_cluster;
mod server;
mod sharded;
mod table;
#[path = "../hub/world.rs"]
mod world;
