//! The user's configuration: which channels' messages.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    channels: Vec<String>,
}

/// The channels whose messages are read; none: all that the app is in.
pub(crate) fn channels(connection: &Connection) -> Result<Option<Vec<String>>, Error> {
    let config: Config = connection.config()?;
    if let Some(at) = config.channels.iter().position(|id| !is_channel(id)) {
        return Err(Error::config(
            "not a channel's id: it begins with C or G and stands at the end of the channel's details",
            format!("/channels/{at}"),
        ));
    }
    Ok(Some(config.channels).filter(|channels| !channels.is_empty()))
}

/// Whether it is the id of a channel; nothing else becomes part of a record's id.
pub(crate) fn is_channel(text: &str) -> bool {
    (2..=30).contains(&text.len())
        && text.starts_with(['C', 'G'])
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::connection;

    #[test]
    fn a_wrong_configuration_is_pointed_at() {
        for (config, pointer) in [
            (r##"{"channels":["C1","#general"]}"##, "/channels/1"),
            (r#"{"channels":["D012"]}"#, "/channels/0"),
            (r#"{"channels":[7]}"#, "/channels/0"),
        ] {
            match channels(&connection(config)) {
                Err(Error::Config(detail)) => assert_eq!(detail.pointer.as_deref(), Some(pointer)),
                other => panic!("{config}: {other:?}"),
            }
        }
        assert_eq!(channels(&connection("{}")).unwrap(), None);
        assert_eq!(channels(&connection(r#"{"channels":[]}"#)).unwrap(), None);
    }
}
