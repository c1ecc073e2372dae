//! The way of a receipt from the disk to what it means: the connector is asked, its answer is checked as a whole, and
//! events, record changes, storage writes and the receipt's new state are one commit.

use std::collections::HashMap;

use sluice_model::event::NewEvent;
use sluice_model::fault::Fault;
use sluice_model::id::ReceiptId;
use sluice_model::manifest::Webhook;
use sluice_model::record::Change;
use sluice_model::run::{Mode, Trigger};
use sluice_runtime::{CallError, Effects, Handled, Reply};
use sluice_store::receipt::{ReceiptFailure, ReceiptOutcome};
use sluice_store::record::Quarantined;
use tokio_util::sync::CancellationToken;

use super::LeasedReceipt;
use super::guest::Came;
use crate::call::{self, Callee};
use crate::problem::Problem;
use crate::schema::Schema;
use crate::sync::Order;
use crate::sync::rules::{Fate, Rules};
use crate::{Service, connection, sync};

/// Codes that handling itself can set a receipt aside with; a guest's and a call's are theirs.
pub const CODES: &[&str] = &[
    "webhook.undeclared_event",
    "webhook.bad_event",
    "webhook.bad_change",
    "webhook.unhandled",
    "webhook.coding",
];

/// Why handling gave nothing to commit.
struct Failure {
    problem: Problem,
    /// Whether the same receipt may be handled later without anybody acting.
    passes: bool,
    /// How long the vendor asked to be left alone.
    after: Option<std::time::Duration>,
}

/// Handles a leased receipt and writes down what came of it. An error is the store's; a lost lease ends the work
/// quietly, for somebody else has it.
pub(crate) async fn drive(
    service: &Service,
    leased: LeasedReceipt,
    shutdown: &CancellationToken,
) -> Result<(), sluice_store::Error> {
    let (org, id, fencing) = (leased.org, leased.receipt.id, leased.fencing);
    let mut effects = Effects::default();
    let written = match handle(service, &leased, &mut effects, shutdown).await {
        Ok((outcome, resync, reply)) => match service.store().finish_receipt(org, id, fencing, outcome).await
        {
            Ok(counts) => {
                service.metrics().receipts_handled.add(1);
                service.metrics().records_quarantined.add(counts.quarantined);
                service.replies().give(id, reply);
                queue_resync(service, &leased, &resync).await;
                return Ok(());
            }
            Err(sluice_store::Error::Fenced { .. }) => Ok(()),
            Err(error) if error.is_refusal() => {
                let failure = Failure {
                    passes: error.passes(),
                    problem: Problem::new(error.code(), error),
                    after: None,
                };
                fail(service, &leased, failure, effects).await
            }
            Err(error) => Err(error),
        },
        Err(failure) => fail(service, &leased, failure, effects).await,
    };
    service.replies().give(id, None);
    match written {
        Err(sluice_store::Error::Fenced { .. }) => Ok(()),
        other => other,
    }
}

