//! What the kernel holds of connections, for those who wait for something.

use std::fs;

/// The sockets of TCP over this port that have octets to be sent or read, from both ends; some of them.
pub(crate) fn waiting(port: u16) -> String {
    let Ok(text) = fs::read_to_string("/proc/net/tcp") else {
        return String::new();
    };
    let port = format!(":{port:04X}");
    let waiting: Vec<_> = text
        .lines()
        .map(|line| line.split_whitespace().skip(1).take(4).collect::<Vec<_>>())
        .filter(|fields| match fields.as_slice() {
            // Addresses, state, and the two queues.
            [here, there, _, queues] => {
                (here.ends_with(&port) || there.ends_with(&port)) && *queues != EMPTY
            }
            _ => false,
        })
        .map(|fields| fields.join(" "))
        .collect();
    let some = waiting.len().min(SOME);
    format!(
        "{} sockets have octets to be sent:read, such as {:?}",
        waiting.len(),
        waiting.get(..some).unwrap_or_default(),
    )
}

const EMPTY: &str = "00000000:00000000";
const SOME: usize = 8;
