//! Receipts: webhooks as they came in; durable before they are acknowledged, handled in the background.

mod again;
mod forget;
mod queue;

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::event::NewEvent;
use sluice_model::exchange::Exchange;
use sluice_model::id::{ConnectionId, HookId, InstallId, OrgId, ReceiptId, kind};
use sluice_model::receipt::ReceiptState;
use sluice_model::record::{Change, Counts};

use crate::batch::{Batch, Into};
use crate::connection::require_connection;
use crate::due::{self, Work};
use crate::event;
use crate::hook::connection_of;
use crate::install::sha256;
use crate::key::{Key, Parts, Span};
use crate::record::Quarantined;
use crate::row::{MAX_VALUE_BYTES, cap, cap_name, split_head, with_head};
use crate::run::MAX_ERROR_BYTES;
use crate::storage::{self, StorageWrites};
use crate::table::{Rows, Table, Writer};
use crate::trace::{LogLine, TraceOwner, TraceRows, Traced};
use crate::{Error, Listing, Page, Store, file, load, stream, stream_settings};

pub(crate) use again::rearm;
pub(crate) use forget::{forget_keys, remove_rows};

/// A webhook that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReceipt {
    pub id: ReceiptId,
    pub hook: HookId,
    /// The vendor's delivery id, or a hash of the body: the same key at the same hook is the same webhook.
    pub dedupe_key: String,
    pub method: String,
    /// Without the `?`.
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub received: Timestamp,
    /// A token that the vendor uses once: with another receipt's it is a replay.
    pub one_time: Option<String>,
    /// What it is about: receipts about the same are handled one after another.
    pub order: Option<String>,
}

/// What came of accepting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is durable now.
    New(ReceiptId),
    /// It was durable before: this is the first one's id.
    Duplicate(ReceiptId),
    /// Its one-time token came with another webhook: nothing is kept.
    Replayed,
}

/// A receipt without its body.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Receipt {
    pub id: ReceiptId,
    pub hook: HookId,
    pub connection: ConnectionId,
    pub dedupe_key: String,
    pub received: Timestamp,
    pub state: ReceiptState,
    pub body_bytes: u64,
    /// Tries that failed since it was accepted or replayed.
    pub failures: u32,
    /// When the next try is due; the lease's end while a worker has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// The last failure's stable code and words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ReceiptError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled: Option<Timestamp>,
    pub fencing: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// How often a person had it handled again.
    pub replays: u32,
    /// The install that handles it, where a person named one; without, the connection's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<InstallId>,
    /// Trace and log rows written, and rows not written because the receipt had reached its cap.
    pub traced: u64,
    pub logged: u64,
    pub dropped: u64,
    /// The digest of its one-time token: it is forgotten with the dedupe key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_time: Option<String>,
    /// The queue that it stands in as long as it is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
}

/// Why a try failed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ReceiptError {
    pub code: String,
    pub message: String,
}

/// A receipt's request, as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A receipt a worker has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedReceipt {
    pub org: OrgId,
    pub receipt: Receipt,
    pub request: Request,
    pub fencing: u64,
    pub failures: u32,
    pub until: Timestamp,
}

/// What handling a receipt led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptOutcome {
    pub events: Vec<NewEvent>,
    /// By stream.
    pub changes: Vec<(String, Change)>,
    /// By stream: records that were refused.
    pub quarantined: Vec<(String, Quarantined)>,
    pub storage: StorageWrites,
    pub exchanges: Vec<Exchange>,
    pub logs: Vec<LogLine>,
    pub now: Timestamp,
}

/// A failed try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptFailure {
    /// When to try again; `None` sets the receipt aside (`dead`).
    pub next: Option<Timestamp>,
    pub code: String,
    pub message: String,
    pub exchanges: Vec<Exchange>,
    pub logs: Vec<LogLine>,
}

/// A dedupe key is remembered at least this long: seven days, as long as vendors redeliver.
pub const DEDUPE_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

impl Store {
    /// Keeps a webhook, once per dedupe key and hook, also when the same one comes in on many connections at the same
    /// moment. [`Error::Missing`] if the hook is gone, [`Error::TooLarge`].
    pub async fn accept_receipt(&self, org: OrgId, new: NewReceipt) -> Result<Accepted, Error> {
        let mut new = new;
        let head = head(&mut new)?;
        self.write(head.len() + new.body.len(), move |rows| {
            let connection = connection_of(rows, org, new.hook)?;
            accept(rows, org, connection, new, &head)
        })
        .await
    }

