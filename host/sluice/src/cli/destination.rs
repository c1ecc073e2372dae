//! Destinations: databases, directories and buckets that records are loaded into.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::app::{Asked, given};
use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::input;
use super::output::{Output, items, text};
use super::resolve;

/// Databases, directories and buckets that records are loaded into
#[derive(Debug, Subcommand)]
pub(super) enum Destination {
    /// What there is
    List,
    /// One destination and what is loaded into it
    Show { destination: String },
    /// Add one: `sluice destination create warehouse '{"kind":"postgres","host":"db.example.com","database":"d","user":"u"}'`
    Create(Create),
    /// Set its settings, or its secret, anew
    Set(Set),
    /// Check that it is reached and may be written to
    Test { destination: String },
    /// Remove it; what was delivered stays there
    Remove { destination: String },
    /// Load a connection's records into it from now on, those that are there included
    Load(Load),
    /// Load them no more
    Unload { destination: String, connection: String },
    /// Try a load again now
    Retry {
        destination: String,
        connection: String,
        /// From the first change on, for a destination that lost what it had
        #[arg(long)]
        anew: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    name: String,
    #[command(flatten)]
    content: Content,
}

#[derive(Debug, Args)]
pub(super) struct Set {
    destination: String,
    #[command(flatten)]
    content: Content,
}

#[derive(Debug, Args)]
pub(super) struct Content {
    /// JSON with `kind`: postgres, directory or s3; `@FILE` reads a file. docs/operator/destinations.md has all
    settings: Option<String>,
    /// Read its secret from standard input: one text, or a JSON object
    #[arg(long)]
    secret_from_stdin: bool,
    /// Read its secret from a file: one text, or a JSON object
    #[arg(long, value_name = "FILE", conflicts_with = "secret_from_stdin")]
    secret_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Load {
    destination: String,
    connection: String,
    /// Only this stream; several are allowed
    #[arg(long = "stream", value_name = "STREAM")]
    streams: Vec<String>,
    /// What the names of tables begin with
    #[arg(long, default_value = "")]
    prefix: String,
    /// Seconds from a change until it is loaded, so that changes go together
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    every: u32,
}

const ALL: &str = "/api/v1/destinations";

fn path(destination: &str) -> String {
    format!("{ALL}/{}", segment(destination))
}

impl Destination {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::List => {
                let found = client.get(&format!("{ALL}?limit=1000")).await?;
                output.show(&found, |output| {
                    let row = |one: &Value| [text(one, "name"), kind(one), place(one), text(one, "id")];
                    output.table(["name", "kind", "place", "id"], items(&found).iter().map(row));
                });
            }
            Self::Show { destination } => {
                let found = client.get(&path(&destination)).await?;
                let loads = client.get(&format!("{}/loads", path(&destination))).await?;
                let both = json!({"destination": found, "loads": items(&loads)});
                output.show(&both, |output| {
                    fields(output, &found);
                    show_loads(output, items(&loads));
                });
            }
            Self::Create(create) => {
                let Some(settings) = create.content.settings()? else {
                    return Err(Failure::usage("the settings are missing")
                        .hint("pass them as JSON, or @FILE; docs/operator/destinations.md has all"));
                };
                let secrets = create.content.secrets(&settings, true, output)?;
                let body = json!({"name": create.name, "settings": settings, "secrets": secrets});
                let made = client.post(ALL, body).await?;
                output.show(&made, |output| fields(output, &made));
            }
            Self::Set(set) => set.run(client, output).await?,
            Self::Test { destination } => {
                let found = client
                    .post(&format!("{}/test", path(&destination)), json!({}))
                    .await?;
                output.show(&found, |output| {
                    output.done(&format!("{destination} is reached: {}", text(&found, "version")));
                });
            }
            Self::Remove { destination } => {
                client.delete(&path(&destination)).await?;
                output.done(&format!(
                    "{destination} is removed; what was delivered stays there"
                ));
            }
            Self::Load(load) => {
                let connection = text(&resolve::connection(client, &load.connection).await?, "id");
                let body = json!({"streams": load.streams, "prefix": load.prefix, "every_s": load.every});
                let place = format!("{}/loads/{}", path(&load.destination), segment(&connection));
                let made = client.send(Method::PUT, &place, Body::Json(body)).await?;
                output.show(&made, |output| show_loads(output, std::slice::from_ref(&made)));
            }
            Self::Unload {
                destination,
                connection,
            } => {
                let found = text(&resolve::connection(client, &connection).await?, "id");
                client
                    .delete(&format!("{}/loads/{}", path(&destination), segment(&found)))
                    .await?;
                output.done(&format!("{connection} is no longer loaded into {destination}"));
            }
            Self::Retry {
                destination,
                connection,
                anew,
            } => {
                let found = text(&resolve::connection(client, &connection).await?, "id");
                let place = format!("{}/loads/{}/retry", path(&destination), segment(&found));
                let load = client.post(&place, json!({"anew": anew})).await?;
                output.show(&load, |output| show_loads(output, std::slice::from_ref(&load)));
            }
        }
        Ok(Exit::Ok)
    }
}

