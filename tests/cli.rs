//! The command-line tool, as its users run it: with pipes, and in a terminal.

#![cfg(test)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

fn motorway() -> Command {
    Command::new(env!("CARGO_BIN_EXE_motorway"))
}

/// A server of the tool, which ends with the test.
struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
    /// What the first line tells: host and port.
    place: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut command = motorway();
        let command = command.args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let (_, rest) = line.split_once("127.0.0.1:").expect("an address");
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let place = format!("127.0.0.1:{port}");
        Self {
            child,
            lines,
            place,
        }
    }

    fn echo() -> Self {
        Self::start(&["echo", "127.0.0.1:0"])
    }

    fn url(&self) -> String {
        format!("ws://{}/ws", self.place)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the tool with this on its standard input.
fn piped(command: &mut Command, input: &[u8]) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    // It may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn talk(url: &str, input: &str) -> (Option<i32>, String, String) {
    let output = piped(motorway().args(["connect", url]), input.as_bytes());
    let text = |octets| String::from_utf8(octets).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn lines_are_sent_and_answers_printed() {
    let server = Server::echo();
    let input = "hello\n//slash\n/binary 00 fF 10\n\ngrüezi";
    let (status, received, told) = talk(&server.url(), input);
    let expected = "hello\n/slash\n[binary, 3 octets] 00ff10\n\ngrüezi\n";
    assert_eq!(received, expected, "{told}");
    assert!(told.contains("closed cleanly by this end, code 1000"));
    assert_eq!(status, Some(0));
}

#[test]
fn what_is_received_does_not_drive_the_terminal() {
    let server = Server::echo();
    let (_, received, _) = talk(&server.url(), "\x1b]0;title\x07\u{9b}2J\u{202e}a\tb");
    let expected = "\\u{1b}]0;title\\u{7}\\u{9b}2J\\u{202e}a\\tb\n";
    assert_eq!(received, expected);
}

#[test]
fn commands_ping_and_close_with_a_code() {
    let server = Server::echo();
    let (status, received, told) = talk(&server.url(), "/ping x\n/help\n");
    assert_eq!((status, received.as_str()), (Some(0), ""), "{told}");
    assert!(told.contains("pong after ") && told.contains("/binary HEX"));

    let (status, _, told) = talk(&server.url(), "/close 4000 so long\nnot sent\n");
    assert!(told.contains("code 4000, \"so long\""), "{told}");
    // The last line could not be sent, if it came before the end did.
    assert_eq!(status, Some(i32::from(told.contains("not sent"))), "{told}");
}

#[test]
fn the_status_tells_what_went_wrong() {
    let server = Server::echo();
    let (status, received, told) = talk(&server.url(), "/binary 0\n/quit\nhello\n");
    assert_eq!((status, received.as_str()), (Some(1), "hello\n"));
    assert!(told.contains("/binary takes") && told.contains("there is no /quit"));

    let (status, _, told) = talk("ws://127.0.0.1:1/", "");
    assert_eq!(status, Some(1));
    assert!(told.starts_with("motorway: connection failed: "), "{told}");
    assert!(
        told.contains("127.0.0.1:1") && told.contains("refused"),
        "{told}"
    );

    for arguments in [
        &["connect"][..],
        &["connect", "ws://a", "--header", "x"],
        &[],
    ] {
        let output = piped(motorway().args(arguments), b"");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    let (status, _, told) = talk("http://127.0.0.1/", "");
    assert_eq!(status, Some(1), "{told}");
    let output = piped(motorway().args(["echo", &server.place]), b"");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains(&server.place) && told.contains("in use"),
        "{told}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn input_that_is_no_text_is_told() {
    let server = Server::echo();
    let output = piped(motorway().args(["connect", &server.url()]), b"a\n\xff\nb\n");
    assert_eq!(output.stdout, b"a\n");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("cannot read on"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn help_has_examples() {
    for arguments in [
        &["--help"][..],
        &["connect", "--help"],
        &["serve", "--help"],
    ] {
        let output = motorway().args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && text.contains("Examples:"),
            "{text}"
        );
    }
}

/// A directory for one test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("motorway-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("site/folder")).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn fetch(place: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(place).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {place}\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn files_are_served_and_nothing_else() {
    let folder = Folder::new("serve");
    folder.write("secret.txt", "secret");
    folder.write("site/index.html", "<h1>Hello</h1>");
    folder.write("site/folder/index.html", "<h1>Folder</h1>");
    folder.write("site/a b.css", "b {}");
    folder.write("site/.hidden", "secret");
    #[cfg(unix)]
    {
        let link = |from: &str, to: &str| {
            std::os::unix::fs::symlink(folder.0.join(from), folder.0.join(to)).unwrap();
        };
        link("secret.txt", "site/link.txt");
        link("", "site/up");
        link("site/.hidden", "site/shown");
        link("site/a b.css", "site/inside.css");
    }
    let site = folder.0.join("site");
    let server = Server::start(&["serve", site.to_str().unwrap(), "127.0.0.1:0"]);
    for (path, kind, body) in [
        ("/", "text/html; charset=utf-8", "<h1>Hello</h1>"),
        (
            "/index.html?a=b",
            "text/html; charset=utf-8",
            "<h1>Hello</h1>",
        ),
        ("/folder/", "text/html; charset=utf-8", "<h1>Folder</h1>"),
        ("/a%20b.css", "text/css; charset=utf-8", "b {}"),
        #[cfg(unix)]
        ("/inside.css", "text/css; charset=utf-8", "b {}"),
    ] {
        let response = fetch(&server.place, path);
        assert!(response.starts_with("HTTP/1.1 200 "), "{path}: {response}");
        assert!(
            response.contains(kind) && response.ends_with(body),
            "{response}"
        );
    }
    let response = fetch(&server.place, "/folder");
    assert!(response.starts_with("HTTP/1.1 303 "), "{response}");
    assert!(
        response
            .to_ascii_lowercase()
            .contains("location: /folder/\r\n")
    );
    for path in OUTSIDE {
        let response = fetch(&server.place, path);
        assert!(response.starts_with("HTTP/1.1 404 "), "{path}: {response}");
        assert!(!response.contains("secret"), "{path}: {response}");
    }
    // And the echo beside.
    let (status, received, _) = talk(&server.url(), "hello\n");
    assert_eq!((status, received.as_str()), (Some(0), "hello\n"));
}

/// Paths that lead out of the directory, to what is hidden, or nowhere.
const OUTSIDE: &[&str] = &[
    "/../secret.txt",
    "/folder/../../secret.txt",
    "/%2e%2e/secret.txt",
    "/..%2fsecret.txt",
    "/folder%2f..%2f..%2fsecret.txt",
    "/..%5csecret.txt",
    "/link.txt",
    "/up/secret.txt",
    "/shown",
    "/.hidden",
    "//",
    "//folder",
    "/index.html/",
    "/missing",
];

#[test]
fn a_directory_that_is_none_is_named() {
    for directory in ["/nowhere/at/all", env!("CARGO_BIN_EXE_motorway")] {
        let output = motorway().args(["serve", directory]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(directory), "{told}");
    }
}

/// Ctrl-C, once the server is prepared for it, as its first line says.
#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_ends_a_server_in_order() {
    let mut server = Server::echo();
    let id = server.child.id().to_string();
    let mut line = String::new();
    server.lines.read_line(&mut line).unwrap();
    assert!(
        line.starts_with("try: motorway connect ws://127.0.0.1:"),
        "{line}"
    );
    let is_caught = || {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let signals = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        u64::from_str_radix(signals.unwrap().trim(), 16).unwrap() & 2 != 0
    };
    while !is_caught() {
        std::thread::yield_now();
    }
    let kill = Command::new("kill").args(["-INT", &id]).status();
    assert!(kill.unwrap().success());
    let mut rest = String::new();
    server.lines.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "closing the connections\n");
    assert!(server.child.wait().unwrap().success());
}

