//! What is small on the wire and large when it is inflated.

/// Zeros as deflate has them: a block of fixed codes, a literal, and matches of 258 at distance 1. 13 bits for each.
pub(crate) fn zeros(matches: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    // BFINAL 0, BTYPE 01; the literal 0 is 00110000.
    bits.push(0, 1);
    bits.push(1, 2);
    bits.push_code(0b0011_0000, 8);
    for _ in 0..matches {
        // Length code 285 is 11000101, without extra bits; distance code 0 is 00000.
        bits.push_code(0b1100_0101, 8);
        bits.push_code(0, 5);
    }
    // End of block, and an empty stored block without its last four octets (RFC 7692 §7.2.1).
    bits.push_code(0, 7);
    bits.push(0, 3);
    bits.octets
}

#[derive(Default)]
struct Bits {
    octets: Vec<u8>,
    used: u32,
}

impl Bits {
    fn push(&mut self, value: u32, count: u32) {
        for bit in 0..count {
            if self.used.is_multiple_of(8) {
                self.octets.push(0);
            }
            let last = self.octets.last_mut().unwrap();
            *last |= (((value >> bit) & 1) as u8) << (self.used % 8);
            self.used += 1;
        }
    }

    /// A code of Huffman's, which goes most significant bit first (RFC 1951 §3.1.1).
    fn push_code(&mut self, code: u32, count: u32) {
        self.push(code.reverse_bits() >> (32 - count), count);
    }
}
