//! Queries, and times as Salesforce writes and reads them.

use sluice_sdk::time;

/// A time of an answer, `2024-05-01T10:00:00.000+0000`: RFC 3339 but for the colon of its offset.
pub(crate) fn parse(text: &str) -> Option<u64> {
    time::parse(text).or_else(|| {
        let (rest, minutes) = text.split_at_checked(text.len().checked_sub(2)?)?;
        time::parse(&format!("{rest}:{minutes}"))
    })
}

/// The records of an object that changed since then (in milliseconds, whole seconds count) and before `until`, oldest
/// change first. The order lets a pass go on from where it broke off.
pub(crate) fn changed(object: &str, fields: &[&str], since: Option<u64>, until: Option<u64>) -> String {
    let mut soql = format!("SELECT {} FROM {object}", fields.join(", "));
    let conditions = [
        since.map(|since| format!("SystemModstamp >= {}", time::format(since))),
        until.map(|until| format!("SystemModstamp < {}", time::format(until))),
    ];
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    if !conditions.is_empty() {
        soql.push_str(" WHERE ");
        soql.push_str(&conditions.join(" AND "));
    }
    soql.push_str(" ORDER BY SystemModstamp ASC, Id ASC");
    soql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_answers_are_read() {
        assert_eq!(parse("1970-01-01T00:00:01.250+0000"), Some(1_250));
        assert_eq!(parse("1970-01-01T01:00:00.000+0100"), Some(0));
        assert_eq!(parse("1970-01-01T00:00:01Z"), Some(1_000));
        for bad in ["", "+", "é", "1970-01-01", "yesterday+0000"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_query_says_from_when_to_when() {
        assert_eq!(
            changed("Account", &["Id", "Name"], None, None),
            "SELECT Id, Name FROM Account ORDER BY SystemModstamp ASC, Id ASC"
        );
        assert_eq!(
            changed("Contact", &["Id"], Some(1_999), Some(5_000)),
            "SELECT Id FROM Contact WHERE SystemModstamp >= 1970-01-01T00:00:01Z AND SystemModstamp < 1970-01-01T00:00:05Z \
             ORDER BY SystemModstamp ASC, Id ASC"
        );
    }
}
