//! RFC 6455 §5.3.

#![cfg(test)]

use motorway::frame::mask::{self, MaskingKey};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn masked_bytewise(offset: u64, data: &[u8]) -> Vec<u8> {
    let keys = KEY.iter().cycle().skip((offset % 4) as usize);
    data.iter()
        .zip(keys)
        .map(|(octet, key)| octet ^ key)
        .collect()
}

fn sample(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| (at * 31 + at / 7).to_le_bytes()[0])
        .collect()
}

#[test]
fn masking_equals_the_bytewise_loop() {
    for len in 0..200 {
        for start in 0..9 {
            for offset in (0..5).chain([u64::MAX - 3, u64::MAX, 1 << 40 | 3]) {
                let mut data = sample(start + len);
                let expected = masked_bytewise(offset, &data[start..]);
                mask::apply(MaskingKey::new(KEY), offset, &mut data[start..]);
                assert_eq!(
                    data[start..],
                    expected,
                    "len {len} start {start} offset {offset}"
                );
                assert_eq!(data[..start], sample(start));
            }
        }
    }
}

#[test]
fn masking_in_pieces_equals_masking_at_once() {
    let expected = masked_bytewise(0, &sample(100));
    for cut in 0..=100 {
        let mut data = sample(100);
        let (head, tail) = data.split_at_mut(cut);
        mask::apply(MaskingKey::from(KEY), 0, head);
        mask::apply(MaskingKey::from(KEY), cut as u64, tail);
        assert_eq!(data, expected);
    }
}

#[test]
fn masking_twice_restores_the_payload() {
    let mut data = sample(1000);
    mask::apply(MaskingKey::new(KEY), 2, &mut data);
    mask::apply(MaskingKey::new(KEY), 2, &mut data);
    assert_eq!(data, sample(1000));
}

#[test]
fn key_is_kept_in_the_order_of_the_wire() {
    assert_eq!(MaskingKey::new(KEY).as_bytes(), &KEY);
}