async fn handle(
    service: &Service,
    leased: &LeasedReceipt,
    effects: &mut Effects,
    shutdown: &CancellationToken,
) -> Result<(ReceiptOutcome, Vec<String>, Option<Reply>), Failure> {
    let (connection, install) = (leased.receipt.connection, leased.receipt.install);
    let read = match install {
        Some(install) => Callee::by(service, leased.org, connection, install).await,
        None => Callee::read(service, leased.org, connection).await,
    };
    let callee = read.map_err(|error| Failure {
        passes: false,
        problem: Problem::new(error.code(), error),
        after: None,
    })?;
    if !callee.connection.state.serves() {
        let problem = Problem::new(
            "webhook.unhandled",
            format!("the connection is {}", callee.connection.state.name()),
        );
        return Err(Failure {
            problem,
            passes: true,
            after: Some(UNTIL_ACTIVE),
        });
    }
    let Some(webhook) = webhook_of(service, leased, &callee).await else {
        let problem = Problem::new(
            "webhook.unhandled",
            "the connector no longer declares this webhook",
        );
        return Err(Failure {
            problem,
            passes: false,
            after: None,
        });
    };
    let prepared = callee.call(service, shutdown.child_token()).await;
    let call = prepared.map_err(|error| Failure {
        passes: false,
        problem: Problem::new(error.code(), error),
        after: None,
    })?;
    let request = &leased.request;
    let came = Came {
        id: leased.receipt.id.to_string(),
        webhook: &webhook.name,
        received: leased.receipt.received,
        method: &request.method,
        query: &request.query,
        headers: &request.headers,
        body: &request.body,
    };
    let received = came.receipt(service.settings().hook_body_bytes);
    let received = received.map_err(|problem| Failure {
        problem,
        passes: false,
        after: None,
    })?;
    let outcome = service.runtime().handle(call, received).await;
    call::observe(service, "handle", &callee, &outcome);
    *effects = outcome.effects;
    let handled = match outcome.result {
        Ok(Ok(handled)) => handled,
        Ok(Err(fault)) => return Err(of_fault(service, leased, &fault).await),
        Err(error) => return Err(of_call(&error)),
    };
    check(&callee, webhook, &handled).map_err(|problem| Failure {
        problem,
        passes: false,
        after: None,
    })?;
    let connector = &callee.known.manifest.id;
    let events = handled
        .events
        .into_iter()
        .map(|event| NewEvent {
            id: service.new_id(),
            kind: format!("{connector}.{}", event.kind),
            subject: leased.receipt.connection.to_string(),
            source_id: Some(event.id),
            occurred: event.occurred,
            data: event.data,
        })
        .collect();
    let sifted = sift(service, &callee, handled.changes).await;
    let (changes, quarantined) = sifted.map_err(|problem| Failure {
        problem,
        passes: true,
        after: None,
    })?;
    let outcome = ReceiptOutcome {
        events,
        changes,
        quarantined,
        storage: callee.writes(service, effects),
        logs: call::logs(service, effects),
        exchanges: std::mem::take(&mut effects.exchanges),
        now: service.now(),
    };
    let reply = handled.reply.filter(|_| webhook.reply);
    Ok((outcome, handled.resync, reply))
}

/// How long a receipt of a connection that is paused or broken waits before it is looked at again.
const UNTIL_ACTIVE: std::time::Duration = std::time::Duration::from_secs(300);

async fn webhook_of<'a>(
    service: &Service,
    leased: &LeasedReceipt,
    callee: &'a Callee,
) -> Option<&'a Webhook> {
    let hook = service
        .store()
        .get_hook(leased.org, leased.receipt.hook)
        .await
        .ok()
        .flatten();
    let webhooks = &callee.known.manifest.webhooks;
    // A removed hook's receipts are still handled; with a single webhook there is no doubt which it was.
    match hook {
        Some(hook) => webhooks.iter().find(|webhook| webhook.name == hook.webhook),
        None => webhooks.first().filter(|_| webhooks.len() == 1),
    }
}

/// Whether the answer is about what the manifest declares. A receipt has one effect: where it is not, none of it is kept.
fn check(callee: &Callee, webhook: &Webhook, handled: &Handled) -> Result<(), Problem> {
    for event in &handled.events {
        let Some(schema) = callee.known.event(&webhook.name, &event.kind) else {
            let text = format!("the manifest does not declare events of kind `{}`", event.kind);
            return Err(Problem::new("webhook.undeclared_event", text));
        };
        if let Err(reason) = fits(schema, &event.data) {
            let text = format!("event `{}` of kind `{}` {reason}", event.id, event.kind);
            return Err(Problem::new("webhook.bad_event", text));
        }
    }
    for (stream, _) in &handled.changes {
        if callee.streams.get(stream).is_none() {
            let text = format!("there is no stream `{stream}`");
            return Err(Problem::new("webhook.bad_change", text));
        }
    }
    Ok(())
}

/// Whether data are what the catalogue promises of them.
fn fits(schema: Option<&Schema>, data: &str) -> Result<(), String> {
    match schema {
        Some(schema) => schema
            .check_text(data)
            .map_err(|violation| format!("breaks its schema at {violation}")),
        None => serde_json::from_str::<serde::de::IgnoredAny>(data)
            .map(drop)
            .map_err(|error| format!("is not JSON: {error}")),
    }
}

type OfStream<T> = Vec<(String, T)>;

