//! What memory is left, counted where it is allocated.
//!
//! What the system calls resident says little: an allocator keeps pages, and gives back those that
//! happen to be empty. What is allocated and not freed is exact, and the same after every pass.

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::fmt;
use table::{Result, system};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What was in use once all connections of a pass had gone.
pub(crate) struct Memory {
    octets: i64,
    blocks: i64,
    resident_mib: f64,
}

impl Memory {
    pub(crate) fn now() -> Self {
        let stats = ALLOCATOR.stats();
        let less = |more: usize, less: usize| more as i64 - less as i64;
        Self {
            // What grew by being reallocated counts as allocated there.
            octets: less(stats.bytes_allocated, stats.bytes_deallocated),
            blocks: less(stats.allocations, stats.deallocations),
            resident_mib: system::resident_kib(std::process::id()) / 1024.0,
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (octets, blocks, resident) = (self.octets, self.blocks, self.resident_mib);
        write!(
            f,
            "{octets} octets in {blocks} blocks, {resident:.0} MiB resident"
        )
    }
}

/// Compares what is resident after the last pass with what was after the first.
///
/// This is only for what is not counted, such as mappings: what an allocator keeps grows with chance,
/// and how little of it is in use the end tells.
///
/// # Errors
/// Fails where it is more than allocators keep.
pub(crate) fn check_passes(rests: &[Memory]) -> Result<()> {
    let resident: Vec<_> = rests.iter().map(|rest| rest.resident_mib).collect();
    match resident.as_slice() {
        [first, .., last] if *last > first * GROWTH + SLACK_MIB => {
            Err(format!("what is resident grows from pass to pass: {resident:.0?} MiB").into())
        }
        _ => Ok(()),
    }
}

/// Compares what is in use at the end with what was before the first connection.
///
/// # Errors
/// Fails where there is more than the room that maps keep for as many as there were at a time.
pub(crate) fn check_end(first: &Memory, last: &Memory, at_a_time: usize) -> Result<()> {
    let octets = last.octets - first.octets;
    let blocks = last.blocks - first.blocks;
    let most = SLACK_OCTETS + at_a_time as i64 * OCTETS_EACH;
    match octets > most || blocks > SLACK_BLOCKS {
        true => Err(format!(
            "{octets} octets in {blocks} blocks are left; up to {most} in {SLACK_BLOCKS} may be"
        )
        .into()),
        false => Ok(()),
    }
}

/// How much more memory a pass may leave resident than the first: with glibc five passes left 121, 143,
/// 154, 154 and 173 MiB, of which 2 were in use. `malloc_trim` gave all but 16 MiB back.
const GROWTH: f64 = 2.0;
const SLACK_MIB: f64 = 64.0;
/// What may be left for good, whatever goes on: what is made once, when it is first needed.
const SLACK_OCTETS: i64 = 128 << 10;
const SLACK_BLOCKS: i64 = 100;
/// The places in maps that are kept for each connection that there was at a time.
const OCTETS_EACH: i64 = 64;
