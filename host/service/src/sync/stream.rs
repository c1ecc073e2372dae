//! The streams of a connection: what is set about each, and how each is doing.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

pub use sluice_mapping::StreamRules;
use sluice_mapping::{Outcome, Shape, Surroundings};
use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId, RunId};
use sluice_model::manifest::Stream as Declared;
use sluice_model::run::{Mode, RunState, Trigger};
use sluice_store::run::NewRun;
use sluice_store::stream_settings::StreamSettings;

use super::cadence::{Cadence, Plan};
use super::{Error, rules};
use crate::catalogue::streams::Streams;
use crate::connection::{self, Connection};
use crate::{Service, catalogue};

/// What a person has set about a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// When it is read by itself; never, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cadence: Option<Cadence>,
    /// How it is read then: what is new if it can be, else everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Records that were last known whole longer ago than this are marked stale; they are served all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_after_s: Option<u64>,
    /// How long, in seconds, what records were is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_s: Option<u64>,
    /// What becomes of its records before they are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<StreamRules>,
}

/// How a stream is doing, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Nothing is owed.
    OnTime,
    /// A run moves pages, or waits for the vendor.
    Syncing,
    /// A run waits for a worker.
    Queued,
    /// Its time has come and nothing has begun.
    Late,
    /// Its last run failed.
    Failing,
    /// The connection needs a person.
    ActionNeeded,
    /// The connection is removed; what its stream held was kept.
    Kept,
}

/// A stream of a connection.
#[derive(Debug, Clone)]
pub struct Stream {
    pub name: String,
    pub title: String,
    pub modes: Vec<Mode>,
    /// Only the account has it: the connector's manifest does not list it.
    pub discovered: bool,
    pub records: u64,
    pub quarantined: u64,
    pub options: Options,
    /// Goes up with every change of the options.
    pub revision: u64,
    pub status: Status,
    /// When it is read next by itself.
    pub next: Option<Timestamp>,
    /// When it was last known to hold everything that the vendor told.
    pub fresh: Option<Timestamp>,
    /// That is longer ago than its options allow: what it holds is the last that is known.
    pub stale: bool,
    /// The run that was queued last.
    pub last: Option<(RunId, RunState)>,
}

/// A run that should have begun so long ago is late.
const LATE: Duration = Duration::from_secs(60);
/// Runs that are looked through for the last ones of each stream.
const LOOKED_AT: usize = 1000;
/// History is kept for a year at most.
const MAX_HISTORY_S: u64 = 366 * 86_400;

/// The connection's streams, as the manifest lists them.
///
/// # Errors
///
/// If the connection or its install is gone.
pub async fn list(service: &Service, org: OrgId, connection: &Connection) -> Result<Vec<Stream>, Error> {
    let known = catalogue::known(service, org, connection.install).await?;
    let store = service.store();
    let set = store.all_stream_settings(org, connection.id).await?;
    let counts = store.counts(org, connection.id).await?;
    let page = sluice_store::Page {
        after: None,
        limit: LOOKED_AT,
    };
    let runs = store.list_runs(org, connection.id, page).await?.items;
    let known = Streams::of(service, org, connection.id, &known).await?;
    let mut streams = Vec::new();
    for declared in known.all() {
        let name = &declared.name;
        let settings = set
            .iter()
            .find(|(of, _)| of == name)
            .map(|(_, settings)| settings.clone());
        let settings = settings.unwrap_or_default();
        let count = counts.iter().find(|count| count.stream == *name);
        let mut own = runs.iter().filter(|run| run.stream == *name);
        let last = own.clone().next();
        let fresh = own.find(|run| matches!(run.state, RunState::Succeeded | RunState::Partial));
        streams.push(Stream {
            name: name.clone(),
            title: declared.title.clone(),
            modes: declared.modes.clone(),
            discovered: known.is_discovered(name),
            records: count.map_or(0, |count| count.records),
            quarantined: count.map_or(0, |count| count.quarantined),
            stale: stale(
                service.now(),
                read(&settings).stale_after_s,
                fresh.and_then(|run| run.started),
            ),
            options: read(&settings),
            revision: settings.revision,
            status: status(service.now(), connection, &settings, last.map(|run| run.state)),
            next: settings.next,
            fresh: fresh.and_then(|run| run.started),
            last: last.map(|run| (run.id, run.state)),
        });
    }
    Ok(streams)
}

