//! Nanoseconds to mask payloads of several lengths.

use std::hint::black_box;
use std::time::Instant;

use motorway::frame::mask::{self, MaskingKey};

fn main() {
    let key = MaskingKey::new([0x37, 0xfa, 0x21, 0x3d]);
    println!("{:>8} {:>10} {:>10}", "octets", "apply", "bytewise");
    for len in [5, 16, 31, 64, 125, 1024, 16 * 1024, 1 << 20, 16 << 20] {
        // Aligned as badly as behind a header of six octets.
        let mut data = vec![7_u8; len + 6];
        let (_, data) = data.split_at_mut(6);
        let apply = nanoseconds(len, || mask::apply(key, 0, black_box(&mut *data)));
        let bytewise = nanoseconds(len, || {
            for (octet, mask) in black_box(&mut *data)
                .iter_mut()
                .zip(key.as_bytes().iter().cycle())
            {
                *octet ^= mask;
            }
        });
        println!("{len:>8} {apply:>10.1} {bytewise:>10.1}");
    }
}

/// Returns the least time of several runs, which is the one that others disturbed least.
fn nanoseconds(len: usize, mut run: impl FnMut()) -> f64 {
    let rounds = (4_000_000 / (len + 20)).max(2);
    (0..15)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..rounds {
                run();
            }
            start.elapsed().as_secs_f64() * 1e9 / rounds as f64
        })
        .fold(f64::INFINITY, f64::min)
}
