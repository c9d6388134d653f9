//! Hubs: topics, delivery, overflow, in one process.

#![cfg(test)]

mod broker;
mod churn;
mod compression;
mod delivery;
mod membership;
mod overflow;
mod presence;
mod relay;
mod world;
