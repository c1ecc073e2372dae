//! Actions: what a connection can do at its vendor.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::{input, resolve};

/// What a connection can do at its vendor: send a message, create an invoice
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// The actions of a connection; those that only its account has are asked for
    List { connection: String },
    /// What an action takes and gives, as JSON Schemas
    Show { connection: String, action: String },
    /// Perform an action, and print what it gave
    Run(Run),
}

#[derive(Debug, Args)]
pub(super) struct Run {
    connection: String,
    action: String,
    /// A member of the input; its value is JSON where it is, or else text
    #[arg(short = 'f', long = "field", value_name = "KEY=VALUE")]
    fields: Vec<String>,
    /// The input from a file, as JSON; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "fields")]
    input: Option<PathBuf>,
    /// The same key does not act twice at a vendor that can tell; a new one without
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

impl Action {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::List { connection } => {
                let found = client.get(&path(client, &connection).await?).await?;
                output.show(&found, |output| {
                    let row = |action: &Value| {
                        let whose = match action.get("discovered") == Some(&Value::Bool(true)) {
                            true => "the account's",
                            false => "the connector's",
                        };
                        [text(action, "name"), text(action, "title"), whose.to_owned()]
                    };
                    output.table(["name", "title", "whose"], items(&found).iter().map(row));
                });
            }
            Self::Show { connection, action } => {
                let found = client.get(&path(client, &connection).await?).await?;
                let mut all = items(&found).iter();
                let Some(shown) = all.find(|item| text(item, "name") == action) else {
                    let hint = format!("sluice action list {connection}");
                    return Err(Failure::usage(format!("there is no action `{action}`")).hint(hint));
                };
                output.show(shown, |output| {
                    let fields = ["name", "title", "description"].map(|name| (name, text(shown, name)));
                    output.fields(&fields);
                    for name in ["input", "output"] {
                        output.line("");
                        output.line(name);
                        pretty(output, shown.get(name));
                    }
                });
            }
            Self::Run(run) => return run.run(client, output).await,
        }
        Ok(Exit::Ok)
    }
}

impl Run {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let input = self.input()?;
        let path = path(client, &self.connection).await?;
        let path = format!("{path}/{}", segment(&self.action));
        let body = match self.idempotency_key {
            Some(key) => Body::Once(input, key),
            None => Body::Json(input),
        };
        let given = client.send(Method::POST, &path, body).await?;
        output.show(&given, |output| pretty(output, given.get("output")));
        Ok(Exit::Ok)
    }

    fn input(&self) -> Result<Value, Failure> {
        let Some(file) = &self.input else {
            return input::fields(&self.fields).map(Value::Object);
        };
        let mut given = String::new();
        let (name, read) = match file.as_os_str() == "-" {
            true => (
                "standard input".to_owned(),
                std::io::stdin().read_to_string(&mut given),
            ),
            false => (
                file.display().to_string(),
                std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut given)),
            ),
        };
        read.map_err(|error| Failure::usage(format!("{name} cannot be read: {error}")))?;
        serde_json::from_str(&given).map_err(|error| Failure::usage(format!("{name} is not JSON: {error}")))
    }
}

async fn path(client: &Client, connection: &str) -> Result<String, Failure> {
    let found = resolve::connection(client, connection).await?;
    Ok(format!(
        "/api/v1/connections/{}/actions",
        segment(&text(&found, "id"))
    ))
}

/// A value for people: JSON on lines of its own.
fn pretty(output: &Output, value: Option<&Value>) {
    let text = value.and_then(|value| serde_json::to_string_pretty(value).ok());
    for line in text.iter().flat_map(|text| text.lines()) {
        output.line(line);
    }
}
