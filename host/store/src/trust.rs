//! Whom an organization believes, and what it remembers of names and indexes that it has seen: texts that mean nothing here.
//! They outlive installs, so that removing a connector is no way back to an old version of it.

use sluice_model::id::OrgId;

use crate::key::{Key, Parts, Span};
use crate::org::require;
use crate::row::{cap, cap_name, from_json};
use crate::table::{Rows, Table, Writer};
use crate::{Error, Listing, Page, Store};

/// A text and how often it has changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Kept {
    /// The service's; JSON text, empty where nothing was kept.
    pub text: String,
    /// Goes up by one with every change; 0 where nothing was kept.
    pub revision: u64,
}

/// What is remembered of a name from now on, if it is still what was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    pub name: String,
    /// The revision that was read.
    pub expected: u64,
    pub text: String,
}

/// More text is refused.
const MAX_TEXT_BYTES: usize = 2 << 20;

/// More names than one process serves.
const MAX_NAMES: usize = 100_000;

/// The rows of names; indexes have the other mark.
const NAMES: u8 = 0;
const INDEXES: u8 = 1;

impl Store {
    /// The organization's policy.
    pub async fn trust_policy(&self, org: OrgId) -> Result<Kept, Error> {
        self.read_now(|rows| {
            let kept = rows.get_json(Table::TrustPolicies, &Key::org(org))?;
            Ok(kept.unwrap_or_default())
        })
    }

    /// Sets the policy, if it is still at this revision, and answers the new one. [`Error::Revision`], [`Error::TooLarge`].
    pub async fn set_trust_policy(&self, org: OrgId, expected: u64, text: String) -> Result<u64, Error> {
        cap("a trust policy", text.len(), MAX_TEXT_BYTES)?;
        self.write(text.len(), move |rows| {
            require(rows, org)?;
            let key = Key::org(org);
            let found: Kept = rows.get_json(Table::TrustPolicies, &key)?.unwrap_or_default();
            if found.revision != expected {
                return Err(Error::Revision {
                    what: "the trust policy",
                    expected,
                    found: found.revision,
                });
            }
            let revision = found.revision + 1;
            rows.put_json(Table::TrustPolicies, &key, &Kept { text, revision })?;
            Ok(revision)
        })
        .await
    }

    /// What is remembered of a connector's name.
    pub async fn remembered(&self, org: OrgId, name: &str) -> Result<Kept, Error> {
        self.read_now(|rows| {
            let kept = rows.get_json(Table::TrustMarks, &key(org, NAMES, name))?;
            Ok(kept.unwrap_or_default())
        })
    }

    /// What is remembered, by name.
    pub async fn list_remembered(
        &self,
        org: OrgId,
        page: Page<String>,
    ) -> Result<Listing<(String, Kept), String>, Error> {
        self.read(move |rows| {
            let (of_org, limit) = (Key::org(org).mark(NAMES), page.limit());
            let mut span = Span::prefix(&of_org);
            if let Some(after) = page.after {
                span = span.after(of_org.tail(after));
            }
            let found = rows.collect(Table::TrustMarks, &span, false, limit + 1, |key, content| {
                let kept: Kept = from_json(Table::TrustMarks, content)?;
                Ok(name(key).map(|name| (name, kept)))
            })?;
            Ok(Listing::cut(found, limit, |(name, _)| name.clone()))
        })
        .await
    }

    /// Every name that something is remembered of.
    pub async fn remembered_names(&self, org: OrgId) -> Result<Vec<String>, Error> {
        self.read(move |rows| {
            let span = Span::prefix(&Key::org(org).mark(NAMES));
            rows.collect(Table::TrustMarks, &span, false, MAX_NAMES, |key, _| Ok(name(key)))
        })
        .await
    }

    /// Forgets a name. [`Error::Missing`] if nothing is remembered of it.
    pub async fn forget_remembered(&self, org: OrgId, name: &str) -> Result<(), Error> {
        let key = key(org, NAMES, name);
        self.write(64, move |rows| {
            if !rows.has(Table::TrustMarks, &key)? {
                return Err(Error::Missing { what: "the name" });
            }
            rows.delete(Table::TrustMarks, &key)
        })
        .await
    }

    /// What is remembered of the indexes that this key signed.
    pub async fn index_mark(&self, org: OrgId, signer: &str) -> Result<Kept, Error> {
        self.read_now(|rows| {
            let kept = rows.get_json(Table::TrustMarks, &key(org, INDEXES, signer))?;
            Ok(kept.unwrap_or_default())
        })
    }

    /// Remembers an index, if what was remembered is still at this revision. [`Error::Revision`], [`Error::TooLarge`].
    pub async fn set_index_mark(&self, org: OrgId, memory: Memory) -> Result<(), Error> {
        self.write(256, move |rows| remember(rows, org, INDEXES, memory))
            .await
    }
}

/// Writes what goes with an install, in its commit.
pub(crate) fn remember_name(rows: &mut Writer<'_>, org: OrgId, memory: Memory) -> Result<(), Error> {
    remember(rows, org, NAMES, memory)
}

fn remember(rows: &mut Writer<'_>, org: OrgId, mark: u8, memory: Memory) -> Result<(), Error> {
    cap_name("a name", &memory.name)?;
    cap("what is remembered of a name", memory.text.len(), MAX_TEXT_BYTES)?;
    let key = key(org, mark, &memory.name);
    let found: Kept = rows.get_json(Table::TrustMarks, &key)?.unwrap_or_default();
    if found.revision != memory.expected {
        return Err(Error::Revision {
            what: "what is remembered of the name",
            expected: memory.expected,
            found: found.revision,
        });
    }
    let kept = Kept {
        text: memory.text,
        revision: found.revision + 1,
    };
    rows.put_json(Table::TrustMarks, &key, &kept)
}

fn key(org: OrgId, mark: u8, name: &str) -> Key {
    Key::org(org).mark(mark).tail(name)
}

/// The name in a key: after the organization and the mark.
fn name(key: &[u8]) -> Option<String> {
    Parts::new(key.get(17..).unwrap_or_default())
        .tail_text()
        .map(str::to_owned)
}
