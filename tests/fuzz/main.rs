//! The fuzz targets as ordinary tests: over their corpora, what was found once, and seeded mutations.
//!
//! `FUZZ_SEED=7 cargo test --test fuzz connection` does again what failed with that seed, and
//! `FUZZ_RUNS=100000` tries that many mutations of each corpus.

#![cfg(test)]

mod mutator;
#[expect(unreachable_pub, reason = "the fuzz targets use them as a crate")]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

use mutator::Mutator;
use std::path::{Path, PathBuf};
use std::{env, fs};
use targets::TARGETS;

/// How many mutations are tried of each corpus.
const RUNS: u64 = 5_000;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(name)
}

/// The inputs in a folder, in the order of their names; none if there is no folder.
fn inputs(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
    paths.into_iter().map(read).collect()
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().expect("a number"))
}

/// Says what failed, should it fail.
struct Trying<'a> {
    target: &'a str,
    what: String,
    input: &'a [u8],
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (target, input) = (self.target, self.input.escape_ascii());
            eprintln!("{target} failed with {}: b\"{input}\"", self.what);
        }
    }
}

fn check(target: &str) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let corpus = inputs(&folder("corpus").join(target));
    let found = inputs(&folder("regressions").join(target));
    assert!(!corpus.is_empty(), "{target} has no corpus");
    let known: Vec<_> = corpus.into_iter().chain(found).collect();
    let seed = number("FUZZ_SEED");
    if seed.is_none() {
        for (path, input) in &known {
            let what = path.display().to_string();
            let _trying = Trying {
                target,
                what,
                input,
            };
            run(input);
        }
    }
    let inputs: Vec<_> = known.into_iter().map(|(_, input)| input).collect();
    let seeds = match seed {
        Some(seed) => seed..seed + 1,
        None => 0..number("FUZZ_RUNS").unwrap_or(RUNS),
    };
    for seed in seeds {
        let input = &Mutator::new(seed).mutate(&inputs);
        let what = format!("FUZZ_SEED={seed}");
        let _trying = Trying {
            target,
            what,
            input,
        };
        run(input);
    }
}

macro_rules! targets {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                check(stringify!($target));
            }
        )*

        #[test]
        fn every_target_is_tried() {
            let tried = [$(stringify!($target)),*];
            let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(tried[..], names);
            for name in names {
                let target = folder("targets").join(format!("{name}.rs"));
                assert!(target.exists(), "{name}");
            }
        }
    };
}

targets!(connection extensions header inflate origins proxy request response url utf8);
