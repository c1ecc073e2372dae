//! What a destination is: data that the service keeps and shows. No secret is among them; those come at the opening.

use serde::Serialize;
use serde_json::{Map, Value};

/// Bytes of one text.
const MAX_TEXT_BYTES: usize = 1024;

/// Settings that are none, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read the destination's settings: `{pointer}` {reason}")]
pub struct SettingsError {
    /// RFC 6901, into the settings.
    pub pointer: String,
    pub reason: String,
}

impl SettingsError {
    pub(crate) fn new(pointer: &str, reason: impl Into<String>) -> Self {
        Self {
            pointer: pointer.to_owned(),
            reason: reason.into(),
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "destination.settings"
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(format!(
            "correct `{}` of the destination's settings",
            self.pointer
        ))
    }
}

/// Where records go. As JSON an object with `kind`: `postgres`, `directory` or `s3`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DestinationSettings {
    Postgres(PostgresSettings),
    Directory(DirectorySettings),
    S3(S3Settings),
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PostgresSettings {
    /// A name or an address.
    pub host: String,
    /// 5432 by default.
    pub port: u16,
    pub database: String,
    pub user: String,
    /// The namespace of the tables; `public` by default. It is created where it is missing and we may.
    pub schema: String,
    /// `require` by default.
    pub tls: Tls,
    /// `remove` by default.
    pub deletes: Deletes,
}

/// Files in a directory below the one that the operator opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DirectorySettings {
    /// Below the operator's root, names between slashes; empty for the root itself.
    pub directory: String,
    pub format: Format,
    /// Of CSV: `keep` by default.
    pub formulas: Formulas,
}

/// Objects of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct S3Settings {
    /// Host, or host and port, always with TLS; that of AWS in the region by default.
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    /// What keys begin with, names between slashes; empty by default.
    pub prefix: String,
    pub format: Format,
    /// Of CSV: `keep` by default.
    pub formulas: Formulas,
}

/// How a connection to a database is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// TLS with a certificate that vouches for the host, or no connection (`verify-full` in PostgreSQL's words).
    Require,
    /// The network itself is trusted.
    Disable,
}

/// What becomes of a row whose record is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Deletes {
    /// It is deleted.
    Remove,
    /// It stays, with the time in `_sluice_deleted_at`.
    Mark,
}

/// What files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Ndjson,
    Csv,
    Parquet,
}

/// What becomes of a text in a CSV file that a spreadsheet would take for a formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Formulas {
    /// It stays what it is.
    Keep,
    /// An apostrophe stands before it.
    Escape,
}

impl DestinationSettings {
    /// Reads settings. Unknown members are refused.
    ///
    /// # Errors
    /// Where and why it is none.
    pub fn read(value: &Value) -> Result<Self, SettingsError> {
        let object = value.as_object();
        let mut fields = Fields(
            object
                .ok_or_else(|| SettingsError::new("", "is not an object"))?
                .clone(),
        );
        let read = match fields.text("kind", None)?.as_str() {
            "postgres" => Self::Postgres(postgres(&mut fields)?),
            "directory" => Self::Directory(directory(&mut fields)?),
            "s3" => Self::S3(s3(&mut fields)?),
            _ => return Err(SettingsError::new("/kind", "is none of postgres, directory, s3")),
        };
        match fields.0.keys().next() {
            None => Ok(read),
            Some(name) => {
                let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
                Err(SettingsError::new(&pointer, "is not a setting"))
            }
        }
    }
}

fn postgres(fields: &mut Fields) -> Result<PostgresSettings, SettingsError> {
    let schema = fields.text("schema", Some("public"))?;
    if schema.len() > 63 || schema.starts_with("pg_") || schema == "information_schema" {
        return Err(SettingsError::new(
            "/schema",
            "is no namespace for tables of users",
        ));
    }
    Ok(PostgresSettings {
        host: fields.text("host", None)?,
        port: fields.port(5432)?,
        database: fields.text("database", None)?,
        user: fields.text("user", None)?,
        schema,
        tls: fields.choice(
            "tls",
            &[("require", Tls::Require), ("disable", Tls::Disable)],
            Some(Tls::Require),
        )?,
        deletes: fields.choice(
            "deletes",
            &[("remove", Deletes::Remove), ("mark", Deletes::Mark)],
            Some(Deletes::Remove),
        )?,
    })
}

fn directory(fields: &mut Fields) -> Result<DirectorySettings, SettingsError> {
    Ok(DirectorySettings {
        directory: fields.path("directory")?,
        format: fields.format()?,
        formulas: fields.formulas()?,
    })
}

fn s3(fields: &mut Fields) -> Result<S3Settings, SettingsError> {
    let is_label = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    let region = fields.text("region", None)?;
    if !is_label(&region) {
        return Err(SettingsError::new("/region", "is not the name of a region"));
    }
    let bucket = fields.text("bucket", None)?;
    if !is_label(&bucket) || bucket.starts_with('.') {
        return Err(SettingsError::new("/bucket", "is not the name of a bucket"));
    }
    let own = format!("s3.{region}.amazonaws.com");
    let endpoint = fields.text("endpoint", Some(&own))?;
    if endpoint.contains(['/', '?', '#', '@', '\\', '%']) {
        return Err(SettingsError::new("/endpoint", "is not a host, or host and port"));
    }
    let prefix = fields.path("prefix")?;
    if prefix.contains('%') {
        return Err(SettingsError::new(
            "/prefix",
            "has a percent sign, which servers read in several ways",
        ));
    }
    Ok(S3Settings {
        endpoint,
        region,
        bucket,
        prefix,
        format: fields.format()?,
        formulas: fields.formulas()?,
    })
}

