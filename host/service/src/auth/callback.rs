//! The way back from the vendor: the browser brings a code, or the news that there is none.

use sluice_model::auth::{FillFrom, Obtain};
use sluice_model::connection::ConnectionState;
use sluice_model::id::{AuthorizationId, OrgId};
use sluice_store::authorization::{Authorization, Move, Step};
use sluice_store::connection::Reason;

use super::account::{self, Adopted};
use super::answer;
use super::authorize::{cookie_name, used_once};
use super::flow::Flow;
use super::memory::{Memory, Token, is_digest_of};
use super::oauth2::{self, Endpoints};
use super::{Error, custom, discovery, oauth1};
use crate::problem::Problem;
use crate::{Service, connection};

/// What a browser brought.
#[derive(Debug, Default)]
pub struct Callback {
    /// Of the query or the form, decoded.
    pub params: Vec<(String, String)>,
    /// Name and value.
    pub cookies: Vec<(String, String)>,
}

/// How it ended.
#[derive(Debug)]
pub struct Landed {
    pub connector: String,
    pub connection: String,
    /// The account, or why there is none.
    pub outcome: Result<Adopted, Error>,
    /// Where the browser goes next.
    pub return_to: Option<String>,
}

/// More parameters are no vendor's.
const MAX_PARAMS: usize = 64;

/// Ends the flow that the browser began. Of two callbacks with one code one exchanges it.
///
/// # Errors
///
/// [`Error::State`] where the answer belongs to no flow of this browser; nothing has changed then. [`Error::Used`],
/// [`Error::Expired`]. Everything that goes wrong later is in [`Landed::outcome`].
pub async fn callback(service: &Service, callback: Callback) -> Result<Landed, Error> {
    if callback.params.len() > MAX_PARAMS {
        return Err(Error::State);
    }
    let state = callback.one("state").and_then(Token::parse).ok_or(Error::State)?;
    let (org, id) = (state.org, state.id);
    let found = service
        .store()
        .get_authorization(org, id)
        .await?
        .ok_or(Error::State)?;
    let memory = match (found.step, &found.memory) {
        (Step::Started, Some(memory)) => Memory::open(memory).ok_or(Error::State)?,
        (Step::Waiting, _) => return Err(Error::State),
        (step, _) => return Err(Error::Used(step.name())),
    };
    let browser = callback.cookie(&cookie_name(id)).ok_or(Error::State)?;
    if !state.is(&memory.state) || !is_digest_of(&memory.browser, browser.as_bytes()) {
        return Err(Error::State);
    }
    if found.expires <= service.now() {
        return Err(Error::Expired);
    }
    // From here on the code is used, whoever else has it.
    step(service, org, id, Step::Started, Step::Completing, None).await?;
    let flow = Flow::read(service, org, found.connection, Some(&found.scheme)).await;
    let (connector, name) = match &flow {
        Ok(flow) => (flow.connection.connector.clone(), flow.connection.name.clone()),
        Err(_) => (String::new(), String::new()),
    };
    let outcome = match flow {
        Ok(flow) => complete(&flow, &callback, &memory).await,
        Err(error) => Err(error),
    };
    end(service, org, &found, &outcome).await?;
    Ok(Landed {
        connector,
        connection: name,
        outcome,
        return_to: memory.return_to.clone(),
    })
}

async fn complete(flow: &Flow, callback: &Callback, memory: &Memory) -> Result<Adopted, Error> {
    if flow.connection.state == ConnectionState::Authorizing {
        let verifying = ConnectionState::Verifying;
        connection::move_to(&flow.service, flow.org, flow.connection.id, verifying, None).await?;
    }
    if let Some(error) = callback.one("error") {
        let said = match callback.one("error_description") {
            Some(more) => format!("{} ({})", answer::plain(error), answer::plain(more)),
            None => answer::plain(error),
        };
        return Err(if error == "access_denied" {
            Error::Denied(said)
        } else {
            Error::Refused(said)
        });
    }
    match &flow.scheme.obtain {
        Obtain::Given => Err(Error::NoFlow(flow.scheme.name.clone())),
        Obtain::OAuth1(recipe) => oauth1::complete(flow, recipe, callback, memory).await,
        Obtain::Custom => custom::complete(flow, callback, memory).await,
        Obtain::OAuth2(recipe) => {
            let endpoints = Endpoints::of(flow).await?;
            check_issuer(&endpoints, callback.one("iss"))?;
            let code = callback
                .one("code")
                .ok_or(Error::Answer("the redirect has no code"))?;
            let verifier = memory.verifier.as_deref();
            let tokens = oauth2::by_code(flow, &endpoints, code, verifier, &memory.redirect_uri).await?;
            if recipe.issuer.is_some() && memory.scopes.iter().any(|scope| scope == "openid") {
                let token = tokens.id_token.as_ref();
                let token = token.ok_or_else(|| Error::IdToken("there is none".to_owned()))?;
                let token = String::from_utf8_lossy(token.expose());
                discovery::check_id_token(flow, &endpoints, &token, memory.nonce.as_deref()).await?;
            }
            let told: Vec<_> = recipe
                .fill
                .iter()
                .filter(|fill| fill.from == FillFrom::Callback)
                .filter_map(|fill| {
                    let value = callback.one(fill.pointer.trim_start_matches('/'))?;
                    Some((fill.clone(), value.to_owned()))
                })
                .collect();
            account::adopt_tokens(flow, tokens, memory, &told).await
        }
    }
}

/// RFC 9207 §2.4: against a provider that passes another's code on.
fn check_issuer(endpoints: &Endpoints, named: Option<&str>) -> Result<(), Error> {
    let Some(issuer) = &endpoints.issuer else {
        return Ok(());
    };
    match named {
        Some(named) if named == issuer => Ok(()),
        None if !endpoints.names_itself => Ok(()),
        named => Err(Error::Issuer {
            expected: issuer.clone(),
            found: answer::plain(named.unwrap_or("nobody")),
        }),
    }
}

/// Writes down how it ended, once.
pub(super) async fn end(
    service: &Service,
    org: OrgId,
    found: &Authorization,
    outcome: &Result<Adopted, Error>,
) -> Result<(), Error> {
    let (to, reason) = match outcome {
        Ok(adopted) => (Step::Done, adopted.problem.clone()),
        Err(error) => (Step::Failed, Some(Problem::new(error.code(), error))),
    };
    step(service, org, found.id, Step::Completing, to, reason.clone()).await?;
    if outcome.is_err() {
        let now = connection::get(service, org, &found.connection.to_string()).await?;
        // A connection that had a grant keeps serving with it; one that never had needs somebody.
        if matches!(
            now.state,
            ConnectionState::Authorizing | ConnectionState::Verifying
        ) {
            let needs = ConnectionState::NeedsReauth;
            connection::move_to(service, org, found.connection, needs, reason).await?;
        }
    }
    Ok(())
}

pub(super) async fn step(
    service: &Service,
    org: OrgId,
    id: AuthorizationId,
    from: Step,
    to: Step,
    problem: Option<Problem>,
) -> Result<(), Error> {
    let change = Move {
        from,
        to,
        memory: None,
        expires: None,
        reason: problem.map(|problem| Reason {
            code: problem.code,
            message: problem.message,
        }),
    };
    used_once(service.store().move_authorization(org, id, change).await)
}

impl Callback {
    /// The value of a parameter that is there exactly once: two of one name are read differently by different programs.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        let mut found = self.params.iter().filter(|(found, _)| found == name);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value.as_str())
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        let found = self.cookies.iter().find(|(found, _)| found == name)?;
        Some(&found.1)
    }
}
