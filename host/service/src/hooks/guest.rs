//! A webhook as the connector's code reads it: without the coding that it was sent in.

use sluice_model::Timestamp;
use sluice_runtime::Receipt;

use super::coding;
use crate::problem::Problem;

/// A webhook as it came, kept or not.
pub(super) struct Came<'a> {
    /// Of the receipt; empty where there is none.
    pub(super) id: String,
    /// Its name in the manifest.
    pub(super) webhook: &'a str,
    pub(super) received: Timestamp,
    pub(super) method: &'a str,
    /// Without the `?`.
    pub(super) query: &'a str,
    pub(super) headers: &'a [(String, String)],
    pub(super) body: &'a [u8],
}

impl Came<'_> {
    /// What the code is given; `webhook.coding` if more than `limit` bytes come out of the coding, or it is not understood.
    pub(super) fn receipt(self, limit: u64) -> Result<Receipt, Problem> {
        let body = coding::plain(self.headers, self.body, limit)
            .map_err(|unreadable| Problem::new("webhook.coding", unreadable))?;
        let mut headers = self.headers.to_vec();
        headers.retain(|(name, _)| name != "content-encoding" && name != "content-length");
        Ok(Receipt {
            id: self.id,
            webhook: self.webhook.to_owned(),
            received: self.received,
            method: self.method.to_owned(),
            query: pairs(self.query),
            headers,
            body: body.into_owned(),
        })
    }
}

/// A query as names and values, percent-decoding undone (WHATWG URL, application/x-www-form-urlencoded).
fn pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}
