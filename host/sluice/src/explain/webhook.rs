//! Inbound webhooks: SLU-5xxx.

use super::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        5001,
        "webhook.signature_missing",
        401,
        "the webhook carries no signature",
        "The header that the vendor signs with is missing or has another form than the manifest's recipe says.",
        "set the hook's secret at the vendor",
    ),
    entry(
        5002,
        "webhook.signature",
        401,
        "the webhook's signature is wrong",
        "It was signed with another secret, or its body was changed on the way.",
        "set the same secret at the vendor and here",
    ),
    entry(
        5003,
        "webhook.timestamp",
        401,
        "the webhook is too old or from the future",
        "The signed time is further from this machine's than the recipe tolerates.",
        "check this machine's clock",
    ),
    entry(
        5004,
        "webhook.secret",
        500,
        "the hook's secret cannot be used",
        "The secret does not have the form that the vendor's recipe needs.",
        "set the hook's secret anew",
    ),
];
