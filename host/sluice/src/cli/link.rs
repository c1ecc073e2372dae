//! Links: streams that are kept saying the same, and what of them waits for a person.

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};

use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::{input, resolve, run};

/// Streams that are kept saying the same, one way or both
#[derive(Debug, Subcommand)]
pub(super) enum Link {
    /// What there is
    List {
        /// Only those of this connection
        #[arg(long)]
        connection: Option<String>,
    },
    /// One link, its settings and how it is doing
    Show { link: String },
    /// Link two streams: `sluice link create people crm:contacts shop:customers '{"fields":[{"source":"email","target":"mail"}]}'`
    Create(Create),
    /// Set its settings anew; every record is looked at again
    Set {
        link: String,
        /// JSON, or @FILE
        settings: String,
    },
    /// Hold it up
    Pause { link: String },
    /// Let it go on
    Resume { link: String },
    /// Try it again now
    Retry { link: String },
    /// Remove it; no record is touched
    Remove { link: String },
    /// The last requests of its writes, redacted
    Trace { link: String },
    /// What the connectors wrote at its last writes
    Logs { link: String },
    /// Records that both sides changed, and that wait for a person
    Conflicts { link: String },
    /// Say whose word counts
    Resolve(Resolve),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    name: String,
    /// CONNECTION:STREAM
    source: String,
    /// CONNECTION:STREAM
    target: String,
    /// JSON, or @FILE; docs/operator/links.md has all settings
    settings: String,
}

#[derive(Debug, Args)]
pub(super) struct Resolve {
    link: String,
    /// The conflict's number
    number: u64,
    #[arg(long, value_enum)]
    take: Side,
    /// Also for every other conflict about the same members
    #[arg(long)]
    similar: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Side {
    Source,
    Target,
}

const ALL: &str = "/api/v1/links";

fn path(link: &str) -> String {
    format!("{ALL}/{}", segment(link))
}

impl Link {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::List { connection } => {
                let filter = match connection {
                    Some(given) => {
                        let found = resolve::connection(client, &given).await?;
                        format!("?connection={}", segment(&text(&found, "id")))
                    }
                    None => String::new(),
                };
                let found = client.get(&format!("{ALL}{filter}")).await?;
                output.show(&found, |output| table(output, items(&found)));
            }
            Self::Show { link } => {
                let found = client.get(&path(&link)).await?;
                output.show(&found, |output| {
                    table(output, std::slice::from_ref(&found));
                    let settings = found.get("settings").cloned().unwrap_or_default();
                    output.line(&format!("settings {settings}"));
                    if let Some(error) = found.get("error") {
                        output.line(&format!("problem  {}", text(error, "message")));
                    }
                });
            }
            Self::Create(create) => {
                let end = async |given: &str| {
                    let (connection, stream) = given.split_once(':').ok_or_else(|| {
                        Failure::usage(format!("`{given}` is not of the form CONNECTION:STREAM"))
                    })?;
                    let found = resolve::connection(client, connection).await?;
                    Ok::<_, Failure>(json!({"connection": text(&found, "id"), "stream": stream}))
                };
                let body = json!({
                    "name": create.name,
                    "source": end(&create.source).await?,
                    "target": end(&create.target).await?,
                    "settings": input::settings(&create.settings)?,
                });
                let made = client.post(ALL, body).await?;
                output.show(&made, |output| table(output, std::slice::from_ref(&made)));
            }
            Self::Set { link, settings } => {
                let found = client.get(&path(&link)).await?;
                let body =
                    json!({"settings": input::settings(&settings)?, "revision": found.get("revision")});
                let set = client.send(Method::PUT, &path(&link), Body::Json(body)).await?;
                output.show(&set, |output| table(output, std::slice::from_ref(&set)));
            }
            Self::Pause { link } => post(client, output, &link, "pause").await?,
            Self::Resume { link } => post(client, output, &link, "resume").await?,
            Self::Retry { link } => post(client, output, &link, "retry").await?,
            Self::Remove { link } => {
                client.delete(&path(&link)).await?;
                output.done(&format!("{link} is removed; no record was touched"));
            }
            Self::Trace { link } => return run::trace(client, output, &path(&link)).await,
            Self::Logs { link } => return run::logs(client, output, &path(&link)).await,
            Self::Conflicts { link } => {
                let found = client
                    .get(&format!("{}/conflicts?limit=1000", path(&link)))
                    .await?;
                output.show(&found, |output| conflicts(output, items(&found)));
            }
            Self::Resolve(resolve) => {
                let take = match resolve.take {
                    Side::Source => "source",
                    Side::Target => "target",
                };
                let place = format!("{}/conflicts/{}", path(&resolve.link), resolve.number);
                let settled = client
                    .post(&place, json!({"take": take, "similar": resolve.similar}))
                    .await?;
                output.show(&settled, |output| {
                    output.done(&format!(
                        "{} settled: the {take}'s word counts",
                        text(&settled, "settled")
                    ));
                });
            }
        }
        Ok(Exit::Ok)
    }
}

async fn post(client: &Client, output: &Output, link: &str, what: &str) -> Result<(), Failure> {
    let found = client.post(&format!("{}/{what}", path(link)), json!({})).await?;
    output.show(&found, |output| table(output, std::slice::from_ref(&found)));
    Ok(())
}

fn table(output: &Output, links: &[Value]) {
    let end = |link: &Value, side: &str| {
        link.get(side).map_or_else(String::new, |end| {
            format!("{}:{}", text(end, "connection"), text(end, "stream"))
        })
    };
    let row = |link: &Value| {
        [
            text(link, "name"),
            end(link, "source"),
            end(link, "target"),
            text(link, "state"),
            text(link, "written"),
            text(link, "conflicts"),
        ]
    };
    output.table(
        ["name", "source", "target", "state", "written", "conflicts"],
        links.iter().map(row),
    );
}

/// What waits, with both sides' words for what they disagree about.
pub(super) fn conflicts(output: &Output, found: &[Value]) {
    let row = |one: &Value| {
        let fields: Vec<_> = one
            .get("fields")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let reason = one
            .get("reason")
            .map(|reason| text(reason, "message"))
            .unwrap_or_default();
        [
            text(one, "number"),
            text(one, "source_id"),
            text(one, "target_id"),
            fields.join(", "),
            reason,
        ]
    };
    output.table(
        ["number", "source", "target", "fields", "why"],
        found.iter().map(row),
    );
}
