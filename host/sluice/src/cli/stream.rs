//! The streams of a connection: when each is read, and what its records were.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Map, Value, json};

use super::client::{Body, Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::{input, resolve};

/// Streams of a connection
#[derive(Debug, Subcommand)]
pub(super) enum Stream {
    /// Its streams: what each holds, how it is doing and when it is read
    Streams { connection: String },
    /// Ask the connector which streams the account has: tables, object types, fields of its own
    Discover {
        connection: String,
        /// Take streams that are new, whatever `new-streams` says
        #[arg(long)]
        accept: bool,
    },
    /// Say what becomes of streams that the account did not have before
    NewStreams(NewStreams),
    /// Set when a stream is read by itself, and how long its history is kept
    Schedule(Schedule),
    /// Show or set the rules for a stream's records: filter, selection, mapping
    Map(Rules),
    /// What a record was, the latest first
    History {
        connection: String,
        stream: String,
        record: String,
    },
    /// Make a record again what it was
    Restore {
        connection: String,
        stream: String,
        record: String,
        /// The version, as `history` shows it
        #[arg(long)]
        version: u64,
    },
}

/// How a stream is read.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    Incremental,
    Full,
    /// Compare only
    Check,
}

#[derive(Debug, Args)]
pub(super) struct Schedule {
    connection: String,
    stream: String,
    /// So often: 30s, 15m, 6h, 1d
    #[arg(long, value_name = "TIME", value_parser = seconds, conflicts_with_all = ["cron", "off"])]
    every: Option<u64>,
    /// Up to so much later each time, so that not everything begins at once
    #[arg(long, value_name = "TIME", value_parser = seconds, requires = "every")]
    jitter: Option<u64>,
    /// At the times of a cron expression: minute, hour, day, month, weekday
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "off")]
    cron: Option<String>,
    /// The time zone of `--cron` and `--quiet-hours`, such as Europe/Berlin; UTC without it
    #[arg(long)]
    zone: Option<String>,
    /// Nothing begins in these hours, as 22:00-06:00; several are allowed
    #[arg(long = "quiet-hours", value_name = "FROM-TO", value_parser = hours)]
    quiet_hours: Vec<(String, String)>,
    /// Not by itself any more
    #[arg(long)]
    off: bool,
    /// How it is read then: what is new, if it can be, or everything
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Keep what records were for so long; 0s keeps nothing
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    keep_history: Option<u64>,
    /// Mark what it holds as stale when it was last known whole longer ago; 0s never does
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    stale_after: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct NewStreams {
    connection: String,
    #[arg(value_enum)]
    contract: Contract,
    /// The options of those that are taken, as JSON or @FILE: `{"cadence":{"every_s":3600}}` has them read every hour
    #[arg(long, value_name = "JSON")]
    options: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Contract {
    /// Take them
    Evolve,
    /// Take nothing of a list that has one, until `discover --accept`
    Freeze,
    /// Leave them out
    Discard,
}

impl NewStreams {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let found = resolve::connection(client, &self.connection).await?;
        let word = match self.contract {
            Contract::Evolve => "evolve",
            Contract::Freeze => "freeze",
            Contract::Discard => "discard",
        };
        let options = self.options.as_deref().map(input::settings).transpose()?;
        let body = json!({"new_streams": word, "options": options});
        let path = format!("{}/contract", of(&found));
        let set = client.send(Method::PUT, &path, Body::Json(body)).await?;
        output.show(&set, |output| {
            output.done(&format!("new streams of {}: {word}", self.connection));
        });
        Ok(Exit::Ok)
    }
}

#[derive(Debug, Args)]
pub(super) struct Rules {
    connection: String,
    stream: String,
    /// The rules as a JSON file; docs/operator/mapping.md shows each kind
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Only show what they would make of the first records
    #[arg(long, requires = "from_file")]
    preview: bool,
    /// Take the rules away; records stay as they are until they are read again
    #[arg(long, conflicts_with = "from_file")]
    remove: bool,
}

fn seconds(given: &str) -> Result<u64, String> {
    let wrong = || "a number and a unit, such as 30s, 15m, 6h or 1d".to_owned();
    let (number, unit) = given
        .split_at_checked(given.len().saturating_sub(1))
        .ok_or_else(wrong)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).ok_or_else(wrong)
}

fn hours(given: &str) -> Result<(String, String), String> {
    let (from, to) = given
        .split_once('-')
        .ok_or("two times of the day, such as 22:00-06:00")?;
    Ok((from.to_owned(), to.to_owned()))
}

