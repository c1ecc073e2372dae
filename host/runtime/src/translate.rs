//! Between the generated types and the house's own. What the guest returned is checked against what its contract
//! promises of sizes and numbers, so that nothing unbounded goes further in.

use std::time::Duration;

use sluice_model::Timestamp;
use sluice_model::fault::{Fault, FaultKind};
use sluice_model::record::{Change, Item, MAX_CURSOR_BYTES, MAX_ID_BYTES};

use crate::bindings::exports::sluice::connector::{actions, auth, sync, webhook};
use crate::bindings::sluice::connector::types;
use crate::journal::clean;
use crate::values::{
    Account, ActionInfo, ConnectionView, Event, Handled, Page, PendingWrite, ReadRequest, Receipt, Redirect,
    Registration, Reply, StreamInfo, WriteOp, WriteOutcome,
};

/// Changes of one page, events of one receipt, partitions of one stream.
const MANY: usize = 10_000;
/// Streams, actions and scopes.
const SOME: usize = 1_000;
/// Names and kinds, in bytes.
const NAME_BYTES: usize = 256;
/// Ids and names of the vendor's, in bytes.
const VENDOR_BYTES: usize = 1 << 10;
/// A URL, in bytes.
const URL_BYTES: usize = 8 << 10;
/// A state that is kept for the connector, in bytes.
const STATE_BYTES: usize = 64 << 10;
/// A JSON Schema, in bytes.
const SCHEMA_BYTES: usize = 1 << 20;
/// An answer to a vendor, in bytes.
const REPLY_BYTES: usize = 1 << 20;
/// A fault's message, in bytes.
const MESSAGE_BYTES: usize = 2 << 10;
/// The longest that a vendor is left alone at its own word.
const RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What the guest returned and must not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bad(pub(crate) String);

type Checked<T> = Result<T, Bad>;

fn at_most(what: &str, found: usize, limit: usize) -> Checked<()> {
    if found > limit {
        return Err(Bad(format!("{what}: {found}, at most {limit}")));
    }
    Ok(())
}

fn text(what: &str, text: &str, limit: usize) -> Checked<()> {
    at_most(&format!("bytes of {what}"), text.len(), limit)
}

fn id(what: &str, id: &str) -> Checked<()> {
    if id.is_empty() {
        return Err(Bad(format!("{what} is empty")));
    }
    text(what, id, MAX_ID_BYTES)
}

/// An empty one is for the service: it sets that record aside and keeps its page.
fn record_id(id: &str) -> Checked<()> {
    text("a record's id", id, MAX_ID_BYTES)
}

fn time(ms: Option<u64>) -> Option<Timestamp> {
    ms.map(Timestamp::from_millis)
}

pub(crate) fn fault(error: types::Error) -> Fault {
    let plain = |kind, detail: types::Detail| Fault {
        kind,
        message: clean(&detail.message, MESSAGE_BYTES),
        pointer: detail.pointer.map(|pointer| clean(&pointer, VENDOR_BYTES)),
        retry_after: None,
    };
    match error {
        types::Error::Config(detail) => plain(FaultKind::Config, detail),
        types::Error::Auth(detail) => plain(FaultKind::Auth, detail),
        types::Error::Transient(detail) => plain(FaultKind::Transient, detail),
        types::Error::InvalidData(detail) => plain(FaultKind::InvalidData, detail),
        types::Error::Unsupported(detail) => plain(FaultKind::Unsupported, detail),
        types::Error::Internal(detail) => plain(FaultKind::Internal, detail),
        types::Error::RateLimited(throttle) => Fault {
            kind: FaultKind::RateLimited,
            message: clean(&throttle.message, MESSAGE_BYTES),
            pointer: None,
            retry_after: throttle
                .retry_after_ms
                .map(|ms| Duration::from_millis(ms).min(RETRY_AFTER)),
        },
    }
}

pub(crate) fn connection(view: ConnectionView) -> types::Connection {
    types::Connection {
        id: view.id,
        config: view.config,
        account: view.account,
    }
}

