//! What stands on the command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// Talks WebSocket from the command line.
#[derive(Debug, Parser)]
#[command(name = "motorway", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    Connect(Connect),
    Echo(Echo),
    Serve(Serve),
}

/// Connects to a server; sends the lines that you type, and prints what it sends.
///
/// Each line is a text message, unless it starts with a slash: /help lists the commands. Without a
/// terminal the lines are those of the standard input, so that it can be piped. What is received is
/// printed one message a line, control characters as \n or \u{1b}, binary messages in hexadecimal.
///
/// The status is 0 if the connection ended in order: closed by this end, or by the server with 1000,
/// 1001 or no code; 1 if not, or if a line could not be sent; 2 if the command line is wrong.
#[derive(Args, Debug)]
#[command(after_help = CONNECT_EXAMPLES)]
pub(crate) struct Connect {
    /// Where to: ws://…, wss://…, or ws://unix:/path
    pub(crate) url: String,
    /// Header to send; may be given more than once
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,
    /// The Origin header, as a browser would send it
    #[arg(long)]
    pub(crate) origin: Option<String>,
    /// Subprotocol to offer; may be given more than once, the best first
    #[arg(long, value_name = "NAME")]
    pub(crate) subprotocol: Vec<String>,
    /// Offer permessage-deflate
    #[arg(long)]
    pub(crate) deflate: bool,
    /// Trust the certificates in this file instead of the system's
    #[arg(long, value_name = "FILE.pem")]
    pub(crate) ca: Option<PathBuf>,
    /// Believe any certificate: whoever is on the way can read and change everything
    #[arg(long, conflicts_with = "ca")]
    pub(crate) insecure: bool,
    /// How long to go on receiving when the piped input has ended
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) wait: Duration,
}

/// Listens, and sends every message back.
#[derive(Args, Debug)]
#[command(after_help = ECHO_EXAMPLES)]
pub(crate) struct Echo {
    /// Where to listen: host and port, or unix: and a path
    #[arg(default_value = "127.0.0.1:9000")]
    pub(crate) address: String,
}

/// Serves the files of a directory, and a WebSocket echo at /ws.
///
/// For development: files of up to 64 MiB, each read as a whole. Nothing outside of the directory is
/// served, also where a symbolic link leads there, and no hidden file. A directory shows its
/// index.html.
#[derive(Args, Debug)]
#[command(after_help = SERVE_EXAMPLES)]
pub(crate) struct Serve {
    /// The directory
    pub(crate) directory: PathBuf,
    /// Where to listen: host and port, or unix: and a path
    #[arg(default_value = "127.0.0.1:8080")]
    pub(crate) address: String,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a colon is missing")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

const EXAMPLES: &str = "\
Examples:
  motorway echo                             an echo server on 127.0.0.1:9000
  motorway connect ws://127.0.0.1:9000      talk to it
  echo hi | motorway connect ws://127.0.0.1:9000
  motorway serve site                       the files in site/ on http://127.0.0.1:8080/";

const CONNECT_EXAMPLES: &str = "\
Examples:
  motorway connect ws://127.0.0.1:9000
  motorway connect wss://localhost:9443 --ca localhost.pem
  motorway connect wss://example.com/chat --subprotocol chat.v2 --header 'Authorization: Bearer 0123'
  printf '%s\\n' one two '/binary 00ff' | motorway connect ws://127.0.0.1:9000";

const ECHO_EXAMPLES: &str = "\
Examples:
  motorway echo
  motorway echo 0.0.0.0:9000
  motorway echo unix:/tmp/echo.sock         for motorway connect ws://unix:/tmp/echo.sock";

const SERVE_EXAMPLES: &str = "\
Examples:
  motorway serve .
  motorway serve site 0.0.0.0:8080          also for other machines";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn headers_have_a_name_and_a_value() {
        let parsed = header("Authorization: Bearer a:b");
        let expected = ("Authorization".to_owned(), "Bearer a:b".to_owned());
        assert_eq!(parsed, Ok(expected));
        assert!(header("Authorization").is_err());
    }

    #[test]
    fn a_wait_is_a_time() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["-1", "NaN", "inf", "soon", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
