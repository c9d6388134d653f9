//! Messages that are made anew from a number, so that nobody has to keep them.

use motorway::Message;

/// Numbers that look random and are the same for the same seed (splitmix).
#[derive(Clone, Debug)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn index(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

/// A message by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letter {
    seed: u64,
    size: usize,
    is_text: bool,
}

impl Letter {
    pub(crate) fn draw(numbers: &mut Numbers) -> Self {
        // The bounds of the lengths of frames are among them.
        let size = match numbers.below(400) {
            0 => 300_000 + numbers.index(300_000),
            1..=4 => 65_530 + numbers.index(12),
            5..=20 => numbers.index(20_000),
            21..=60 => 120 + numbers.index(12),
            _ => numbers.index(600),
        };
        Self {
            seed: numbers.next(),
            size,
            is_text: numbers.one_in(2),
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// How much room it takes on its way, in octets: a small one is work, too.
    pub(crate) fn room(&self) -> usize {
        self.size + 256
    }

    /// Text, or any octets; large parts repeat, as what is compressed does.
    pub(crate) fn message(&self) -> Message<'static> {
        let mut numbers = Numbers::new(self.seed);
        let mut octets = Vec::with_capacity(self.size + 8);
        while octets.len() < self.size {
            match self.is_text {
                true => octets.extend_from_slice(WORDS[numbers.index(WORDS.len())].as_bytes()),
                false if numbers.one_in(3) => octets.extend_from_slice(&[0; 32]),
                false => octets.extend_from_slice(&numbers.next().to_le_bytes()),
            }
        }
        // Whole words, so that it stays text.
        match String::from_utf8(octets) {
            Ok(text) if self.is_text => Message::from(text),
            Ok(text) => Message::from(text.into_bytes()),
            Err(error) => Message::from(error.into_bytes()),
        }
    }
}

const WORDS: [&str; 6] = ["motorway ", "é", "quick ", "😀", "a", "{\"seq\":1}"];
