//! The time of one call, as the median of batches.

use std::time::Instant;

/// Nanoseconds of one call over the batches of a measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Half of the batches were faster.
    pub p50: f64,
    /// Ninety-nine of a hundred batches were faster.
    pub p99: f64,
}

/// Times `batches` batches of `calls` calls each, after one batch that is thrown away. Batches rather than calls, because
/// reading the clock costs as much as what is measured.
pub fn per_call(batches: u32, calls: u32, mut work: impl FnMut()) -> Spread {
    let mut batch = || {
        let started = Instant::now();
        for _ in 0..calls {
            work();
        }
        started.elapsed().as_nanos() as f64 / f64::from(calls.max(1))
    };
    batch();
    let mut times: Vec<f64> = (0..batches).map(|_| batch()).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (times.len().saturating_sub(1) as f64 * share).round() as usize;
        times.get(index).copied().unwrap_or(f64::NAN)
    };
    Spread {
        p50: at(0.5),
        p99: at(0.99),
    }
}