/// A terminal, made by Python's `pty`: types the lines one after the other, each when what stands
/// before it was seen, and prints what the screen got, the status, and whether lines are edited still.
#[cfg(unix)]
const TERMINAL: &str = r#"
import os, pty, re, select, sys, termios, time
command, script = sys.argv[1:sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1:]
child, terminal = pty.fork()
if child == 0:
    os.environ["TERM"] = "xterm"
    os.execv(command[0], command)
seen, start, end = b"", 0, time.time() + 60
def read():
    global seen
    if select.select([terminal], [], [], 1)[0]:
        try:
            octets = os.read(terminal, 4096)
        except OSError:
            octets = b""
        seen += octets
        return bool(octets)
    if time.time() > end:
        sys.exit(f"nothing more after {seen}")
    if start > 0:
        # What came too fast for the line editor waits there for the next key: one that only redraws.
        os.write(terminal, b"\x0c")
    return True
for expected, typed in zip(script[::2], script[1::2]):
    expected = expected.encode()
    while expected not in seen[start:]:
        if not read():
            sys.exit(f"no {expected} in {seen}")
    start = seen.index(expected, start) + len(expected)
    typed = typed.encode().decode("unicode_escape")
    for key in re.findall(r"\x1b\[.|[^\x1b]", typed):
        count = len(seen)
        os.write(terminal, key.encode())
        # The next key once this one has left its trace on the screen, as from fingers.
        while len(seen) == count and read():
            pass
