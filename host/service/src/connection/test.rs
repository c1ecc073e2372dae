//! The test of a connection: the configuration, the credential, and the vendor's word on whose account it is.

use std::time::{Duration, Instant};

use sluice_model::connection::ConnectionState;
use sluice_model::exchange::Exchange;
use sluice_model::id::{ConnectionId, OrgId};
use tokio_util::sync::CancellationToken;

use super::state::{News, settle, state_after};
use super::{Account, Error};
use crate::Service;
use crate::call::{self, Callee};
use crate::problem::Problem;

/// What a test found.
#[derive(Debug, Clone)]
pub struct TestReport {
    pub ok: bool,
    pub account: Option<Account>,
    /// In the order in which they were taken; the first that failed is the last.
    pub steps: Vec<Step>,
    /// What was asked of the vendor.
    pub exchanges: Vec<Exchange>,
}

/// One thing that a test looked at.
#[derive(Debug, Clone)]
pub struct Step {
    /// `configuration`, `credential`, `vendor`, `account`.
    pub name: &'static str,
    pub ok: bool,
    pub took: Duration,
    pub problem: Option<Problem>,
}

/// Asks the vendor who the connection belongs to. A good answer makes it active; a bad one says who has to act. A
/// paused connection stays paused.
///
/// # Errors
///
/// If the connection is gone or the database does not answer: what the test itself finds is in the report.
pub async fn test(service: &Service, org: OrgId, id: ConnectionId) -> Result<TestReport, Error> {
    let mut report = TestReport {
        ok: false,
        account: None,
        steps: Vec::new(),
        exchanges: Vec::new(),
    };
    let started = Instant::now();
    let callee = match Callee::read(service, org, id).await {
        Ok(callee) => callee,
        Err(call::Error::Connection(error)) => return Err(error),
        Err(call::Error::Catalogue(error)) => return Err(error.into()),
        Err(error @ call::Error::Expand(_)) => {
            report.steps.push(Step::failed(
                "configuration",
                started,
                Problem::new(error.code(), error),
            ));
            return Ok(report);
        }
    };
    if let Err(violation) = callee.known.config.check(&callee.connection.config) {
        report.steps.push(Step::failed(
            "configuration",
            started,
            Problem::new("connection.config", violation),
        ));
        return Ok(report);
    }
    report.steps.push(Step::passed("configuration", started));
    if let Some(scheme) = &callee.connection.auth {
        let started = Instant::now();
        if service.store().get_credential(org, id, scheme).await?.is_none() {
            let problem = Problem::new(
                "secret.missing",
                format!("the connection has no secret for `{scheme}`"),
            );
            report.steps.push(Step::failed("credential", started, problem));
            settle(
                service,
                org,
                id,
                News::default(),
                Some((ConnectionState::NeedsReauth, last_problem(&report))),
            )
            .await?;
            return Ok(report);
        }
        report.steps.push(Step::passed("credential", started));
    }
    let started = Instant::now();
    let call = match callee.call(service, CancellationToken::new()).await {
        Ok(call) => call,
        Err(error) => {
            report
                .steps
                .push(Step::failed("vendor", started, Problem::new(error.code(), error)));
            return Ok(report);
        }
    };
    let outcome = service.runtime().check(call).await;
    call::observe(service, "check", &callee, &outcome);
    report.exchanges = outcome.effects.exchanges;
    match outcome.result {
        Ok(Ok(account)) => {
            let account = Account {
                id: account.id,
                name: account.name,
                scopes: account.scopes,
            };
            report.steps.push(Step::passed("account", started));
            report.account = Some(account.clone());
            report.ok = true;
            settle(
                service,
                org,
                id,
                News {
                    account: Some(account),
                    ..News::default()
                },
                Some((ConnectionState::Active, None)),
            )
            .await?;
        }
        Ok(Err(fault)) => {
            report.steps.push(Step::failed(
                "account",
                started,
                Problem::new(fault.kind.code(), &fault),
            ));
            if let Some(state) = state_after(&fault) {
                settle(
                    service,
                    org,
                    id,
                    News::default(),
                    Some((state, last_problem(&report))),
                )
                .await?;
            }
        }
        Err(error) => report.steps.push(Step::failed(
            "account",
            started,
            Problem::new(error.code(), error),
        )),
    }
    Ok(report)
}

fn last_problem(report: &TestReport) -> Option<Problem> {
    report.steps.last().and_then(|step| step.problem.clone())
}

impl Step {
    fn passed(name: &'static str, since: Instant) -> Self {
        Self {
            name,
            ok: true,
            took: since.elapsed(),
            problem: None,
        }
    }

    fn failed(name: &'static str, since: Instant, problem: Problem) -> Self {
        Self {
            name,
            ok: false,
            took: since.elapsed(),
            problem: Some(problem),
        }
    }
}
