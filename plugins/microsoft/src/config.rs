//! The user's configuration: whose mailbox, which folders, and which days of the calendar.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    folders: Vec<String>,
    #[serde(default = "back")]
    pub(crate) days_back: u64,
    #[serde(default = "ahead")]
    pub(crate) days_ahead: u64,
}

const fn back() -> u64 {
    30
}

const fn ahead() -> u64 {
    180
}

pub(crate) fn of(connection: &Connection) -> Result<Config, Error> {
    let config: Config = connection.config()?;
    let is_word = |text: &str, more: &[u8]| {
        !matches!(text, "." | "..")
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    if config
        .user
        .as_deref()
        .is_some_and(|user| !is_word(user, b"._@+-"))
    {
        return Err(Error::config("not a mailbox", "/user"));
    }
    match config.folders.iter().position(|name| !is_word(name, b"_=-")) {
        Some(at) => Err(Error::config("not a folder", format!("/folders/{at}"))),
        None => Ok(config),
    }
}

impl Config {
    /// The mailbox as addresses and subscriptions name it.
    pub(crate) fn mailbox(&self) -> String {
        match &self.user {
            Some(user) => format!("users/{user}"),
            None => "me".to_owned(),
        }
    }

    /// The folders whose messages are read.
    pub(crate) fn folders(&self) -> Vec<String> {
        match self.folders.is_empty() {
            true => vec!["inbox".to_owned()],
            false => self.folders.clone(),
        }
    }
}