pub(crate) fn account(found: auth::Account) -> Checked<Account> {
    text("the account's id", &found.id, VENDOR_BYTES)?;
    text("the account's name", &found.name, VENDOR_BYTES)?;
    at_most("scopes", found.scopes.len(), SOME)?;
    for scope in &found.scopes {
        text("a scope", scope, VENDOR_BYTES)?;
    }
    Ok(Account {
        id: found.id,
        name: found.name,
        scopes: found.scopes,
    })
}

pub(crate) fn redirect(found: auth::Redirect) -> Checked<Redirect> {
    text("the URL", &found.url, URL_BYTES)?;
    text("the state", &found.state, STATE_BYTES)?;
    Ok(Redirect {
        url: found.url,
        state: found.state,
    })
}

pub(crate) fn streams(found: Vec<sync::StreamInfo>) -> Checked<Vec<StreamInfo>> {
    at_most("streams", found.len(), SOME)?;
    let stream = |found: sync::StreamInfo| {
        text("a stream's name", &found.name, NAME_BYTES)?;
        text("a stream's schema", &found.schema, SCHEMA_BYTES)?;
        at_most("parts of a primary key", found.primary_key.len(), 64)?;
        for part in &found.primary_key {
            text("a part of a primary key", part, NAME_BYTES)?;
        }
        Ok(StreamInfo {
            name: found.name,
            schema: found.schema,
            primary_key: found.primary_key,
            cursor_version: found.cursor_version,
        })
    };
    found.into_iter().map(stream).collect()
}

pub(crate) fn partitions(found: Vec<String>) -> Checked<Vec<String>> {
    at_most("partitions", found.len(), MANY)?;
    for partition in &found {
        id("a partition", partition)?;
    }
    Ok(found)
}

pub(crate) fn read_request(request: ReadRequest) -> sync::ReadRequest {
    sync::ReadRequest {
        stream_name: request.stream,
        partition: request.partition,
        cursor: request.cursor,
        window: request.window.map(|window| sync::Window {
            start: window.start.as_millis(),
            end: window.end.as_millis(),
        }),
        page_hint: request.page_hint,
    }
}

fn item(found: sync::Item) -> Checked<Item> {
    record_id(&found.id)?;
    Ok(Item {
        id: found.id,
        data: found.data,
        modified: time(found.modified),
    })
}

fn change(found: sync::Change) -> Checked<Change> {
    match found {
        sync::Change::Upsert(found) => item(found).map(Change::Upsert),
        sync::Change::Delete(found) => {
            record_id(&found)?;
            Ok(Change::Delete(found))
        }
    }
}

pub(crate) fn cursor(found: Option<String>) -> Checked<Option<String>> {
    if let Some(cursor) = &found {
        text("the cursor", cursor, MAX_CURSOR_BYTES)?;
    }
    Ok(found)
}

pub(crate) fn page(found: sync::Page) -> Checked<Page> {
    at_most("changes of a page", found.changes.len(), MANY)?;
    Ok(Page {
        changes: found.changes.into_iter().map(change).collect::<Checked<_>>()?,
        cursor: cursor(found.cursor)?,
        more: found.more,
        total_hint: found.total_hint,
    })
}

pub(crate) fn pending_write(write: PendingWrite) -> sync::PendingWrite {
    let op = match write.op {
        WriteOp::Create(data) => sync::WriteOp::Create(data),
        WriteOp::Update(item) => sync::WriteOp::Update(sync::Item {
            id: item.id,
            data: item.data,
            modified: item.modified.map(Timestamp::as_millis),
        }),
        WriteOp::Delete(id) => sync::WriteOp::Delete(id),
    };
    sync::PendingWrite {
        op,
        idempotency_key: write.idempotency_key,
        expect_revision: write.expect_revision,
    }
}

