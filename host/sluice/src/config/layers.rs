//! The layers of a configuration, laid over each other so that each can say where its mistake is.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IntoDeserializer;

use super::error::ConfigError;
use super::{Config, DEFAULT_TEXT};

/// What the command line says.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    pub config: Option<PathBuf>,
    pub data: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
    /// Serve beyond this machine without TLS.
    pub open: bool,
}

/// Variables that begin with `SLUICE_` and are no keys of the configuration have no double underscore.
const PREFIX: &str = "SLUICE_";

/// Reads all layers.
///
/// # Errors
///
/// The first mistake in any of them.
pub fn load(
    flags: &Flags,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let mut variables: Vec<_> = environment.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    let named = variables
        .iter()
        .find(|(name, _)| name == "SLUICE_CONFIG")
        .map(|(_, path)| PathBuf::from(path));
    let path = flags.config.clone().or(named);
    let text = match &path {
        Some(path) => std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.clone(),
            source,
        })?,
        None => String::new(),
    };
    let file = path.as_deref().unwrap_or_else(|| Path::new("configuration"));
    let from_file = parse(file, &text)?;
    from_file.check().map_err(|bad| bad.in_file(file, &text))?;

    let mut table: toml::Table = toml::from_str(&text).map_err(|error| located(file, &text, &error))?;
    for (name, value) in &variables {
        if let Some((section, key)) = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once("__")) {
            lay_over(
                &mut table,
                name,
                &section.to_lowercase(),
                &key.to_lowercase(),
                value,
            )?;
        }
    }
    let mut config = from_table(table).map_err(|message| ConfigError::Env {
        name: "SLUICE_…".to_owned(),
        message,
    })?;
    if let Some(dir) = &flags.data {
        config.data.dir.clone_from(dir);
    }
    if let Some(listen) = flags.listen {
        config.server.listen = listen;
    }
    config.server.allow_plain_public |= flags.open;
    config.check().map_err(|bad| ConfigError::Value {
        key: bad.key.to_owned(),
        message: bad.message,
    })?;
    config.check_public()?;
    Ok(config)
}

fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    toml::from_str(text).map_err(|error| located(path, text, &error))
}

/// Puts one variable over the table, after trying it alone so that a refusal names it.
fn lay_over(
    table: &mut toml::Table,
    name: &str,
    section: &str,
    key: &str,
    text: &str,
) -> Result<(), ConfigError> {
    let mut refused = String::new();
    for value in readings(section, key, text) {
        let alone = toml::Table::from_iter([(
            section.to_owned(),
            toml::Value::Table(toml::Table::from_iter([(key.to_owned(), value.clone())])),
        )]);
        let checked = from_table(alone).and_then(|config| {
            config
                .check()
                .map_err(|bad| format!("`{}`: {}", bad.key, bad.message))
        });
        match checked {
            // Values that only make sense together are judged at the end.
            Ok(()) => {
                let entry = table
                    .entry(section.to_owned())
                    .or_insert_with(|| toml::Value::Table(toml::Table::new()));
                if let toml::Value::Table(section) = entry {
                    section.insert(key.to_owned(), value);
                }
                return Ok(());
            }
            Err(message) => {
                if refused.is_empty() {
                    refused = message;
                }
            }
        }
    }
    Err(ConfigError::Env {
        name: name.to_owned(),
        message: refused,
    })
}

/// What a variable's text may mean: a TOML value, a list separated by commas where the default is one, or the text.
fn readings(section: &str, key: &str, text: &str) -> Vec<toml::Value> {
    let literal = toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| (table.len() == 1).then(|| table.remove("value")).flatten());
    let is_list = toml::from_str::<toml::Table>(DEFAULT_TEXT)
        .ok()
        .and_then(|defaults| defaults.get(section)?.get(key).map(toml::Value::is_array))
        .unwrap_or(false);
    let mut readings = Vec::new();
    readings.extend(literal);
    if is_list {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        readings.push(toml::Value::Array(
            items.map(|item| toml::Value::String(item.to_owned())).collect(),
        ));
    }
    readings.push(toml::Value::String(text.to_owned()));
    readings
}

fn from_table(table: toml::Table) -> Result<Config, String> {
    Config::deserialize(table.into_deserializer()).map_err(|error| error.message().to_owned())
}

fn located(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let offset = error.span().map_or(0, |span| span.start);
    let (line, column) = position(text, offset);
    let key = error.span().map(|_| key_at(text, offset)).unwrap_or_default();
    ConfigError::File {
        path: path.to_owned(),
        line,
        column,
        key,
        message: error.message().to_owned(),
    }
}

/// Line and column, from one, of a byte offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// The path of the key whose name or value lies at the offset, e.g. `broker.connect[0].port`; empty if none does.
fn key_at(text: &str, offset: usize) -> String {
    let Ok(table) = toml::de::DeTable::parse(text) else {
        return String::new();
    };
    let mut path = String::new();
    table_at(table.get_ref(), offset, &mut path);
    path
}

fn table_at(table: &toml::de::DeTable<'_>, offset: usize, path: &mut String) {
    for (key, value) in table {
        let on_key = key.span().contains(&offset);
        let mut below = String::new();
        value_at(value.get_ref(), offset, &mut below);
        if on_key || !below.is_empty() || value.span().contains(&offset) {
            let dot = if path.is_empty() { "" } else { "." };
            path.push_str(dot);
            path.push_str(key.get_ref());
            path.push_str(&below);
            return;
        }
    }
}

