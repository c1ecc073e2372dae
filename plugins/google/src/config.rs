//! The user's configuration: which calendars.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    calendars: Vec<String>,
}

/// The calendars whose events are read; the account's own where none is named.
pub(crate) fn calendars(connection: &Connection) -> Result<Vec<String>, Error> {
    let config: Config = connection.config()?;
    if let Some(at) = config.calendars.iter().position(|id| !is_calendar(id)) {
        return Err(Error::config(
            "not a calendar's id: `primary`, or what the calendar's settings show as its id",
            format!("/calendars/{at}"),
        ));
    }
    if config.calendars.is_empty() {
        return Ok(vec!["primary".to_owned()]);
    }
    Ok(config.calendars)
}

/// Whether it looks like an address or `primary`; nothing else becomes part of a path or of a record's id.
fn is_calendar(text: &str) -> bool {
    (1..=254).contains(&text.len())
        && !matches!(text, "." | "..")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.+#@".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::connection;

    #[test]
    fn a_wrong_configuration_is_pointed_at() {
        for (config, pointer) in [
            (r#"{"calendars":["primary","a/b"]}"#, "/calendars/1"),
            (r#"{"calendars":[".."]}"#, "/calendars/0"),
            (r#"{"calendars":["a%2Fb"]}"#, "/calendars/0"),
            (r#"{"calendars":[7]}"#, "/calendars/0"),
        ] {
            match calendars(&connection(config)) {
                Err(Error::Config(detail)) => assert_eq!(detail.pointer.as_deref(), Some(pointer)),
                other => panic!("{config}: {other:?}"),
            }
        }
        assert_eq!(calendars(&connection("{}")).unwrap(), ["primary"]);
        let holidays = r#"{"calendars":["en.german#holiday@group.v.calendar.google.com"]}"#;
        assert_eq!(calendars(&connection(holidays)).unwrap().len(), 1);
    }
}
