//! The user's configuration: how deep blocks are read.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

/// More levels than this would make the cursor too long.
const MAX_DEPTH: u8 = 8;

#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default = "five")]
    depth: u8,
}

const fn five() -> u8 {
    5
}

/// Levels of blocks.
pub(crate) fn depth(connection: &Connection) -> Result<u8, Error> {
    let config: Config = connection.config()?;
    match config.depth {
        1..=MAX_DEPTH => Ok(config.depth),
        _ => Err(Error::config("1 to 8 levels can be read", "/depth")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::connection;

    #[test]
    fn a_wrong_configuration_is_pointed_at() {
        assert_eq!(depth(&connection("{}")), Ok(5));
        for config in [r#"{"depth":0}"#, r#"{"depth":9}"#, r#"{"depth":"x"}"#] {
            assert!(
                matches!(depth(&connection(config)), Err(Error::Config(detail)) if detail.pointer.as_deref() == Some("/depth")),
                "{config}"
            );
        }
    }
}
