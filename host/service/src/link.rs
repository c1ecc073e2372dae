//! Links: a stream of one connection and a stream of another that are kept saying the same, one way or both.
//!
//! A link follows the change feeds of its sides, compares the two records of a pair with what both agreed on last, and has
//! the connector of the other side write what is missing there. What it wrote comes back as no news, because a side that has
//! everything it would be told is told nothing. Who wins when both sides changed a record is the link's policy; what no
//! policy decides waits in a queue for a person, and the pair with it.

mod carry;
mod conflict;
mod error;
mod pairing;
mod settings;
mod ways;
mod writing;

use serde_json::json;
use sluice_model::Timestamp;
use sluice_model::exchange::Exchange;
use sluice_model::id::{ConnectionId, LinkId, OrgId};
use sluice_model::manifest::WriteKind;

pub use conflict::{Conflict, REASONS, conflicts, resolve};
pub use error::Error;
pub use settings::{Direction, FieldPair, LinkSettings};
pub use sluice_mapping::reconcile::{Policy, Take};
pub use sluice_store::link::End;
use sluice_store::trace::{LogLine, TraceOwner};

pub(crate) use carry::drive;

use crate::call::Callee;
use crate::page::{Listed, Page};
use crate::problem::Problem;
use crate::{Service, connection, event, trace as traces, write};
use ways::Ways;

/// A link as it may be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    pub id: LinkId,
    /// Unique in the organization.
    pub name: String,
    pub source: End,
    pub target: End,
    pub settings: LinkSettings,
    pub state: LinkState,
    /// Records that it knows, those of them that wait for a person, and writes that vendors took.
    pub pairs: u64,
    pub conflicts: u64,
    pub written: u64,
    pub created: Timestamp,
    /// Tries in a row that failed, and why the last one did.
    pub failures: u32,
    pub error: Option<Problem>,
    /// When it is worked on next.
    pub next: Option<Timestamp>,
    /// Counts the changes of its settings; a change names the one it builds on.
    pub revision: u64,
}

/// How a link is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    UpToDate,
    /// It waits for its turn, or is being worked on.
    Working,
    /// The last try failed; it is tried again by itself.
    Failing,
    Paused,
}

/// Links two streams from now on, with the records that are there.
///
/// # Errors
///
/// [`Error::Name`], [`Error::Settings`], [`Error::Stream`], [`Error::Itself`], [`Error::Unwritable`]; `store.conflict` if the
/// name is taken.
pub async fn create(
    service: &Service,
    org: OrgId,
    name: &str,
    (source, target): ((&str, &str), (&str, &str)),
    settings: LinkSettings,
) -> Result<Link, Error> {
    let fits = (1..=80).contains(&name.chars().count()) && !name.contains(char::is_control);
    if !fits || name.parse::<LinkId>().is_ok() {
        return Err(Error::Name);
    }
    let source = end(service, org, source).await?;
    let target = end(service, org, target).await?;
    if source == target {
        return Err(Error::Itself);
    }
    check(service, org, (&source, &target), &settings).await?;
    let text = settings.written()?;
    let made = service
        .store()
        .create_link(
            org,
            service.new_id(),
            (name.to_owned(), text),
            (source, target),
            service.now(),
        )
        .await?;
    tell(service, org, "created", &made).await?;
    view(made)
}

/// Sets its settings anew; every pair is looked at again under them.
///
/// # Errors
///
/// As [`create`]; `store.revision`.
pub async fn set(
    service: &Service,
    org: OrgId,
    which: &str,
    (expected, settings): (u64, LinkSettings),
) -> Result<Link, Error> {
    let found = find(service, org, which).await?;
    check(service, org, (&found.source, &found.target), &settings).await?;
    let text = settings.written()?;
    let set = service
        .store()
        .set_link(org, found.id, (expected, text), service.now())
        .await?;
    tell(service, org, "changed", &set).await?;
    view(set)
}

/// One link, by its id or its name.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn get(service: &Service, org: OrgId, which: &str) -> Result<Link, Error> {
    view(find(service, org, which).await?)
}

/// The last requests of its writes, in their order.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn trace(
    service: &Service,
    org: OrgId,
    which: &str,
    page: &Page,
) -> Result<Listed<Exchange>, Error> {
    let owner = TraceOwner::Link(find(service, org, which).await?.id);
    Ok(traces::exchanges(service, org, owner, page).await?)
}

/// What the connectors wrote at its last writes, in its order.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn logs(service: &Service, org: OrgId, which: &str, page: &Page) -> Result<Listed<LogLine>, Error> {
    let owner = TraceOwner::Link(find(service, org, which).await?.id);
    Ok(traces::logs(service, org, owner, page).await?)
}

