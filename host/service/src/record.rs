//! Reading the data back: records as they are now, the change feed, and what was set aside.

use sluice_model::id::{ConnectionId, OrgId};
pub use sluice_store::history::Version;
pub use sluice_store::record::{ChangeRow, Op, Quarantined, Record, StreamCount};

use crate::Service;
use crate::page::{Listed, Page};

/// A stream's records in the order of their ids.
///
/// # Errors
///
/// If the database does not answer.
pub async fn list(
    service: &Service,
    org: OrgId,
    connection: ConnectionId,
    stream: &str,
    page: &Page,
) -> Result<Listed<Record>, sluice_store::Error> {
    let wanted = sluice_store::Page {
        after: page.after.clone(),
        limit: page.bounded(),
    };
    let found = service
        .store()
        .list_records(org, connection, stream, wanted)
        .await?;
    Ok(Listed {
        items: found.items,
        next: found.next,
    })
}

/// One record.
///
/// # Errors
///
/// If the database does not answer.
pub async fn get(
    service: &Service,
    org: OrgId,
    connection: ConnectionId,
    stream: &str,
    id: &str,
) -> Result<Option<Record>, sluice_store::Error> {
    service.store().get_record(org, connection, stream, id).await
}

/// The versions of a record that are still kept, the latest first.
///
/// # Errors
///
/// If the database does not answer.
pub async fn history(
    service: &Service,
    org: OrgId,
    connection: ConnectionId,
    (stream, id): (&str, &str),
    limit: u32,
) -> Result<Vec<Version>, sluice_store::Error> {
    let limit = Page { after: None, limit }.bounded();
    service.store().history(org, connection, stream, id, limit).await
}

/// Makes a record again what it was as version `seq`.
///
/// # Errors
///
/// `store.missing` if it has no such version (any more).
pub async fn restore(
    service: &Service,
    org: OrgId,
    connection: ConnectionId,
    (stream, id): (&str, &str),
    seq: u64,
) -> Result<(), sluice_store::Error> {
    let (store, now) = (service.store(), service.now());
    store.restore_record(org, connection, stream, id, seq, now).await
}

/// The change feed of a connection after number `after`, at most `limit`; with `stream` only that stream's.
///
/// # Errors
///
/// If the database does not answer.
pub async fn changes(
    service: &Service,
    org: OrgId,
    connection: ConnectionId,
    stream: Option<&str>,
    after: u64,
    limit: u32,
) -> Result<Vec<ChangeRow>, sluice_store::Error> {
    let limit = Page { after: None, limit }.bounded();
    service
        .store()
        .changes(org, connection, stream, after, limit)
        .await
}

/// How many records each stream has.
///
/// # Errors
///
/// If the database does not answer.
pub async fn counts(
    service: &Service,
    org: OrgId,
    connection: ConnectionId,
) -> Result<Vec<StreamCount>, sluice_store::Error> {
    service.store().counts(org, connection).await
}