impl Set {
    async fn run(self, client: &Client, output: &Output) -> Result<(), Failure> {
        let found = client.get(&path(&self.destination)).await?;
        let settings = match self.content.settings()? {
            Some(settings) => settings,
            None => found.get("settings").cloned().unwrap_or_default(),
        };
        let secrets = self.content.secrets(&settings, false, output)?;
        let body = json!({"settings": settings, "revision": found.get("revision"), "secrets": secrets});
        let set = client
            .send(Method::PUT, &path(&self.destination), Body::Json(body))
            .await?;
        output.show(&set, |output| fields(output, &set));
        Ok(())
    }
}

impl Content {
    fn settings(&self) -> Result<Option<Value>, Failure> {
        self.settings.as_deref().map(input::settings).transpose()
    }

    fn secrets(&self, settings: &Value, new: bool, output: &Output) -> Result<Map<String, Value>, Failure> {
        let part = |name: &str, title: &str, optional: bool| Asked {
            name: name.to_owned(),
            title: title.to_owned(),
            secret: true,
            // What is kept stays unless it is given.
            optional: optional || !new,
        };
        let asked = match text(settings, "kind").as_str() {
            "postgres" => vec![part("password", "password of the database's user", true)],
            "s3" => vec![
                part("access_key_id", "access key id", false),
                part("secret_access_key", "secret access key", false),
                part("session_token", "session token", true),
            ],
            _ => return Ok(Map::new()),
        };
        let source = input::Source {
            stdin: self.secret_from_stdin,
            file: self.secret_file.clone(),
            flags: "--secret-from-stdin or --secret-file FILE",
        };
        given(&source, &asked, output)
    }
}

fn kind(one: &Value) -> String {
    one.get("settings")
        .map(|settings| text(settings, "kind"))
        .unwrap_or_default()
}

/// Where it is, in a word.
fn place(one: &Value) -> String {
    let of = |name: &str| {
        one.get("settings")
            .map(|settings| text(settings, name))
            .unwrap_or_default()
    };
    match kind(one).as_str() {
        "postgres" => format!("{}/{}.{}", of("host"), of("database"), of("schema")),
        "s3" => format!("{}/{}", of("bucket"), of("prefix")),
        _ => of("directory"),
    }
}

fn fields(output: &Output, one: &Value) {
    output.fields(&[
        ("destination", text(one, "name")),
        ("id", text(one, "id")),
        ("kind", kind(one)),
        ("place", place(one)),
        (
            "secret",
            if items_of(one, "secrets").is_empty() {
                "none".to_owned()
            } else {
                "set".to_owned()
            },
        ),
    ]);
}

fn items_of<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn show_loads(output: &Output, loads: &[Value]) {
    let row = |load: &Value| {
        let error = load
            .get("error")
            .map(|error| text(error, "message"))
            .unwrap_or_default();
        let owed: Vec<_> = items_of(load, "owed").iter().filter_map(Value::as_str).collect();
        [
            text(load, "connection"),
            text(load, "state"),
            text(load, "rows"),
            owed.join(", "),
            error,
        ]
    };
    output.table(
        ["connection", "state", "rows", "behind", "problem"],
        loads.iter().map(row),
    );
}