/// The changes that may be committed, and the records that are set aside with the reason. What happened at the vendor
/// happened, so neither its event nor the other records wait for one that is bad.
pub(crate) async fn sift(
    service: &Service,
    callee: &Callee,
    changes: OfStream<Change>,
) -> Result<(OfStream<Change>, OfStream<Quarantined>), Problem> {
    let (org, connection) = (callee.org, callee.connection.id);
    let (mut good, mut bad) = (Vec::with_capacity(changes.len()), Vec::new());
    let mut rules: HashMap<String, Option<Rules>> = HashMap::new();
    for (stream, change) in changes {
        if !rules.contains_key(&stream) {
            let found = Rules::read(service, callee, &stream).await?;
            rules.insert(stream.clone(), found);
        }
        let mut rules = rules.get_mut(&stream).and_then(Option::as_mut);
        let judge = |data: &str| match &mut rules {
            Some(rules) => match rules.judge(service, (org, connection), data) {
                // There is no run that could stop.
                Fate::Frozen(frozen) => Fate::refused(frozen),
                fate => fate,
            },
            None => Fate::AsItIs,
        };
        let checked = sync::page::check(callee.streams.schema(&stream), vec![change], judge)
            .map_err(|frozen| Problem::new(frozen.code(), frozen))?;
        good.extend(checked.changes.into_iter().map(|change| (stream.clone(), change)));
        bad.extend(
            checked
                .refused
                .into_iter()
                .map(|refused| (stream.clone(), Quarantined::from(refused))),
        );
    }
    Ok((good, bad))
}

/// `issues.*` declares `issues` and everything below it.
#[must_use]
pub fn declares(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix(".*") {
        Some(head) => kind
            .strip_prefix(head)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
        None => pattern == kind,
    }
}

async fn of_fault(service: &Service, leased: &LeasedReceipt, fault: &Fault) -> Failure {
    if let Err(error) = connection::degrade(service, leased.org, leased.receipt.connection, fault).await {
        tracing::warn!(receipt = %leased.receipt.id, code = error.code(), %error, "its connection was not changed");
    }
    let needs_a_person = connection::state_after(fault).is_some();
    Failure {
        problem: Problem::new(fault.kind.code(), fault),
        // What a person mends at the connection makes the receipt good again.
        passes: fault.kind.passes() || needs_a_person,
        after: fault.retry_after,
    }
}

fn of_call(error: &CallError) -> Failure {
    Failure {
        problem: Problem::new(error.code(), error),
        passes: error.passes(),
        after: None,
    }
}

async fn fail(
    service: &Service,
    leased: &LeasedReceipt,
    failure: Failure,
    mut effects: Effects,
) -> Result<(), sluice_store::Error> {
    let now = service.now();
    let schedule = &service.settings().receipt_retry;
    let wait = match failure.passes {
        true => schedule.wait(leased.failures + 1, service.jitter(), failure.after),
        false => None,
    };
    let metrics = service.metrics();
    let counter = if wait.is_some() {
        &metrics.receipts_failed
    } else {
        &metrics.receipts_dead
    };
    counter.add(1);
    let id: ReceiptId = leased.receipt.id;
    let Problem { code, message } = failure.problem;
    tracing::warn!(receipt = %id, code, message, dead = wait.is_none(), "a receipt was not handled");
    let failure = ReceiptFailure {
        next: wait.map(|wait| now.after(wait)),
        code,
        message,
        logs: call::logs(service, &mut effects),
        exchanges: effects.exchanges,
    };
    service
        .store()
        .fail_receipt(leased.org, id, leased.fencing, failure)
        .await
        .map(drop)
}

/// Streams that the connector wants read because the receipt tells less than the API. One that is only read whole is read whole.
async fn queue_resync(service: &Service, leased: &LeasedReceipt, streams: &[String]) {
    for stream in streams {
        let start = |mode| {
            let order = Order {
                streams: vec![stream.clone()],
                mode,
                window: None,
                trigger: Trigger::Hook,
            };
            sync::start(service, leased.org, leased.receipt.connection, order)
        };
        let started = match start(Mode::Incremental).await {
            Err(sync::Error::Mode { .. }) => start(Mode::Full).await,
            started => started,
        };
        if let Err(error) = started {
            tracing::warn!(receipt = %leased.receipt.id, stream, code = error.code(), %error, "not synced again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_family_has_its_members_and_no_others() {
        let check =
            |pattern, kind, expected| assert_eq!(declares(pattern, kind), expected, "{pattern} {kind}");
        check("issues.*", "issues.opened", true);
        check("issues.*", "issues", true);
        check("issues.*", "issues_x.opened", false);
        check("issues", "issues", true);
        check("issues", "issues.opened", false);
        check("ping", "pong", false);
    }
}
