//! Inputs made of others, the same ones for the same seed.

/// Octets at which parsers decide something.
const INTERESTING: [u8; 24] = [
    0, 1, 0x0a, 0x0d, b' ', b'"', b'*', b',', b'.', b'/', b':', b';', b'=', b'@', 0x7d, 0x7e, 0x7f,
    0x80, 0x81, 0x88, 0x89, 0xc0, 0xed, 0xff,
];

/// The most octets in an input.
const MOST: usize = 4 << 10;

/// Makes one input.
pub(crate) struct Mutator {
    state: u64,
}

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Draws a number (splitmix64).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Draws a number below `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn octet(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// Draws a piece of `data`, mostly a short one.
    fn piece<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        let start = self.below(data.len() + 1);
        let most = [4, 16, MOST][self.below(3)];
        let length = self.below((data.len() - start).min(most) + 1);
        &data[start..start + length]
    }

    /// Makes an input of one of these and a few changes.
    pub(crate) fn mutate(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut data = inputs[self.below(inputs.len())].clone();
        for _ in 0..1 + self.below(5) {
            let other = self.below(inputs.len());
            self.change(&mut data, &inputs[other]);
        }
        data.truncate(MOST);
        data
    }

    fn change(&mut self, data: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(data.len() + 1);
        match self.below(9) {
            // Turns a bit over.
            0 => {
                if let Some(octet) = data.get_mut(at) {
                    *octet ^= 1 << self.below(8);
                }
            }
            1 => {
                if let Some(octet) = data.get_mut(at) {
                    *octet = INTERESTING[self.below(INTERESTING.len())];
                }
            }
            2 => {
                let octet = INTERESTING[self.below(INTERESTING.len())];
                data.insert(at, octet);
            }
            3 => data.insert(at, self.octet()),
            4 => data.truncate(at),
            // Takes a piece out.
            5 => {
                let length = self.below((data.len() - at).min(8) + 1);
                data.drain(at..at + length);
            }
            // Repeats a piece.
            6 => {
                let piece = self.piece(data).to_vec();
                let times = 1 + self.below(3);
                data.splice(at..at, piece.repeat(times));
            }
            // Puts in a piece of another one.
            7 => {
                let piece = self.piece(other).to_vec();
                data.splice(at..at, piece);
            }
            // Goes on as another one does.
            _ => {
                data.truncate(at);
                data.extend_from_slice(&other[self.below(other.len() + 1)..]);
            }
        }
    }
}

#[test]
fn same_seed_makes_the_same_input() {
    let inputs = [b"one of them".to_vec(), b"another one".to_vec()];
    let made = |seed| Mutator::new(seed).mutate(&inputs);
    assert!((0..100).all(|seed| made(seed) == made(seed)));
    let different: std::collections::HashSet<_> = (0..100).map(made).collect();
    assert!(different.len() > 90);
}
