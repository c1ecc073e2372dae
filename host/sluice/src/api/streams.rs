//! The streams of a connection: when each is read, what is kept of it, and how it is doing.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sluice_model::run::{Mode, RunState};
use sluice_service::connection;
use sluice_service::sync;
use sluice_service::sync::cadence::{Cadence, Quiet};
use sluice_service::sync::contract::{self, Contract, NewStreams};
use sluice_service::sync::stream::{self, Options, PreviewOutcome, Status, Stream, StreamRules};
use utoipa::ToSchema;

use super::app::{App, Caller};
use super::body::{Asked, At, Json, json};
use super::page::List;
use super::problem::Problem;
use super::text::Raw;
use super::traces::{ExchangeView, exchange};

/// A stream of a connection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stream)]
pub(super) struct StreamView {
    stream: String,
    title: String,
    #[schema(value_type = Vec<String>)]
    modes: Vec<Mode>,
    /// Only the account has it: the connector's manifest does not list it.
    discovered: bool,
    records: u64,
    quarantined: u64,
    /// `on-time`, `syncing`, `queued`, `late`, `failing`, `action-needed`, or `kept` where the
    /// connection is removed.
    #[schema(value_type = String)]
    status: Status,
    /// When it is read next by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    next: Option<String>,
    /// It holds what the vendor told at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    fresh: Option<String>,
    /// That is longer ago than `stale_after_s` of its options: what it holds is the last that is known.
    stale: bool,
    /// The newest run.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    run_state: Option<RunState>,
    /// What is set about it.
    options: OptionsBody,
    /// Of the options; to be given when they are set.
    revision: u64,
}

/// What is set about a stream.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = StreamOptions)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OptionsBody {
    /// When it is read by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CadenceBody>)]
    cadence: Option<Cadence>,
    /// How it is read then, `incremental` or `full`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    mode: Option<Mode>,
    /// Records that were last known whole longer ago than so many seconds are marked stale; they are served all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_after_s: Option<u64>,
    /// How many seconds what records were is kept; 7 days, if absent; 0: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    history_s: Option<u64>,
    /// What becomes of its records before they are kept: docs/operator/mapping.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    rules: Option<Box<RawValue>>,
}

impl OptionsBody {
    /// The options; an error says where in a body whose `options` they are.
    fn read(self) -> Result<Options, Problem> {
        let rules = self.rules.map(|raw| rules(&raw, "/options/rules"));
        Ok(Options {
            cadence: self.cadence,
            mode: self.mode,
            stale_after_s: self.stale_after_s,
            history_s: self.history_s,
            rules: rules.transpose()?,
        })
    }
}

impl From<Options> for OptionsBody {
    fn from(options: Options) -> Self {
        let raw = |rules| serde_json::value::to_raw_value(&rules).ok();
        Self {
            cadence: options.cadence,
            mode: options.mode,
            stale_after_s: options.stale_after_s,
            history_s: options.history_s,
            rules: options.rules.and_then(raw),
        }
    }
}

/// Either `every_s` or `cron`.
#[derive(Debug, ToSchema)]
#[schema(as = Cadence)]
#[expect(
    dead_code,
    reason = "the document describes with it what the service's own type reads"
)]
pub(super) struct CadenceBody {
    every_s: Option<u64>,
    jitter_s: Option<u64>,
    /// Minute, hour, day, month, weekday.
    cron: Option<String>,
    /// An IANA time zone; UTC, if absent.
    zone: Option<String>,
    #[schema(value_type = Vec<QuietBody>)]
    quiet: Vec<Quiet>,
}

/// Hours of the day in which nothing begins.
#[derive(Debug, ToSchema)]
#[schema(as = QuietHours)]
#[expect(
    dead_code,
    reason = "the document describes with it what the service's own type reads"
)]
pub(super) struct QuietBody {
    from: String,
    to: String,
}

/// Options to be set.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = StreamRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamRequest {
    options: OptionsBody,
    /// That of the options which these are to replace.
    #[serde(default)]
    revision: u64,
}

/// Rules to be tried.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PreviewRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewRequest {
    #[schema(value_type = Object)]
    rules: Box<RawValue>,
    /// Records to try them on, at most 50; the stream's first ones, if there are none.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    samples: Vec<Box<RawValue>>,
}

/// A sample and what would become of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Preview)]
pub(super) struct PreviewView {
    #[schema(value_type = Object)]
    before: Raw,
    /// `kept`, `dropped` or `refused`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    after: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// The record after each step that it came through.
    #[schema(value_type = Vec<Object>)]
    steps: Vec<Raw>,
}

pub(super) async fn preview(
    State(app): State<App>,
    caller: Caller,
    At((which, name)): At<(String, String)>,
    Json(wanted): Json<PreviewRequest>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &which).await?;
    let rules = rules(&wanted.rules, "/rules")?;
    let samples = wanted
        .samples
        .iter()
        .map(|sample| sample.get().to_owned())
        .collect();
    let previews = stream::preview(&app.service, caller.org, &found, &name, (&rules, samples)).await?;
    let items = previews.into_iter().map(|preview| {
        let (outcome, after, refused) = match preview.outcome {
            PreviewOutcome::Kept(data) => ("kept", Some(Raw::new(data)), None),
            PreviewOutcome::Dropped => ("dropped", None, None),
            PreviewOutcome::Refused(code, reason, pointer) => {
                ("refused", None, Some((code, reason, pointer)))
            }
        };
        let (code, reason, pointer) = refused.map_or((None, None, None), |(code, reason, pointer)| {
            (Some(code), Some(reason), Some(pointer))
        });
        PreviewView {
            before: Raw::new(preview.before),
            outcome,
            after,
            code,
            reason,
            pointer,
            steps: preview.steps.into_iter().map(Raw::new).collect(),
        }
    });
    Ok(json(&List {
        items: items.collect(),
        next: None,
    }))
}

