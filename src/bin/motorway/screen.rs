//! The terminal, or the pipes in its place: lines come in, lines go out.
//!
//! In a terminal lines are edited, with a history that is kept in memory only, and what is received
//! stands above the line that is being written. (The editor handles keys that are typed ahead while it
//! draws one at a time, each with the next key; programs had better use pipes.)

use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor, ExternalPrinter};
use std::io::{BufRead, IsTerminal, stdin, stdout};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Where lines go; cheap to clone.
#[derive(Clone)]
pub(crate) struct Screen {
    /// What prints above the line that is being written.
    printer: Option<Arc<Mutex<Box<dyn ExternalPrinter + Send>>>>,
}

/// What comes from the user.
#[derive(Debug)]
pub(crate) enum Input {
    Line(String),
    /// The input has a line that is not UTF-8, or cannot be read.
    Unreadable(String),
}

impl Screen {
    /// Takes the terminal, if there is one. The lines end with the input, and with Ctrl-C and Ctrl-D.
    pub(crate) fn open() -> (Self, Receiver<Input>) {
        // So few that a pipe is not read faster than the peer takes.
        let (sender, lines) = channel(16);
        if stdin().is_terminal() && stdout().is_terminal() {
            let config = Config::builder().auto_add_history(true).build();
            if let Ok(mut editor) = DefaultEditor::with_config(config)
                && let Ok(printer) = editor.create_external_printer()
            {
                thread::spawn(move || edit(&mut editor, &sender));
                let printer: Box<dyn ExternalPrinter + Send> = Box::new(printer);
                let printer = Some(Arc::new(Mutex::new(printer)));
                return (Self { printer }, lines);
            }
        }
        thread::spawn(move || read(&sender));
        (Self { printer: None }, lines)
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.printer.is_some()
    }

    /// Prints what the peer has sent, on a line; it must be escaped already.
    pub(crate) fn received(&self, line: &str) {
        match &self.printer {
            Some(_) => self.above(format!("< {line}\n")),
            None => {
                use std::io::Write;
                // Who reads no more is no reason to stop: the input may go on.
                let _ = writeln!(stdout(), "{line}");
            }
        }
    }

    /// Prints what is not from the peer: to standard error, so that pipes have the messages only.
    pub(crate) fn note(&self, line: &str) {
        match &self.printer {
            Some(_) => self.above(format!("* {line}\n")),
            None => eprintln!("motorway: {line}"),
        }
    }

    fn above(&self, line: String) {
        let Some(printer) = &self.printer else {
            return;
        };
        let mut printer = printer.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = printer.print(line);
    }

    /// Gives the terminal back, in which a line may just be written.
    pub(crate) fn close(self, before: &Before) {
        if self.is_terminal() {
            // The editor takes one at a time: when it has taken the first of these, what came before is
            // on the screen, and the second one waits for that.
            self.above(String::new());
            self.above(String::new());
            before.restore();
        }
    }
}

/// Edits lines until the end of the input.
fn edit(editor: &mut DefaultEditor, sender: &Sender<Input>) {
    loop {
        let input = match editor.readline("> ") {
            Ok(line) => Input::Line(line),
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => return,
            Err(ReadlineError::Signal(_)) => continue,
            Err(error) => {
                let _ = sender.blocking_send(Input::Unreadable(error.to_string()));
                return;
            }
        };
        if sender.blocking_send(input).is_err() {
            return;
        }
    }
}

/// Reads lines until the end of the input.
fn read(sender: &Sender<Input>) {
    for line in stdin().lock().lines() {
        let input = match line {
            Ok(line) => Input::Line(line),
            Err(error) => Input::Unreadable(error.to_string()),
        };
        let is_last = matches!(input, Input::Unreadable(_));
        if sender.blocking_send(input).is_err() || is_last {
            return;
        }
    }
}

/// The settings of the terminal as they were, since an end may come in the middle of a line.
#[cfg(unix)]
pub(crate) struct Before(Option<nix::sys::termios::Termios>);

#[cfg(unix)]
impl Before {
    pub(crate) fn remember() -> Self {
        Self(nix::sys::termios::tcgetattr(stdin()).ok())
    }

    fn restore(&self) {
        use nix::sys::termios::{SetArg, tcsetattr};
        // The prompt goes, and so does the mode in which pasted text is marked.
        print!("\r\x1b[K\x1b[?2004l");
        let _ = std::io::Write::flush(&mut stdout());
        if let Some(termios) = &self.0 {
            let _ = tcsetattr(stdin(), SetArg::TCSANOW, termios);
        }
    }
}

/// Nothing is known of other terminals.
#[cfg(not(unix))]
pub(crate) struct Before;

#[cfg(not(unix))]
impl Before {
    pub(crate) fn remember() -> Self {
        Self
    }

    fn restore(&self) {}
}
