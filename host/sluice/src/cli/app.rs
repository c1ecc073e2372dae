//! Apps: what the vendor gave to whoever registered there.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::input;
use super::output::{Output, text};

/// What the vendor gave for a connector: client id, client secret, private key
#[derive(Debug, Subcommand)]
pub(super) enum App {
    /// What there is, and the callback address to register at the vendor
    Show { connector: String, auth: String },
    /// Set its parts
    Set(Set),
    /// Forget it
    Remove { connector: String, auth: String },
}

#[derive(Debug, Args)]
pub(super) struct Set {
    connector: String,
    auth: String,
    /// A part that is not secret; several are allowed
    #[arg(long = "part", value_name = "NAME=VALUE")]
    parts: Vec<String>,
    /// Read the secret parts from standard input: one text, or a JSON object
    #[arg(long)]
    secret_from_stdin: bool,
    /// Read the secret parts from a file: one text, or a JSON object
    #[arg(long, value_name = "FILE", conflicts_with = "secret_from_stdin")]
    secret_file: Option<PathBuf>,
}

fn path(connector: &str, auth: &str) -> String {
    format!("/api/v1/apps/{}/{}", segment(connector), segment(auth))
}

impl App {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::Show { connector, auth } => {
                let found = client.get(&path(&connector, &auth)).await?;
                show(output, &found);
            }
            Self::Set(set) => set.run(client, output).await?,
            Self::Remove { connector, auth } => {
                client.delete(&path(&connector, &auth)).await?;
                output.done(&format!("the app of {connector} {auth} is forgotten"));
            }
        }
        Ok(Exit::Ok)
    }
}

impl Set {
    async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        let place = path(&self.connector, &self.auth);
        let found = client.get(&place).await?;
        let declared = found
            .get("parts")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let mut parts = Map::new();
        for part in &self.parts {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("`--part {part}` is not of the form NAME=VALUE")))?;
            let is_secret = |part: &&Value| {
                text(part, "name") == name && part.get("secret").and_then(Value::as_bool).unwrap_or(false)
            };
            if declared.iter().find(is_secret).is_some() {
                return Err(Failure::usage(format!(
                    "`{name}` is secret and may not stand in a command line"
                ))
                .hint("pass it with --secret-from-stdin or --secret-file FILE"));
            }
            parts.insert(name.to_owned(), json!(value));
        }
        let asked: Vec<_> = declared
            .iter()
            .filter(|part| !parts.contains_key(&text(part, "name")))
            .map(|part| Asked {
                name: text(part, "name"),
                title: text(part, "title"),
                secret: part.get("secret").and_then(Value::as_bool).unwrap_or(true),
                optional: part.get("optional").and_then(Value::as_bool).unwrap_or(false)
                    || part.get("set").and_then(Value::as_bool).unwrap_or(false),
            })
            .collect();
        let flags = "--secret-from-stdin or --secret-file FILE";
        let source = input::Source {
            stdin: self.secret_from_stdin,
            file: self.secret_file,
            flags,
        };
        parts.extend(given(&source, &asked, output)?);
        let changed = client
            .send(Method::PUT, &place, Body::Json(json!({ "parts": parts })))
            .await?;
        show(output, &changed);
        Ok(())
    }
}

/// A part that is to be given.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) secret: bool,
    pub(super) optional: bool,
}

/// Parts from standard input or a file (one text for the only secret one, or a JSON object by name), or from a person.
pub(super) fn given(
    source: &input::Source,
    asked: &[Asked],
    output: &Output,
) -> Result<Map<String, Value>, Failure> {
    let mut parts = Map::new();
    let needed: Vec<_> = asked.iter().filter(|part| !part.optional).collect();
    if !source.stdin && source.file.is_none() {
        if needed.is_empty() {
            return Ok(parts);
        }
        if !output.may_ask {
            let names: Vec<_> = needed.iter().map(|part| part.name.as_str()).collect();
            return Err(Failure::usage(format!("needed: {}", names.join(", ")))
                .hint(format!("pass {}", source.flags)));
        }
        for part in needed {
            let value = if part.secret {
                input::hidden(&part.title)?
            } else {
                input::shown(&part.title)?
            };
            parts.insert(part.name.clone(), json!(value.trim_end_matches(['\r', '\n'])));
        }
        return Ok(parts);
    }
    let Some(read) = input::secret(source, "secret", output)? else {
        return Ok(parts);
    };
    let names = |map: &Map<String, Value>| map.keys().all(|key| asked.iter().any(|part| part.name == *key));
    match serde_json::from_str::<Map<String, Value>>(&read) {
        // A key file is a JSON object too: only one that names the parts is taken apart.
        Ok(map) if names(&map) && !map.is_empty() => parts.extend(map),
        _ => {
            let secret = asked.iter().find(|part| part.secret && !part.optional);
            let secret = secret
                .or_else(|| asked.iter().find(|part| part.secret))
                .or_else(|| asked.first());
            let name = secret.map_or_else(|| "secret".to_owned(), |part| part.name.clone());
            parts.insert(name, json!(read));
        }
    }
    Ok(parts)
}

fn show(output: &Output, app: &Value) {
    output.show(app, |output| {
        output.fields(&[
            ("connector", text(app, "connector")),
            ("auth", text(app, "auth")),
            ("owner", text(app, "owner")),
            ("callback", text(app, "callback_url")),
        ]);
        let row = |part: &Value| {
            let set = if part.get("set").and_then(Value::as_bool).unwrap_or(false) {
                "set"
            } else {
                "-"
            };
            let value = text(part, "value");
            [
                text(part, "name"),
                text(part, "title"),
                if value.is_empty() { set.to_owned() } else { value },
            ]
        };
        let parts = app
            .get("parts")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        output.table(["part", "title", "value"], parts.iter().map(row));
    });
}