fn value_at(value: &toml::de::DeValue<'_>, offset: usize, path: &mut String) {
    match value {
        toml::de::DeValue::Table(table) => {
            let mut below = String::new();
            table_at(table, offset, &mut below);
            if !below.is_empty() {
                path.push('.');
                path.push_str(&below);
            }
        }
        toml::de::DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let mut below = String::new();
                value_at(item.get_ref(), offset, &mut below);
                if !below.is_empty() || item.span().contains(&offset) {
                    path.push_str(&format!("[{index}]{below}"));
                    return;
                }
            }
        }
        _ => {}
    }
}

/// A value out of its range, before it is known which layer it came from.
#[derive(Debug)]
pub(super) struct BadValue {
    pub(super) key: &'static str,
    pub(super) message: String,
}

impl BadValue {
    /// Finds the line of the key.
    fn in_file(self, path: &Path, text: &str) -> ConfigError {
        let offset = self.key.split_once('.').and_then(|(section, key)| {
            let table = toml::de::DeTable::parse(text).ok()?;
            let (_, section) = table
                .get_ref()
                .iter()
                .find(|(name, _)| name.get_ref() == section)?;
            let section = section.get_ref().as_table()?;
            section
                .iter()
                .find(|(name, _)| name.get_ref() == key)
                .map(|(name, _)| name.span().start)
        });
        match offset {
            Some(offset) => {
                let (line, column) = position(text, offset);
                let (path, key) = (path.to_owned(), self.key.to_owned());
                ConfigError::File {
                    path,
                    line,
                    column,
                    key,
                    message: self.message,
                }
            }
            None => ConfigError::Value {
                key: self.key.to_owned(),
                message: self.message,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let mut file = tempfile::Builder::new()
            .prefix("sluice")
            .suffix(".toml")
            .tempfile()
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let flags = Flags {
            config: Some(file.path().to_owned()),
            ..Flags::default()
        };
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load(&flags, environment).map_err(|error| {
            assert!(ConfigError::CODES.contains(&error.code()) && error.hint().is_some());
            error.to_string()
        })
    }

    fn refused(text: &str, environment: &[(&str, &str)], parts: &[&str]) {
        let message = load_text(text, environment).expect_err(text);
        for part in parts {
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
    }

    #[test]
    fn a_mistake_in_the_file_has_its_place() {
        refused(
            "[server]\nlisten = \"127.0.0.1:1\"\nlissten = 2\n",
            &[],
            &[":3:1: ", "lissten", "`server.lissten`"],
        );
        refused("[sevrer]\n", &[], &[":1:", "sevrer"]);
        refused(
            "[sync]\nworkers = \"four\"\n",
            &[],
            &[":2:11: ", "`sync.workers`"],
        );
        refused(
            "[sync]\n\nworkers = 0\n",
            &[],
            &[":3:1: ", "`sync.workers`", "at least 1"],
        );
        refused(
            "[[broker.connect]]\nhost = \"x\"\nport = 70000\naddress = \"1.2.3.4:1\"",
            &[],
            &[":3:", "connect[0].port"],
        );
        refused(
            "[broker]\nopen = [\"10.0.0.0/33\"]",
            &[],
            &[":2:1: ", "`broker.open`", "10.0.0.0/33"],
        );
        refused("[server\n", &[], &[":1:"]);
        refused(
            "[data]\nmaster_key = { file = \"a\", env = \"b\" }",
            &[],
            &[":2:"],
        );
        refused("[server]\nlisten = \"example.com:80\"", &[], &[":2:10"]);
        refused("[server]\ndrain_timeout_s = 31", &[], &[":2:", "at most 30"]);
        refused("[server]\ntls_cert_file = \"x\"", &[], &["tls_key_file"]);
        refused("[server]\npublic_url = \"ftp://x\"", &[], &[":2:", "http"]);
    }

    #[test]
    fn a_mistake_in_the_environment_has_its_name() {
        refused("", &[("SLUICE_SYNC__WORKERS", "x")], &["SLUICE_SYNC__WORKERS"]);
        refused(
            "",
            &[("SLUICE_SYNC__WORKRES", "1")],
            &["SLUICE_SYNC__WORKRES", "workres"],
        );
        refused(
            "",
            &[("SLUICE_HOOKS__WORKERS", "0")],
            &["SLUICE_HOOKS__WORKERS", "at least 1"],
        );
    }

    #[test]
    fn the_nearer_layer_wins() {
        let file = "[server]\nlisten = \"127.0.0.1:1\"\n[sync]\nworkers = 7\n";
        let environment = [
            ("SLUICE_SERVER__LISTEN", "127.0.0.1:2"),
            ("SLUICE_BROKER__OPEN", "127.0.0.1/32:9443,10.0.0.0/8"),
            ("SLUICE_LOG__FORMAT", "json"),
            ("SLUICE_DATA__DIR", "7"),
            ("SLUICE_SERVER", "http://not-a-key"),
        ];
        let config = load_text(file, &environment).unwrap();
        assert_eq!(config.server.listen.port(), 2);
        assert_eq!(config.sync.workers, 7);
        assert_eq!(config.broker.open.len(), 2);
        assert_eq!(config.data.dir, Path::new("7"));
        let flags = Flags {
            listen: Some(([127, 0, 0, 1], 3).into()),
            ..Flags::default()
        };
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        assert_eq!(load(&flags, environment).unwrap().server.listen.port(), 3);
    }

    #[test]
    fn the_world_is_not_served_in_clear_text() {
        refused(
            "[server]\nlisten = \"0.0.0.0:7420\"",
            &[],
            &["0.0.0.0:7420", "TLS"],
        );
        refused("[server]\nlisten = \"[::]:7420\"", &[], &["TLS"]);
        let open = load_text(
            "[server]\nlisten = \"0.0.0.0:7420\"\nallow_plain_public = true",
            &[],
        )
        .unwrap();
        assert!(open.server.allow_plain_public);
    }
}