impl Stream {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        match self {
            Self::Streams { connection } => {
                let found = resolve::connection(client, &connection).await?;
                let list = client.get(&format!("{}/streams", of(&found))).await?;
                output.show(&list, |output| {
                    let rows = items(&list).iter().map(|stream| {
                        [
                            text(stream, "stream"),
                            text(stream, "status"),
                            text(stream, "records"),
                            text(stream, "quarantined"),
                            cadence(stream),
                            text(stream, "next"),
                            match stream.get("stale").and_then(Value::as_bool) {
                                Some(true) => format!("{} (stale)", text(stream, "fresh")),
                                _ => text(stream, "fresh"),
                            },
                        ]
                    });
                    let header = [
                        "stream",
                        "status",
                        "records",
                        "quarantined",
                        "read",
                        "next",
                        "as of",
                    ];
                    output.table(header, rows);
                });
                Ok(Exit::Ok)
            }
            Self::NewStreams(contract) => contract.run(client, output).await,
            Self::Discover { connection, accept } => {
                let found = resolve::connection(client, &connection).await?;
                let told = client
                    .post(&format!("{}/discovery?accept={accept}", of(&found)), json!({}))
                    .await?;
                output.show(&told, |output| {
                    let names = |key: &str| {
                        let list = told.get(key).and_then(Value::as_array);
                        list.into_iter()
                            .flatten()
                            .filter_map(Value::as_str)
                            .map(str::to_owned)
                            .collect::<Vec<_>>()
                    };
                    let rows = [
                        ("added", names("added")),
                        ("changed", names("changed")),
                        ("gone", names("gone")),
                        ("new, not taken", names("refused")),
                    ];
                    let rows = rows
                        .into_iter()
                        .flat_map(|(what, names)| names.into_iter().map(move |name| [name, what.to_owned()]));
                    output.table(["stream", "what"], rows);
                    output.done(&format!("the account has {} streams", text(&told, "streams")));
                    for (name, reason) in told
                        .get("not_set")
                        .and_then(Value::as_object)
                        .into_iter()
                        .flatten()
                    {
                        output.line(&format!(
                            "{name} is not read by itself: {}",
                            reason.as_str().unwrap_or_default()
                        ));
                    }
                    if !names("refused").is_empty() {
                        output.line(&format!(
                            "take what is new: sluice connection discover {connection} --accept"
                        ));
                    }
                });
                Ok(Exit::Ok)
            }
            Self::Schedule(schedule) => schedule.run(client, output).await,
            Self::Map(rules) => rules.run(client, output).await,
            Self::History {
                connection,
                stream,
                record,
            } => {
                let path = record_path(client, &connection, &stream, &record).await?;
                let list = client.get(&format!("{path}/history")).await?;
                show(output, &list);
                Ok(Exit::Ok)
            }
            Self::Restore {
                connection,
                stream,
                record,
                version,
            } => {
                let path = record_path(client, &connection, &stream, &record).await?;
                let list = client
                    .post(&format!("{path}/restore"), json!({ "seq": version }))
                    .await?;
                show(output, &list);
                Ok(Exit::Ok)
            }
        }
    }
}

impl Schedule {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let found = resolve::connection(client, &self.connection).await?;
        let list = client.get(&format!("{}/streams", of(&found))).await?;
        let stream = items(&list)
            .iter()
            .find(|stream| text(stream, "stream") == self.stream);
        let known = stream.cloned().unwrap_or_else(|| json!({}));
        let mut options = known
            .get("options")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        self.change(&mut options);
        let body =
            json!({ "options": options, "revision": known.get("revision").cloned().unwrap_or(json!(0)) });
        let path = format!("{}/streams/{}", of(&found), segment(&self.stream));
        let set = client.send(Method::PUT, &path, Body::Json(body)).await?;
        output.show(&set, |output| {
            let next = text(&set, "next");
            let when = if next.is_empty() {
                String::new()
            } else {
                format!(", next at {next}")
            };
            output.done(&format!("{} is read {}{when}", self.stream, cadence(&set)));
        });
        Ok(Exit::Ok)
    }

    fn change(&self, options: &mut Map<String, Value>) {
        if self.off {
            options.remove("cadence");
        }
        let mut cadence = options
            .get("cadence")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        if self.every.is_some() {
            cadence.remove("cron");
        }
        if self.cron.is_some() {
            cadence.remove("every_s");
            cadence.remove("jitter_s");
        }
        let quiet: Vec<_> = self
            .quiet_hours
            .iter()
            .map(|(from, to)| json!({ "from": from, "to": to }))
            .collect();
        let given = [
            ("every_s", self.every.map(Value::from)),
            ("jitter_s", self.jitter.map(Value::from)),
            ("cron", self.cron.clone().map(Value::from)),
            ("zone", self.zone.clone().map(Value::from)),
            ("quiet", (!quiet.is_empty()).then(|| Value::from(quiet))),
        ];
        for (name, value) in given {
            cadence.extend(value.map(|value| (name.to_owned(), value)));
        }
        if !cadence.is_empty() {
            options.insert("cadence".to_owned(), Value::Object(cadence));
        }
        if let Some(mode) = self.mode {
            let mode = match mode {
                Mode::Incremental => "incremental",
                Mode::Full => "full",
                Mode::Check => "check",
            };
            options.insert("mode".to_owned(), Value::from(mode));
        }
        match self.stale_after {
            Some(0) => drop(options.remove("stale_after_s")),
            Some(after) => drop(options.insert("stale_after_s".to_owned(), json!(after))),
            None => {}
        }
        if let Some(keep) = self.keep_history {
            options.insert("history_s".to_owned(), Value::from(keep));
        }
    }
}

