//! The test of a connection: the configuration, the credential, and the vendor's word on whose account it is.

use std::time::{Duration, Instant};

use sluice_model::auth::Obtain;
use sluice_model::connection::ConnectionState;
use sluice_model::exchange::Exchange;
use sluice_model::fault::Fault;
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::manifest::Stream;
use sluice_runtime::{CallError, Effects, ReadRequest};
use tokio_util::sync::CancellationToken;

use super::state::{News, settle, state_after};
use super::{Account, Error};
use crate::Service;
use crate::call::{self, Callee};
use crate::problem::Problem;
use crate::sync::discover;

/// What a test found.
#[derive(Debug, Clone)]
pub struct TestReport {
    pub ok: bool,
    pub account: Option<Account>,
    /// In the order in which they were taken. What cannot go on after a failure is not taken.
    pub steps: Vec<Step>,
    /// What was asked of the vendor.
    pub exchanges: Vec<Exchange>,
}

/// One thing that a test looked at.
#[derive(Debug, Clone)]
pub struct Step {
    /// `configuration`, `credential`, `vendor`, `account`, `scopes`, `records`, `streams`.
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
            scopes(service, &callee, &mut report).await?;
            let state = records(service, &callee, &mut report).await;
            streams(service, &callee, &mut report).await;
            report.ok = report.steps.iter().all(|step| step.ok);
            let news = News {
                account: Some(account),
                ..News::default()
            };
            let state = match state {
                Some(state) => (state, last_problem(&report)),
                None => (ConnectionState::Active, None),
            };
            settle(service, org, id, news, Some(state)).await?;
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

/// Whether the credential was given what the connector asks for. A person may have allowed less on purpose, so the
/// connection serves either way.
async fn scopes(service: &Service, callee: &Callee, report: &mut TestReport) -> Result<(), Error> {
    let scheme = callee
        .connection
        .auth
        .as_deref()
        .and_then(|name| callee.known.manifest.auth(name));
    let Some(Obtain::OAuth2(recipe)) = scheme.map(|scheme| &scheme.obtain) else {
        return Ok(());
    };
    let started = Instant::now();
    let given = super::credential(service, callee.org, &callee.connection).await?;
    let given = given.map(|credential| credential.life.scopes).unwrap_or_default();
    let missing: Vec<_> = recipe
        .scopes
        .iter()
        .filter(|scope| !given.contains(scope))
        .map(String::as_str)
        .collect();
    report.steps.push(if given.is_empty() || missing.is_empty() {
        Step::passed("scopes", started)
    } else {
        let words = format!("not given: {}", missing.join(", "));
        Step::failed("scopes", started, Problem::new("auth.scope", words))
    });
    Ok(())
}

/// Reads a few records of the first stream and keeps none of them. Answers the state that a fault puts the connection in.
async fn records(service: &Service, callee: &Callee, report: &mut TestReport) -> Option<ConnectionState> {
    let stream = callee.known.manifest.streams.first()?;
    let started = Instant::now();
    let (step, state) = match page(service, callee, stream, &mut report.exchanges).await {
        Ok(()) => (Step::passed("records", started), None),
        Err(Failed { problem, state }) => (Step::failed("records", started, problem), state),
    };
    report.steps.push(step);
    state
}

/// A stream's first page as a run would begin with it: of its first partition, where it is read in parts. Where it has none there is
/// nothing to be read.
async fn page(
    service: &Service,
    callee: &Callee,
    stream: &Stream,
    exchanges: &mut Vec<Exchange>,
) -> Result<(), Failed> {
    let mut partition = None;
    if stream.partitioned {
        let call = callee.call(service, CancellationToken::new()).await?;
        let outcome = service.runtime().partitions(call, stream.name.clone()).await;
        call::observe(service, "partitions", callee, &outcome);
        exchanges.extend(outcome.effects.exchanges);
        partition = outcome.result??.into_iter().min();
        if partition.is_none() {
            return Ok(());
        }
    }
    let call = callee.call(service, CancellationToken::new()).await?;
    let request = ReadRequest {
        stream: stream.name.clone(),
        partition,
        page_hint: 5,
        ..ReadRequest::default()
    };
    let outcome = service.runtime().read(call, request).await;
    call::observe(service, "read", callee, &outcome);
    exchanges.extend(outcome.effects.exchanges);
    outcome.result??;
    Ok(())
}

/// Why there is no page, and what that makes of the connection.
struct Failed {
    problem: Problem,
    state: Option<ConnectionState>,
}

impl From<call::Error> for Failed {
    fn from(error: call::Error) -> Self {
        Self {
            problem: Problem::new(error.code(), error),
            state: None,
        }
    }
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        Self {
            problem: Problem::new(error.code(), error),
            state: None,
        }
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self {
            problem: Problem::new(fault.kind.code(), &fault),
            state: state_after(&fault),
        }
    }
}

/// Asks which streams the account has, where the connector says that there may be some of its own.
async fn streams(service: &Service, callee: &Callee, report: &mut TestReport) {
    if callee.known.manifest.discovered.is_none() {
        return;
    }
    let started = Instant::now();
    let mut effects = Effects::default();
    let asked = discover::of(service, callee, CancellationToken::new(), &mut effects).await;
    report.exchanges.extend(effects.exchanges);
    report.steps.push(match asked {
        Ok(_) => Step::passed("streams", started),
        Err(error) => Step::failed("streams", started, Problem::new(error.code(), error)),
    });
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
