//! Links: a stream of one connection and a stream of another that are kept saying the same. Each is a leased row that
//! follows the change feeds of both sides, and has a *pair* for every record that it knows.
//!
//! What must always hold: before anything is written to a vendor, what is to be written is durable in its pair, under the key
//! that every try of it carries; the outcome, the record as the vendor has it now, the new base and the position in the feed
//! are one commit. A crash in between repeats the write with the same key and the same content.

mod pair;

use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::exchange::Exchange;
use sluice_model::id::{ConnectionId, LinkId, OrgId, kind};

use crate::batch::Batch;
use crate::connection::require_connection;
use crate::due::{self, Work};
use crate::history;
use crate::key::{Key, Parts, Span};
use crate::record;
use crate::row::{MAX_VALUE_BYTES, cap, cap_name, from_json};
use crate::run::RunError;
use crate::table::{Rows, Table, Writer};
use crate::trace::{LogLine, TraceOwner, TraceRows, Traced};
use crate::turn::{self, Turn, Turned};
use crate::{Error, Listing, MAX_LIMIT, Page, Store, connection, load};

use pair::{CONFLICT, PENDING, drop_pair, open, pair_key, save_pair, side_key};
pub use pair::{LinkStep, Numbered, Pair, Pending, Written};

/// A side of a link.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct End {
    pub connection: ConnectionId,
    pub stream: String,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    Source,
    Target,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Source => Self::Target,
            Self::Target => Self::Source,
        }
    }
}

/// A link as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Link {
    pub id: LinkId,
    /// Unique in the organization.
    pub name: String,
    pub source: End,
    pub target: End,
    /// The service's; JSON text.
    pub settings: String,
    pub paused: bool,
    pub created: Timestamp,
    /// Goes up by one when the settings are set.
    pub revision: u64,
    #[serde(flatten)]
    pub turn: Turn,
    /// What of each side's feed is dealt with.
    pub source_at: u64,
    pub target_at: u64,
    /// The last pair's number, how many there are, and how many wait for a person.
    pub last_pair: u64,
    pub pairs: u64,
    pub conflicts: u64,
    /// Writes that vendors took.
    pub written: u64,
    /// How many exchanges and log lines its trace has had.
    #[serde(default)]
    pub traced: u64,
    #[serde(default)]
    pub logged: u64,
}

impl Link {
    /// The end of a side.
    #[must_use]
    pub const fn end(&self, side: Side) -> &End {
        match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }

    /// How far the feed of a side is dealt with.
    #[must_use]
    pub const fn at(&self, side: Side) -> u64 {
        match side {
            Side::Source => self.source_at,
            Side::Target => self.target_at,
        }
    }

    const fn set_at(&mut self, side: Side, at: u64) {
        match side {
            Side::Source => self.source_at = at,
            Side::Target => self.target_at = at,
        }
    }
}

impl Store {
    /// Adds a link, due at once. [`Error::Missing`], [`Error::Conflict`] where the name is taken, [`Error::TooLarge`].
    pub async fn create_link(
        &self,
        org: OrgId,
        id: LinkId,
        (name, settings): (String, String),
        (source, target): (End, End),
        now: Timestamp,
    ) -> Result<Link, Error> {
        cap_name("a link's name", &name)?;
        cap("a link's settings", settings.len(), MAX_VALUE_BYTES / 8)?;
        for end in [&source, &target] {
            cap_name("a stream's name", &end.stream)?;
        }
        self.write(512 + settings.len(), move |rows| {
            require_connection(rows, org, source.connection)?;
            require_connection(rows, org, target.connection)?;
            let others = all(rows, org)?;
            cap("another link", others.len() + 1, MAX_LIMIT)?;
            if others.iter().any(|other| other.name == name || other.id == id) {
                return Err(Error::Conflict { what: "a link", name });
            }
            let link = Link {
                id,
                name,
                source,
                target,
                settings,
                paused: false,
                created: now,
                revision: 1,
                turn: Turn {
                    due: Some(now),
                    ..Turn::default()
                },
                source_at: 0,
                target_at: 0,
                last_pair: 0,
                pairs: 0,
                conflicts: 0,
                written: 0,
                traced: 0,
                logged: 0,
            };
            for end in [&link.source, &link.target] {
                rows.put(Table::LinksByConnection, &by_connection(org, end, id), &[])?;
            }
            due::add(rows, Work::Links, org, link.turn.due, id)?;
            turn::save(rows, org, &link)?;
            Ok(link)
        })
        .await
    }