impl Rules {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let found = resolve::connection(client, &self.connection).await?;
        let path = format!("{}/streams/{}", of(&found), segment(&self.stream));
        let given = match &self.from_file {
            Some(file) => Some(read(file)?),
            None => None,
        };
        if let (Some(rules), true) = (&given, self.preview) {
            let body = json!({ "rules": rules });
            let list = client.post(&format!("{path}/preview"), body).await?;
            output.show(&list, |output| {
                let row =
                    |sample: &Value| ["outcome", "before", "after", "reason"].map(|name| text(sample, name));
                output.table(
                    ["outcome", "before", "after", "reason"],
                    items(&list).iter().map(row),
                );
            });
            return Ok(Exit::Ok);
        }
        let list = client.get(&format!("{}/streams", of(&found))).await?;
        let stream = items(&list)
            .iter()
            .find(|stream| text(stream, "stream") == self.stream);
        let known = stream.cloned().unwrap_or_else(|| json!({}));
        let mut options = known
            .get("options")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        if given.is_none() && !self.remove {
            let rules = options.get("rules").cloned().unwrap_or_else(|| json!({}));
            output.show(&rules, |output| output.data(&format!("{rules:#}\n")));
            return Ok(Exit::Ok);
        }
        options.remove("rules");
        options.extend(given.map(|rules| ("rules".to_owned(), rules)));
        let body =
            json!({ "options": options, "revision": known.get("revision").cloned().unwrap_or(json!(0)) });
        let set = client.send(Method::PUT, &path, Body::Json(body)).await?;
        output.show(&set, |output| {
            output.done(&format!(
                "the rules of {} are set; they hold for what is read from now on",
                self.stream
            ));
        });
        Ok(Exit::Ok)
    }
}

fn read(file: &Path) -> Result<Value, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("{shown} cannot be read: {error}")))?;
    serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{shown} is not JSON: {error}")))
}

/// In words, as people say it.
fn cadence(stream: &Value) -> String {
    let cadence = stream.pointer("/options/cadence");
    let every = cadence
        .and_then(|cadence| cadence.get("every_s"))
        .and_then(Value::as_u64);
    let cron = cadence
        .and_then(|cadence| cadence.get("cron"))
        .and_then(Value::as_str);
    match (every, cron) {
        (Some(seconds), _) => format!("every {}", time(Duration::from_secs(seconds))),
        (None, Some(cron)) => format!("at `{cron}`"),
        (None, None) => "when asked".to_owned(),
    }
}

fn time(of: Duration) -> String {
    let seconds = of.as_secs();
    for (unit, name) in [(86_400, "d"), (3600, "h"), (60, "m")] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            return format!("{}{name}", seconds / unit);
        }
    }
    format!("{seconds}s")
}

fn of(connection: &Value) -> String {
    format!("/api/v1/connections/{}", segment(&text(connection, "id")))
}

async fn record_path(
    client: &Client,
    connection: &str,
    stream: &str,
    record: &str,
) -> Result<String, Failure> {
    let found = resolve::connection(client, connection).await?;
    Ok(format!(
        "{}/records/{}/{}",
        of(&found),
        segment(stream),
        segment(record)
    ))
}

fn show(output: &Output, list: &Value) {
    output.show(list, |output| {
        let row = |version: &Value| {
            let data = text(version, "data");
            let data = if data.is_empty() {
                "(deleted)".to_owned()
            } else {
                data
            };
            [
                text(version, "seq"),
                text(version, "at"),
                text(version, "run"),
                data,
            ]
        };
        output.table(["version", "written", "by", "data"], items(list).iter().map(row));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_said() {
        let table = [
            ("30s", 30, "30s"),
            ("15m", 900, "15m"),
            ("48h", 172_800, "2d"),
            ("90m", 5400, "90m"),
            ("0s", 0, "0s"),
        ];
        for (given, read, said) in table {
            assert_eq!(seconds(given), Ok(read));
            assert_eq!(time(Duration::from_secs(read)), said);
        }
        for wrong in ["", "s", "15", "15 m", "-1s", "1w", "99999999999999999999d", "ü"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(hours("22:00-06:00"), Ok(("22:00".to_owned(), "06:00".to_owned())));
    }
}