/// The members that have not been read yet.
struct Fields(Map<String, Value>);

impl Fields {
    fn text(&mut self, name: &str, default: Option<&str>) -> Result<String, SettingsError> {
        let bad = |reason: &str| Err(SettingsError::new(&format!("/{name}"), reason));
        let text = match (self.0.remove(name), default) {
            (Some(Value::String(text)), _) => text,
            (None, Some(default)) => return Ok(default.to_owned()),
            (None, None) => return bad("is missing"),
            (Some(_), _) => return bad("is not a text"),
        };
        if text.is_empty() || text.len() > MAX_TEXT_BYTES || text.contains(char::is_control) {
            return bad("is empty, longer than 1 KiB, or has control characters");
        }
        Ok(text)
    }

    fn port(&mut self, default: u16) -> Result<u16, SettingsError> {
        let Some(value) = self.0.remove("port") else {
            return Ok(default);
        };
        let port = value.as_u64().and_then(|port| u16::try_from(port).ok());
        port.filter(|port| *port > 0)
            .ok_or_else(|| SettingsError::new("/port", "is not a port"))
    }

    /// Names between slashes, none of which leads anywhere else.
    fn path(&mut self, name: &str) -> Result<String, SettingsError> {
        if self.0.get(name).and_then(Value::as_str) == Some("") {
            self.0.remove(name);
        }
        if !self.0.contains_key(name) {
            return Ok(String::new());
        }
        let path = self.text(name, None)?;
        let is_name = |part: &str| !part.is_empty() && part.len() <= 200 && part != "." && part != "..";
        if !path.split('/').all(is_name) || path.contains('\\') {
            return Err(SettingsError::new(
                &format!("/{name}"),
                "is not a path of names: no `..`, no empty name, no slash at either end",
            ));
        }
        Ok(path)
    }

    fn choice<T: Copy>(
        &mut self,
        name: &str,
        choices: &[(&str, T)],
        default: Option<T>,
    ) -> Result<T, SettingsError> {
        if let (false, Some(default)) = (self.0.contains_key(name), default) {
            return Ok(default);
        }
        let word = self.text(name, None)?;
        let found = choices.iter().find(|(choice, _)| *choice == word);
        found.map(|(_, chosen)| *chosen).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            SettingsError::new(&format!("/{name}"), format!("is none of {}", words.join(", ")))
        })
    }

    fn format(&mut self) -> Result<Format, SettingsError> {
        let choices = [
            ("ndjson", Format::Ndjson),
            ("csv", Format::Csv),
            ("parquet", Format::Parquet),
        ];
        self.choice("format", &choices, None)
    }

    fn formulas(&mut self) -> Result<Formulas, SettingsError> {
        let choices = [("keep", Formulas::Keep), ("escape", Formulas::Escape)];
        self.choice("formulas", &choices, Some(Formulas::Keep))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(value: Value, pointer: &str) {
        let error = DestinationSettings::read(&value).unwrap_err();
        assert_eq!(error.pointer, pointer, "{value}: {error}");
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for value in [
            json!({"kind": "postgres", "host": "db.example.com", "database": "d", "user": "u"}),
            json!({"kind": "directory", "format": "csv", "directory": "a/b", "formulas": "escape"}),
            json!({"kind": "directory", "format": "ndjson", "directory": ""}),
            json!({"kind": "s3", "region": "eu-central-1", "bucket": "b", "format": "parquet"}),
        ] {
            let read = DestinationSettings::read(&value).unwrap();
            let written = serde_json::to_value(&read).unwrap();
            assert_eq!(DestinationSettings::read(&written), Ok(read), "{value}");
        }
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let postgres = |name: &str, value: Value| {
            let mut settings = json!({"kind": "postgres", "host": "h", "database": "d", "user": "u"});
            settings[name] = value;
            settings
        };
        refused(json!([]), "");
        refused(json!({}), "/kind");
        refused(json!({"kind": "mysql"}), "/kind");
        refused(json!({"kind": "postgres", "database": "d", "user": "u"}), "/host");
        refused(postgres("password", json!("x")), "/password");
        refused(postgres("a/b", json!("x")), "/a~1b");
        refused(postgres("port", json!(0)), "/port");
        refused(postgres("port", json!("5432")), "/port");
        refused(postgres("port", json!(65536)), "/port");
        refused(postgres("tls", json!("prefer")), "/tls");
        refused(postgres("user", json!("a\0b")), "/user");
        refused(postgres("schema", json!("pg_catalog")), "/schema");
        for path in ["..", "a/../b", "/a", "a/", "a//b", ".", "a\\..\\b"] {
            refused(
                json!({"kind": "directory", "format": "csv", "directory": path}),
                "/directory",
            );
        }
        refused(json!({"kind": "directory"}), "/format");
        let s3 = |name: &str, value: &str| {
            let mut settings = json!({"kind": "s3", "region": "r", "bucket": "b", "format": "csv"});
            settings[name] = json!(value);
            settings
        };
        refused(s3("bucket", "a/b"), "/bucket");
        refused(s3("region", "a/b"), "/region");
        refused(s3("endpoint", "https://x"), "/endpoint");
        refused(s3("prefix", "../x"), "/prefix");
        refused(s3("prefix", "a%2Fb"), "/prefix");
    }
}
