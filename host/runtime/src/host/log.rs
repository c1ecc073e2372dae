//! `log` and `metrics`: what a connector tells about its own work.

use crate::bindings::sluice::connector::{log, metrics};
use crate::outcome::{Level, Metrics, Source};
use crate::state::State;

/// Distinct names of metrics in one call.
const NAMES: usize = 32;

/// Bytes of a metric's name.
const NAME_BYTES: usize = 64;

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String, fields: Option<String>) -> wasmtime::Result<()> {
        self.meter.call()?;
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.journal
            .write(level, Source::Log, &message, fields.as_deref());
        Ok(())
    }
}

impl metrics::Host for State {
    fn count(&mut self, name: String, by: u64) -> wasmtime::Result<()> {
        self.meter.call()?;
        self.metrics.count(name, by);
        Ok(())
    }

    fn gauge(&mut self, name: String, value: f64) -> wasmtime::Result<()> {
        self.meter.call()?;
        self.metrics.gauge(name, value);
        Ok(())
    }
}

impl Metrics {
    fn count(&mut self, name: String, by: u64) {
        if let Some(count) = self.counts.get_mut(&name) {
            *count = count.saturating_add(by);
        } else if self.takes(&name) {
            self.counts.insert(name, by);
        }
    }

    fn gauge(&mut self, name: String, value: f64) {
        if !value.is_finite() {
            self.dropped = self.dropped.saturating_add(1);
        } else if let Some(gauge) = self.gauges.get_mut(&name) {
            *gauge = value;
        } else if self.takes(&name) {
            self.gauges.insert(name, value);
        }
    }

    /// Whether a new name is a good one and there is room for it.
    fn takes(&mut self, name: &str) -> bool {
        let good = (1..=NAME_BYTES).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let takes = good && self.counts.len() + self.gauges.len() < NAMES;
        if !takes {
            self.dropped = self.dropped.saturating_add(1);
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_bounded() {
        let mut metrics = Metrics::default();
        for name in ["", "A", "1a", "a-b", "a b", "ä", &"a".repeat(65)] {
            metrics.count(name.to_owned(), 1);
        }
        assert!(metrics.counts.is_empty());
        assert_eq!(metrics.dropped, 7);
        for number in 0..40 {
            metrics.gauge(format!("g{number}"), 1.0);
            metrics.count("c".to_owned(), u64::MAX);
        }
        assert_eq!(metrics.gauges.len() + metrics.counts.len(), NAMES);
        assert_eq!(metrics.counts["c"], u64::MAX);
        metrics.gauge("g0".to_owned(), f64::NAN);
        assert_eq!(metrics.gauges["g0"], 1.0);
    }
}
