//! Slack's message times: seconds and microseconds as a text, `1714557600.000100`, which is also what a message is called
//! within its channel (Slack docs, "Retrieving messages").

/// In microseconds since the epoch; none for what is not one.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (seconds, micros) = text.split_once('.')?;
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !(1..=12).contains(&seconds.len()) || micros.len() != 6 || !digits(seconds) || !digits(micros) {
        return None;
    }
    seconds
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(micros.parse().ok()?)
}

/// The same the other way.
pub(crate) fn format(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_written() {
        assert_eq!(parse("1714557600.000100"), Some(1_714_557_600_000_100));
        assert_eq!(format(1_714_557_600_000_100), "1714557600.000100");
        for bad in [
            "",
            "1",
            "1.1",
            ".000001",
            "-1.000001",
            "1.00000x",
            "1.0000001",
            "9999999999999.000000",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