/// The organization's links, oldest first; of one connection: those that it is a side of.
///
/// # Errors
///
/// If the database does not answer.
pub async fn list(service: &Service, org: OrgId, of: Option<ConnectionId>) -> Result<Vec<Link>, Error> {
    let all = service.store().list_links(org).await?;
    let is_of =
        |link: &sluice_store::link::Link, of| link.source.connection == of || link.target.connection == of;
    all.into_iter()
        .filter(|link| of.is_none_or(|of| is_of(link, of)))
        .map(view)
        .collect()
}

/// Holds a link up, or lets it go on; what changed meanwhile is dealt with then.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn pause(service: &Service, org: OrgId, which: &str, paused: bool) -> Result<Link, Error> {
    let found = find(service, org, which).await?;
    let now = service.now();
    let link = service.store().pause_link(org, found.id, paused, now).await?;
    tell(service, org, if paused { "paused" } else { "resumed" }, &link).await?;
    view(link)
}

/// Tries a link again now.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn retry(service: &Service, org: OrgId, which: &str) -> Result<Link, Error> {
    let found = find(service, org, which).await?;
    view(service.store().retry_link(org, found.id, service.now()).await?)
}

/// Removes a link. No record is touched on either side.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn remove(service: &Service, org: OrgId, which: &str) -> Result<(), Error> {
    let found = find(service, org, which).await?;
    service.store().remove_link(org, found.id).await?;
    tell(service, org, "removed", &found).await
}

async fn find(service: &Service, org: OrgId, which: &str) -> Result<sluice_store::link::Link, Error> {
    let missing = || Error::Missing(which.to_owned());
    if let Ok(id) = which.parse::<LinkId>() {
        return service.store().get_link(org, id).await?.ok_or_else(missing);
    }
    let all = service.store().list_links(org).await?;
    all.into_iter()
        .find(|link| link.name == which)
        .ok_or_else(missing)
}

async fn end(service: &Service, org: OrgId, (which, stream): (&str, &str)) -> Result<End, Error> {
    let found = connection::get(service, org, which).await?;
    Ok(End {
        connection: found.id,
        stream: stream.to_owned(),
    })
}

/// Whether the settings can work between these streams.
async fn check(
    service: &Service,
    org: OrgId,
    (source, target): (&End, &End),
    settings: &LinkSettings,
) -> Result<(), Error> {
    Ways::compile(settings)?;
    let told = match settings.direction {
        Direction::OneWay => vec![(target, source)],
        Direction::BothWays => vec![(target, source), (source, target)],
    };
    for (told, by) in told {
        let callee = Callee::read(service, org, told.connection).await?;
        let teller = Callee::read(service, org, by.connection).await?;
        for (callee, end) in [(&callee, told), (&teller, by)] {
            if callee.streams.get(&end.stream).is_none() {
                return Err(Error::Stream(end.stream.clone()));
            }
        }
        for (kind, what) in [
            (WriteKind::Create, "create"),
            (WriteKind::Update, "update"),
            (WriteKind::Delete, "delete"),
        ] {
            let needed = kind != WriteKind::Delete || settings.deletes;
            if needed && !write::takes(&callee, &told.stream, kind) {
                return Err(Error::Unwritable {
                    stream: told.stream.clone(),
                    what,
                });
            }
        }
    }
    Ok(())
}

async fn tell(
    service: &Service,
    org: OrgId,
    what: &str,
    link: &sluice_store::link::Link,
) -> Result<(), Error> {
    let kind = format!("sluice.link.{what}");
    event::platform(service, org, &kind, link.id, || json!({"name": link.name})).await?;
    Ok(())
}

fn view(stored: sluice_store::link::Link) -> Result<Link, Error> {
    let settings = LinkSettings::read_kept(&stored)?;
    let state = match &stored.turn.error {
        _ if stored.paused => LinkState::Paused,
        Some(_) => LinkState::Failing,
        None if stored.turn.due.is_none() => LinkState::UpToDate,
        None => LinkState::Working,
    };
    Ok(Link {
        id: stored.id,
        name: stored.name,
        source: stored.source,
        target: stored.target,
        settings,
        state,
        pairs: stored.pairs,
        conflicts: stored.conflicts,
        written: stored.written,
        created: stored.created,
        failures: stored.turn.failures,
        error: stored.turn.error.map(|error| Problem {
            code: error.code,
            message: error.message,
        }),
        next: stored.turn.due.filter(|_| !stored.turn.held),
        revision: stored.revision,
    })
}