while read():
    pass
edits = termios.ICANON | termios.ECHO
after = termios.tcgetattr(terminal)[3] & edits
print(ascii(seen.decode()))
print("edits", after == edits)
print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

#[cfg(unix)]
fn in_terminal(arguments: &[&str], script: &[&str]) -> String {
    let mut python = Command::new("python3");
    python.args(["-c", TERMINAL, env!("CARGO_BIN_EXE_motorway")]);
    let output = python.args(arguments).arg("--").args(script).output();
    let output = output.expect("python3");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    String::from_utf8(output.stdout).unwrap()
}

#[cfg(unix)]
#[test]
fn a_terminal_edits_lines_and_keeps_a_history() {
    let server = Server::echo();
    let script = [
        ("connected to tcp4:127.0.0.1:", ""),
        ("> ", "helo\x1b[Dl\r"),
        ("< hello", "\x1b[A\r"),
        ("< hello", "/ping\r"),
        ("* pong after ", "/binary 1b5d\r"),
        ("< [binary, 2 octets] 1b5d", "half a line\x03"),
    ];
    let script: Vec<_> = script.iter().flat_map(|(a, b)| [*a, *b]).collect();
    let seen = in_terminal(&["connect", &server.url()], &script);
    assert!(
        seen.contains("* closed cleanly by this end, code 1000"),
        "{seen}"
    );
    assert!(seen.ends_with("edits True\nstatus 0\n"), "{seen}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_given_back_when_the_server_closes() {
    let serving = motorway::serve(
        "127.0.0.1:0",
        |mut ws: motorway::WebSocketStream| async move {
            ws.recv().await?;
            Err(motorway::HandlerError::close(4000, "\u{1b}c"))
        },
    );
    let server = serving.await.unwrap();
    let url = format!("ws://{}", server.local_addr());
    // The end comes in the middle of a line.
    let script = ["connected to ", "hello\\rhalf a line"];
    let seen = tokio::task::spawn_blocking(move || in_terminal(&["connect", &url], &script));
    let seen = seen.await.unwrap();
    assert!(
        seen.contains("closed cleanly by the peer, code 4000"),
        "{seen}"
    );
    // Neither does the reason drive the terminal.
    assert!(!seen.contains("\\x1bc"), "{seen}");
    assert!(seen.ends_with("edits True\nstatus 1\n"), "{seen}");
}
