//! What is done to whom.

use crate::subjects::Family;
use table::Result;

/// A load.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// The name in words, as the table has it.
    pub(crate) title: String,
    pub(crate) family: Family,
    /// What the server is told besides its port.
    pub(crate) mode: &'static str,
    /// The sets that it is in.
    pub(crate) sets: &'static [&'static str],
    /// What the load is told.
    pub(crate) arguments: Vec<String>,
}

impl Scenario {
    fn new(name: impl Into<String>, family: Family, arguments: &str) -> Self {
        let name = name.into();
        Self {
            title: name.clone(),
            name,
            family,
            mode: match family {
                Family::Deflate => "deflate",
                Family::Broadcast => "broadcast",
                Family::Tls => "tls",
                _ => "echo",
            },
            sets: &["main", "full"],
            arguments: arguments.split_whitespace().map(str::to_owned).collect(),
        }
    }

    fn title(self, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..self
        }
    }

    fn mode(self, mode: &'static str) -> Self {
        Self { mode, ..self }
    }

    fn sets(self, sets: &'static [&'static str]) -> Self {
        Self { sets, ..self }
    }

    /// Whether one round is enough, and more would take long.
    pub(crate) fn is_slow(&self) -> bool {
        self.family == Family::Idle
    }
}

/// The loads of these sets, and of these names.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Scenario>> {
    let all = all();
    let is_known = |name: &&String| {
        let is =
            |scenario: &Scenario| scenario.name == **name || scenario.sets.contains(&name.as_str());
        all.iter().any(is)
    };
    if let Some(name) = names.iter().find(|name| !is_known(name)) {
        return Err(format!("no load or set is called {name:?}: --list names all").into());
    }
    let is_chosen = |scenario: &Scenario| {
        names
            .iter()
            .any(|name| scenario.name == *name || scenario.sets.contains(&name.as_str()))
    };
    Ok(all.into_iter().filter(is_chosen).collect())
}

/// Every load.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = small();
    all.extend(large());
    all.extend(others());
    all.extend(elsewhere());
    all.extend(growing());
    all
}

const FULL: &[&str] = &["full"];

/// Echo of small text.
fn small() -> Vec<Scenario> {
    let mut all = Vec::new();
    for size in [16, 64, 125] {
        for depth in [1, 32, 512] {
            for connections in [1, 64] {
                let scenario = Scenario::new(
                    format!("text{size}-d{depth}-c{connections}"),
                    Family::Echo,
                    &format!("--size {size} --depth {depth} --connections {connections}"),
                );
                let sets = if size == 64 { scenario.sets } else { FULL };
                let title = echo_title(&format!("text {size} B"), depth, connections);
                all.push(scenario.sets(sets).title(title));
            }
        }
    }
    all
}

/// Echo of everything else.
fn large() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (name, size, depth, connections, is_main) in [
        ("1 KiB", 1 << 10, 32, 1, true),
        ("1 KiB", 1 << 10, 32, 64, true),
        ("16 KiB", 16 << 10, 8, 1, true),
        ("16 KiB", 16 << 10, 8, 64, false),
        ("64 KiB", 64 << 10, 4, 1, true),
        ("64 KiB", 64 << 10, 4, 16, true),
        ("1 MiB", 1 << 20, 2, 1, true),
        ("1 MiB", 1 << 20, 2, 8, false),
        ("16 MiB", 16 << 20, 1, 1, true),
    ] {
        let short = name.replace([' ', 'i', 'B'], "");
        let scenario = Scenario::new(
            format!("bin{short}-d{depth}-c{connections}"),
            Family::Echo,
            &format!("--kind binary --size {size} --depth {depth} --connections {connections}"),
        );
        let sets = if is_main { scenario.sets } else { FULL };
        let title = echo_title(&format!("binary {name}"), depth, connections);
        all.push(scenario.sets(sets).title(title));
    }
    let fragments = "--size 4096 --fragments 64 --depth 8";
    all.push(
        Scenario::new("frag64x64B-d8-c1", Family::Echo, fragments)
            .title("text in 64 fragments of 64 B, 8 in flight"),
    );
    all.push(
        Scenario::new(
            "utf8-16K-d8-c1",
            Family::Echo,
            "--kind utf8 --size 16384 --depth 8",
        )
        .title("text 16 KiB of many scripts, 8 in flight"),
    );
    all
}