/// Rules from a body; an error says where in the body.
fn rules(raw: &RawValue, within: &'static str) -> Result<StreamRules, Problem> {
    StreamRules::parse(raw.get()).map_err(|error| sync::Error::Rules { error, within }.into())
}

/// What a stream would bring: its first records, none of which is kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trial)]
pub(super) struct TrialView {
    records: Vec<TriedView>,
    refused: Vec<RefusedView>,
    /// Whether there is more behind them.
    more: bool,
    /// What was asked of the vendor.
    exchanges: Vec<ExchangeView>,
}

/// A record as it would be kept; without data it would be deleted, or left out by the filter.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TriedView {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    data: Option<Raw>,
}

/// A record that would be set aside.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RefusedView {
    id: String,
    code: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tried {
    limit: usize,
}

impl Default for Tried {
    fn default() -> Self {
        Self { limit: 10 }
    }
}

pub(super) async fn trial(
    State(app): State<App>,
    caller: Caller,
    At((which, name)): At<(String, String)>,
    Asked(asked): Asked<Tried>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &which).await?;
    let trial = sync::trial::trial(&app.service, caller.org, found, (&name, asked.limit)).await?;
    let record = |(id, data): (String, Option<String>)| TriedView {
        id,
        data: data.map(Raw::new),
    };
    let refused = |(id, problem): (String, sluice_service::problem::Problem)| RefusedView {
        id,
        code: problem.code,
        reason: problem.message,
    };
    Ok(json(&TrialView {
        records: trial.records.into_iter().map(record).collect(),
        refused: trial.refused.into_iter().map(refused).collect(),
        more: trial.more,
        exchanges: trial.exchanges.into_iter().map(exchange).collect(),
    }))
}

/// What changed since the connector was asked before.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Discovery)]
pub(super) struct DiscoveryView {
    /// Streams that the account has now, those among them that the manifest lists included.
    streams: usize,
    added: Vec<String>,
    /// Their records look different.
    changed: Vec<String>,
    /// Their records stay; they can't be read any more.
    gone: Vec<String>,
    /// New ones that the connection's contract does not take.
    refused: Vec<String>,
    /// New ones that could not have the contract's options, and why.
    not_set: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Acceptance {
    accept: bool,
}

/// What becomes of streams that the account did not have before.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = StreamContract)]
#[serde(deny_unknown_fields)]
pub(super) struct ContractBody {
    /// `evolve`, `freeze` or `discard`.
    #[schema(value_type = String)]
    new_streams: NewStreams,
    /// The options of those that are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    options: Option<OptionsBody>,
}

impl From<Contract> for ContractBody {
    fn from(contract: Contract) -> Self {
        Self {
            new_streams: contract.new_streams,
            options: contract.options.map(OptionsBody::from),
        }
    }
}

pub(super) async fn set_contract(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Json(wanted): Json<ContractBody>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &which).await?;
    let wanted = Contract {
        new_streams: wanted.new_streams,
        options: wanted.options.map(OptionsBody::read).transpose()?,
    };
    let set = contract::set(&app.service, caller.org, &found, wanted).await?;
    Ok(json(&ContractBody::from(set.contract)))
}

pub(super) async fn discover(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
    Asked(asked): Asked<Acceptance>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &which).await?;
    let found = sync::discover::discover(&app.service, caller.org, found.id, asked.accept).await?;
    Ok(json(&DiscoveryView {
        streams: found.streams,
        added: found.added,
        changed: found.changed,
        gone: found.gone,
        refused: found.refused,
        not_set: found.not_set.into_iter().collect(),
    }))
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    At(which): At<String>,
) -> Result<Response, Problem> {
    let holder = connection::holder(&app.service, caller.org, &which).await?;
    let streams = match connection::get(&app.service, caller.org, &holder.to_string()).await {
        Ok(found) => stream::list(&app.service, caller.org, &found).await?,
        Err(connection::Error::Missing(_)) => stream::kept(&app.service, caller.org, holder).await?,
        Err(error) => return Err(error.into()),
    };
    Ok(json(&List {
        items: streams.into_iter().map(view).collect(),
        next: None,
    }))
}

pub(super) async fn set(
    State(app): State<App>,
    caller: Caller,
    At((which, name)): At<(String, String)>,
    Json(wanted): Json<StreamRequest>,
) -> Result<Response, Problem> {
    let found = connection::get(&app.service, caller.org, &which).await?;
    let options = wanted.options.read()?;
    stream::set(
        &app.service,
        caller.org,
        &found,
        &name,
        (options, wanted.revision),
    )
    .await?;
    let streams = stream::list(&app.service, caller.org, &found).await?;
    let set = streams.into_iter().find(|stream| stream.name == name);
    let set = set.ok_or_else(|| Problem::new("sync.stream", format!("there is no stream `{name}`")))?;
    Ok(json(&view(set)))
}

fn view(stream: Stream) -> StreamView {
    StreamView {
        stream: stream.name,
        title: stream.title,
        modes: stream.modes,
        discovered: stream.discovered,
        records: stream.records,
        quarantined: stream.quarantined,
        status: stream.status,
        next: stream.next.map(|at| at.to_string()),
        fresh: stream.fresh.map(|at| at.to_string()),
        stale: stream.stale,
        run: stream.last.as_ref().map(|(run, _)| run.to_string()),
        run_state: stream.last.map(|(_, state)| state),
        options: stream.options.into(),
        revision: stream.revision,
    }
}
