//! Traces and logs: what the calls of a run, a receipt or a link asked of the network, and what the guest said; and of a
//! connection, the calls that are part of none of these. Redacted by those who made them; bounded per owner.

use sluice_model::Timestamp;
use sluice_model::exchange::Exchange;
use sluice_model::id::{ConnectionId, LinkId, OrgId, ReceiptId, RunId};

use crate::connection::require_connection;
use crate::key::{Key, Parts, Span};
use crate::row::{corrupt, from_json, to_json};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Listing, Page, Store};

/// A line of a guest's log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LogLine {
    pub at: Timestamp,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
}

/// Whose trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceOwner {
    Run(RunId),
    Receipt(ReceiptId),
    Link(LinkId),
    /// Actions, writes of a person, what is asked of a vendor about hooks and streams.
    Connection(ConnectionId),
}

/// At most this many exchanges, and as many log lines, are kept of what ends; the first ones, since they say how it began.
pub const MAX_ROWS: u64 = 10_000;

/// As many are kept of what goes on for ever; the last ones.
pub const LAST_ROWS: u64 = 1000;

impl TraceOwner {
    /// Whether nothing ends it but its removal.
    const fn goes_on(self) -> bool {
        matches!(self, Self::Link(_) | Self::Connection(_))
    }
}

impl Store {
    /// The exchanges in their order. The page's key is the number of the last one seen.
    pub async fn exchanges(
        &self,
        org: OrgId,
        owner: TraceOwner,
        page: Page<u64>,
    ) -> Result<Listing<(u64, Exchange), u64>, Error> {
        self.numbered(Table::Exchanges, org, owner, page).await
    }

    /// The log lines in their order.
    pub async fn logs(
        &self,
        org: OrgId,
        owner: TraceOwner,
        page: Page<u64>,
    ) -> Result<Listing<(u64, LogLine), u64>, Error> {
        self.numbered(Table::Logs, org, owner, page).await
    }
}

impl Store {
    /// Keeps what a call asked and said that is part of no run, receipt or link; nothing of a connection that is gone.
    pub async fn note_connection(
        &self,
        org: OrgId,
        id: ConnectionId,
        (exchanges, logs): (Vec<Exchange>, Vec<LogLine>),
    ) -> Result<(), Error> {
        let trace = TraceRows::encode(&exchanges, &logs)?;
        if trace.is_empty() {
            return Ok(());
        }
        self.write_bulk(256 + trace.bytes(), move |rows| {
            match require_connection(rows, org, id) {
                Err(Error::Missing { .. }) => return Ok(()),
                other => other?,
            };
            let owner = TraceOwner::Connection(id);
            let traced = Traced {
                exchanges: last(rows, Table::Exchanges, org, owner)?,
                logs: last(rows, Table::Logs, org, owner)?,
                dropped: 0,
            };
            trace.append(rows, org, owner, traced).map(drop)
        })
        .await
    }

    async fn numbered<T: serde::de::DeserializeOwned + Send + 'static>(
        &self,
        table: Table,
        org: OrgId,
        owner: TraceOwner,
        page: Page<u64>,
    ) -> Result<Listing<(u64, T), u64>, Error> {
        self.read(move |rows| {
            let (of_owner, limit) = (owner_key(org, owner), page.limit());
            let mut span = Span::prefix(&of_owner);
            if let Some(after) = page.after {
                span = span.after(of_owner.clone().number(after));
            }
            let found = rows.collect(table, &span, false, limit + 1, |key, content| {
                let number = Parts::new(key.get(of_owner.bytes().len()..).unwrap_or_default()).number();
                let number = number.ok_or_else(|| corrupt(table, "a key is too short"))?;
                Ok(Some((number, from_json(table, content)?)))
            })?;
            Ok(Listing::cut(found, limit, |(number, _)| *number))
        })
        .await
    }
}

/// Rows on their way to a trace, encoded where the caller runs and not in the writer.
pub(crate) struct TraceRows {
    exchanges: Vec<Vec<u8>>,
    logs: Vec<Vec<u8>>,
}

/// How many rows an owner has, and how many were left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traced {
    pub(crate) exchanges: u64,
    pub(crate) logs: u64,
    pub(crate) dropped: u64,
}

impl TraceRows {
    pub(crate) fn encode(exchanges: &[Exchange], logs: &[LogLine]) -> Result<Self, Error> {
        let exchanges = exchanges.iter().map(to_json).collect::<Result<_, _>>()?;
        let logs = logs.iter().map(to_json).collect::<Result<_, _>>()?;
        Ok(Self { exchanges, logs })
    }

    pub(crate) fn bytes(&self) -> usize {
        self.exchanges.iter().chain(&self.logs).map(Vec::len).sum()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.exchanges.is_empty() && self.logs.is_empty()
    }

    /// Appends the rows behind those that are there.
    pub(crate) fn append(
        &self,
        rows: &mut Writer<'_>,
        org: OrgId,
        owner: TraceOwner,
        mut traced: Traced,
    ) -> Result<Traced, Error> {
        for (table, new, count) in [
            (Table::Exchanges, &self.exchanges, &mut traced.exchanges),
            (Table::Logs, &self.logs, &mut traced.logs),
        ] {
            for row in new {
                if *count >= MAX_ROWS && !owner.goes_on() {
                    traced.dropped += 1;
                    continue;
                }
                *count += 1;
                rows.put(table, &owner_key(org, owner).number(*count), &[row])?;
                if owner.goes_on() && *count > LAST_ROWS {
                    rows.delete(table, &owner_key(org, owner).number(*count - LAST_ROWS))?;
                }
            }
        }
        Ok(traced)
    }
}

/// The number of an owner's last row; 0 if it has none.
fn last(rows: &mut impl Rows, table: Table, org: OrgId, owner: TraceOwner) -> Result<u64, Error> {
    let of_owner = owner_key(org, owner);
    let found = rows.collect(table, &Span::prefix(&of_owner), true, 1, |key, _| {
        let number = Parts::new(key.get(of_owner.bytes().len()..).unwrap_or_default()).number();
        number
            .map(Some)
            .ok_or_else(|| corrupt(table, "a key is too short"))
    })?;
    Ok(found.first().copied().unwrap_or(0))
}

/// Deletes an owner's trace, as far as the budget goes.
pub(crate) fn remove_rows(
    rows: &mut Writer<'_>,
    org: OrgId,
    owner: TraceOwner,
    budget: &mut usize,
) -> Result<(), Error> {
    rows.delete_prefix(Table::Exchanges, &owner_key(org, owner), budget)?;
    rows.delete_prefix(Table::Logs, &owner_key(org, owner), budget)
}

fn owner_key(org: OrgId, owner: TraceOwner) -> Key {
    match owner {
        TraceOwner::Run(id) => Key::org(org).mark(b'r').id(id),
        TraceOwner::Receipt(id) => Key::org(org).mark(b'c').id(id),
        TraceOwner::Link(id) => Key::org(org).mark(b'l').id(id),
        TraceOwner::Connection(id) => Key::org(org).mark(b'n').id(id),
    }
}