/// What is not a plain echo.
fn others() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (name, size, depth) in [("1 KiB", 1 << 10, 32), ("64 KiB", 64 << 10, 4)] {
        for (takeover, words) in [("takeover", "takeover"), ("no-takeover", "no takeover")] {
            let short = name.replace([' ', 'i', 'B'], "");
            let arguments =
                format!("--kind json --size {size} --depth {depth} --deflate {takeover}");
            all.push(
                Scenario::new(
                    format!("pmd-{short}-{takeover}"),
                    Family::Deflate,
                    &arguments,
                )
                .title(format!(
                    "JSON {name}, compressed, {words}, {depth} in flight"
                )),
            );
        }
    }
    all.push(
        Scenario::new(
            "handshake",
            Family::Handshake,
            "--load handshake --depth 32",
        )
        .title("opening and closing, 32 at once"),
    );
    for (name, size) in [("64B", 64), ("1K", 1024)] {
        let arguments = format!("--load broadcast --size {size} --connections 1000 --depth 4");
        all.push(
            Scenario::new(format!("bcast1000-{name}"), Family::Broadcast, &arguments)
                .title(format!("text {size} B to 1,000 subscribers, for each")),
        );
    }
    all.push(
        Scenario::new("idle10k", Family::Idle, "--load idle --connections 10000")
            .title("an idle connection, of 10,000")
            .sets(&["main", "full", "idle"]),
    );
    all
}

/// Echo by clients, over TLS, and on two threads.
fn elsewhere() -> Vec<Scenario> {
    const SMALL: &str = "--size 64";
    const MIDDLE: &str = "--kind binary --size 1024";
    const LARGE: &str = "--kind binary --size 65536";
    let loads = [
        ("text64", "text 64 B", SMALL, 1, 1),
        ("text64", "text 64 B", SMALL, 32, 1),
        ("text64", "text 64 B", SMALL, 32, 64),
        ("text64", "text 64 B", SMALL, 512, 1),
        ("bin1K", "binary 1 KiB", MIDDLE, 32, 1),
        ("bin64K", "binary 64 KiB", LARGE, 4, 1),
        ("bin64K", "binary 64 KiB", LARGE, 4, 16),
    ];
    let families: [(Family, (&str, &str), &'static [&'static str]); 3] = [
        (Family::Client, ("client", "client"), &["client"]),
        (Family::Tls, ("tls", "TLS"), &["tls"]),
        (Family::Multi, ("multi", "two threads"), &["multi"]),
    ];
    let mut all = Vec::new();
    for (family, (prefix, place), sets) in families {
        for (name, words, message, depth, connections) in loads {
            let arguments = format!("{message} --depth {depth} --connections {connections}");
            let tls = if family == Family::Tls { " --tls" } else { "" };
            let name = format!("{prefix}-{name}-d{depth}-c{connections}");
            let title = echo_title(&format!("{place}: {words}"), depth, connections);
            let scenario = Scenario::new(name, family, &(arguments + tls));
            all.push(scenario.title(title).sets(sets));
        }
    }
    all
}

/// The same load on more and more connections, and on more and more threads.
fn growing() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (connections, words) in [
        (1, "1 connection"),
        (10, "10 connections"),
        (100, "100 connections"),
        (1_000, "1,000 connections"),
        (10_000, "10,000 connections"),
    ] {
        let arguments = format!("--load paced --connections {connections} --rate 20000");
        all.push(
            Scenario::new(format!("growth-{connections}"), Family::Echo, &arguments)
                .title(format!("20,000 messages a second, text 64 B, over {words}"))
                .sets(&["growth"]),
        );
    }
    for workers in ["1", "2", "4", "8"] {
        let arguments = "--depth 32 --connections 64";
        all.push(
            Scenario::new(format!("workers-{workers}"), Family::Workers, arguments)
                .title(format!(
                    "{workers} workers: text 64 B, 32 in flight, 64 connections"
                ))
                .mode(workers)
                .sets(&["workers"]),
        );
    }
    all
}

fn echo_title(message: &str, depth: usize, connections: usize) -> String {
    let flight = match depth {
        1 => "one at a time".to_owned(),
        depth => format!("{depth} in flight"),
    };
    match connections {
        1 => format!("{message}, {flight}"),
        connections => format!("{message}, {flight}, {connections} connections"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_known() {
        let mut names: Vec<_> = all().into_iter().map(|scenario| scenario.name).collect();
        let number = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), number);
        assert!(chosen(&["main".to_owned()]).is_ok_and(|main| main.len() > 20));
        assert!(chosen(&["text64-d32-c1".to_owned()]).is_ok_and(|one| one.len() == 1));
        assert!(chosen(&["nothing".to_owned()]).is_err());
    }
}
