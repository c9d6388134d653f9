//! Nanoseconds to check texts of several lengths.

use std::hint::black_box;
use std::time::Instant;

use motorway::utf8::{Utf8Validator, is_valid};

fn main() {
    println!(
        "{:>8} {:>9} {:>10} {:>9} {:>9} {:>9} {:>9}",
        "octets", "text", "validator", "is_valid", "basic", "std", "is_ascii"
    );
    for len in [5, 16, 31, 64, 125, 200, 255, 256, 1024, 16 * 1024] {
        let ascii = "x".repeat(len);
        let greek: String = "κόσμε ".chars().cycle().take(len).collect();
        let end = (0..=len).rev().find(|&end| greek.is_char_boundary(end));
        let greek = &greek[..end.unwrap_or(0)];
        for (name, text) in [("ASCII", ascii.as_bytes()), ("Greek", greek.as_bytes())] {
            let mut validator = Utf8Validator::new();
            let ours = nanoseconds(len, || validator.validate(black_box(text)).is_ok());
            let one_shot = nanoseconds(len, || is_valid(black_box(text)));
            let basic = nanoseconds(len, || simdutf8::basic::from_utf8(black_box(text)).is_ok());
            let std = nanoseconds(len, || std::str::from_utf8(black_box(text)).is_ok());
            let is_ascii = nanoseconds(len, || black_box(text).is_ascii());
            println!(
                "{len:>8} {name:>9} {ours:>10.1} {one_shot:>9.1} {basic:>9.1} {std:>9.1} {is_ascii:>9.1}"
            );
        }
    }
}

/// Returns the least time of several runs, which is the one that others disturbed least.
fn nanoseconds(len: usize, mut run: impl FnMut() -> bool) -> f64 {
    let rounds = (2_000_000 / (len + 20)).max(2);
    (0..15)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..rounds {
                black_box(run());
            }
            start.elapsed().as_secs_f64() * 1e9 / rounds as f64
        })
        .fold(f64::INFINITY, f64::min)
}
