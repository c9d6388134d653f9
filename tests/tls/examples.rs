//! The examples, as their users run them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Once;

/// Builds the examples, which `cargo test --test tls` does not do itself, once.
fn build() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.args(["build", "--quiet", "--all-features"]);
        for name in ["secure_server", "secure_client", "echo_tls"] {
            cargo.args(["--example", name]);
        }
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        // What cargo tells tests of their package would make it build dependencies anew.
        for (name, _) in std::env::vars() {
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(name);
            }
        }
        assert!(cargo.status().unwrap().success());
    });
}

/// An example, which cargo has put beside the folder of this test.
fn example(name: &str) -> Command {
    build();
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap();
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    Command::new(folder.join("examples").join(name))
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{complaint}");
    text
}

#[test]
fn a_secure_client_is_greeted_by_a_secure_server() {
    let file = format!("motorway-localhost-{}.pem", std::process::id());
    let file = std::env::temp_dir().join(file);
    let mut server = example("secure_server");
    let server = server.arg("127.0.0.1:0").arg(&file);
    let mut server = Running(server.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let (_, port) = line.rsplit_once(':').unwrap();

    let url = format!("wss://localhost:{port}");
    let text = output(example("secure_client").arg(url).arg(&file).arg("Ada"));
    assert!(text.starts_with("> Ada\n< Hello Ada!\n"), "{text}");
    assert_eq!(lines.next().unwrap().unwrap(), "< Ada");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn echo_tls_echoes() {
    let text = output(&mut example("echo_tls"));
    assert!(text.contains("received \"Hello, world!\"\n"), "{text}");
}
