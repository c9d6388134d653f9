//! Measurements as tables.

use crate::format::{maybe, number, row};
use crate::scenarios;
use crate::subjects::{Kind, kind};
use std::collections::BTreeSet;
use table::measurement::{Measurement, median};

/// Prints the table of the README, then that of every subject, and, if wanted, rates and latencies.
pub(crate) fn print(measured: &[Measurement], details: bool) {
    let lines = lines(measured);
    println!("\n{}", row(MAIN.map(str::to_owned)));
    println!("|{}", "---|".repeat(MAIN.len()));
    for line in &lines {
        println!("{}", row(line.main()));
    }
    everyone(measured, &lines);
    if details {
        print_details(measured);
    }
}

const MAIN: [&str; 6] = [
    "",
    "motorway",
    "best peer",
    "motorway : best peer",
    "`limit_tokio`",
    "`raw_tokio`",
];

/// What is read off a measurement.
type Value = fn(&Measurement) -> Option<f64>;

/// A line of the tables: one number of all who took part in one load.
struct Line<'a> {
    title: String,
    unit: &'static str,
    rows: Vec<&'a Measurement>,
    value: Value,
}

fn lines(measured: &[Measurement]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for name in names(measured, |row| &row.scenario) {
        let rows = measured.iter().filter(|row| row.scenario == name);
        let rows: Vec<&Measurement> = rows.collect();
        let known = scenarios::all()
            .into_iter()
            .find(|scenario| scenario.name == name);
        let title = known.map_or(name.to_owned(), |scenario| scenario.title);
        let mut push = |title: String, unit, value| {
            lines.push(Line {
                title,
                unit,
                rows: rows.clone(),
                value,
            });
        };
        if rows.iter().any(|row| row.open_kib.is_some()) {
            push(format!("memory of {title}"), "KiB", |row| row.open_kib);
            push(format!("{title}, after 64 B"), "KiB", |row| row.small_kib);
            push(format!("{title}, after 16 KiB"), "KiB", |row| row.large_kib);
            push(format!("opening {title}"), "us", |row| row.cpu_us);
        } else {
            push(title, "us", |row| row.cpu_us);
        }
    }
    lines
}

impl Line<'_> {
    fn of(&self, subject: &str) -> Option<f64> {
        let rows = self.rows.iter().filter(|row| row.subject == subject);
        median(rows.filter_map(|row| (self.value)(row)))
    }

    fn first(&self, wanted: Kind) -> Option<&str> {
        let mut subjects = self.rows.iter().map(|row| row.subject.as_str());
        subjects.find(|subject| kind(subject) == wanted)
    }

    fn best_peer(&self) -> Option<(&str, f64)> {
        let subjects = self.rows.iter().map(|row| row.subject.as_str());
        let peers = subjects.filter(|subject| kind(subject) == Kind::Peer);
        let costs = peers.filter_map(|peer| Some((peer, self.of(peer)?)));
        costs.min_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    /// What motorway costs over a peer, round by round: median, least, most.
    fn ratio(&self, peer: &str) -> Option<(f64, f64, f64)> {
        let own = self
            .rows
            .iter()
            .filter(|row| kind(&row.subject) == Kind::Own);
        let ratios = own.filter_map(|own| {
            let is_pair = |row: &&&Measurement| row.subject == peer && row.round == own.round;
            let peer = self.rows.iter().find(is_pair)?;
            Some((self.value)(own)? / (self.value)(peer)?)
        });
        let ratios: Vec<f64> = ratios.collect();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        Some((median(ratios)?, least, most))
    }

    fn with_unit(&self, value: Option<f64>) -> String {
        value.map_or("–".to_owned(), |value| {
            format!("{} {}", number(value), self.unit)
        })
    }

    fn main(&self) -> [String; 6] {
        let of_kind = |wanted| self.with_unit(self.first(wanted).and_then(|name| self.of(name)));
        let best = self.best_peer();
        let peer = best.map_or("–".to_owned(), |(name, cost)| {
            format!("{} ({name})", self.with_unit(Some(cost)))
        });
        let ratio = best.and_then(|(name, _)| self.ratio(name));
        let ratio = ratio.map_or("–".to_owned(), |(middle, least, most)| {
            match least == most {
                true => number(middle),
                false => format!("{} ({}–{})", number(middle), number(least), number(most)),
            }
        });
        [
            self.title.clone(),
            of_kind(Kind::Own),
            peer,
            ratio,
            of_kind(Kind::Anchor),
            of_kind(Kind::Raw),
        ]
    }
}

/// Every subject in a column of its own.
fn everyone(measured: &[Measurement], lines: &[Line<'_>]) {
    let subjects = names(measured, |row| &row.subject);
    let head = subjects.iter().map(|subject| (*subject).to_owned());
    println!("\n{}", row(std::iter::once(String::new()).chain(head)));
    println!("|{}", "---|".repeat(subjects.len() + 1));
    for line in lines {
        let title = format!("{}, {}", line.title, line.unit);
        let values = subjects.iter().map(|subject| maybe(line.of(subject)));
        println!("{}", row(std::iter::once(title).chain(values)));
    }
}

fn print_details(measured: &[Measurement]) {
    const COLUMNS: [(&str, Value); 6] = [
        ("messages/s", |row| row.rate),
        ("p50, us", |row| row.p50_us),
        ("p99, us", |row| row.p99_us),
        ("its core", |row| row.busy),
        ("load's core", |row| row.load_busy),
        ("octets of a reply", |row| row.reply_octets),
    ];
    let heads = COLUMNS.iter().map(|(head, _)| (*head).to_owned());
    println!(
        "\n{}",
        row(["".to_owned(), "".to_owned()].into_iter().chain(heads))
    );
    println!("|{}", "---|".repeat(COLUMNS.len() + 2));
    for scenario in names(measured, |row| &row.scenario) {
        for subject in names(measured, |row| &row.subject) {
            let is_this = |row: &&Measurement| row.scenario == scenario && row.subject == subject;
            let rows: Vec<_> = measured.iter().filter(is_this).collect();
            if rows.is_empty() {
                continue;
            }
            let values = COLUMNS
                .iter()
                .map(|(_, value)| maybe(median(rows.iter().filter_map(|row| value(row)))));
            let names = [scenario.to_owned(), subject.to_owned()];
            println!("{}", row(names.into_iter().chain(values)));
        }
    }
}

/// The names that occur, in the order of their first occurrence.
fn names(measured: &[Measurement], name: fn(&Measurement) -> &String) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let names = measured.iter().map(|row| name(row).as_str());
    names.filter(|name| seen.insert(*name)).collect()
}
