//! Twilio's times: RFC 2822 in records (`Fri, 24 May 2019 17:18:27 +0000`), days in filters.

use sluice_sdk::time;

/// A record's time in milliseconds. Twilio writes them in UTC; another zone is not read.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let rest = text.strip_suffix(" +0000").or(text.strip_suffix(" GMT"))?;
    time::parse_http_date(&format!("{rest} GMT"))
}

/// The day of a time, in UTC.
pub(crate) fn day(timestamp: u64) -> String {
    let mut text = time::format(timestamp);
    text.truncate("2024-01-01".len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_days() {
        let parsed = parse("Fri, 24 May 2019 17:18:27 +0000");
        assert_eq!(parsed, Some(1_558_718_307_000));
        assert_eq!(parsed, parse("Fri, 24 May 2019 17:18:27 GMT"));
        assert_eq!(day(1_558_718_307_000), "2019-05-24");
        for text in [
            "",
            "Fri, 24 May 2019 17:18:27 +0200",
            "2019-05-24T17:18:27Z",
            " +0000",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
