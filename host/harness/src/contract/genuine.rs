//! Whether a webhook is the vendor's: the manifest's recipe and its questions, tried on what a case has, with a secret of our own.

use sluice_model::Timestamp;
use sluice_model::manifest::Webhook;
use sluice_model::secret::Secret;
use sluice_model::signature::{Admitted, Recipe, Request, SignatureError, admit};
use sluice_runtime::Receipt;

use super::Verdict;
use crate::play::Play;
use crate::rehearsal::Rehearsal;

/// What the secret of the rehearsal is made of.
const OURS: [u8; 32] = [7; 32];
/// And that of somebody else.
const ANOTHERS: [u8; 32] = [8; 32];
/// The address that the vendor is told; recipes that sign it have it.
const ADDRESS: &str = "https://hooks.example/in/hok_0";

/// What was tried: with the vendor's own signature, or, where only the vendor can make one, without.
enum Tried {
    Signed,
    Unsigned,
}

pub(super) fn verified(rehearsal: &Rehearsal, play: &Play) -> Verdict {
    let (mut signed, mut unsigned, mut open) = (0, 0, None);
    for ((receipt, _), hook) in play.hooks.iter().zip(&rehearsal.case.hooks) {
        let Some(webhook) = crate::hook::webhook(&rehearsal.manifest, hook) else {
            continue;
        };
        if let Recipe::Unsigned { reason } = &webhook.recipe {
            open = Some(reason);
            continue;
        }
        match tried(webhook, receipt, rehearsal.now) {
            Ok(Tried::Signed) => signed += 1,
            Ok(Tried::Unsigned) => unsigned += 1,
            Err(wrong) => return Verdict::failed("hooks_verified", format!("{}: {wrong}", hook.name)),
        }
    }
    match (signed + unsigned, open) {
        (0, Some(reason)) => Verdict::skipped("hooks_verified", format!("nothing signs it: {reason}")),
        (0, None) => Verdict::skipped("hooks_verified", "no webhooks to try it on"),
        _ => Verdict::passed(
            "hooks_verified",
            format!("{signed} webhooks signed as the vendor does, {unsigned} that only the vendor can sign"),
        ),
    }
}

/// Tries it as the vendor sends it, and as others do.
fn tried(webhook: &Webhook, receipt: &Receipt, now: Timestamp) -> Result<Tried, &'static str> {
    let recipe = &webhook.recipe;
    let [ours, anothers] = [OURS, ANOTHERS].map(|random| secret(recipe, &random));
    let signature = recipe.sign(&request(receipt, &receipt.headers, &receipt.body), &ours, now);
    let is_signature = |name: &str| signature.iter().any(|(own, _)| own == name);
    let mut without = receipt.headers.clone();
    without.retain(|(name, _)| !is_signature(name));
    let with = [without.clone(), signature.clone()].concat();
    let judge = |headers: &[(String, String)], body: &[u8], secret: &Secret| {
        let (secrets, request) = (std::slice::from_ref(secret), request(receipt, headers, body));
        admit(&webhook.challenges, recipe, &request, secrets, None, now)
    };
    let is_taken = |judged: Result<Admitted, SignatureError>| matches!(judged, Ok(Admitted::Webhook(_)));

    if matches!(judge(&without, &receipt.body, &ours), Ok(Admitted::Challenge(_))) {
        return Err("one of its `challenges` takes it for a question, and it never comes to the code");
    }
    if is_taken(judge(&without, &receipt.body, &ours)) {
        return Err("it is taken without a signature");
    }
    // What the vendor alone can sign, or signs with a time that stands in the body, is refused from us as from anybody.
    if signature.is_empty() || !is_taken(judge(&with, &receipt.body, &ours)) {
        return Ok(Tried::Unsigned);
    }
    if is_taken(judge(&with, &receipt.body, &anothers)) {
        return Err("it is taken with a signature under another secret");
    }
    let mut changed = receipt.body.clone();
    changed.push(b' ');
    if recipe.covers_body() && is_taken(judge(&with, &changed, &ours)) {
        return Err("it is taken with another body under the same signature");
    }
    Ok(Tried::Signed)
}

fn request<'r>(receipt: &'r Receipt, headers: &'r [(String, String)], body: &'r [u8]) -> Request<'r> {
    Request {
        method: &receipt.method,
        url: ADDRESS,
        headers,
        body,
    }
}

/// A secret of the recipe's kind; one that has an id or a user has it before a colon.
fn secret(recipe: &Recipe, random: &[u8; 32]) -> Secret {
    let made = recipe.make_secret(random);
    match recipe {
        Recipe::Basic => Secret::new([b"sluice:", made.expose()].concat()),
        _ => made,
    }
}
