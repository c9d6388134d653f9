//! The command-line tool: a client to talk with, an echo server, and a server of files.

mod arguments;
mod command;
mod connect;
mod dial;
mod echo;
mod escape;
mod files;
mod screen;

use arguments::{Arguments, Task};
use clap::Parser;
use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let done = runtime.block_on(async {
        match &arguments.task {
            Task::Connect(arguments) => connect::run(arguments).await,
            Task::Echo(arguments) => echo::run(arguments).await,
            Task::Serve(arguments) => files::run(arguments).await,
        }
    });
    // A thread may still read from the terminal, for which nobody waits.
    runtime.shutdown_background();
    done.unwrap_or_else(|error| fail(&*error))
}

/// Says what went wrong, with every cause.
fn fail(error: &dyn Error) -> ExitCode {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    eprintln!("motorway: {}", escape::line(&text));
    ExitCode::FAILURE
}

/// How a task ends.
type Done = Result<ExitCode, Box<dyn Error>>;