    /// Leases up to `limit` due receipts, one organization after the other, oldest first within each.
    pub async fn lease_due_receipts(
        &self,
        worker: &str,
        now: Timestamp,
        lease_for: Duration,
        limit: usize,
    ) -> Result<Vec<LeasedReceipt>, Error> {
        cap_name("a worker's name", worker)?;
        if !self.any_due(Work::Receipts, now).await? {
            return Ok(Vec::new());
        }
        let (worker, turn, until) = (worker.to_owned(), self.turn(Work::Receipts), now.after(lease_for));
        let leased = self
            .write(256, move |rows| {
                let mut leased = Vec::new();
                let mut bytes = 0;
                let due = due::take::<kind::Receipt>(rows, Work::Receipts, turn, now, limit)?;
                // Receipts over the byte limit are read (without their bodies) and stay due.
                let receipts = due::load(rows, Work::Receipts, due, |rows, org, id| {
                    let receipt: Option<Receipt> = rows.get_json(Table::Receipts, &Key::org(org).id(id))?;
                    let Some(receipt) = receipt else { return Ok(None) };
                    bytes += receipt.body_bytes;
                    if bytes > MAX_LEASED_BYTES && bytes > receipt.body_bytes {
                        return Ok(Some((receipt, None)));
                    }
                    Ok(request(rows, org, id)?.map(|request| (receipt, Some(request))))
                })?;
                for (org, (mut receipt, request)) in receipts {
                    let Some(request) = request else { continue };
                    let id = receipt.id;
                    due::remove(rows, Work::Receipts, org, receipt.due, id)?;
                    receipt.fencing += 1;
                    receipt.due = Some(until);
                    receipt.worker = Some(worker.clone());
                    due::add(rows, Work::Receipts, org, receipt.due, id)?;
                    save(rows, org, &receipt)?;
                    let (fencing, failures) = (receipt.fencing, receipt.failures);
                    leased.push(LeasedReceipt {
                        org,
                        receipt,
                        request,
                        fencing,
                        failures,
                        until,
                    });
                }
                Ok(leased)
            })
            .await?;
        if let Some(last) = leased.last() {
            self.set_turn(Work::Receipts, last.org);
        }
        Ok(leased)
    }

    /// Commits what handling led to, and that it is handled; all or nothing. [`Error::Fenced`], [`Error::Quota`],
    /// [`Error::StorageVersion`], [`Error::TooLarge`], [`Error::Missing`] if the connection is gone.
    pub async fn finish_receipt(
        &self,
        org: OrgId,
        receipt: ReceiptId,
        fencing: u64,
        outcome: ReceiptOutcome,
    ) -> Result<Counts, Error> {
        let ReceiptOutcome {
            events,
            changes,
            quarantined,
            storage,
            exchanges,
            logs,
            now,
        } = outcome;
        let trace = TraceRows::encode(&exchanges, &logs)?;
        let staged = storage::check(&storage)?;
        let drafts = file::drafts(&storage.files);
        let events = event::Encoded::prepare(events, now)?;
        let mut streams: BTreeMap<String, (Vec<Change>, Vec<Quarantined>)> = BTreeMap::new();
        for (stream, change) in changes {
            streams.entry(stream).or_default().0.push(change);
        }
        for (stream, refused) in quarantined {
            streams.entry(stream).or_default().1.push(refused);
        }
        let batches = streams
            .into_iter()
            .map(|(stream, (changes, refused))| Batch::prepare(stream, changes, &refused))
            .collect::<Result<Vec<_>, _>>()?;
        let bytes = batches.iter().map(Batch::bytes).sum::<usize>() + staged + trace.bytes() + events.bytes();
        let counts = self
            .write(bytes, move |rows| {
                let mut receipt = leased(rows, org, receipt, fencing)?;
                let connection = receipt.connection;
                require_connection(rows, org, connection)?;
                let plan = storage::plan(rows, org, connection, &storage)?;
                let mut states = Vec::with_capacity(batches.len());
                for batch in &batches {
                    let into = Into {
                        org,
                        connection,
                        run: None,
                        history: stream_settings::keeps_history(rows, org, connection, batch.stream())?,
                        now,
                    };
                    states.push((into, stream::state(rows, org, connection, batch.stream())?));
                }
                let numbers = Key::org(org).id(connection);
                let mut last = rows.get_number(Table::FeedNumbers, &numbers)?;
                // Decided: from here on everything is written.
                let before = last;
                let mut counts = Counts::default();
                for (batch, (into, mut state)) in batches.iter().zip(states) {
                    counts.add(&batch.apply(rows, into, &mut state, &mut last)?);
                    stream::save(rows, org, connection, batch.stream(), &state)?;
                }
                if last != before {
                    load::feed_moved(rows, org, connection, last, now)?;
                }
                storage::apply(rows, org, connection, &storage, plan)?;
                events.append(rows, org)?;
                note_trace(rows, org, &mut receipt, &trace)?;
                due::remove(rows, Work::Receipts, org, receipt.due, receipt.id)?;
                receipt.due = None;
                receipt.worker = None;
                receipt.state = ReceiptState::Handled;
                receipt.handled = Some(now);
                receipt.error = None;
                save(rows, org, &receipt)?;
                queue::leave(rows, org, &receipt)?;
                Ok(counts)
            })
            .await?;
        self.settle(drafts).await;
        Ok(counts)
    }

