//! Limits as the permission page says them.

/// What a limit bounds, for a person.
pub(super) fn label(name: &str) -> &str {
    match name {
        "storage" => "storage for each connection",
        "files" => "files kept for each connection",
        "memory_bytes" => "memory of one call",
        "table_elements" => "table elements of one call",
        "call_time_ms" => "time of one call",
        "host_calls" => "host functions called in one call",
        "log_bytes" => "log text of one call",
        "http_requests" => "requests in one call",
        "http_concurrency" => "requests at once",
        "response_bytes" => "size of one answer",
        "request_bytes" => "size of one request's body",
        "request_time_ms" => "time of one request",
        other => other,
    }
}

/// The amount with its unit.
pub(super) fn amount(name: &str, number: u64) -> String {
    if name.ends_with("_ms") {
        return if number.is_multiple_of(1000) {
            format!("{} s", number / 1000)
        } else {
            format!("{number} ms")
        };
    }
    if name.ends_with("_bytes") || name.starts_with("s") || name == "files" {
        return bytes(number);
    }
    number.to_string()
}

/// `64 MiB`, where it is that exactly.
pub(super) fn bytes(number: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if number >> shift > 0 && number.trailing_zeros() >= shift {
            return format!("{} {unit}", number >> shift);
        }
    }
    format!("{number} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (name, number, expected) in [
            ("memory_bytes", 64 << 20, "64 MiB"),
            ("memory_bytes", (64 << 20) + 1, "67108865 bytes"),
            ("memory_bytes", 0, "0 bytes"),
            ("storage", 1 << 30, "1 GiB"),
            ("files", 5 << 30, "5 GiB"),
            ("call_time_ms", 60_000, "60 s"),
            ("call_time_ms", 1_500, "1500 ms"),
            ("http_requests", 1_000, "1000"),
        ] {
            assert_eq!(amount(name, number), expected);
        }
    }
}
