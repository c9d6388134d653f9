//! Randomness from the operating system, drawn in blocks.
//!
//! RFC 6455 §10.3 wants masking keys that nobody can predict, a fresh one for each frame; a block
//! makes that affordable.

use crate::frame::MaskingKey;
use std::cell::RefCell;

const BLOCK: usize = 4 << 10;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { octets: [0; BLOCK], used: BLOCK }) };
}

struct Pool {
    octets: [u8; BLOCK],
    used: usize,
}

/// Draws unpredictable octets.
#[expect(
    clippy::expect_used,
    reason = "without randomness no key may be sent, so nothing goes on"
)]
pub(crate) fn octets<const N: usize>() -> [u8; N] {
    POOL.with_borrow_mut(|pool| {
        if BLOCK - pool.used < N {
            getrandom::fill(&mut pool.octets).expect("the operating system has no randomness");
            pool.used = 0;
        }
        let drawn = pool
            .octets
            .get_mut(pool.used..)
            .and_then(|rest| rest.first_chunk_mut::<N>());
        pool.used += N;
        // What was given out is wiped, so that it cannot be read from memory later.
        drawn.map_or([0; N], |drawn| std::mem::replace(drawn, [0; N]))
    })
}

/// Draws a masking key.
pub(crate) fn masking_key() -> MaskingKey {
    MaskingKey::from(octets())
}

#[cfg(test)]
mod tests {
    use super::octets;
    use std::collections::HashSet;

    #[test]
    fn no_key_is_given_twice() {
        let keys: HashSet<[u8; 8]> = (0..5000).map(|_| octets()).collect();
        assert_eq!(keys.len(), 5000);
    }
}
