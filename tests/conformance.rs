//! A part of the genuine Autobahn testsuite, in both roles, where Python 2.7 is to be had.
//!
//! Runs without the test harness, so that it can say that it was left out.

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    // Listing or filtering tests is not a request for the suite.
    if std::env::args()
        .skip(1)
        .any(|argument| argument.starts_with("--list") || !argument.starts_with('-'))
    {
        return ExitCode::SUCCESS;
    }
    let runner = concat!(env!("CARGO_MANIFEST_DIR"), "/autobahn-testsuite/run");
    let status = Command::new("python3")
        .args([runner, "both", "--quick"])
        .env("PYTHONUNBUFFERED", "1")
        .status();
    match status.map(|status| status.code()) {
        Ok(Some(0)) => ExitCode::SUCCESS,
        Ok(Some(3)) => {
            println!(
                "The Autobahn testsuite was LEFT OUT; autobahn-testsuite/README.md says how to run it."
            );
            ExitCode::SUCCESS
        }
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            println!("The Autobahn testsuite was LEFT OUT: python3 does not start ({error}).");
            ExitCode::SUCCESS
        }
    }
}
