//! The user's configuration: which boards, and the application's key where a bare token is used.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

/// What is configured; see [`of`].
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Config {
    /// Goes with a token; under OAuth there is none.
    #[serde(default)]
    pub(crate) api_key: Option<String>,
    /// Ids or short links; all of the member's where there is none.
    #[serde(default)]
    pub(crate) boards: Vec<String>,
}

/// The configuration, with nothing in it that could be more than one part of a path.
pub(crate) fn of(connection: &Connection) -> Result<Config, Error> {
    let config: Config = connection.config()?;
    let word = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if config.api_key.as_ref().is_some_and(|key| !word(key, 64)) {
        return Err(Error::config("not an API key", "/api_key"));
    }
    if let Some(at) = config.boards.iter().position(|board| !word(board, 24)) {
        return Err(Error::config(
            "not a board: write its id, or the short link after `trello.com/b/`",
            format!("/boards/{at}"),
        ));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::connection;

    #[test]
    fn a_wrong_configuration_is_pointed_at() {
        let check = |config: &str, pointer: &str| match of(&connection(config)) {
            Err(Error::Config(detail)) => assert_eq!(detail.pointer.as_deref(), Some(pointer), "{config}"),
            other => panic!("{config}: {other:?}"),
        };
        check(r#"{"api_key":""}"#, "/api_key");
        check(r#"{"api_key":"a&b"}"#, "/api_key");
        check(r#"{"boards":["abc","a/b"]}"#, "/boards/1");
        check(r#"{"boards":[".."]}"#, "/boards/0");
        check(r#"{"boards":[1]}"#, "/boards/0");
        assert!(of(&connection("{}")).unwrap().boards.is_empty());
    }
}
