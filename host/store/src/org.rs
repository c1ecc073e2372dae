//! Organizations: the tenants. The keys of each are in `org_key`.

use ring::rand::{SecureRandom, SystemRandom};
use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::seal::{OrgKey, SealError};

use crate::api_key::ApiKey;
use crate::key::{Key, Parts, Span};
use crate::row::{cap_name, corrupt, from_json, utf8};
use crate::sweep::STEP_ROWS;
use crate::table::{OF_ORG, Rows, Table, Writer};
use crate::{Error, Store, org_key};

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Org {
    pub id: OrgId,
    pub name: String,
    pub created: Timestamp,
}

impl Store {
    /// The organization of this name; made, with a fresh key, if there is none.
    pub async fn ensure_org(&self, name: &str, now: Timestamp) -> Result<OrgId, Error> {
        cap_name("an organization's name", name)?;
        let by_name = Key::empty().tail(name);
        if let Some(org) = self.read_now(|rows| rows.get_id(Table::OrgNames, &by_name))? {
            return Ok(org);
        }
        let mut random = [0; 10];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| Error::Seal(SealError::Random))?;
        let org = OrgId::new(now, random);
        let wrapped = org_key::first(self.keyring(), org)?;
        let name = name.to_owned();
        self.write(name.len(), move |rows| {
            if let Some(org) = rows.get_id(Table::OrgNames, &by_name)? {
                return Ok(org);
            }
            rows.put(
                Table::Orgs,
                &Key::org(org),
                &[&now.as_millis().to_be_bytes(), name.as_bytes()],
            )?;
            rows.put(Table::OrgNames, &by_name, &[org.as_bytes()])?;
            org_key::put_wrapped(rows, org, OrgKey::FIRST, &wrapped)?;
            Ok(org)
        })
        .await
    }

    /// An organization by id.
    pub async fn get_org(&self, org: OrgId) -> Result<Option<Org>, Error> {
        self.read_now(|rows| rows.look(Table::Orgs, &Key::org(org), |content| read(org, content)))
    }

    /// Every organization, oldest first. At most 100,000.
    pub async fn list_orgs(&self) -> Result<Vec<Org>, Error> {
        self.read(|rows| {
            rows.collect(Table::Orgs, &Span::all(), false, MAX_ORGS, |key, content| {
                let org = Parts::new(key)
                    .id()
                    .ok_or_else(|| corrupt(Table::Orgs, "a key is too short"))?;
                read(org, content).map(Some)
            })
        })
        .await
    }

    /// Destroys every version of the organization's key in the first commit (nothing it sealed can be opened from then on), then its
    /// rows in bounded steps. Interrupted, [`Store::sweep`] goes on with it.
    pub async fn delete_org(&self, org: OrgId) -> Result<(), Error> {
        self.write(64, move |rows| {
            let found = rows.look(Table::Orgs, &Key::org(org), |content| read(org, content))?;
            let found = found.ok_or(Error::Missing {
                what: "the organization",
            })?;
            org_key::destroy(rows, org)?;
            rows.delete(Table::Orgs, &Key::org(org))?;
            rows.delete(Table::OrgNames, &Key::empty().tail(&found.name))?;
            rows.put(Table::Removals, &Key::org(org).id(WHOLE_ORG), &[])
        })
        .await?;
        while self.write_bulk(64, move |rows| remove_step(rows, org)).await? {}
        Ok(())
    }
}

/// More organizations than one process serves.
const MAX_ORGS: usize = 100_000;

/// In the place of a connection: the removal is of the whole organization.
pub(crate) const WHOLE_ORG: ConnectionId = ConnectionId::from_bytes([0; 16]);

/// Refuses work for an organization that is gone.
pub(crate) fn require(rows: &mut impl Rows, org: OrgId) -> Result<(), Error> {
    if rows.has(Table::Orgs, &Key::org(org))? {
        Ok(())
    } else {
        Err(Error::Missing {
            what: "the organization",
        })
    }
}

/// Deletes up to [`STEP_ROWS`] rows of a deleted organization. Whether there are more.
pub(crate) fn remove_step(rows: &mut Writer<'_>, org: OrgId) -> Result<bool, Error> {
    let mut budget = STEP_ROWS;
    let of_org = Key::org(org);
    // What others find by hash or hook id alone goes before what says that it is there.
    let keys = rows.collect(
        Table::ApiKeys,
        &Span::prefix(&of_org),
        false,
        budget,
        |_, content| from_json::<ApiKey>(Table::ApiKeys, content).map(|key| Some(key.hash)),
    )?;
    for hash in keys {
        rows.delete(Table::ApiKeyHashes, &Key::empty().hash(&hash))?;
    }
    let hooks = rows.collect(Table::Hooks, &Span::prefix(&of_org), false, budget, |key, _| {
        Ok(Parts::new(key.get(16..).unwrap_or_default()).id::<sluice_model::id::kind::Hook>())
    })?;
    for hook in hooks {
        rows.delete(Table::HookOrgs, &Key::empty().id(hook))?;
    }
    for table in OF_ORG {
        rows.delete_prefix(table, &of_org, &mut budget)?;
        if budget == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read(id: OrgId, content: &[u8]) -> Result<Org, Error> {
    let short = || corrupt(Table::Orgs, "a row is truncated");
    let (created, name) = content.split_first_chunk::<8>().ok_or_else(short)?;
    let created = Timestamp::from_millis(u64::from_be_bytes(*created));
    Ok(Org {
        id,
        name: utf8(Table::Orgs, name)?,
        created,
    })
}