    /// Notes a failed try. [`Error::Fenced`].
    pub async fn fail_receipt(
        &self,
        org: OrgId,
        receipt: ReceiptId,
        fencing: u64,
        failure: ReceiptFailure,
    ) -> Result<Receipt, Error> {
        let ReceiptFailure {
            next,
            code,
            message,
            exchanges,
            logs,
        } = failure;
        cap("an error's words", code.len() + message.len(), MAX_ERROR_BYTES)?;
        let trace = TraceRows::encode(&exchanges, &logs)?;
        self.write(trace.bytes(), move |rows| {
            let mut receipt = leased(rows, org, receipt, fencing)?;
            note_trace(rows, org, &mut receipt, &trace)?;
            due::remove(rows, Work::Receipts, org, receipt.due, receipt.id)?;
            receipt.due = next;
            receipt.worker = None;
            receipt.failures = receipt.failures.saturating_add(1);
            receipt.state = if next.is_some() {
                ReceiptState::RetryAt
            } else {
                ReceiptState::Dead
            };
            receipt.error = Some(ReceiptError { code, message });
            due::add(rows, Work::Receipts, org, receipt.due, receipt.id)?;
            save(rows, org, &receipt)?;
            if receipt.state == ReceiptState::Dead {
                queue::leave(rows, org, &receipt)?;
            }
            Ok(receipt)
        })
        .await
    }

    /// A hook's receipts, newest first.
    pub async fn list_receipts(
        &self,
        org: OrgId,
        hook: HookId,
        page: Page<ReceiptId>,
    ) -> Result<Listing<Receipt, ReceiptId>, Error> {
        self.read(move |rows| {
            let (of_hook, limit) = (Key::org(org).id(hook), page.limit());
            let mut span = Span::prefix(&of_hook);
            if let Some(after) = page.after {
                span = span.before(of_hook.id(after));
            }
            let ids = rows.collect(Table::ReceiptsByHook, &span, true, limit + 1, |key, _| {
                Ok(Parts::new(key.get(32..).unwrap_or_default()).id::<kind::Receipt>())
            })?;
            let mut receipts = Vec::with_capacity(ids.len());
            for id in ids {
                receipts.extend(rows.get_json::<Receipt>(Table::Receipts, &Key::org(org).id(id))?);
            }
            Ok(Listing::cut(receipts, limit, |receipt| receipt.id))
        })
        .await
    }

    /// One receipt.
    pub async fn get_receipt(&self, org: OrgId, id: ReceiptId) -> Result<Option<Receipt>, Error> {
        self.read_now(|rows| rows.get_json(Table::Receipts, &Key::org(org).id(id)))
    }

    /// One receipt's request.
    pub async fn get_receipt_request(&self, org: OrgId, id: ReceiptId) -> Result<Option<Request>, Error> {
        self.read(move |rows| request(rows, org, id)).await
    }
}

/// What goes before the body in a webhook's row, taken out of it; a webhook that is too large is refused.
pub(crate) fn head(new: &mut NewReceipt) -> Result<Vec<u8>, Error> {
    cap_name("a dedupe key", &new.dedupe_key)?;
    let head = RequestHead {
        method: std::mem::take(&mut new.method),
        query: std::mem::take(&mut new.query),
        headers: std::mem::take(&mut new.headers),
    };
    let head = with_head(&head)?;
    cap("a webhook", head.len() + new.body.len(), MAX_VALUE_BYTES)?;
    Ok(head)
}

