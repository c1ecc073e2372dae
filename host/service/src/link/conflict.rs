//! Conflicts: pairs that wait for a person, with both sides and what they agreed on last.

use serde::{Deserialize, Serialize};
use sluice_mapping::reconcile::Take;
use sluice_model::id::OrgId;
use sluice_store::link::{Pair, Side};

use super::pairing::Work;
use super::{Error, find};
use crate::Service;
use crate::page::{Listed, Page};
use crate::problem::Problem;

/// A pair that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Its number in the link.
    pub number: u64,
    pub source_id: Option<String>,
    pub target_id: Option<String>,
    /// The records as they are now, and as they were when both sides agreed; JSON texts.
    pub source: Option<String>,
    pub target: Option<String>,
    pub base_source: Option<String>,
    pub base_target: Option<String>,
    /// The members that both sides changed, by the target's names; empty where it is the whole record.
    pub fields: Vec<String>,
    pub reason: Problem,
}

/// The codes that a pair's reason can have besides the vendor's and the rules'.
pub const REASONS: &[&str] = &["link.both_changed", "link.revision"];

/// Why a pair waits, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reason {
    code: String,
    message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fields: Vec<String>,
}

impl Reason {
    pub(super) fn both_changed(fields: Vec<String>) -> Self {
        Self {
            code: "link.both_changed".to_owned(),
            message: "both sides changed it, and the policy does not say whose word counts".to_owned(),
            fields,
        }
    }

    pub(super) fn revision() -> Self {
        Self {
            code: "link.revision".to_owned(),
            message: "the vendor has another revision than the one that was read".to_owned(),
            fields: Vec::new(),
        }
    }

    pub(super) fn refused(problem: &Problem) -> Self {
        Self {
            code: problem.code.clone(),
            message: problem.message.clone(),
            fields: Vec::new(),
        }
    }

    pub(super) fn written(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn read(pair: &Pair) -> Self {
        let kept = pair.conflict.as_deref().unwrap_or_default();
        serde_json::from_str(kept).unwrap_or_else(|_| Self::both_changed(Vec::new()))
    }
}

/// The pairs of a link that wait for a person.
///
/// # Errors
///
/// [`Error::Missing`].
pub async fn conflicts(
    service: &Service,
    org: OrgId,
    which: &str,
    page: &Page,
) -> Result<Listed<Conflict>, Error> {
    let link = find(service, org, which).await?;
    let wanted = sluice_store::Page {
        after: page.after.as_deref().and_then(|after| after.parse().ok()),
        limit: page.bounded(),
    };
    let found = service.store().conflicts(org, link.id, wanted).await?;
    let mut items = Vec::with_capacity(found.items.len());
    for (number, pair) in found.items {
        let reason = Reason::read(&pair);
        let mut sides = [None, None];
        for (place, side) in sides.iter_mut().zip([Side::Source, Side::Target]) {
            if let Some(id) = pair.id(side) {
                let end = link.end(side);
                let record = service
                    .store()
                    .get_record(org, end.connection, &end.stream, id)
                    .await?;
                *place = record.map(|record| record.data);
            }
        }
        let [source, target] = sides;
        let (base_source, base_target) = pair.base.unzip();
        items.push(Conflict {
            number,
            source_id: pair.source,
            target_id: pair.target,
            source,
            target,
            base_source,
            base_target,
            fields: reason.fields,
            reason: Problem {
                code: reason.code,
                message: reason.message,
            },
        });
    }
    Ok(Listed {
        items,
        next: found.next.map(|number| number.to_string()),
    })
}

/// Says whose word counts; with `similar` also for every other conflict of the link about the same members for the same
/// reason. How many were settled. What has to be written is written next, in the background.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::NoConflict`].
pub async fn resolve(
    service: &Service,
    org: OrgId,
    (which, number): (&str, u64),
    (take, similar): (Take, bool),
) -> Result<u64, Error> {
    let link = find(service, org, which).await?;
    let store = service.store();
    let pair = store.get_pair(org, link.id, number).await?;
    let pair = pair
        .filter(|pair| pair.conflict.is_some())
        .ok_or(Error::NoConflict(number))?;
    let like = Reason::read(&pair);
    let mut settled = 0;
    let mut todo = vec![(number, pair)];
    let mut after = None;
    loop {
        for (number, pair) in todo {
            let decided = Work::settled(service, org, &link, (pair, take)).await?;
            match store
                .settle_pair(org, link.id, (number, decided), service.now())
                .await
            {
                Ok(()) => settled += 1,
                // Somebody else was quicker.
                Err(sluice_store::Error::State { .. }) if similar => {}
                Err(sluice_store::Error::State { .. }) => return Err(Error::NoConflict(number)),
                Err(error) => return Err(error.into()),
            }
        }
        if !similar {
            return Ok(settled);
        }
        let page = sluice_store::Page { after, limit: 100 };
        let found = store.conflicts(org, link.id, page).await?;
        let Some((last, _)) = found.items.last() else {
            return Ok(settled);
        };
        after = Some(*last);
        todo = found
            .items
            .into_iter()
            .filter(|(_, pair)| {
                let reason = Reason::read(pair);
                (reason.code.as_str(), &reason.fields) == (like.code.as_str(), &like.fields)
            })
            .collect();
    }
}
