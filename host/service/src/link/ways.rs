//! How a record of one side is told to the other: members under other names, or rules.

use sluice_mapping::reconcile::{Judge, pick};
use sluice_mapping::{Outcome, Plan, Salt, Shape, StreamRules, Surroundings};
use sluice_model::id::OrgId;
use sluice_store::link::Side;

use super::{Direction, Error, LinkSettings};
use crate::Service;
use crate::problem::Problem;
use crate::sync::rules;

/// Both ways of a link and its policy, compiled.
pub(super) struct Ways {
    to_target: Way,
    /// None where the source is never told anything.
    to_source: Option<Way>,
    /// Who decides what both sides changed.
    pub(super) judge: Judge,
}

enum Way {
    Fields(Vec<(String, String)>),
    Rules(Box<Plan>),
}

/// What a record is to the other side.
pub(super) enum Told {
    Members(String),
    /// The rules leave it out.
    Nothing,
}

/// More fields than people keep alike by hand.
const MAX_FIELDS: usize = 400;

impl Ways {
    pub(super) fn compile(settings: &LinkSettings) -> Result<Self, Error> {
        let bad = |pointer: &str, reason: &str| Error::Settings {
            pointer: pointer.to_owned(),
            reason: reason.to_owned(),
        };
        let judge = settings.policy.compile()?;
        if settings.fields.len() > MAX_FIELDS {
            return Err(bad("/fields", "has more than 400 fields"));
        }
        let both = settings.direction == Direction::BothWays;
        if settings.fields.is_empty() && settings.to_target.is_none() {
            return Err(bad("/fields", "is missing: name the members that are kept alike"));
        }
        if !settings.fields.is_empty() && (settings.to_target.is_some() || settings.to_source.is_some()) {
            return Err(bad("/fields", "goes with no `to_target` and no `to_source`"));
        }
        for (place, field) in settings.fields.iter().enumerate() {
            let twice = settings.fields.iter().take(place);
            let mut twice =
                twice.filter(|other| other.source == field.source || other.target == field.target);
            if twice.next().is_some() {
                return Err(bad(
                    &format!("/fields/{place}"),
                    "has a name that is there already",
                ));
            }
        }
        let way = |rules: &StreamRules, within: &'static str| match Plan::compile(rules, &[], None) {
            Ok(plan) => Ok(Way::Rules(Box::new(plan))),
            Err(error) => Err(Error::Rules { error, within }),
        };
        let named = |turned: bool| {
            let names = settings.fields.iter().map(|field| {
                let (source, target) = (field.source.clone(), field.target.clone());
                if turned {
                    (target, source)
                } else {
                    (source, target)
                }
            });
            Way::Fields(names.collect())
        };
        let to_target = match &settings.to_target {
            Some(rules) => way(rules, "/to_target")?,
            None => named(false),
        };
        let to_source = match (&settings.to_source, both) {
            (Some(_), false) => return Err(bad("/to_source", "needs `\"direction\": \"both-ways\"`")),
            (None, false) => None,
            (Some(rules), true) => Some(way(rules, "/to_source")?),
            (None, true) if settings.to_target.is_some() => {
                return Err(bad("/to_source", "is missing: the way back is not known"));
            }
            (None, true) => Some(named(true)),
        };
        Ok(Self {
            to_target,
            to_source,
            judge,
        })
    }

    /// What the rules need besides records.
    pub(super) async fn salt(
        &self,
        service: &Service,
        org: OrgId,
    ) -> Result<Option<Salt>, sluice_store::Error> {
        let ways = [Some(&self.to_target), self.to_source.as_ref()];
        let needs = ways
            .into_iter()
            .flatten()
            .any(|way| matches!(way, Way::Rules(plan) if plan.needs_salt()));
        if needs {
            rules::salt(service, org).await.map(Some)
        } else {
            Ok(None)
        }
    }

    /// What a side's record is to the other; none where the other is never told.
    pub(super) fn told(
        &self,
        side: Side,
        record: &str,
        salt: Option<&Salt>,
    ) -> Result<Option<Told>, Problem> {
        let way = match side {
            Side::Source => &self.to_target,
            Side::Target => match &self.to_source {
                Some(way) => way,
                None => return Ok(None),
            },
        };
        match way {
            Way::Fields(names) => pick(record, names)
                .map(|members| Some(Told::Members(members)))
                .map_err(|error| Problem::new("link.policy", error)),
            Way::Rules(plan) => {
                let around = Surroundings { salt, find: None };
                match plan.apply(record, &Shape::default(), &around) {
                    Outcome::Kept { data, .. } => Ok(Some(Told::Members(data.into_owned()))),
                    Outcome::Dropped => Ok(Some(Told::Nothing)),
                    Outcome::Refused(refused) => Err(Problem::new(refused.code, refused.reason)),
                    Outcome::Frozen(frozen) => Err(Problem::new(frozen.code(), frozen)),
                }
            }
        }
    }
}