/// Keeps a webhook of this hook, if it is new.
pub(crate) fn accept(
    rows: &mut Writer<'_>,
    org: OrgId,
    connection: ConnectionId,
    new: NewReceipt,
    head: &[u8],
) -> Result<Accepted, Error> {
    let seen = dedupe_key(org, new.hook, &new.dedupe_key);
    if let Some(first) = rows.get_id(Table::Dedupe, &seen)? {
        return Ok(Accepted::Duplicate(first));
    }
    let one_time = new.one_time.as_ref().map(|token| once_key(org, new.hook, token));
    if let Some(once) = &one_time
        && let Some(first) = rows.get_id(Table::Dedupe, once)?
    {
        // Vendors that give a delivery no id repeat it whole.
        let same = request(rows, org, first)?.is_some_and(|request| request.body == new.body);
        return Ok(if same {
            Accepted::Duplicate(first)
        } else {
            Accepted::Replayed
        });
    }
    if rows.has(Table::Receipts, &Key::org(org).id(new.id))? {
        return Err(Error::Conflict {
            what: "a receipt",
            name: new.id.to_string(),
        });
    }
    let is_first = match &new.order {
        Some(order) => queue::enter(rows, org, (new.hook, order), new.id)?,
        None => true,
    };
    let due = is_first.then_some(new.received);
    let receipt = Receipt {
        id: new.id,
        hook: new.hook,
        connection,
        dedupe_key: new.dedupe_key,
        received: new.received,
        state: ReceiptState::Accepted,
        body_bytes: new.body.len() as u64,
        failures: 0,
        due,
        error: None,
        handled: None,
        fencing: 0,
        worker: None,
        replays: 0,
        install: None,
        traced: 0,
        logged: 0,
        dropped: 0,
        one_time: new.one_time,
        order: new.order,
    };
    rows.put(Table::Dedupe, &seen, &[new.id.as_bytes()])?;
    if let Some(once) = one_time {
        rows.put(Table::Dedupe, &once, &[new.id.as_bytes()])?;
    }
    rows.put(Table::Requests, &Key::org(org).id(new.id), &[head, &new.body])?;
    rows.put(Table::ReceiptsByHook, &Key::org(org).id(new.hook).id(new.id), &[])?;
    due::add(rows, Work::Receipts, org, receipt.due, receipt.id)?;
    save(rows, org, &receipt)?;
    Ok(Accepted::New(new.id))
}

/// The bodies that one lease hands out come to at most this, or are one.
const MAX_LEASED_BYTES: u64 = 32 << 20;

/// What goes before the body in a request's row.
#[derive(serde::Serialize, serde::Deserialize)]
struct RequestHead {
    method: String,
    query: String,
    headers: Vec<(String, String)>,
}

fn note_trace(
    rows: &mut Writer<'_>,
    org: OrgId,
    receipt: &mut Receipt,
    trace: &TraceRows,
) -> Result<(), Error> {
    let traced = Traced {
        exchanges: receipt.traced,
        logs: receipt.logged,
        dropped: receipt.dropped,
    };
    let traced = trace.append(rows, org, TraceOwner::Receipt(receipt.id), traced)?;
    (receipt.traced, receipt.logged, receipt.dropped) = (traced.exchanges, traced.logs, traced.dropped);
    Ok(())
}

fn leased(rows: &mut impl Rows, org: OrgId, id: ReceiptId, fencing: u64) -> Result<Receipt, Error> {
    let receipt: Option<Receipt> = rows.get_json(Table::Receipts, &Key::org(org).id(id))?;
    receipt
        .filter(|receipt| receipt.fencing == fencing && receipt.worker.is_some() && receipt.state.due())
        .ok_or(Error::Fenced {
            what: "the receipt",
            given: fencing,
        })
}

fn load(rows: &mut impl Rows, org: OrgId, id: ReceiptId) -> Result<Receipt, Error> {
    rows.get_json(Table::Receipts, &Key::org(org).id(id))?
        .ok_or(Error::Missing { what: "the receipt" })
}

fn save(rows: &mut Writer<'_>, org: OrgId, receipt: &Receipt) -> Result<(), Error> {
    rows.put_json(Table::Receipts, &Key::org(org).id(receipt.id), receipt)
}

fn request(rows: &mut impl Rows, org: OrgId, id: ReceiptId) -> Result<Option<Request>, Error> {
    rows.look(Table::Requests, &Key::org(org).id(id), |content| {
        let (head, body): (RequestHead, _) = split_head(Table::Requests, content)?;
        Ok(Request {
            method: head.method,
            query: head.query,
            headers: head.headers,
            body: body.to_vec(),
        })
    })
}

/// Dedupe keys begin with a word and a colon, none of them with this one.
fn once_key(org: OrgId, hook: HookId, token: &str) -> Key {
    dedupe_key(org, hook, &format!("once:{token}"))
}

fn dedupe_key(org: OrgId, hook: HookId, key: &str) -> Key {
    Key::org(org).id(hook).hash(&sha256(key.as_bytes()))
}
