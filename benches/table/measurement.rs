//! One run of one server under one load, as one line of JSON.

use serde::{Deserialize, Serialize};

/// What a run has shown; what its load does not measure is `None`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Measurement {
    /// The name of the load, as `--set` takes it.
    pub scenario: String,
    /// The name of the server or client, as `--only` takes it.
    pub subject: String,
    /// The round, from 0.
    pub round: usize,
    /// Messages in the timed window (for `handshake`, connections).
    pub messages: f64,
    /// Messages a second.
    pub rate: Option<f64>,
    /// CPU time of the subject for each message, in microseconds.
    pub cpu_us: Option<f64>,
    /// Half of all messages were answered within, in microseconds.
    pub p50_us: Option<f64>,
    /// 99 of 100 messages were answered within, in microseconds.
    pub p99_us: Option<f64>,
    /// How much of one core the subject used.
    pub busy: Option<f64>,
    /// How much of one core the other end used.
    pub load_busy: Option<f64>,
    /// Octets of a reply on the wire.
    pub reply_octets: Option<f64>,
    /// Resident memory for each open connection that has carried nothing, in KiB.
    pub open_kib: Option<f64>,
    /// The same after a message of 64 octets on each.
    pub small_kib: Option<f64>,
    /// The same after a message of 16 KiB on each.
    pub large_kib: Option<f64>,
    /// Why there is no measurement.
    pub error: Option<String>,
}

impl Measurement {
    /// A run that failed.
    pub fn failed(error: impl ToString) -> Self {
        Self {
            error: Some(error.to_string()),
            ..Self::default()
        }
    }
}

/// The value in the middle, the mean of the two where they are even in number.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some((values.get(middle - 1)? + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn median_is_the_middle_or_between_the_two() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([]), None);
    }
}
