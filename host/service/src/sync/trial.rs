//! A trial: the first records of a stream as they would be kept, and what was asked of the vendor for them. Nothing is kept,
//! not even what the connector would have put aside.

use sluice_model::exchange::Exchange;
use sluice_model::fault::Fault;
use sluice_model::id::OrgId;
use sluice_model::record::Change;
use sluice_runtime::{CallError, ReadRequest};
use tokio_util::sync::CancellationToken;

use super::page;
use super::rules::{Fate, Rules};
use crate::call::{self, Callee};
use crate::connection::Connection;
use crate::problem::Problem;
use crate::sync;
use crate::{Service, connection};

/// Records of one trial.
pub const MAX_RECORDS: usize = 100;

/// What a stream would bring.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What would be kept, after the stream's rules; `None`: it would be deleted or left out.
    pub records: Vec<(String, Option<String>)>,
    /// What would be set aside, and why.
    pub refused: Vec<(String, Problem)>,
    /// Records of the page beyond the number that was asked for.
    pub more: bool,
    pub exchanges: Vec<Exchange>,
}

/// Why a trial gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Sync(#[from] sync::Error),
    #[error(transparent)]
    Prepare(#[from] call::Error),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("{0}")]
    Fault(Fault),
    #[error("{}", .0.message)]
    Rules(Problem),
    #[error(transparent)]
    Connection(#[from] connection::Error),
}

impl Error {
    /// The stable code; all of them are others'.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Sync(error) => error.code(),
            Self::Prepare(error) => error.code(),
            Self::Call(error) => error.code(),
            Self::Fault(fault) => fault.kind.code(),
            Self::Rules(problem) => &problem.code,
            Self::Connection(error) => error.code(),
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Sync(error) => error.hint(),
            Self::Prepare(error) => error.hint(),
            Self::Call(error) => error.hint(),
            Self::Connection(error) => error.hint(),
            Self::Fault(_) | Self::Rules(_) => None,
        }
    }
}

/// Reads the first page of a stream, of its first partition where it has some, and says what would become of up to `limit`
/// records. Also of a connection that is not active yet.
///
/// # Errors
///
/// As the calls failed; an unknown stream.
pub async fn trial(
    service: &Service,
    org: OrgId,
    connection: Connection,
    (stream, limit): (&str, usize),
) -> Result<Trial, Error> {
    let limit = limit.clamp(1, MAX_RECORDS);
    let callee = Callee::of(service, org, connection).await?;
    let declared = super::declared(&callee.streams, stream)?;
    let mut exchanges = Vec::new();
    let mut partition = None;
    if declared.partitioned {
        let call = callee.call(service, CancellationToken::new()).await?;
        let outcome = service.runtime().partitions(call, stream.to_owned()).await;
        call::observe(service, "partitions", &callee, &outcome);
        exchanges.extend(outcome.effects.exchanges);
        let found = outcome.result?.map_err(Error::Fault)?;
        partition = found.into_iter().next();
        if partition.is_none() {
            // There is nothing to read: a reading without a partition is none that a sync would make.
            return Ok(Trial {
                records: Vec::new(),
                refused: Vec::new(),
                more: false,
                exchanges,
            });
        }
    }
    let request = ReadRequest {
        stream: stream.to_owned(),
        partition,
        cursor: None,
        window: None,
        page_hint: u32::try_from(limit).unwrap_or(1),
    };
    let call = callee.call(service, CancellationToken::new()).await?;
    let outcome = service.runtime().read(call, request).await;
    call::observe(service, "read", &callee, &outcome);
    exchanges.extend(outcome.effects.exchanges);
    let mut page = outcome.result?.map_err(Error::Fault)?;
    let more = page.more || page.changes.len() > limit;
    page.changes.truncate(limit);
    let mut rules = Rules::read(service, &callee, stream)
        .await
        .map_err(Error::Rules)?;
    let judge = |data: &str| match &mut rules {
        Some(rules) => match rules.judge(service, (org, callee.connection.id), data) {
            Fate::Frozen(frozen) => Fate::refused(frozen),
            fate => fate,
        },
        None => Fate::AsItIs,
    };
    let checked = page::check(callee.streams.schema(stream), page.changes, judge)
        .map_err(|frozen| Error::Rules(Problem::new(frozen.code(), frozen)))?;
    let records = checked.changes.into_iter().map(|change| match change {
        Change::Upsert(item) => (item.id, Some(item.data)),
        Change::Delete(id) => (id, None),
    });
    let refused = checked.refused.into_iter();
    Ok(Trial {
        records: records.collect(),
        refused: refused
            .map(|refused| (refused.id, Problem::new(refused.code, refused.reason)))
            .collect(),
        more,
        exchanges,
    })
}
