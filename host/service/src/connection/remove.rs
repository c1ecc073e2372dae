//! The end of a connection: its grant is given back, it is gone for every reader and worker at once, and what it held goes
//! with it or, if its owner says so, its records stay.
//!
//! What must always hold: no vendor keeps a connection from being removed, and what is removed does not come back. Its id
//! leads to the records that were kept, and to nothing else.

use serde_json::json;
use sluice_model::id::{ConnectionId, OrgId};
pub use sluice_store::connection::{Data, Tombstone};

use super::{Connection, Error, get};
use crate::auth::{self, GivenBack};
use crate::page::{Listed, Page};
use crate::problem::Problem;
use crate::{Service, event, hooks};

/// How a removal went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Whether its records can still be read, under its id.
    pub data_kept: bool,
    /// Whether the vendor has taken a grant back. Not all offer it, and keys that a person gave are theirs.
    pub vendor_told: bool,
    /// Why a grant that should have been given back was not.
    pub problem: Option<Problem>,
}

/// Removes the connection and what belongs to it: credentials, storage, hooks, receipts, runs; with [`Data::Delete`] its
/// records and cursors too. The vendor is told first, for ten seconds at most of its webhooks, and for as long of its grant. Goes on without its caller.
///
/// What was kept of one that is removed already is deleted by its id and [`Data::Delete`].
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn remove(service: &Service, org: OrgId, id: ConnectionId, data: Data) -> Result<Removed, Error> {
    let connection = match get(service, org, &id.to_string()).await {
        Err(Error::Missing(_)) if data == Data::Delete => return forget(service, org, id).await,
        other => other?,
    };
    let service = service.clone();
    // Between the vendor's answer and the commit nobody cuts it off: a grant that is given back has no connection.
    let work = tokio::spawn(async move { end(&service, org, connection, data).await });
    match work.await {
        Ok(ended) => ended,
        Err(_) => Err(sluice_store::Error::Broken("remove the connection").into()),
    }
}

async fn end(service: &Service, org: OrgId, connection: Connection, data: Data) -> Result<Removed, Error> {
    let id = connection.id;
    // With the credential, as long as there is one.
    let of_hooks = hooks::farewell(service, org, id).await;
    let GivenBack { told, problem } = auth::give_back(service, org, id).await;
    let problem = problem.or(of_hooks);
    service
        .store()
        .remove_connection(org, id, data, service.now())
        .await?;
    service.credentials().forget(id);
    service.known_hooks().forget(id);
    let removed = Removed {
        data_kept: data == Data::Keep,
        vendor_told: told,
        problem,
    };
    event::platform(service, org, "sluice.connection.removed", id, || {
        let problem = removed.problem.as_ref();
        json!({"connector": connection.connector, "name": connection.name, "data_kept": removed.data_kept,
               "vendor_told": told, "code": problem.map(|problem| &problem.code),
               "message": problem.map(|problem| &problem.message)})
    })
    .await?;
    Ok(removed)
}

/// Deletes what was kept.
async fn forget(service: &Service, org: OrgId, id: ConnectionId) -> Result<Removed, Error> {
    let found = service.store().get_tombstone(org, id).await?;
    let found = found.filter(|found| found.data_kept);
    let found = found.ok_or_else(|| Error::Missing(id.to_string()))?;
    service
        .store()
        .remove_connection(org, id, Data::Delete, service.now())
        .await?;
    event::platform(
        service,
        org,
        "sluice.connection.data_deleted",
        id,
        || json!({"connector": found.connector, "name": found.name}),
    )
    .await?;
    Ok(Removed {
        data_kept: false,
        vendor_told: false,
        problem: None,
    })
}

/// Whose records are meant: a connection by its id or name, or one that is removed and whose records were kept, by its id.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Ambiguous`].
pub async fn holder(service: &Service, org: OrgId, which: &str) -> Result<ConnectionId, Error> {
    let missing = match get(service, org, which).await {
        Ok(connection) => return Ok(connection.id),
        Err(error @ Error::Missing(_)) => error,
        Err(error) => return Err(error),
    };
    let Ok(id) = which.parse::<ConnectionId>() else {
        return Err(missing);
    };
    let found = service.store().get_tombstone(org, id).await?;
    found
        .filter(|found| found.data_kept)
        .map_or(Err(missing), |_| Ok(id))
}

/// The connections that were removed, by id.
///
/// # Errors
///
/// If the database does not answer.
pub async fn removed(service: &Service, org: OrgId, page: &Page) -> Result<Listed<Tombstone>, Error> {
    let wanted = sluice_store::Page {
        after: page.after.as_deref().and_then(|after| after.parse().ok()),
        limit: page.bounded(),
    };
    let found = service.store().list_tombstones(org, wanted).await?;
    Ok(Listed {
        items: found.items,
        next: found.next.map(|id| id.to_string()),
    })
}