/// The streams of a removed connection whose records were kept.
///
/// # Errors
///
/// If the database does not answer.
pub async fn kept(service: &Service, org: OrgId, id: ConnectionId) -> Result<Vec<Stream>, Error> {
    let counts = service.store().counts(org, id).await?;
    let streams = counts.into_iter().map(|count| Stream {
        title: count.stream.clone(),
        name: count.stream,
        modes: Vec::new(),
        discovered: false,
        records: count.records,
        quarantined: count.quarantined,
        options: Options::default(),
        revision: 0,
        status: Status::Kept,
        next: None,
        fresh: None,
        stale: false,
        last: None,
    });
    Ok(streams.collect())
}

fn stale(now: Timestamp, after_s: Option<u64>, fresh: Option<Timestamp>) -> bool {
    after_s.is_some_and(|after| fresh.is_none_or(|fresh| now.since(fresh) > Duration::from_secs(after)))
}

fn status(
    now: Timestamp,
    connection: &Connection,
    settings: &StreamSettings,
    last: Option<RunState>,
) -> Status {
    if !connection.state.serves() {
        return Status::ActionNeeded;
    }
    match last {
        Some(RunState::Queued) => Status::Queued,
        Some(state) if !state.ended() => Status::Syncing,
        Some(RunState::Failed | RunState::Dead) => Status::Failing,
        _ if settings.next.is_some_and(|next| now.since(next) > LATE) => Status::Late,
        _ => Status::OnTime,
    }
}

/// Options that no longer read are none: they were written by a later Sluice.
pub(crate) fn read(settings: &StreamSettings) -> Options {
    serde_json::from_str(&settings.text).unwrap_or_default()
}

/// Whether the stream's records are changed before they are kept, so that what is declared of them need not hold.
pub(crate) async fn has_rules(
    service: &Service,
    org: OrgId,
    connection: ConnectionId,
    stream: &str,
) -> Result<bool, sluice_store::Error> {
    let settings = service.store().stream_settings(org, connection, stream).await?;
    Ok(read(&settings).rules.is_some())
}

/// Sets a stream's options, if they are still at revision `expected`.
///
/// # Errors
///
/// [`Error::Options`] with the place of what is wrong; `store.revision`; [`Error::Stream`].
pub async fn set(
    service: &Service,
    org: OrgId,
    connection: &Connection,
    stream: &str,
    (options, expected): (Options, u64),
) -> Result<(), Error> {
    let known = catalogue::known(service, org, connection.install).await?;
    let streams = Streams::of(service, org, connection.id, &known).await?;
    let declared = super::declared(&streams, stream)?;
    if let Some(mode) = options.mode
        && !super::reads(&declared.modes, mode)
    {
        return Err(Error::Mode {
            stream: stream.to_owned(),
            mode,
        });
    }
    if let Some(rules) = &options.rules {
        rules::compile(rules, declared).map_err(|error| Error::Rules {
            error,
            within: "/rules",
        })?;
    }
    let now = service.now();
    let plan = times(&options, "")?;
    let next = plan.and_then(|plan| plan.next(now, seed(connection.id, stream, now)));
    let text = serde_json::to_string(&options).map_err(|error| bad(String::new(), error))?;
    let default = StreamSettings::default();
    let settings = StreamSettings {
        history_s: options.history_s.unwrap_or(default.history_s),
        text,
        shape: None,
        next,
        revision: 0,
    };
    let store = service.store();
    store
        .set_stream_settings(org, connection.id, stream, expected, settings)
        .await?;
    Ok(())
}

/// What options say of time, which is right or wrong whatever the stream is: its cadence's plan. `within`: where they are in what was
/// given.
pub(super) fn times(options: &Options, within: &str) -> Result<Option<Plan>, Error> {
    if options.history_s.is_some_and(|seconds| seconds > MAX_HISTORY_S) {
        let reason = format!("is more than {MAX_HISTORY_S}, a year");
        return Err(bad(format!("{within}/history_s"), reason));
    }
    let plan = options.cadence.as_ref().map(Cadence::plan).transpose();
    plan.map_err(|error| bad(format!("{within}/cadence{}", error.pointer), error.reason))
}

fn bad(pointer: String, reason: impl ToString) -> Error {
    Error::Options {
        pointer,
        reason: reason.to_string(),
    }
}

/// Sample records and what rules would make of them.
#[derive(Debug, Clone)]
pub struct Previewed {
    pub before: String,
    pub outcome: PreviewOutcome,
    /// The record after each step that it came through.
    pub steps: Vec<String>,
}

