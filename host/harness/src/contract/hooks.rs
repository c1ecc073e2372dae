//! Webhooks: what one means is declared; vendors deliver one twice, and a server that was cut off handles one twice.

use serde_json::{Value, json};
use sluice_model::Timestamp;
use sluice_model::manifest::{Dedupe, Manifest, Webhook};
use sluice_model::record::{Change, MAX_ID_BYTES};
use sluice_runtime::{Handled, Receipt};
use sluice_service::hooks::declares;
use sluice_service::schema::Schema;

use super::Verdict;
use crate::hook::{route, webhook};
use crate::play::{Play, of_handled};
use crate::rehearsal::{Answered, Rehearsal, Session};

/// How much later a vendor delivers one again.
const AGAIN_MS: u64 = 60_000;

/// The connector is asked what it means.
pub(super) async fn put(
    rehearsal: &Rehearsal,
    session: &mut Session,
    receipt: &Receipt,
) -> Answered<Handled> {
    let call = rehearsal.call(session);
    let outcome = rehearsal.runtime.handle(call, receipt.clone()).await;
    rehearsal.take(session, outcome)
}

pub(super) fn fit(rehearsal: &Rehearsal, play: &Play) -> Verdict {
    let mut looked_at = 0;
    for ((_, handled), hook) in play.hooks.iter().zip(&rehearsal.case.hooks) {
        let Some(webhook) = webhook(&rehearsal.manifest, hook) else {
            let wrong = format!("{}: the manifest has no such webhook", hook.name);
            return Verdict::failed("hooks_fit", wrong);
        };
        let Ok(handled) = handled else { continue };
        looked_at += 1;
        if let Err(wrong) = declared(&rehearsal.manifest, webhook, handled) {
            return Verdict::failed("hooks_fit", format!("{}: {wrong}", hook.name));
        }
    }
    Verdict::over("hooks_fit", looked_at, "webhooks", None)
}

/// Whether it is about what the manifest declares, as the host checks it before it keeps anything.
pub(super) fn declared(manifest: &Manifest, webhook: &Webhook, handled: &Handled) -> Result<(), String> {
    for event in &handled.events {
        let mut kinds = webhook.events.iter();
        let Some(kind) = kinds.find(|declared| declares(&declared.kind, &event.kind)) else {
            return Err(format!(
                "the manifest does not declare events of kind `{}`",
                event.kind
            ));
        };
        if event.id.is_empty() {
            return Err(format!("an event of kind `{}` has no id", event.kind));
        }
        let Some(schema) = &kind.schema else {
            serde_json::from_str::<Value>(&event.data)
                .map_err(|error| format!("event `{}` is not JSON: {error}", event.id))?;
            continue;
        };
        let schema = Schema::compile(&kind.kind, schema).map_err(|error| error.to_string())?;
        let checked = schema.check_text(&event.data);
        checked.map_err(|violation| format!("event `{}` of kind `{}`: {violation}", event.id, event.kind))?;
    }
    let known = |stream: &str| manifest.stream(stream).is_some() || manifest.discovered.is_some();
    if let Some(stream) = handled.resync.iter().find(|stream| !known(stream)) {
        return Err(format!(
            "it wants `{stream}` read again, and there is no such stream"
        ));
    }
    for (stream, change) in &handled.changes {
        if !known(stream) {
            return Err(format!("it changes `{stream}`, and there is no such stream"));
        }
        let id = change.id();
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(format!("{stream}: an id of {} bytes", id.len()));
        }
        let (Some(stream), Change::Upsert(item)) = (manifest.stream(stream), change) else {
            continue;
        };
        let schema = Schema::compile(&stream.name, &stream.schema).map_err(|error| error.to_string())?;
        let checked = schema.check_text(&item.data);
        checked.map_err(|violation| format!("{}: record {id}: {violation}", stream.name))?;
    }
    match handled.reply.is_some() && !webhook.reply {
        true => Err("it answers the vendor, and the manifest does not say that it does (`reply`)".to_owned()),
        false => Ok(()),
    }
}

pub(super) async fn repeat(rehearsal: &Rehearsal, play: &Play) -> Verdict {
    for ((receipt, _), hook) in play.hooks.iter().zip(&rehearsal.case.hooks) {
        let mut session = rehearsal.session();
        let first = put(rehearsal, &mut session, receipt).await.result;
        let second = put(rehearsal, &mut session, receipt).await.result;
        let told = |result: &Result<Handled, _>| match result {
            Ok(handled) => of_handled(handled),
            Err(problem) => crate::rehearsal::Problem::value(problem),
        };
        if told(&first) != told(&second) {
            let wrong = format!("{}: it means something else the second time", hook.name);
            return Verdict::failed("hooks_repeat", wrong);
        }
        let (one, two) = (
            route(rehearsal, hook, receipt).await,
            route(rehearsal, hook, receipt).await,
        );
        let accounts = |routed: Option<Answered<Vec<String>>>| routed.and_then(|routed| routed.result.ok());
        if accounts(one) != accounts(two) {
            let wrong = format!("{}: it concerns others the second time", hook.name);
            return Verdict::failed("hooks_repeat", wrong);
        }
        // Where nothing tells deliveries apart, what the vendor delivers again is another receipt, at another time.
        let told_apart = webhook(&rehearsal.manifest, hook).is_none_or(|hook| hook.dedupe != Dedupe::Nothing);
        if told_apart {
            continue;
        }
        let later = receipt.received.as_millis().saturating_add(AGAIN_MS);
        let again = Receipt {
            id: "rcp_00000000000000000000000001".to_owned(),
            received: Timestamp::from_millis(later),
            ..receipt.clone()
        };
        let mut session = rehearsal.session();
        let again = put(rehearsal, &mut session, &again).await.result;
        if first.as_ref().ok().map(ids) != again.as_ref().ok().map(ids) {
            let wrong = format!(
                "{}: delivered again, its events or records have other ids",
                hook.name
            );
            return Verdict::failed("hooks_repeat", wrong);
        }
    }
    Verdict::over("hooks_repeat", play.hooks.len(), "webhooks", None)
}

/// What it is about: by this a subscriber knows an event again.
fn ids(handled: &Handled) -> Value {
    let events: Vec<_> = handled
        .events
        .iter()
        .map(|event| json!([event.kind, event.id]))
        .collect();
    let changes: Vec<_> = handled
        .changes
        .iter()
        .map(|(stream, change)| json!([stream, change.id()]))
        .collect();
    json!([events, changes])
}
