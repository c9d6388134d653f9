//! `motorway connect`: a client to talk with.

use crate::command::{Command, HELP};
use crate::screen::{Before, Input, Screen};
use crate::{Done, arguments, dial, escape};
use motorway::{
    CloseInfo, ConnectionResponse, Endpoint, HandlerResult, Message, WebSocket,
    WebSocketClientProtocol,
};
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Prints what comes.
struct Printer {
    screen: Screen,
    ended: UnboundedSender<CloseInfo>,
}

impl WebSocketClientProtocol for Printer {
    async fn on_connect(&mut self, response: &ConnectionResponse) -> HandlerResult {
        let mut line = format!("connected to {}", response.peer());
        if let Some(subprotocol) = response.protocol() {
            line = format!("{line}, subprotocol {}", escape::line(subprotocol));
        }
        if self.screen.is_terminal() {
            self.screen.note(&format!("{line}; /help lists commands"));
        }
        Ok(())
    }

    async fn on_message(&mut self, _: &WebSocket, message: Message<'_>) -> HandlerResult {
        let line = match message.as_text() {
            Some(text) => escape::line(text),
            None => {
                let hex = escape::hex(message.as_bytes());
                format!("[binary, {} octets] {hex}", message.len())
            }
        };
        self.screen.received(&line);
        Ok(())
    }

    async fn on_ping(&mut self, _: &WebSocket, payload: &[u8]) -> HandlerResult {
        if self.screen.is_terminal() {
            let payload = String::from_utf8_lossy(payload);
            self.screen
                .note(&format!("ping, answered: {}", escape::line(&payload)));
        }
        Ok(())
    }

    async fn on_close(&mut self, info: CloseInfo) -> HandlerResult {
        let _ = self.ended.send(info);
        Ok(())
    }
}

pub(crate) async fn run(arguments: &arguments::Connect) -> Done {
    let before = Before::remember();
    let (ended, end) = unbounded_channel();
    let (screen, lines) = Screen::open();
    let printing = screen.clone();
    let make = move || Printer {
        screen: printing.clone(),
        ended: ended.clone(),
    };
    let ws = match dial::dial(arguments, make).await {
        Ok(ws) => ws,
        Err(error) => {
            screen.close(&before);
            return Err(error);
        }
    };
    let mut talk = Talk {
        ws,
        screen,
        end,
        is_faultless: true,
    };
    let info = talk.run(lines, arguments.wait).await;
    talk.screen.note(&escape::line(&info.to_string()));
    talk.screen.close(&before);
    let is_in_order = info.is_ok() || (info.was_clean && info.closed_by == Endpoint::Local);
    Ok(match is_in_order && talk.is_faultless {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// A connection and its user.
struct Talk {
    ws: WebSocket,
    screen: Screen,
    end: UnboundedReceiver<CloseInfo>,
    /// Whether every line could be sent.
    is_faultless: bool,
}

impl Talk {
    /// Sends the lines until one end closes; returns how.
    async fn run(&mut self, mut lines: Receiver<Input>, wait: Duration) -> CloseInfo {
        loop {
            let input = tokio::select! {
                info = self.end.recv() => return self.ended(info).await,
                input = lines.recv() => input,
            };
            match input {
                Some(Input::Line(line)) => self.obey(&line).await,
                Some(Input::Unreadable(why)) => self.complain(&format!("cannot read on: {why}")),
                None => break,
            }
        }
        // Answers may be on their way to who only pipes; a user has seen enough.
        if !self.screen.is_terminal()
            && let Ok(info) = tokio::time::timeout(wait, self.end.recv()).await
        {
            return self.ended(info).await;
        }
        let _ = self.ws.close(1000, "").await;
        let info = self.end.recv().await;
        self.ended(info).await
    }

    async fn ended(&self, info: Option<CloseInfo>) -> CloseInfo {
        match info {
            Some(info) => info,
            // The instance went without a word, as it does when it panics.
            None => self.ws.closed().await,
        }
    }

    async fn obey(&mut self, line: &str) {
        let command = match Command::parse(line) {
            Ok(command) => command,
            Err(why) => return self.complain(&why),
        };
        let sent = match command {
            Command::Text(text) => self.ws.send(text).await,
            Command::Binary(octets) => self.ws.send(octets).await,
            Command::Ping(payload) => return self.ping(payload),
            Command::Pong(payload) => self.ws.pong(payload).map_err(Into::into),
            Command::Close(code, reason) => self.ws.close(code, reason).await,
            Command::Help => {
                HELP.lines().for_each(|line| self.screen.note(line));
                return;
            }
        };
        if let Err(error) = sent {
            self.complain(&format!("not sent: {error}"));
        }
    }

    /// Pings, and goes on meanwhile.
    fn ping(&self, payload: String) {
        let (ws, screen) = (self.ws.clone(), self.screen.clone());
        tokio::spawn(async move {
            match ws.ping(payload).await {
                Ok(rtt) => screen.note(&format!("pong after {rtt:.1?}")),
                Err(error) => screen.note(&format!("no pong: {error}")),
            }
        });
    }

    fn complain(&mut self, what: &str) {
        self.is_faultless = false;
        self.screen.note(&escape::line(what));
    }
}
