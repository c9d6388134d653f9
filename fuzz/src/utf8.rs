//! The check of text, against the standard library.

use motorway::utf8::Utf8Validator;

/// In any chunks the verdict is the standard library's, and a fault is found at the first octet that
/// makes the text impossible.
pub fn utf8(data: &[u8]) {
    let [chunk, data @ ..] = data else {
        return;
    };
    let valid = std::str::from_utf8(data).is_ok();
    assert_eq!(valid, motorway::utf8::is_valid(data));
    let expected = impossible(data);
    for chunk in [usize::from(*chunk).max(1), 1, data.len().max(1)] {
        let mut validator = Utf8Validator::new();
        let mut found = None;
        for (at, chunk) in data
            .chunks(chunk)
            .enumerate()
            .map(|(n, it)| (n * chunk, it))
        {
            if let Err(error) = validator.validate(chunk) {
                found = Some(at + error.valid_up_to);
                assert!(validator.is_complete(), "it stands at a start again");
                break;
            }
        }
        assert_eq!(found, expected, "in chunks of {chunk}");
        if found.is_none() {
            assert_eq!(validator.is_complete(), valid);
            assert_eq!(validator.finish().is_ok(), valid);
        }
    }
}

/// Where the first octet stands that no text can have there. The standard library tells where the
/// sequence begins, and how much of it could be one.
fn impossible(data: &[u8]) -> Option<usize> {
    let error = std::str::from_utf8(data).err()?;
    let begins = matches!(data[error.valid_up_to()], 0xc2..=0xf4);
    let possible = if begins { error.error_len()? } else { 0 };
    Some(error.valid_up_to() + possible)
}
