//! What a peer has sent, made fit for a terminal: nothing in it moves the cursor, sets a title, or
//! turns the direction of what follows.

use std::fmt::Write;

/// A text on one line, with what controls a terminal escaped as `\n` or `\u{1b}`.
pub(crate) fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match is_harmless(character) {
            true => line.push(character),
            false => line.extend(character.escape_default()),
        }
    }
    line
}

/// Octets in hexadecimal.
pub(crate) fn hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 2);
    for octet in octets {
        // Writing to a string does not fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

/// Reads octets in hexadecimal, with or without spaces between them.
pub(crate) fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().filter(|character| !character.is_whitespace());
    let digits: Option<Vec<u32>> = digits.map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    let octets = digits.chunks(2);
    let octets = octets.map(|pair| pair.iter().fold(0, |octet, digit| octet * 16 + digit));
    octets.map(|octet| u8::try_from(octet).ok()).collect()
}

fn is_harmless(character: char) -> bool {
    // Those of category Cf that turn or hide text; U+2028 and U+2029 end lines for some.
    let is_invisible = matches!(
        character,
        '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    );
    !character.is_control() && !is_invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_drives_the_terminal() {
        for (text, shown) in [
            ("grüezi 👋 \\ \"", "grüezi 👋 \\ \""),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\x1b]0;title\x07\x1b[2J", "\\u{1b}]0;title\\u{7}\\u{1b}[2J"),
            ("\u{9b}2J\x7f\0", "\\u{9b}2J\\u{7f}\\u{0}"),
            ("\u{202e}abc\u{2066}", "\\u{202e}abc\\u{2066}"),
        ] {
            assert_eq!(line(text), shown);
        }
    }

    #[test]
    fn hexadecimal_goes_both_ways() {
        assert_eq!(hex(&[0, 0x7f, 0xff]), "007fff");
        assert_eq!(parse_hex("00 7F\tff"), Some(vec![0, 0x7f, 0xff]));
        assert_eq!(parse_hex(""), Some(Vec::new()));
        for text in ["0", "0g", "0x00", "é0"] {
            assert_eq!(parse_hex(text), None, "{text}");
        }
    }
}
