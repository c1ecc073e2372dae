//! The limits that a manifest, a ceiling or a config can declare. Every one of them bites: each has a guest in the test
//! suite that it stops.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What one call of a guest may use. A manifest asks, the operator's ceiling cuts, the runtime and the broker enforce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// All linear memories of the call together.
    pub memory_bytes: u64,
    /// Elements of all tables of the call together.
    pub table_elements: u64,
    /// Wall-clock time of one call, waiting included.
    #[serde(rename = "call_time_ms", with = "millis")]
    pub call_time: Duration,
    /// Calls of host functions.
    pub host_calls: u64,
    /// Bytes of log text; what exceeds it is dropped and counted.
    pub log_bytes: u64,
    /// Brokered requests.
    pub http_requests: u32,
    /// Requests under way at once.
    pub http_concurrency: u32,
    /// Bytes of one response's body after decompression.
    pub response_bytes: u64,
    /// Bytes of one request's body.
    pub request_bytes: u64,
    /// Total time of one brokered request, retries and redirects included.
    #[serde(rename = "request_time_ms", with = "millis")]
    pub request_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            table_elements: 100_000,
            call_time: Duration::from_secs(60),
            host_calls: 100_000,
            log_bytes: 256 << 10,
            http_requests: 1_000,
            http_concurrency: 8,
            response_bytes: 32 << 20,
            request_bytes: 16 << 20,
            request_time: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// More than this is refused wherever it is written: what the pools, the streams and the timeouts of this version can
    /// bear on one machine.
    pub const HARD_MAX: Self = Self {
        memory_bytes: 1 << 30,
        table_elements: 1_000_000,
        call_time: Duration::from_secs(15 * 60),
        host_calls: 10_000_000,
        log_bytes: 4 << 20,
        http_requests: 100_000,
        http_concurrency: 64,
        response_bytes: 256 << 20,
        request_bytes: 256 << 20,
        request_time: Duration::from_secs(5 * 60),
    };

    /// Field by field the lesser of the two.
    #[must_use]
    pub fn min(&self, other: &Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.min(other.memory_bytes),
            table_elements: self.table_elements.min(other.table_elements),
            call_time: self.call_time.min(other.call_time),
            host_calls: self.host_calls.min(other.host_calls),
            log_bytes: self.log_bytes.min(other.log_bytes),
            http_requests: self.http_requests.min(other.http_requests),
            http_concurrency: self.http_concurrency.min(other.http_concurrency),
            response_bytes: self.response_bytes.min(other.response_bytes),
            request_bytes: self.request_bytes.min(other.request_bytes),
            request_time: self.request_time.min(other.request_time),
        }
    }

    /// Every limit by the name that a manifest gives it, durations in milliseconds.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 10] {
        [
            ("memory_bytes", self.memory_bytes),
            ("table_elements", self.table_elements),
            ("call_time_ms", to_millis(self.call_time)),
            ("host_calls", self.host_calls),
            ("log_bytes", self.log_bytes),
            ("http_requests", u64::from(self.http_requests)),
            ("http_concurrency", u64::from(self.http_concurrency)),
            ("response_bytes", self.response_bytes),
            ("request_bytes", self.request_bytes),
            ("request_time_ms", to_millis(self.request_time)),
        ]
    }

    /// Sets the limit of this name; says whether there is such a limit and the value fits it.
    pub fn set(&mut self, name: &str, value: u64) -> bool {
        let narrow = u32::try_from(value);
        match (name, narrow) {
            ("memory_bytes", _) => self.memory_bytes = value,
            ("table_elements", _) => self.table_elements = value,
            ("call_time_ms", _) => self.call_time = Duration::from_millis(value),
            ("host_calls", _) => self.host_calls = value,
            ("log_bytes", _) => self.log_bytes = value,
            ("http_requests", Ok(value)) => self.http_requests = value,
            ("http_concurrency", Ok(value)) => self.http_concurrency = value,
            ("response_bytes", _) => self.response_bytes = value,
            ("request_bytes", _) => self.request_bytes = value,
            ("request_time_ms", _) => self.request_time = Duration::from_millis(value),
            _ => return false,
        }
        true
    }
}

fn to_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Durations as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(super::to_millis(*duration))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_within_the_hard_maximum() {
        let limits = Limits::default();
        assert_eq!(limits.min(&Limits::HARD_MAX), limits);
    }

    #[test]
    fn every_limit_can_be_set_by_name() {
        let mut limits = Limits::default();
        for (place, (name, _)) in Limits::default().named().into_iter().enumerate() {
            assert!(limits.set(name, 7 + place as u64), "{name}");
        }
        for (place, (name, value)) in limits.named().into_iter().enumerate() {
            assert_eq!(value, 7 + place as u64, "{name}");
        }
        assert!(!limits.set("memory", 1));
        assert!(!limits.set("http_requests", 1 << 40));
    }

    #[test]
    fn the_stored_form_round_trips_and_refuses_unknown_limits() {
        let text = serde_json::to_string(&Limits::default()).unwrap();
        assert!(text.contains("\"call_time_ms\":60000"), "{text}");
        assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), Limits::default());
        assert!(serde_json::from_str::<Limits>(r#"{"memory":1}"#).is_err());
    }

    #[test]
    fn the_minimum_is_taken_field_by_field() {
        let small = Limits {
            memory_bytes: 1,
            ..Limits::HARD_MAX
        };
        let short = Limits {
            call_time: Duration::from_millis(2),
            ..Limits::HARD_MAX
        };
        let both = small.min(&short);
        assert_eq!((both.memory_bytes, both.call_time), (1, Duration::from_millis(2)));
    }
}
