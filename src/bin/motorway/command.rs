//! What a line of input asks for.

use crate::escape::parse_hex;
use motorway::CloseCode;

#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Text(String),
    Binary(Vec<u8>),
    Ping(String),
    Pong(String),
    Close(CloseCode, String),
    Help,
}

impl Command {
    /// Reads a line; what is wrong with it is told in words.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let Some(command) = line.strip_prefix('/') else {
            return Ok(Self::Text(line.to_owned()));
        };
        if command.starts_with('/') {
            return Ok(Self::Text(command.to_owned()));
        }
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        match name {
            "binary" => match parse_hex(rest) {
                Some(octets) => Ok(Self::Binary(octets)),
                None => Err("/binary takes octets in hexadecimal, such as 00 ff".to_owned()),
            },
            "ping" => Ok(Self::Ping(rest.to_owned())),
            "pong" => Ok(Self::Pong(rest.to_owned())),
            "close" => Self::parse_close(rest.trim()),
            "help" => Ok(Self::Help),
            _ => Err(format!(
                "there is no /{name}; /help lists what there is, and //{command} sends /{command}"
            )),
        }
    }

    fn parse_close(rest: &str) -> Result<Self, String> {
        if rest.is_empty() {
            return Ok(Self::Close(CloseCode::NORMAL, String::new()));
        }
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let code = code.parse().ok().map(|code: u16| CloseCode::from(code));
        match code.filter(|code| code.is_sendable()) {
            Some(code) => Ok(Self::Close(code, reason.trim().to_owned())),
            None => {
                Err("/close takes a code that may be sent, such as 1000 or 4000 to 4999".to_owned())
            }
        }
    }
}

/// What `/help` prints.
pub(crate) const HELP: &str = "\
TEXT                   send a text message
//TEXT                 send one that starts with a slash
/binary HEX            send a binary message, such as /binary 00 ff
/ping [TEXT]           send a ping, and print how long the answer takes
/pong [TEXT]           send a pong that nobody asked for
/close [CODE [REASON]] close the connection, with 1000 if nothing else is said
/help                  print this
Ctrl-D or Ctrl-C closes the connection, too.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_text_unless_they_start_with_a_slash() {
        for (line, command) in [
            ("hello", Command::Text("hello".to_owned())),
            ("", Command::Text(String::new())),
            (" /ping", Command::Text(" /ping".to_owned())),
            ("//ping", Command::Text("/ping".to_owned())),
            ("/binary", Command::Binary(Vec::new())),
            ("/binary 00 fF", Command::Binary(vec![0, 0xff])),
            ("/ping", Command::Ping(String::new())),
            ("/pong a b", Command::Pong("a b".to_owned())),
            ("/close", Command::Close(CloseCode::NORMAL, String::new())),
            (
                "/close 4000 so long",
                Command::Close(4000.into(), "so long".to_owned()),
            ),
            ("/help", Command::Help),
        ] {
            assert_eq!(Command::parse(line), Ok(command), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (line, word) in [
            ("/binary 0", "/binary"),
            ("/close soon", "/close"),
            ("/close 1005", "/close"),
            ("/close 70000", "/close"),
            ("/quit", "//quit"),
            ("/", "/help"),
        ] {
            let told = Command::parse(line).unwrap_err();
            assert!(told.contains(word), "{told}");
        }
    }
}
