//! A webhook of a case: which of the manifest's it is, how it comes in, and whom it concerns.

use std::collections::BTreeMap;

use sluice_model::manifest::{AccountBy, Manifest, Webhook};
use sluice_runtime::Receipt;

use crate::case::{Hook, Place};
use crate::error::Error;
use crate::rehearsal::{Answered, Rehearsal};

/// The webhook of the manifest that one of a case is.
pub(crate) fn webhook<'a>(manifest: &'a Manifest, hook: &Hook) -> Option<&'a Webhook> {
    match &hook.webhook {
        Some(name) => manifest.webhook(name),
        None => manifest.webhooks.first(),
    }
}

/// The connector is asked whom it concerns, where the manifest has its code say so.
pub(crate) async fn route(
    rehearsal: &Rehearsal,
    hook: &Hook,
    receipt: &Receipt,
) -> Option<Answered<Vec<String>>> {
    let by = webhook(&rehearsal.manifest, hook)?.account.as_ref()?;
    if *by != AccountBy::Code {
        return None;
    }
    let receipt = Receipt {
        id: String::new(),
        ..receipt.clone()
    };
    let outcome = rehearsal.runtime.route(rehearsal.call_of_nobody(), receipt).await;
    Some(rehearsal.take(&mut rehearsal.session(), outcome))
}

/// It as it comes in.
pub(crate) fn receipt(rehearsal: &Rehearsal, place: &Place, hook: &Hook) -> Result<Receipt, Error> {
    let pairs = |map: &BTreeMap<String, String>| map.clone().into_iter().collect();
    let headers = hook
        .headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.clone()));
    Ok(Receipt {
        id: "rcp_00000000000000000000000000".to_owned(),
        webhook: webhook(&rehearsal.manifest, hook)
            .map(|webhook| webhook.name.clone())
            .unwrap_or_default(),
        received: rehearsal.now,
        method: "POST".to_owned(),
        query: pairs(&hook.query),
        headers: headers.collect(),
        body: place.body(hook)?,
    })
}
