//! `sluice hook listen`: events as they come, forwarded to a program on this machine as an endpoint would get them, with one line for
//! each of what it answered. Nothing is kept of it: the place is the last event's number, and a broken connection goes on behind it.
//! What is replayed is forwarded to whoever asks for that, when the replay has ended. At a terminal a line is a command: the last
//! event again, edited, or the end.

use std::time::Instant;

use clap::Args;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;
use sluice_model::endpoint::{KeyKind, SigningKey, signed};
use sluice_model::event::CLOUD_EVENT_TYPE;
use sluice_model::{Clock, SystemClock};

use super::client::{Client, segment};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, items, text};
use super::{input, replay, resolve, sse};

/// Forward events to a program on this machine
#[derive(Debug, Args)]
pub(super) struct Listen {
    /// Where to: http://localhost:3000/hook
    #[arg(long, value_name = "URL")]
    forward: String,
    /// Only kinds that begin so
    #[arg(long)]
    kind: Option<String>,
    /// Only about this connection
    #[arg(long)]
    connection: Option<String>,
    /// Only what this endpoint wants, as its rules make it
    #[arg(long)]
    endpoint: Option<String>,
    /// Also what is replayed meanwhile: to the endpoint, or to any without one
    #[arg(long, value_enum)]
    include: Option<Include>,
    /// Begin with what was recorded since, as 2026-01-31T12:00:00Z or 2h
    #[arg(long, conflicts_with = "after")]
    since: Option<String>,
    /// Begin after this number
    #[arg(long)]
    after: Option<u64>,
    /// Read the signing key (whsec_… or whsk_…) from standard input; one is made without
    #[arg(long)]
    secret_from_stdin: bool,
}

/// What is forwarded besides the events that come.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Include {
    Replays,
}

impl Listen {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit, Failure> {
        let (target, path) = Client::to(&self.forward)?;
        let key = self.key(output)?;
        let mut query = Vec::new();
        query.extend(self.kind.map(|kind| format!("kind={}", segment(&kind))));
        if let Some(which) = &self.connection {
            let found = resolve::connection(client, which).await?;
            query.push(format!("connection={}", segment(&text(&found, "id"))));
        }
        query.extend(
            self.endpoint
                .as_ref()
                .map(|which| format!("endpoint={}", segment(which))),
        );
        query.extend(self.include.map(|Include::Replays| "include=replays".to_owned()));
        let after = match &self.since {
            Some(since) => Some(begin(client, since).await?),
            None => self.after,
        };
        let keys = if output.may_ask {
            "; r and Enter sends the last one again, e edits it first, q ends it"
        } else {
            "; Ctrl-C ends it"
        };
        output.note(&format!("forwarding to {}{keys}", self.forward));
        let mut commands = commands(output);
        let (sender, mut events) = tokio::sync::mpsc::channel::<sse::Event>(WAITING);
        let tail = format!("/api/v1/events/tail?{}", query.join("&"));
        let following = sse::follow(client, output, &tail, after, sender);
        let forwarding = async {
            let mut last: Option<sse::Event> = None;
            loop {
                tokio::select! {
                    event = events.recv() => {
                        let Some(event) = event else { return };
                        forward(&target, &path, &key, output, &event).await;
                        last = Some(event);
                    }
                    Some(command) = commands.recv() => match (command, last.take()) {
                        (Command::Quit, _) => return,
                        (_, None) => output.note("nothing was forwarded yet"),
                        (Command::Again, Some(event)) => {
                            forward(&target, &path, &key, output, &event).await;
                            last = Some(event);
                        }
                        (Command::Edit, Some(event)) => {
                            match edited(event.clone()).await {
                                Ok(changed) => forward(&target, &path, &key, output, &changed).await,
                                Err(failure) => output.note(&failure.message),
                            }
                            last = Some(event);
                        }
                    },
                }
            }
        };
        tokio::select! {
            ended = following => ended,
            () = forwarding => Ok(Exit::Ok),
        }
    }

