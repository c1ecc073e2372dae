//! `registration = { secret = … }`: a webhook that the connector sets up at the vendor.

use serde_json::Value;

use super::super::source::Node;
use super::super::{ManifestError, RegisteredSecret, Registration, capabilities};
use crate::grant::Grant;

/// The most origins that a secret is sent to.
const MAX_ORIGINS: usize = 8;

#[derive(Clone, Copy)]
enum Word {
    Apart,
    Sent,
    Given,
}

pub(super) fn read(node: &Node<'_>, config: &Value, grant: &Grant) -> Result<Registration, ManifestError> {
    let table = node.table(&["secret", "origins"])?;
    let words = [
        ("apart", Word::Apart),
        ("sent", Word::Sent),
        ("given", Word::Given),
    ];
    let word = table.need("secret")?.choice(&words)?;
    let secret = match (word, table.get("origins")) {
        (Word::Sent, _) => {
            let origins = table.need("origins")?.some(MAX_ORIGINS)?;
            let origins = origins
                .iter()
                .map(|node| capabilities::origin(node, config, grant));
            RegisteredSecret::Sent(origins.collect::<Result<_, _>>()?)
        }
        (_, Some(origins)) => return Err(origins.error("goes with a secret that is `sent`")),
        (Word::Apart, None) => RegisteredSecret::Apart,
        (Word::Given, None) => RegisteredSecret::Given,
    };
    Ok(Registration { secret })
}
