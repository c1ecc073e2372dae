//! OAuth 1.0a (RFC 5849 §2): a temporary token, the person's consent, a token that does not end.

use serde_json::Value;
use sluice_broker::{Apply, Credential};
use sluice_model::auth::OAuth1;
use sluice_model::secret::{self, Secret};
use sluice_store::credential::Life;
use url::form_urlencoded;

use super::account::{self, Adopted};
use super::callback::Callback;
use super::exchange::{Ask, parts};
use super::flow::Flow;
use super::memory::Memory;
use super::{Error, answer};

/// Asks for the temporary token (§2.1) and answers where the browser goes (§2.2).
pub(super) async fn begin(flow: &Flow, recipe: &OAuth1, memory: &mut Memory) -> Result<String, Error> {
    let url = address(&recipe.request_url.fill_config(&flow.connection.config)?)?;
    let more = vec![part("callback", &memory.redirect_uri)];
    let found = ask(flow, recipe, url, more).await?;
    if found
        .get("oauth_callback_confirmed")
        .is_some_and(|confirmed| confirmed != "true")
    {
        return Err(Error::Answer("the callback was not confirmed"));
    }
    let (token, secret) = pair(&found)?;
    let mut authorize = address(&recipe.authorize_url.fill_config(&flow.connection.config)?)?;
    authorize.query_pairs_mut().append_pair("oauth_token", &token);
    for (name, template) in &recipe.authorize_params {
        let value = template.fill(&flow.values(&[]))?;
        authorize.query_pairs_mut().append_pair(name, &value);
    }
    memory.temporary = Some((token, secret));
    Ok(authorize.into())
}

/// Turns the temporary token into the lasting one (§2.3).
pub(super) async fn complete(
    flow: &Flow,
    recipe: &OAuth1,
    callback: &Callback,
    memory: &Memory,
) -> Result<Adopted, Error> {
    if let Some(denied) = callback.one("denied") {
        return Err(Error::Denied(answer::plain(denied)));
    }
    let (token, secret) = memory.temporary.clone().ok_or(Error::State)?;
    let named = callback.one("oauth_token").unwrap_or_default();
    if !secret::same(named.as_bytes(), token.as_bytes()) {
        return Err(Error::State);
    }
    let verifier = callback
        .one("oauth_verifier")
        .ok_or_else(|| Error::Denied("the vendor gave no verifier".to_owned()))?;
    let url = address(&recipe.access_url.fill_config(&flow.connection.config)?)?;
    let more = vec![
        part("token", &token),
        part("token_secret", &secret),
        part("verifier", verifier),
    ];
    let found = ask(flow, recipe, url, more).await?;
    let (token, secret) = pair(&found)?;
    let mut bundle = account::given(flow);
    bundle.set("token", Secret::new(token.into_bytes()));
    bundle.set("token_secret", Secret::new(secret.into_bytes()));
    let life = Life {
        obtained: Some(flow.service.now()),
        ..Life::default()
    };
    account::adopt(
        flow,
        bundle,
        life,
        flow.connection.config.clone(),
        memory.any_account,
    )
    .await
}

fn address(text: &str) -> Result<url::Url, Error> {
    url::Url::parse(text).map_err(|_| Error::Answer("an address of the flow is not an address"))
}

async fn ask(
    flow: &Flow,
    recipe: &OAuth1,
    url: url::Url,
    more: Vec<(String, Secret)>,
) -> Result<Value, Error> {
    let mut ask = Ask::post(url);
    ask.credential = Some(signer(flow, recipe, more)?);
    let reply = ask.send(&flow.service, &flow.asker()?).await?;
    if !(200..300).contains(&reply.status) {
        return Err(Error::Refused(format!("status {}", reply.status)));
    }
    if let Ok(found) = answer::document(&reply) {
        return Ok(found);
    }
    // Vendors send forms under all kinds of types here.
    let pairs = form_urlencoded::parse(&reply.body);
    let pairs = pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
    Ok(Value::Object(pairs.take(32).collect()))
}

fn part(name: &str, text: &str) -> (String, Secret) {
    (name.to_owned(), Secret::new(text.as_bytes().to_vec()))
}

/// What signs a request of the flow: the app, and what the step carries (RFC 5849 §2.1, §2.3).
fn signer(flow: &Flow, recipe: &OAuth1, more: Vec<(String, Secret)>) -> Result<Credential, Error> {
    let app = |name: &str| {
        let missing = || Error::App {
            connector: flow.known.manifest.id.clone(),
            scheme: flow.scheme.name.clone(),
            missing: name.to_owned(),
        };
        flow.app.get(name).cloned().ok_or_else(missing)
    };
    let mut all = vec![
        ("consumer_key".to_owned(), app("client_id")?),
        ("consumer_secret".to_owned(), app("client_secret")?),
    ];
    all.extend(more);
    Ok(parts(
        all,
        Apply::OAuth1 {
            method: recipe.method,
        },
    ))
}

fn pair(found: &Value) -> Result<(String, String), Error> {
    let text = |key: &str| {
        let text = found.get(key).and_then(Value::as_str);
        let fits = |text: &&str| {
            (1..=1024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        text.filter(fits).map(str::to_owned)
    };
    let pair = text("oauth_token").zip(text("oauth_token_secret"));
    pair.ok_or(Error::Answer("it has no token"))
}
