//! What of an install's rights was used, a row for each day: what advice about narrower grants is made of.

use std::collections::BTreeSet;

use sluice_model::grant::Used;
use sluice_model::id::{InstallId, OrgId};

use crate::install::require_install;
use crate::key::{Key, Parts, Span};
use crate::row::from_json;
use crate::table::{Rows, Table};
use crate::{Error, Store};

/// What was used.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    pub used: Used,
    /// Names of credentials that were applied.
    #[serde(default)]
    pub credentials: BTreeSet<String>,
    /// Calls of the connector's code.
    #[serde(default)]
    pub calls: u64,
    /// Bytes of files that were downloaded, kept or not.
    #[serde(default)]
    pub file_bytes: u64,
}

/// Days that are kept.
pub const KEPT_DAYS: u64 = 400;

/// Credentials that are noted; a manifest has fewer.
const MAX_CREDENTIALS: usize = 200;

impl Usage {
    /// Adds what else was used.
    pub fn add(&mut self, other: Self) {
        self.used.add(other.used);
        self.credentials.extend(other.credentials);
        while self.credentials.len() > MAX_CREDENTIALS {
            self.credentials.pop_last();
        }
        self.calls = self.calls.saturating_add(other.calls);
        self.file_bytes = self.file_bytes.saturating_add(other.file_bytes);
    }
}

impl Store {
    /// Adds to what was used on this day (counted from the epoch). [`Error::Missing`] if the install is gone.
    pub async fn note_usage(
        &self,
        org: OrgId,
        install: InstallId,
        day: u64,
        usage: Usage,
    ) -> Result<(), Error> {
        self.write(4096, move |rows| {
            require_install(rows, org, install)?;
            let key = Key::org(org).id(install).number(day);
            let known: Option<Usage> = rows.get_json(Table::Usage, &key)?;
            if known.is_none() {
                let of_install = Key::org(org).id(install);
                let first = rows.collect(Table::Usage, &Span::prefix(&of_install), false, 1, |key, _| {
                    Ok(Parts::new(key.get(of_install.bytes().len()..).unwrap_or_default()).number())
                })?;
                if let Some(first) = first.first().filter(|first| **first + KEPT_DAYS < day) {
                    rows.delete(Table::Usage, &of_install.number(*first))?;
                }
            }
            let mut all = known.unwrap_or_default();
            all.add(usage);
            rows.put_json(Table::Usage, &key, &all)
        })
        .await
    }

    /// What was used on each day from this one on.
    pub async fn usage(
        &self,
        org: OrgId,
        install: InstallId,
        from_day: u64,
    ) -> Result<Vec<(u64, Usage)>, Error> {
        self.read(move |rows| {
            let of_install = Key::org(org).id(install);
            let start = of_install.bytes().len();
            let span = Span::prefix(&of_install).from(of_install.number(from_day));
            let limit = usize::try_from(KEPT_DAYS).unwrap_or_default() + 1;
            rows.collect(Table::Usage, &span, false, limit, |key, content| {
                let day = Parts::new(key.get(start..).unwrap_or_default()).number();
                Ok(day.zip(Some(from_json(Table::Usage, content)?)))
            })
        })
        .await
    }
}
