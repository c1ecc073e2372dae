//! The configuration: the folder that is read, and which of its files are kept.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    folder: String,
    #[serde(default)]
    keep_up_to_bytes: u64,
}

/// The folder whose contents are read; empty for all that the app sees, which is how Dropbox calls the root.
pub(crate) fn folder(connection: &Connection) -> Result<String, Error> {
    let Config { folder, .. } = connection.config()?;
    let folder = folder.strip_suffix('/').unwrap_or(&folder);
    if folder.is_empty() || folder.starts_with('/') && !folder.chars().any(char::is_control) {
        return Ok(folder.to_owned());
    }
    Err(Error::config("not a folder's path, such as `/Doors`", "/folder"))
}

/// Files of at most so many bytes are kept with their records; none is with 0.
pub(crate) fn keep_up_to(connection: &Connection) -> Result<u64, Error> {
    let Config { keep_up_to_bytes, .. } = connection.config()?;
    Ok(keep_up_to_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::connection;

    #[test]
    fn the_root_has_no_path() {
        for (config, expected) in [
            ("{}", ""),
            (r#"{"folder":"/"}"#, ""),
            (r#"{"folder":"/Doors/"}"#, "/Doors"),
        ] {
            assert_eq!(folder(&connection(config)).unwrap(), expected);
        }
        for config in [
            r#"{"folder":"Doors"}"#,
            r#"{"folder":7}"#,
            r#"{"folder":"/a\u0000"}"#,
        ] {
            let error = folder(&connection(config)).unwrap_err();
            assert!(matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/folder")));
        }
    }
}