    /// One link.
    pub async fn get_link(&self, org: OrgId, id: LinkId) -> Result<Option<Link>, Error> {
        self.read_now(|rows| rows.get_json(Table::Links, &Key::org(org).id(id)))
    }

    /// The organization's links, oldest first; at most 1,000.
    pub async fn list_links(&self, org: OrgId) -> Result<Vec<Link>, Error> {
        self.read(move |rows| all(rows, org)).await
    }

    /// Sets its settings anew; everything is looked at again under them. [`Error::Missing`], [`Error::Revision`].
    pub async fn set_link(
        &self,
        org: OrgId,
        id: LinkId,
        (expected, settings): (u64, String),
        now: Timestamp,
    ) -> Result<Link, Error> {
        cap("a link's settings", settings.len(), MAX_VALUE_BYTES / 8)?;
        self.write(256 + settings.len(), move |rows| {
            let mut link: Link = turn::get(rows, org, id)?;
            if link.revision != expected {
                return Err(Error::Revision {
                    what: "the link",
                    expected,
                    found: link.revision,
                });
            }
            link.settings = settings;
            link.revision += 1;
            (link.source_at, link.target_at) = (0, 0);
            wake(rows, org, &mut link, now)?;
            Ok(link)
        })
        .await
    }

    /// Holds a link up, or lets it go on. [`Error::Missing`].
    pub async fn pause_link(
        &self,
        org: OrgId,
        id: LinkId,
        paused: bool,
        now: Timestamp,
    ) -> Result<Link, Error> {
        self.write(256, move |rows| {
            let mut link: Link = turn::get(rows, org, id)?;
            link.paused = paused;
            if paused {
                link.turn.fencing += 1;
                link.turn.held = false;
                turn::set_due(rows, org, &mut link, None)?;
                turn::save(rows, org, &link)?;
            } else {
                wake(rows, org, &mut link, now)?;
            }
            Ok(link)
        })
        .await
    }

    /// Makes a link due now. [`Error::Missing`].
    pub async fn retry_link(&self, org: OrgId, id: LinkId, now: Timestamp) -> Result<Link, Error> {
        self.write(256, move |rows| {
            let mut link: Link = turn::get(rows, org, id)?;
            if !link.turn.held && !link.paused {
                turn::set_due(rows, org, &mut link, Some(now))?;
                turn::save(rows, org, &link)?;
            }
            Ok(link)
        })
        .await
    }

    /// Removes a link, then its pairs in bounded steps; no record is touched. [`Error::Missing`].
    pub async fn remove_link(&self, org: OrgId, id: LinkId) -> Result<(), Error> {
        self.write(64, move |rows| {
            let link: Link = turn::get(rows, org, id)?;
            remove(rows, org, &link)
        })
        .await?;
        // Its rows go like a removed connection's, under its own id.
        let id = ConnectionId::from_bytes(*id.as_bytes());
        while self
            .write_bulk(64, move |rows| connection::remove_step(rows, org, id))
            .await?
        {}
        Ok(())
    }

    /// Leases up to `limit` due links, one organization after the other.
    pub async fn lease_due_links(
        &self,
        now: Timestamp,
        lease_for: Duration,
        limit: usize,
    ) -> Result<Vec<(OrgId, Link)>, Error> {
        self.lease_turns(now, lease_for, limit).await
    }

    /// The pair that a side's record is in.
    pub async fn pair_of(
        &self,
        org: OrgId,
        link: LinkId,
        side: Side,
        id: &str,
    ) -> Result<Option<(u64, Pair)>, Error> {
        let place = side_key(org, link, side, id);
        self.read_now(|rows| {
            let number = rows.get_number(Table::LinkSides, &place)?;
            let pair = rows.get_json(Table::LinkPairs, &pair_key(org, link, number))?;
            Ok(pair.map(|pair| (number, pair)))
        })
    }

    /// A pair by its number.
    pub async fn get_pair(&self, org: OrgId, link: LinkId, number: u64) -> Result<Option<Pair>, Error> {
        self.read_now(|rows| rows.get_json(Table::LinkPairs, &pair_key(org, link, number)))
    }

    /// Pairs with writes whose outcome is not known.
    pub async fn pending_pairs(
        &self,
        org: OrgId,
        link: LinkId,
        limit: usize,
    ) -> Result<Vec<(u64, Pair)>, Error> {
        self.read(move |rows| open(rows, org, link, PENDING, Page::first(limit)))
            .await
    }