pub(crate) fn write_outcomes(found: Vec<sync::WriteOutcome>, writes: usize) -> Checked<Vec<WriteOutcome>> {
    if found.len() != writes {
        return Err(Bad(format!("{} outcomes of {writes} writes", found.len())));
    }
    let outcome = |found| {
        Ok(match found {
            sync::WriteOutcome::Done(found) => WriteOutcome::Done(item(found)?),
            sync::WriteOutcome::Conflict(found) => WriteOutcome::Conflict(found.map(item).transpose()?),
            sync::WriteOutcome::Failed(error) => WriteOutcome::Failed(fault(error)),
        })
    };
    found.into_iter().map(outcome).collect()
}

pub(crate) fn registration(found: webhook::Registration) -> Checked<Registration> {
    text("the registration's id", &found.id, VENDOR_BYTES)?;
    text("the registration's state", &found.state, STATE_BYTES)?;
    Ok(Registration {
        id: found.id,
        expires: time(found.expires),
        state: found.state,
    })
}

pub(crate) fn given_registration(registration: Registration) -> webhook::Registration {
    webhook::Registration {
        id: registration.id,
        expires: registration.expires.map(Timestamp::as_millis),
        state: registration.state,
    }
}

pub(crate) fn receipt(receipt: Receipt) -> webhook::Receipt {
    webhook::Receipt {
        id: receipt.id,
        webhook: receipt.webhook,
        received: receipt.received.as_millis(),
        method: receipt.method,
        query: receipt.query,
        headers: receipt.headers,
        body: receipt.body,
    }
}

pub(crate) fn routes(found: Vec<String>) -> Checked<Vec<String>> {
    at_most("accounts of a receipt", found.len(), SOME)?;
    for account in &found {
        text("an account's id", account, VENDOR_BYTES)?;
    }
    Ok(found)
}

pub(crate) fn handled(found: webhook::Handled) -> Checked<Handled> {
    at_most("events of a receipt", found.events.len(), MANY)?;
    at_most("changes of a receipt", found.changes.len(), MANY)?;
    at_most("streams to sync", found.resync.len(), SOME)?;
    let event = |found: webhook::Event| {
        text("an event's kind", &found.kind, NAME_BYTES)?;
        id("an event's id", &found.id)?;
        Ok(Event {
            kind: found.kind,
            id: found.id,
            occurred: time(found.occurred),
            data: found.data,
        })
    };
    let named = |(stream, found): (String, sync::Change)| {
        text("a stream's name", &stream, NAME_BYTES)?;
        Ok((stream, change(found)?))
    };
    for stream in &found.resync {
        text("a stream's name", stream, NAME_BYTES)?;
    }
    Ok(Handled {
        events: found.events.into_iter().map(event).collect::<Checked<_>>()?,
        changes: found.changes.into_iter().map(named).collect::<Checked<_>>()?,
        resync: found.resync,
        reply: found.reply.map(reply).transpose()?,
    })
}

fn reply(found: webhook::Reply) -> Checked<Reply> {
    at_most("bytes of the reply", found.body.len(), REPLY_BYTES)?;
    text("the reply's content type", &found.content_type, NAME_BYTES)?;
    if found.content_type.chars().any(char::is_control) {
        return Err(Bad("the reply's content type has control characters".into()));
    }
    if !(200..600).contains(&found.status) {
        return Err(Bad(format!("the reply's status is {}", found.status)));
    }
    Ok(Reply {
        status: found.status,
        content_type: found.content_type,
        body: found.body,
    })
}

pub(crate) fn actions(found: Vec<actions::ActionInfo>) -> Checked<Vec<ActionInfo>> {
    at_most("actions", found.len(), SOME)?;
    let action = |found: actions::ActionInfo| {
        text("an action's name", &found.name, NAME_BYTES)?;
        text("an action's title", &found.title, VENDOR_BYTES)?;
        text("an action's input schema", &found.input, SCHEMA_BYTES)?;
        text("an action's output schema", &found.output, SCHEMA_BYTES)?;
        Ok(ActionInfo {
            name: found.name,
            title: found.title,
            input: found.input,
            output: found.output,
        })
    };
    found.into_iter().map(action).collect()
}
