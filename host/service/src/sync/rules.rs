//! A stream's rules while a run reads it: what becomes of each record before it is kept.
//!
//! The shape that a contract compares with is learnt from the first run that reads the stream to its end under it, and stays
//! until the rules are changed.

use sluice_mapping::{Contract, Outcome, Plan, Salt, Shape, StreamRules, Surroundings};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::manifest::Stream;
use sluice_model::secret::Secret;

use super::stream::{self, Options};
use crate::Service;
use crate::call::Callee;
use crate::problem::Problem;

/// Compiled rules and what they need.
pub(crate) struct Rules {
    plan: Plan,
    known: Shape,
    /// The shape of everything that was read, where the contract has nothing to compare with yet.
    learnt: Option<Shape>,
    salt: Option<Salt>,
}

/// What became of a record.
pub(crate) enum Fate {
    /// No rule is for it.
    AsItIs,
    Kept(String),
    Dropped,
    Refused(sluice_mapping::Refused),
    Frozen(sluice_mapping::Frozen),
}

impl Fate {
    /// A record that breaks a frozen contract where nothing can be stopped.
    pub(crate) fn refused(frozen: sluice_mapping::Frozen) -> Self {
        Self::Refused(sluice_mapping::Refused {
            code: frozen.code(),
            reason: frozen.to_string(),
            pointer: frozen.pointer,
        })
    }
}

impl Rules {
    /// The rules of a stream; none where nothing is set, which costs its records nothing.
    pub(crate) async fn of(
        service: &Service,
        org: OrgId,
        stream: &Stream,
        options: &Options,
        shape: Option<&str>,
    ) -> Result<Option<Self>, Problem> {
        let Some(rules) = &options.rules else {
            return Ok(None);
        };
        let plan = compile(rules, stream).map_err(|error| Problem::new(error.code(), error))?;
        if plan.is_identity() {
            return Ok(None);
        }
        let known: Option<Shape> = shape.and_then(|text| serde_json::from_str(text).ok());
        let learns = known.is_none() && rules.contract != Contract::default();
        let salt = if plan.needs_salt() {
            Some(
                salt(service, org)
                    .await
                    .map_err(|error| Problem::new(error.code(), error))?,
            )
        } else {
            None
        };
        Ok(Some(Self {
            plan,
            known: known.unwrap_or_default(),
            learnt: learns.then(Shape::default),
            salt,
        }))
    }

    /// The rules of a stream as they are now.
    pub(crate) async fn read(
        service: &Service,
        callee: &Callee,
        stream: &str,
    ) -> Result<Option<Self>, Problem> {
        let Some(declared) = callee.streams.get(stream) else {
            return Ok(None);
        };
        let settings = service
            .store()
            .stream_settings(callee.org, callee.connection.id, stream)
            .await
            .map_err(|error| Problem::new(error.code(), error))?;
        let options = stream::read(&settings);
        Self::of(service, callee.org, declared, &options, settings.shape.as_deref()).await
    }

    /// What becomes of a record of this connection.
    pub(crate) fn judge(
        &mut self,
        service: &Service,
        (org, connection): (OrgId, ConnectionId),
        data: &str,
    ) -> Fate {
        if let Some(learnt) = &mut self.learnt
            && let Ok(shape) = Shape::of(data)
        {
            learnt.merge(&shape);
        }
        let find = |stream: &str, id: &str| service.store().record_now(org, connection, stream, id);
        let around = Surroundings {
            salt: self.salt.as_ref(),
            find: Some(&find),
        };
        match self.plan.apply(data, &self.known, &around) {
            Outcome::Kept { data, .. } => Fate::Kept(data.into_owned()),
            Outcome::Dropped => Fate::Dropped,
            Outcome::Refused(refused) => Fate::Refused(refused),
            Outcome::Frozen(frozen) => Fate::Frozen(frozen),
        }
    }

    /// What was learnt, for the contract of the runs to come.
    pub(crate) fn learnt(&self) -> Option<String> {
        let learnt = self.learnt.as_ref().filter(|shape| !shape.is_empty())?;
        serde_json::to_string(learnt).ok()
    }
}

pub(crate) fn compile(rules: &StreamRules, stream: &Stream) -> Result<Plan, sluice_mapping::RuleError> {
    Plan::compile(rules, &stream.primary_key, Some(&stream.schema))
}

/// Under which the organization's salt is kept, sealed like every secret.
const OWNER: &str = "mapping";
const FIELD: &str = "salt";
static MAKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The organization's salt; made when it is needed first.
pub(crate) async fn salt(service: &Service, org: OrgId) -> Result<Salt, sluice_store::Error> {
    let made = |secret: &Secret| Salt::new(secret.expose());
    if let Some(salt) = service
        .store()
        .get_secret(org, OWNER, FIELD)
        .await?
        .as_ref()
        .and_then(made)
    {
        return Ok(salt);
    }
    // One maker at a time: two runs that begin at once must hash alike.
    let _alone = MAKING.lock().await;
    let store = service.store();
    if let Some(salt) = store.get_secret(org, OWNER, FIELD).await?.as_ref().and_then(made) {
        return Ok(salt);
    }
    let bytes = service.random::<32>();
    store
        .put_secret(org, OWNER, FIELD, Secret::new(bytes.to_vec()), service.now())
        .await?;
    let kept = store.get_secret(org, OWNER, FIELD).await?;
    kept.as_ref()
        .and_then(made)
        .ok_or(sluice_store::Error::Broken("keep the organization's salt"))
}
