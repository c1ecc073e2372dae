//! What a version means for every connection of its connector, before it is put in force for any: each is upgraded without being
//! changed, its cursors are handed to the version's own code, and what came of it is told.

use sluice_model::id::{ConnectionId, OrgId};
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

/// Hands each stream's own cursor to the code of the connection's install, as the next run does; those of partitions are like it.
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
        let Some(kept) = service.store().cursor(org, id, stream, None).await? else {
            continue;
        };
        let mut told = Carried {
            stream: stream.clone(),
            carried: false,
            problem: None,
        };
        let prepared = match &callee {
            Ok(callee) => callee.call(service, CancellationToken::new()).await,
            Err(error) => {
                told.problem = Some(Problem::new(error.code(), error));
                all.push(told);
                continue;
            }
        };
        match prepared {
            Err(error) => told.problem = Some(Problem::new(error.code(), error)),
            Ok(call) => {
                let runtime = service.runtime();
                let outcome = runtime
                    .migrate_cursor(call, stream.clone(), kept.version, kept.text)
                    .await;
                if let Ok(callee) = &callee {
                    call::observe(service, "migrate-cursor", callee, &outcome);
                }
                match outcome.result {
                    Ok(Ok(cursor)) => told.carried = cursor.is_some(),
                    Ok(Err(fault)) => told.problem = Some(Problem::new(fault.kind.code(), fault)),
                    Err(error) => told.problem = Some(Problem::new(error.code(), error)),
                }
            }
        }
        all.push(told);
    }
    Ok(all)
}
