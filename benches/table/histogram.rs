//! Latencies, counted in 32 buckets for each power of two.

/// A count of latencies in nanoseconds, to 3 % of each.
#[derive(Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; 64 * LINEAR],
            total: 0,
        }
    }
}

impl Histogram {
    /// Counts `times` messages that took `nanoseconds` each.
    pub fn add(&mut self, nanoseconds: u64, times: u64) {
        self.buckets[bucket(nanoseconds)] += times;
        self.total += times;
    }

    /// The latency that `share` of all (from 0 to 1) kept to, in microseconds.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut counted = 0;
        for (index, times) in self.buckets.iter().enumerate() {
            counted += times;
            if counted >= wanted && counted > 0 {
                return Some(lower_bound(index) as f64 / 1_000.0);
            }
        }
        None
    }
}

const LINEAR: usize = 32;

fn bucket(nanoseconds: u64) -> usize {
    if nanoseconds < LINEAR as u64 {
        return nanoseconds as usize;
    }
    let power = nanoseconds.ilog2() as usize;
    (power - 4) * LINEAR + ((nanoseconds >> (power - 5)) as usize % LINEAR)
}

fn lower_bound(bucket: usize) -> u64 {
    if bucket < LINEAR {
        return bucket as u64;
    }
    let power = bucket / LINEAR + 4;
    (1 << power) + (((bucket % LINEAR) as u64) << (power - 5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_and_their_bounds_agree() {
        for nanoseconds in [0, 1, 31, 32, 33, 63, 64, 1_000, 123_456, u64::MAX / 2] {
            let bound = lower_bound(bucket(nanoseconds));
            assert!(bound <= nanoseconds && nanoseconds - bound <= nanoseconds / 32);
        }
    }

    #[test]
    fn quantiles_are_in_microseconds() {
        let mut histogram = Histogram::default();
        histogram.add(1_024, 99);
        histogram.add(1 << 20, 1);
        assert_eq!(histogram.quantile(0.5), Some(1.024));
        assert_eq!(histogram.quantile(1.0), Some(1_048.576));
        assert_eq!(Histogram::default().quantile(0.5), None);
    }
}