/// What would become of a sample.
#[derive(Debug, Clone)]
pub enum PreviewOutcome {
    Kept(String),
    Dropped,
    /// The stable code, the reason and the field.
    Refused(&'static str, String, String),
}

/// Samples that are taken from the stream where none are given.
const SAMPLES: usize = 10;

/// What rules would make of these records, or of the first that the stream has. Nothing is kept.
///
/// # Errors
///
/// [`Error::Rules`], [`Error::Stream`].
pub async fn preview(
    service: &Service,
    org: OrgId,
    connection: &Connection,
    stream: &str,
    (rules, mut samples): (&StreamRules, Vec<String>),
) -> Result<Vec<Previewed>, Error> {
    let known = catalogue::known(service, org, connection.install).await?;
    let streams = Streams::of(service, org, connection.id, &known).await?;
    let declared = super::declared(&streams, stream)?;
    let plan = rules::compile(rules, declared).map_err(|error| Error::Rules {
        error,
        within: "/rules",
    })?;
    let store = service.store();
    if samples.is_empty() {
        let page = sluice_store::Page::first(SAMPLES);
        let found = store.list_records(org, connection.id, stream, page).await?;
        samples = found.items.into_iter().map(|record| record.data).collect();
    }
    let salt = if plan.needs_salt() {
        Some(rules::salt(service, org).await?)
    } else {
        None
    };
    let find = |of: &str, id: &str| store.record_now(org, connection.id, of, id);
    let around = Surroundings {
        salt: salt.as_ref(),
        find: Some(&find),
    };
    let samples: Vec<&str> = samples.iter().map(String::as_str).collect();
    let previews = plan.preview(&samples, &Shape::default(), &around);
    let previews = previews.into_iter().map(|preview| Previewed {
        before: preview.before.to_owned(),
        outcome: match preview.outcome {
            Outcome::Kept { data, .. } => PreviewOutcome::Kept(data.into_owned()),
            Outcome::Dropped => PreviewOutcome::Dropped,
            Outcome::Refused(refused) => {
                PreviewOutcome::Refused(refused.code, refused.reason, refused.pointer)
            }
            Outcome::Frozen(frozen) => {
                PreviewOutcome::Refused(frozen.code(), frozen.to_string(), frozen.pointer)
            }
        },
        steps: preview.steps,
    });
    Ok(previews.collect())
}

/// Tells streams and times apart, the same way in every process.
fn seed(connection: ConnectionId, stream: &str, at: Timestamp) -> u64 {
    let mut hasher = DefaultHasher::new();
    (connection.to_string(), stream, at.as_millis()).hash(&mut hasher);
    hasher.finish()
}

fn mode(declared: &Declared, options: &Options) -> Option<Mode> {
    let wanted = options.mode.filter(|mode| super::reads(&declared.modes, *mode));
    wanted.or_else(|| {
        let incremental = declared.modes.contains(&Mode::Incremental);
        let first = declared.modes.first().copied();
        if incremental {
            Some(Mode::Incremental)
        } else {
            first
        }
    })
}

/// Queues the runs of a connection's streams whose time has come. An error is the store's.
pub(crate) async fn drive(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
) -> Result<(), sluice_store::Error> {
    let now = service.now();
    let store = service.store();
    let known = match connection::get(service, org, &id.to_string()).await {
        Ok(found) => {
            let known = catalogue::known(service, org, found.install).await.ok();
            match known.filter(|_| found.state.serves()) {
                Some(known) => {
                    let app = super::app_of(&known.manifest, &found);
                    Some((Streams::of(service, org, id, &known).await?, app))
                }
                None => None,
            }
        }
        Err(_) => None,
    };
    for (name, settings) in store.all_stream_settings(org, id).await? {
        let Some(due) = settings.next.filter(|due| *due <= now) else {
            continue;
        };
        let options = read(&settings);
        let plan = options.cadence.as_ref().and_then(|cadence| cadence.plan().ok());
        // From now on, not from when it was due: what was missed is not made up for.
        let next = plan.and_then(|plan| plan.next(now, seed(id, &name, now)));
        let declared = known.as_ref().and_then(|(known, _)| known.get(&name));
        let run = declared
            .and_then(|declared| mode(declared, &options))
            .map(|mode| NewRun {
                id: service.new_id(),
                connection: id,
                stream: name.clone(),
                mode,
                window: None,
                trigger: Trigger::Schedule,
                app: known.as_ref().and_then(|(_, app)| app.clone()),
                at: now,
            });
        match store.fire(org, id, &name, (due, next), run).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::debug!(connection = %id, stream = name, "its time came while it could not be read")
            }
            Err(sluice_store::Error::State { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    store.settle_schedule(org, id).await
}
