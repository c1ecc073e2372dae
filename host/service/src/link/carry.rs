//! One turn of a link: writes whose outcome is not known, then what changed on each side.

use std::time::Duration;

use serde_json::json;
use sluice_model::id::OrgId;
use sluice_model::schedule::Schedule;
use sluice_store::link::{Link, Side};
use sluice_store::run::RunError;
use tokio_util::sync::CancellationToken;

use super::pairing::Work;
use super::ways::Ways;
use super::writing::Batch;
use super::{Direction, Error, LinkSettings};
use crate::call::Callee;
use crate::problem::Problem;
use crate::{Service, event, write};

/// Steps before others have their turn.
const TURN: usize = 100;
/// Waits between tries; there is no last one.
const RETRY: Schedule = Schedule {
    first: Duration::from_secs(5),
    factor: 3.0,
    max: Duration::from_secs(900),
    tries: u32::MAX,
};

/// Works on a leased link until both sides are dealt with, its turn is over, or something fails. An error is the store's.
pub(crate) async fn drive(
    service: &Service,
    (org, link): (OrgId, Link),
    stop: &CancellationToken,
) -> Result<(), sluice_store::Error> {
    let store = service.store();
    let failed = match turn(service, org, &link, stop).await {
        Ok(()) => None,
        Err(Failed::Store(error)) => return ended(error),
        Err(Failed::Problem(problem, after)) => {
            tracing::warn!(link = %link.id, code = problem.code, message = problem.message, "a link failed");
            let wait = RETRY.wait(link.turn.failures.saturating_add(1), service.jitter(), after);
            let error = RunError {
                code: problem.code,
                message: problem.message,
            };
            Some((error, service.now().after(wait.unwrap_or(RETRY.max))))
        }
    };
    let released = store
        .release_link(org, link.id, link.turn.fencing, failed, service.now())
        .await;
    let now = match released {
        Ok(now) => now,
        Err(error) => return ended(error),
    };
    let turned = match (&link.turn.error, &now.turn.error) {
        (None, Some(error)) => Some(("sluice.link.failing", Some(error.code.clone()))),
        (Some(_), None) => Some(("sluice.link.recovered", None)),
        _ => None,
    };
    if let Some((kind, code)) = turned {
        let body = || json!({"name": link.name, "code": code});
        event::platform(service, org, kind, link.id, body).await?;
    }
    if now.conflicts > link.conflicts {
        let body = || json!({"name": link.name, "conflicts": now.conflicts});
        event::platform(service, org, "sluice.link.conflict", link.id, body).await?;
    }
    Ok(())
}

/// A link that is gone or another's is not ours to end.
fn ended(error: sluice_store::Error) -> Result<(), sluice_store::Error> {
    match error {
        sluice_store::Error::Fenced { .. } | sluice_store::Error::Missing { .. } => Ok(()),
        error => Err(error),
    }
}

/// Why a turn ended early.
pub(super) enum Failed {
    Store(sluice_store::Error),
    /// What to say, and how long the vendor asked to be left alone.
    Problem(Problem, Option<Duration>),
}

impl From<sluice_store::Error> for Failed {
    fn from(error: sluice_store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => Self::Store(error),
            error => Self::Problem(Problem::new(error.code(), error), None),
        }
    }
}

impl From<write::Error> for Failed {
    fn from(error: write::Error) -> Self {
        match error {
            write::Error::Store(error) if !error.is_refusal() => Self::Store(error),
            write::Error::Fault(fault) => {
                Self::Problem(Problem::new(fault.kind.code(), &fault), fault.retry_after)
            }
            error => Self::Problem(Problem::new(error.code(), error), None),
        }
    }
}

async fn turn(service: &Service, org: OrgId, link: &Link, stop: &CancellationToken) -> Result<(), Failed> {
    let settings = LinkSettings::read_kept(link)?;
    let ways = Ways::compile(&settings)?;
    let salt = ways.salt(service, org).await?;
    let callee = async |side: Side| {
        let callee = Callee::read(service, org, link.end(side).connection)
            .await
            .map_err(Error::from)?;
        if callee.connection.state.serves() {
            return Ok(callee);
        }
        let what = format!(
            "the connection `{}` is {}",
            callee.connection.name,
            callee.connection.state.name()
        );
        Err(Failed::Problem(Problem::new("connection.state", what), None))
    };
    let work = Work {
        service,
        org,
        link,
        both: settings.direction == Direction::BothWays,
        settings,
        ways,
        salt,
        source: callee(Side::Source).await?,
        target: callee(Side::Target).await?,
        stop,
    };
    let mut batch = Batch::default();
    work.settle(&mut batch).await?;
    let mut left = TURN;
    for side in [Side::Source, Side::Target] {
        let mut at = link.at(side);
        while left > 0 && !stop.is_cancelled() {
            left -= 1;
            match work.step(side, at).await? {
                Some(through) => at = through,
                None => break,
            }
            work.settle(&mut batch).await?;
        }
    }
    Ok(())
}
