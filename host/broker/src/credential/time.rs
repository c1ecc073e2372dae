//! Moments as signatures and headers write them.

use sluice_model::clock::Timestamp;

fn civil(now: Timestamp) -> jiff::Zoned {
    let millis = i64::try_from(now.as_millis()).unwrap_or_default();
    jiff::Timestamp::from_millisecond(millis)
        .unwrap_or_default()
        .to_zoned(jiff::tz::TimeZone::UTC)
}

/// `20130524T000000Z` (AWS Signature Version 4).
pub(super) fn compact(now: Timestamp) -> String {
    let at = civil(now);
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// `Tue, 21 Aug 2012 17:29:18 -0000` (RFC 2822 §3.3).
pub(super) fn rfc2822(now: Timestamp) -> String {
    civil(now).strftime("%a, %d %b %Y %H:%M:%S -0000").to_string()
}

/// What a Date field says (RFC 9110 §5.6.7, its preferred form).
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    let millis = u64::try_from(at.timestamp().as_millisecond()).ok()?;
    Some(Timestamp::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let at = Timestamp::from_millis(1_345_570_158_000);
        assert_eq!(compact(at), "20120821T172918Z");
        assert_eq!(rfc2822(at), "Tue, 21 Aug 2012 17:29:18 -0000");
        assert_eq!(http_date("Tue, 21 Aug 2012 17:29:18 GMT"), Some(at));
        assert_eq!(http_date("soon"), None);
    }
}
