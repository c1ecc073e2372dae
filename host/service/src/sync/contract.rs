//! The contract of a connection for streams that its account did not have before: whether they are taken, and how they are read then.
//!
//! The first list that a connector tells is taken whole: there is nothing yet that it could differ from. What a person accepts is too.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sluice_mapping::Plan;
use sluice_model::id::OrgId;
use sluice_model::manifest::ToldStream;
use sluice_model::run::Mode;

use super::Error;
use super::stream::{self, Options};
use crate::connection::Connection;
use crate::{Service, catalogue, connection};

/// What becomes of new streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewStreams {
    /// They are streams like the others.
    #[default]
    Evolve,
    /// Nothing of a list that has one is taken, until a person accepts it: what was known stays.
    Freeze,
    /// They are left out of the list.
    Discard,
}

/// What is set about new streams.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Contract {
    pub new_streams: NewStreams,
    /// The options of those that are taken: without a cadence among them nobody reads them by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Options>,
}

impl Contract {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Sets a connection's contract. What no stream could have of its options is refused now, as a stream's own would be; they are judged
/// once more as each comes, since another version of the connector may offer less.
///
/// # Errors
///
/// [`Error::Options`], [`Error::Rules`] with the place of what is wrong; [`Error::NewMode`]; `store.revision` where the connection was
/// changed meanwhile.
pub async fn set(
    service: &Service,
    org: OrgId,
    of: &Connection,
    contract: Contract,
) -> Result<Connection, Error> {
    if let Some(options) = &contract.options {
        let known = catalogue::known(service, org, of.install).await?;
        let offered = known.manifest.discovered.as_ref();
        let offered = offered.map_or(&[][..], |discovered| &discovered.modes);
        could_be(options, offered)?;
    }
    Ok(connection::set_contract(service, org, of, contract).await?)
}

/// Whether a stream that is read in these modes could have the options, whatever else it is.
fn could_be(options: &Options, offered: &[Mode]) -> Result<(), Error> {
    if let Some(mode) = options.mode
        && !super::reads(offered, mode)
    {
        return Err(Error::NewMode { mode });
    }
    stream::times(options, "/options")?;
    if let Some(rules) = &options.rules {
        Plan::compile(rules, &[], None).map_err(|error| Error::Rules {
            error,
            within: "/options/rules",
        })?;
    }
    Ok(())
}

/// A list that was told, as the contract takes it.
pub(super) struct Judged {
    /// `None`: the list of before stays.
    pub(super) taken: Option<Vec<ToldStream>>,
    /// New streams that are not in it.
    pub(super) refused: Vec<String>,
}

/// Judges a list. Those that `is_listed` in the manifest are never new; `before` is none where nothing was ever told.
pub(super) fn judge(
    contract: NewStreams,
    is_listed: impl Fn(&str) -> bool,
    before: Option<&[ToldStream]>,
    told: Vec<ToldStream>,
) -> Judged {
    let known: Option<BTreeSet<&str>> =
        before.map(|before| before.iter().map(|told| told.name.as_str()).collect());
    let is_new = |told: &ToldStream| {
        let known = known.as_ref();
        known.is_some_and(|known| !known.contains(told.name.as_str())) && !is_listed(&told.name)
    };
    let refused: Vec<String> = match contract {
        NewStreams::Evolve => Vec::new(),
        NewStreams::Freeze | NewStreams::Discard => {
            let new = told.iter().filter(|told| is_new(told));
            new.map(|told| told.name.clone()).collect()
        }
    };
    let taken = match contract {
        NewStreams::Freeze if !refused.is_empty() => None,
        _ => Some(
            told.into_iter()
                .filter(|told| !refused.contains(&told.name))
                .collect(),
        ),
    };
    Judged { taken, refused }
}

/// Sets the contract's options for streams that are new; who has some already keeps them. Which could not have them, and why.
pub(super) async fn give_options(
    service: &Service,
    org: OrgId,
    of: &Connection,
    new: &[String],
) -> Result<Vec<(String, String)>, sluice_store::Error> {
    let mut not_set = Vec::new();
    let Some(options) = &of.contract.options else {
        return Ok(not_set);
    };
    for name in new {
        match stream::set(service, org, of, name, (options.clone(), 0)).await {
            Ok(()) | Err(Error::Store(sluice_store::Error::Revision { .. })) => {}
            Err(Error::Store(error)) => return Err(error),
            Err(error) => not_set.push((name.clone(), error.to_string())),
        }
    }
    Ok(not_set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(names: &[&str]) -> Vec<ToldStream> {
        let one = |name: &&str| ToldStream {
            name: (*name).to_owned(),
            schema: "{}".to_owned(),
            primary_key: vec!["id".to_owned()],
            cursor_version: 1,
        };
        names.iter().map(one).collect()
    }

    fn taken(contract: NewStreams, before: Option<&[&str]>, now: &[&str]) -> (Option<usize>, Vec<String>) {
        let before = before.map(told);
        let judged = judge(contract, |name| name == "entries", before.as_deref(), told(now));
        (judged.taken.map(|taken| taken.len()), judged.refused)
    }

    #[test]
    fn new_streams_are_taken_left_out_or_hold_the_list_up() {
        let (before, now) = (Some(&["maps"][..]), &["entries", "maps", "poems"][..]);
        let poems = vec!["poems".to_owned()];
        assert_eq!(taken(NewStreams::Evolve, before, now), (Some(3), vec![]));
        assert_eq!(taken(NewStreams::Discard, before, now), (Some(2), poems.clone()));
        assert_eq!(taken(NewStreams::Freeze, before, now), (None, poems));
        // One of the manifest's is not new, and the first list is taken whole.
        assert_eq!(
            taken(NewStreams::Freeze, before, &["entries", "maps"]),
            (Some(2), vec![])
        );
        assert_eq!(taken(NewStreams::Freeze, before, &[]), (Some(0), vec![]));
        assert_eq!(taken(NewStreams::Freeze, None, now), (Some(3), vec![]));
    }
}
