//! This binary once more, as a process of its own: the blocking ends that it can be.

use crate::apart::{Process, role};
use motorway::blocking::{Server, connect};
use motorway::{DeflateOptions, ServerOptions};

impl Process {
    /// A server that echoes.
    pub(crate) fn server() -> Self {
        Self::start("server", 4096)
    }

    /// The same with permessage-deflate, and messages of at most 1 MiB.
    pub(crate) fn deflating_server() -> Self {
        Self::start("deflating server", 4096)
    }

    /// A server that may have so many descriptors.
    pub(crate) fn server_with(descriptors: u32) -> Self {
        Self::start("server", descriptors)
    }

    /// A client that echoes.
    pub(crate) fn client(url: &str) -> Self {
        Self::start(&format!("client {url}"), 4096)
    }
}

/// Does nothing unless another test starts it.
#[test]
fn plays_the_role_that_it_is_given() {
    let Some(role) = role() else {
        return;
    };
    if let Some(url) = role.strip_prefix("client ") {
        let mut ws = connect(url).unwrap();
        println!("\nopen");
        while let Ok(Some(message)) = ws.recv() {
            let _ = ws.send(message);
        }
        std::thread::park();
    }
    let mut options = ServerOptions::default();
    if role == "deflating server" {
        let deflating = options.per_message_deflate(DeflateOptions::default());
        options = deflating.max_message_payload_size(1 << 20);
    }
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server.options(options).unwrap();
    println!("\nlistening on {}", server.local_addr());
    let served = server.serve(|ws| {
        while let Some(message) = ws.recv()? {
            ws.send(message)?;
        }
        Ok(())
    });
    served.unwrap();
}