    /// Pairs that wait for a person, by number.
    pub async fn conflicts(
        &self,
        org: OrgId,
        link: LinkId,
        page: Page<u64>,
    ) -> Result<Listing<(u64, Pair), u64>, Error> {
        let limit = page.limit();
        self.read(move |rows| {
            let page = Page {
                limit: limit + 1,
                ..page
            };
            let found = open(rows, org, link, CONFLICT, page)?;
            Ok(Listing::cut(found, limit, |(number, _)| *number))
        })
        .await
    }

    /// Keeps what a step came to, all of it or nothing. [`Error::Fenced`], [`Error::Missing`] if a connection is gone.
    pub async fn commit_link(
        &self,
        org: OrgId,
        id: LinkId,
        fencing: u64,
        step: LinkStep,
    ) -> Result<(), Error> {
        let mut batches = Vec::with_capacity(step.written.len());
        let read: Link = self
            .get_link(org, id)
            .await?
            .ok_or(Error::Missing { what: "the link" })?;
        for (side, written) in step.written {
            let end = read.end(side);
            let batch = Batch::prepare(end.stream.clone(), written.changes, &written.quarantined)?;
            batches.push((end.connection, batch));
        }
        let held = |pair: &Pair| {
            pair.base.as_ref().map_or(0, |(a, b)| a.len() + b.len())
                + pair
                    .pending
                    .iter()
                    .map(|pending| {
                        let texts = [&pending.put, &pending.from];
                        texts.into_iter().flatten().map(String::len).sum::<usize>()
                    })
                    .sum::<usize>()
        };
        let bytes = batches.iter().map(|(_, batch)| batch.bytes()).sum::<usize>()
            + step.pairs.iter().map(|(_, pair)| 256 + held(pair)).sum::<usize>();
        self.write(bytes, move |rows| {
            let mut link: Link = turn::leased(rows, org, id, fencing)?;
            for (connection, _) in &batches {
                require_connection(rows, org, *connection)?;
            }
            for (number, pair) in &step.pairs {
                save_pair(rows, org, &mut link, *number, pair)?;
            }
            for number in &step.gone {
                drop_pair(rows, org, &mut link, *number)?;
            }
            for (connection, batch) in &batches {
                history::write_back(rows, (org, *connection), None, batch, step.now)?;
            }
            if let Some((side, at)) = step.at {
                link.set_at(side, at);
            }
            link.written += step.writes;
            link.turn.went_well();
            turn::set_due(rows, org, &mut link, Some(step.until))?;
            turn::save(rows, org, &link)
        })
        .await
    }

    /// Keeps what a call of a link asked of the network and what it said. [`Error::Fenced`].
    pub async fn note_link(
        &self,
        org: OrgId,
        id: LinkId,
        fencing: u64,
        (exchanges, logs): (Vec<Exchange>, Vec<LogLine>),
    ) -> Result<(), Error> {
        let trace = TraceRows::encode(&exchanges, &logs)?;
        if trace.is_empty() {
            return Ok(());
        }
        self.write(256 + trace.bytes(), move |rows| {
            let mut link: Link = turn::leased(rows, org, id, fencing)?;
            let traced = Traced {
                exchanges: link.traced,
                logs: link.logged,
                dropped: 0,
            };
            let traced = trace.append(rows, org, TraceOwner::Link(id), traced)?;
            (link.traced, link.logged) = (traced.exchanges, traced.logs);
            turn::save(rows, org, &link)
        })
        .await
    }

    /// Keeps records as a vendor has them after writes that no link made. [`Error::Missing`].
    pub async fn keep_written(
        &self,
        org: OrgId,
        end: End,
        written: Written,
        now: Timestamp,
    ) -> Result<(), Error> {
        let batch = Batch::prepare(end.stream, written.changes, &written.quarantined)?;
        self.write(batch.bytes(), move |rows| {
            require_connection(rows, org, end.connection)?;
            history::write_back(rows, (org, end.connection), None, &batch, now)
        })
        .await
    }

    /// Lets go of a link: due again when there is more for it; after an error, `retry_at`. [`Error::Fenced`].
    pub async fn release_link(
        &self,
        org: OrgId,
        id: LinkId,
        fencing: u64,
        failed: Option<(RunError, Timestamp)>,
        now: Timestamp,
    ) -> Result<Link, Error> {
        self.write(256, move |rows| {
            let mut link: Link = turn::leased(rows, org, id, fencing)?;
            let more = is_owed(rows, org, &link)?;
            turn::release(rows, org, &mut link, failed, (more.then_some(now), now))?;
            Ok(link)
        })
        .await
    }