    fn key(&self, output: &Output) -> Result<SigningKey, Failure> {
        if self.secret_from_stdin {
            let source = input::Source {
                stdin: true,
                file: None,
                flags: "--secret-from-stdin",
            };
            let text = input::secret(&source, "signing key", output)?.unwrap_or_default();
            return SigningKey::parse(text.as_bytes()).map_err(|error| Failure::usage(error.to_string()));
        }
        let mut random = [0; 32];
        let failed = || Failure::bug("the machine's random source does not answer");
        SystemRandom::new().fill(&mut random).map_err(|_| failed())?;
        let key = SigningKey::made(KeyKind::Hmac, random).map_err(|_| failed())?;
        let shown = String::from_utf8_lossy(key.text().expose()).into_owned();
        output.note(&format!("signed with {shown}"));
        Ok(key)
    }
}

/// Events that wait for a slow program; the tail waits beyond that.
const WAITING: usize = 100;

/// What a person at the terminal wants.
#[derive(Debug, Clone, Copy)]
enum Command {
    Again,
    Edit,
    Quit,
}

/// The lines of a person at the terminal; none where there is nobody.
fn commands(output: &Output) -> tokio::sync::mpsc::Receiver<Command> {
    let (sender, commands) = tokio::sync::mpsc::channel(1);
    if output.may_ask {
        // Nobody waits for this thread: it ends with the process.
        std::thread::spawn(move || {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                let command = match line.trim() {
                    "r" => Command::Again,
                    "e" => Command::Edit,
                    "q" => Command::Quit,
                    _ => continue,
                };
                if sender.blocking_send(command).is_err() {
                    return;
                }
            }
        });
    }
    commands
}

/// The event with what the person's editor made of it.
async fn edited(mut event: sse::Event) -> Result<sse::Event, Failure> {
    let failed = |error: std::io::Error| Failure::usage(format!("it can't be edited: {error}"));
    let editor = std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR"));
    let editor = editor.unwrap_or_else(|_| "vi".to_owned());
    let shape: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let text = serde_json::to_string_pretty(&shape).unwrap_or_else(|_| event.data.clone());
    let file = tempfile::Builder::new()
        .suffix(".json")
        .tempfile()
        .map_err(failed)?;
    std::fs::write(file.path(), text).map_err(failed)?;
    let status = tokio::process::Command::new(&editor)
        .arg(file.path())
        .status()
        .await;
    if !status.map_err(failed)?.success() {
        return Err(Failure::usage(format!("{editor} did not end well")));
    }
    let text = std::fs::read_to_string(file.path()).map_err(failed)?;
    let shape: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("it is no JSON any more: {error}")))?;
    event.data = shape.to_string();
    Ok(event)
}

/// The number to begin after.
async fn begin(client: &Client, since: &str) -> Result<u64, Failure> {
    let since = segment(&replay::moment(since)?);
    let found = client
        .get(&format!("/api/v1/events?since={since}&limit=1"))
        .await?;
    let first = items(&found).first().and_then(|event| event.get("seq")?.as_u64());
    let next = found.get("next").and_then(Value::as_u64).unwrap_or_default();
    Ok(first.map_or(next, |first| first.saturating_sub(1)))
}

/// One event, and a line of what became of it.
async fn forward(target: &Client, path: &str, key: &SigningKey, output: &Output, event: &sse::Event) {
    let shape: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let seq = event.replay.or(event.id).unwrap_or_default();
    let (mut id, kind) = (text(&shape, "id"), text(&shape, "type"));
    if id.is_empty() {
        // Rules may leave nothing of it; its number is the event's own as well.
        id = seq.to_string();
    }
    let body = event.data.as_bytes();
    let mut headers = signed(std::slice::from_ref(key), &id, SystemClock.now(), body);
    headers.push(("content-type".to_owned(), CLOUD_EVENT_TYPE.to_owned()));
    let began = Instant::now();
    let answer = target.deliver(path, &headers, body.to_vec()).await;
    let took = began.elapsed().as_millis();
    let status = match answer {
        Ok(status) => status.to_string(),
        Err(failure) => failure.message,
    };
    let is_replay = event.replay.is_some();
    let line = serde_json::json!({
        "seq": seq, "event": id, "kind": kind, "answer": status, "took_ms": took, "replay": is_replay,
    });
    let again = if is_replay { "  replayed" } else { "" };
    output.show(&line, |output| {
        output.line(&format!("{seq:>8}  {kind}  {status}  {took} ms{again}"));
    });
}
