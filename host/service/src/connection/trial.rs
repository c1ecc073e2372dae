//! What a version means for every connection of its connector, before it is put in force for any: each is upgraded without being
//! changed, its cursors are handed to the version's own code, and what came of it is told.

use sluice_model::id::{ConnectionId, OrgId};
use sluice_store::cursor::Cursor;
use tokio_util::sync::CancellationToken;

use super::{Connection, Error, To, Upgrade, upgrade};
use crate::approval::Actor;
use crate::call::{self, Callee};
use crate::page::{Listed, Page};
use crate::problem::Problem;
use crate::{Service, install};

/// One connection with the version.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    pub connection: ConnectionId,
    pub name: String,
    /// What it means, or why it would stay where it is.
    pub upgrade: Result<Upgrade, Problem>,
}

/// A cursor that the version's code was asked to carry over.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    pub stream: String,
    /// None: the stream's own.
    pub partition: Option<String>,
    /// Whether it is; otherwise the stream is read from its beginning.
    pub carried: bool,
    /// Why the code gave no answer.
    pub problem: Option<Problem>,
}

/// Tries an install on the connections of its connector that use another one, a page of connections at a time. Nothing is written.
///
/// # Errors
///
/// If there is no such install, or the database does not answer.
pub async fn trial(service: &Service, org: OrgId, to: &str, page: &Page) -> Result<Listed<Trial>, Error> {
    let to = install::get(service, org, to).await.map_err(Box::new)?;
    let found = super::list(service, org, page).await?;
    let install = to.id.to_string();
    let mut items = Vec::new();
    for connection in found.items {
        if connection.connector != to.connector || connection.install == to.id {
            continue;
        }
        let wanted = To {
            install: Some(&install),
            dry_run: true,
            actor: &Actor::host(),
        };
        let meant = match upgrade(service, org, connection.id, wanted).await {
            Err(Error::Store(error @ sluice_store::Error::Failed { .. })) => return Err(error.into()),
            other => other.map_err(|error| Problem::new(error.code(), &error)),
        };
        items.push(Trial {
            connection: connection.id,
            name: connection.name,
            upgrade: meant,
        });
    }
    Ok(Listed {
        items,
        next: found.next,
    })
}

/// Partitions of one stream whose cursors are handed over; those of more are like them.
const MAX_PARTITIONS: usize = 32;

/// Hands the cursors of each stream, its own and its partitions', to the code of the connection's install, as the next run does.
pub(super) async fn cursors(
    service: &Service,
    org: OrgId,
    connection: Connection,
    streams: &[String],
) -> Result<Vec<Carried>, Error> {
    let id = connection.id;
    let callee = Callee::of(service, org, connection).await;
    let mut all = Vec::new();
    for stream in streams {
        let store = service.store();
        let own = store.cursor(org, id, stream, None).await?;
        let partitions = store.partition_cursors(org, id, stream, MAX_PARTITIONS).await?;
        let partitions = partitions.into_iter().map(|(name, kept)| (Some(name), kept));
        for (partition, kept) in own.map(|kept| (None, kept)).into_iter().chain(partitions) {
            let carried = match &callee {
                Ok(callee) => carried(service, callee, stream, kept).await,
                Err(error) => Err(Problem::new(error.code(), error)),
            };
            all.push(Carried {
                stream: stream.clone(),
                partition,
                carried: carried == Ok(true),
                problem: carried.err(),
            });
        }
    }
    Ok(all)
}

/// Whether the code carries the cursor over; or why it gave no answer.
async fn carried(service: &Service, callee: &Callee, stream: &str, kept: Cursor) -> Result<bool, Problem> {
    let call = callee.call(service, CancellationToken::new()).await;
    let call = call.map_err(|error| Problem::new(error.code(), error))?;
    let outcome = service
        .runtime()
        .migrate_cursor(call, stream.to_owned(), kept.version, kept.text)
        .await;
    call::observe(service, "migrate-cursor", callee, &outcome);
    match outcome.result {
        Ok(Ok(cursor)) => Ok(cursor.is_some()),
        Ok(Err(fault)) => Err(Problem::new(fault.kind.code(), fault)),
        Err(error) => Err(Problem::new(error.code(), error)),
    }
}