    /// Notes a person's decision about a pair: it is dealt with next. [`Error::Missing`], [`Error::State`] where nothing waits.
    pub async fn settle_pair(
        &self,
        org: OrgId,
        id: LinkId,
        (number, pair): (u64, Pair),
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(256, move |rows| {
            let mut link: Link = turn::get(rows, org, id)?;
            let found: Option<Pair> = rows.get_json(Table::LinkPairs, &pair_key(org, id, number))?;
            if found.is_none_or(|found| found.conflict.is_none()) {
                return Err(Error::State {
                    what: "settle the conflict",
                    state: "settled",
                });
            }
            save_pair(rows, org, &mut link, Some(number), &pair)?;
            if !link.turn.held && !link.paused {
                turn::set_due(rows, org, &mut link, Some(now))?;
            }
            turn::save(rows, org, &link)
        })
        .await
    }
}

/// Makes the connection's links due that nothing has due yet.
pub(crate) fn changes_wait(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    now: Timestamp,
) -> Result<(), Error> {
    for id in ids_of_connection(rows, org, connection)? {
        let mut link: Link = turn::get(rows, org, id)?;
        if link.turn.due.is_none() && !link.paused {
            turn::set_due(rows, org, &mut link, Some(now))?;
            turn::save(rows, org, &link)?;
        }
    }
    Ok(())
}

/// Removes the links of a connection that goes; their pairs are swept.
pub(crate) fn remove_all(rows: &mut Writer<'_>, org: OrgId, connection: ConnectionId) -> Result<(), Error> {
    for id in ids_of_connection(rows, org, connection)? {
        let link: Link = turn::get(rows, org, id)?;
        remove(rows, org, &link)?;
    }
    Ok(())
}

fn remove(rows: &mut Writer<'_>, org: OrgId, link: &Link) -> Result<(), Error> {
    due::remove(rows, Work::Links, org, link.turn.due, link.id)?;
    for end in [&link.source, &link.target] {
        rows.delete(Table::LinksByConnection, &by_connection(org, end, link.id))?;
    }
    rows.put(Table::Removals, &Key::org(org).id(link.id), &[])?;
    rows.delete(Table::Links, &Key::org(org).id(link.id))
}

fn wake(rows: &mut Writer<'_>, org: OrgId, link: &mut Link, now: Timestamp) -> Result<(), Error> {
    // Who has it works under what was: its next step is refused.
    link.turn.fencing += 1;
    link.turn.held = false;
    let due = (!link.paused).then_some(now);
    turn::set_due(rows, org, link, due)?;
    turn::save(rows, org, link)
}

fn is_owed(rows: &mut impl Rows, org: OrgId, link: &Link) -> Result<bool, Error> {
    if !open(rows, org, link.id, PENDING, Page::first(1))?.is_empty() {
        return Ok(true);
    }
    for side in [Side::Source, Side::Target] {
        let end = link.end(side);
        let ends = load::end_of_feed(rows, org, end.connection)?;
        let of = (org, end.connection);
        if record::is_behind(rows, of, &end.stream, (link.at(side), ends))? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Turned for Link {
    type Kind = kind::Link;
    const WORK: Work = Work::Links;
    const TABLE: Table = Table::Links;
    const WHAT: &'static str = "the link";

    fn id(&self) -> LinkId {
        self.id
    }

    fn turn(&mut self) -> &mut Turn {
        &mut self.turn
    }
}

fn all(rows: &mut impl Rows, org: OrgId) -> Result<Vec<Link>, Error> {
    let span = Span::prefix(&Key::org(org));
    rows.collect(Table::Links, &span, false, MAX_LIMIT, |_, content| {
        from_json(Table::Links, content).map(Some)
    })
}

fn ids_of_connection(
    rows: &mut impl Rows,
    org: OrgId,
    connection: ConnectionId,
) -> Result<Vec<LinkId>, Error> {
    let span = Span::prefix(&Key::org(org).id(connection));
    rows.collect(Table::LinksByConnection, &span, false, MAX_LIMIT, |key, _| {
        Ok(Parts::new(key.get(32..).unwrap_or_default()).id())
    })
}

fn by_connection(org: OrgId, end: &End, id: LinkId) -> Key {
    Key::org(org).id(end.connection).id(id)
}
