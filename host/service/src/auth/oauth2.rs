//! OAuth 2.0 as a recipe says it: the addresses, the authorize link, and each kind of token request.

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use sluice_model::auth::{Address, AssertionUse, BodyFormat, ClientAuth, OAuth2};
use sluice_model::secret::Secret;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::answer::{self, Renewal, Tokens};
use super::bundle::REFRESH;
use super::exchange::{Ask, Reply, basic, bearer, prefixed};
use super::flow::Flow;
use super::{Error, assertion, discovery};

/// The addresses of a provider, filled in.
#[derive(Debug, Clone, Default)]
pub(super) struct Endpoints {
    pub(super) authorize: Option<String>,
    pub(super) token: Option<String>,
    pub(super) device: Option<String>,
    pub(super) revoke: Option<String>,
    /// Whose metadata said so.
    pub(super) issuer: Option<String>,
    pub(super) jwks: Option<String>,
    /// The provider says who it is in every redirect (RFC 9207).
    pub(super) names_itself: bool,
}

impl Endpoints {
    /// From the recipe's templates, and from the provider's metadata where the recipe names an issuer.
    pub(super) async fn of(flow: &Flow) -> Result<Self, Error> {
        let recipe = flow.oauth2()?;
        let config = &flow.connection.config;
        let fill = |address: &Option<Address>| address.as_ref().map(|at| at.fill_config(config)).transpose();
        let own = Self {
            authorize: fill(&recipe.authorize_url)?,
            token: fill(&recipe.token_url)?,
            device: fill(&recipe.device_url)?,
            revoke: fill(&recipe.revoke_url)?,
            jwks: fill(&recipe.keys_url)?,
            ..Self::default()
        };
        let Some(issuer) = fill(&recipe.issuer)? else {
            return Ok(own);
        };
        let found = discovery::metadata(flow, &issuer, recipe.pkce).await?;
        Ok(Self {
            authorize: own.authorize.or(found.authorize),
            token: own.token.or(found.token),
            device: own.device.or(found.device),
            revoke: own.revoke.or(found.revoke),
            jwks: own.jwks.or(found.jwks),
            ..found
        })
    }
}

/// What the redirect to the vendor carries.
pub(super) struct Redirect<'a> {
    pub(super) state: &'a str,
    pub(super) challenge: Option<&'a str>,
    pub(super) nonce: Option<&'a str>,
    pub(super) redirect_uri: &'a str,
    pub(super) scopes: &'a [String],
}

/// Where the browser goes (RFC 6749 §4.1.1, RFC 7636 §4.3).
pub(super) fn authorize_url(flow: &Flow, endpoint: &str, redirect: &Redirect<'_>) -> Result<String, Error> {
    let recipe = flow.oauth2()?;
    let client = flow.app.text("client_id").unwrap_or_default();
    let mut url = sluice_broker::Place::parse(endpoint)
        .ok()
        .and_then(|_| url::Url::parse(endpoint).ok())
        .ok_or(Error::Answer("the authorize address is not an address"))?;
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("response_type", "code");
        query.append_pair("client_id", &client);
        query.append_pair("redirect_uri", redirect.redirect_uri);
        if !redirect.scopes.is_empty() {
            let scopes = redirect.scopes.join(&recipe.scope_separator);
            query.append_pair(&recipe.scope_parameter, &scopes);
        }
        query.append_pair("state", redirect.state);
        if let Some(challenge) = redirect.challenge {
            query.append_pair("code_challenge", challenge);
            query.append_pair("code_challenge_method", "S256");
        }
        if let Some(nonce) = redirect.nonce {
            query.append_pair("nonce", nonce);
        }
        for (name, template) in &recipe.authorize_params {
            query.append_pair(name, &template.fill(&flow.values(&[]))?);
        }
    }
    Ok(url.into())
}

/// A verifier and its S256 challenge (RFC 7636 §4.1, §4.2).
pub(super) fn proof_key(random: [u8; 32]) -> (String, String) {
    let verifier = BASE64URL_NOPAD.encode(&random);
    let digest = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
    (verifier, BASE64URL_NOPAD.encode(digest.as_ref()))
}

type Pairs = Vec<(String, Zeroizing<String>)>;

/// `authorization_code` (RFC 6749 §4.1.3).
pub(super) async fn by_code(
    flow: &Flow,
    endpoints: &Endpoints,
    code: &str,
    verifier: Option<&str>,
    redirect_uri: &str,
) -> Result<Tokens, Error> {
    let mut pairs = grant("authorization_code");
    pairs.push(pair("code", code));
    pairs.push(pair("redirect_uri", redirect_uri));
    if let Some(verifier) = verifier {
        pairs.push(pair("code_verifier", verifier));
    }
    let tokens = token_request(flow, endpoints, pairs, false).await?;
    lengthen(flow, tokens).await
}

/// `refresh_token` (RFC 6749 §6).
pub(super) async fn by_refresh(flow: &Flow, endpoints: &Endpoints, token: &Secret) -> Result<Renewal, Error> {
    let token = std::str::from_utf8(token.expose()).map_err(|_| Error::Parts(REFRESH.to_owned()))?;
    let mut pairs = grant("refresh_token");
    pairs.push(pair("refresh_token", token));
    let reply = token_reply(flow, endpoints, pairs, false).await?;
    answer::renewed(&flow.oauth2()?.answer, &reply, flow.service.now())
}

/// `client_credentials` (RFC 6749 §4.4.2).
pub(super) async fn by_client(flow: &Flow, endpoints: &Endpoints) -> Result<Tokens, Error> {
    let mut pairs = grant("client_credentials");
    pairs.extend(scope(flow.oauth2()?, &flow.oauth2()?.scopes));
    token_request(flow, endpoints, pairs, false).await
}

/// A signed assertion for a token (RFC 7523 §2.1, and vendors' own).
pub(super) async fn by_assertion(flow: &Flow, endpoints: &Endpoints) -> Result<Tokens, Error> {
    token_request(flow, endpoints, Vec::new(), true).await
}

/// `device_code` (RFC 8628 §3.4).
pub(super) async fn by_device(flow: &Flow, endpoints: &Endpoints, code: &str) -> Result<Tokens, Error> {
    let mut pairs = grant("urn:ietf:params:oauth:grant-type:device_code");
    pairs.push(pair("device_code", code));
    token_request(flow, endpoints, pairs, false).await
}

fn grant(kind: &str) -> Pairs {
    vec![pair("grant_type", kind)]
}

pub(super) fn pair(name: &str, value: &str) -> (String, Zeroizing<String>) {
    (name.to_owned(), Zeroizing::new(value.to_owned()))
}

pub(super) fn scope(recipe: &OAuth2, scopes: &[String]) -> Option<(String, Zeroizing<String>)> {
    let joined = scopes.join(&recipe.scope_separator);
    (!joined.is_empty()).then(|| pair(&recipe.scope_parameter, &joined))
}

async fn token_request(
    flow: &Flow,
    endpoints: &Endpoints,
    pairs: Pairs,
    asserts: bool,
) -> Result<Tokens, Error> {
    let reply = token_reply(flow, endpoints, pairs, asserts).await?;
    answer::tokens(&flow.oauth2()?.answer, &reply, flow.service.now())
}

async fn token_reply(
    flow: &Flow,
    endpoints: &Endpoints,
    mut pairs: Pairs,
    asserts: bool,
) -> Result<Reply, Error> {
    let recipe = flow.oauth2()?;
    let url = endpoints
        .token
        .clone()
        .ok_or(Error::Answer("there is no token address"))?;
    let scopes = recipe.scopes.join(&recipe.scope_separator);
    let own = [("token_url", url.as_str()), ("scopes", scopes.as_str())];
    let values = flow.values(&own);
    for (name, template) in &recipe.token_params {
        let value = template.fill(&values)?;
        // A grant type of the vendor's own stands in the place of ours: there is one (RFC 6749 §3.2).
        pairs.retain(|(known, _)| known != name);
        pairs.push((name.clone(), value));
    }
    let mut ask = Ask::post(url.clone());
    let signed = match &recipe.assertion {
        Some(signs) if asserts || signs.used == AssertionUse::Client => {
            Some((signs.used, assertion::make(&flow.service, signs, &values)?))
        }
        _ => None,
    };
    match signed {
        Some((AssertionUse::Bearer, token)) => ask.credential = Some(bearer(token)),
        Some((AssertionUse::Grant, token)) => {
            if !pairs.iter().any(|(name, _)| name == "grant_type") {
                pairs.push(pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"));
            }
            pairs.push(pair("assertion", &text(&token)));
            prove(flow, recipe, &mut pairs, &mut ask);
        }
        Some((AssertionUse::Client, token)) => {
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            pairs.push(pair("client_assertion_type", kind));
            pairs.push(pair("client_assertion", &text(&token)));
            pairs.extend(client_id(flow));
        }
        None => prove(flow, recipe, &mut pairs, &mut ask),
    }
    ask.write(recipe.body, &pairs);
    ask.send(&flow.service, &flow.asker()?).await
}

/// Sends what the app is known by (RFC 6749 §2.3.1).
pub(super) fn prove(flow: &Flow, recipe: &OAuth2, pairs: &mut Pairs, ask: &mut Ask) {
    let (id, secret) = (flow.app.text("client_id"), flow.app.text("client_secret"));
    match (recipe.client_auth, id, secret) {
        (ClientAuth::Header, Some(id), Some(secret)) => {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = Zeroizing::new(format!("{}:{}", encode(&id), encode(&secret)));
            ask.credential = Some(basic(&pair));
        }
        (ClientAuth::Body, id, secret) => {
            pairs.extend(id.map(|id| ("client_id".to_owned(), id)));
            pairs.extend(secret.map(|secret| ("client_secret".to_owned(), secret)));
        }
        _ => pairs.extend(client_id(flow)),
    }
}

pub(super) fn client_id(flow: &Flow) -> Option<(String, Zeroizing<String>)> {
    Some(("client_id".to_owned(), flow.app.text("client_id")?))
}

fn text(secret: &Secret) -> Zeroizing<String> {
    Zeroizing::new(String::from_utf8_lossy(secret.expose()).into_owned())
}

/// The second request of vendors whose first token is short-lived (Meta).
async fn lengthen(flow: &Flow, tokens: Tokens) -> Result<Tokens, Error> {
    let recipe = flow.oauth2()?;
    let Some(exchange) = &recipe.exchange else {
        return Ok(tokens);
    };
    let given = text(&tokens.access);
    let own = [("token", given.as_str())];
    let values = flow.values(&own);
    let mut url = url::Url::parse(&exchange.url.fill_config(&flow.connection.config)?)
        .map_err(|_| Error::Answer("the exchange address is not an address"))?;
    for (name, template) in &exchange.params {
        url.query_pairs_mut().append_pair(name, &template.fill(&values)?);
    }
    let mut ask = Ask::get(url);
    ask.known.push(("token".to_owned(), tokens.access.clone()));
    ask.known.extend(
        flow.app
            .parts()
            .map(|(name, secret)| (name.to_owned(), secret.clone())),
    );
    let reply = ask.send(&flow.service, &flow.asker()?).await?;
    let longer = answer::tokens(&recipe.answer, &reply, flow.service.now())?;
    Ok(Tokens {
        refresh: longer.refresh.or(tokens.refresh),
        scopes: longer.scopes.or(tokens.scopes),
        id_token: longer.id_token.or(tokens.id_token),
        account: longer.account.or(tokens.account),
        ..longer
    })
}

/// What the vendor tells about the account of a new token, if the recipe asks.
pub(super) async fn metadata(flow: &Flow, access: &Secret) -> Result<Option<Value>, Error> {
    let Some(metadata) = &flow.oauth2()?.metadata else {
        return Ok(None);
    };
    let mut ask = Ask::get(metadata.url.fill_config(&flow.connection.config)?);
    ask.credential = Some(prefixed(&metadata.prefix, access.clone()));
    let reply = ask.send(&flow.service, &flow.asker()?).await?;
    if !(200..300).contains(&reply.status) {
        return Err(Error::Refused(format!("its metadata: status {}", reply.status)));
    }
    Ok(Some(answer::document(&reply)?))
}

impl Ask {
    pub(super) fn post(url: impl Into<String>) -> Self {
        Self {
            method: "POST",
            ..Self::get(url)
        }
    }

    /// The body of a token request.
    pub(super) fn write(&mut self, format: BodyFormat, pairs: &Pairs) {
        match format {
            BodyFormat::Form => {
                let size = pairs
                    .iter()
                    .map(|(name, value)| name.len() + 3 * value.len() + 2)
                    .sum();
                let mut form = form_urlencoded::Serializer::new(String::with_capacity(size));
                for (name, value) in pairs {
                    form.append_pair(name, value);
                }
                self.content_type = Some("application/x-www-form-urlencoded");
                self.body = Zeroizing::new(form.finish().into_bytes());
            }
            BodyFormat::Json => {
                let fields: std::collections::BTreeMap<_, &str> =
                    pairs.iter().map(|(name, value)| (name, value.as_str())).collect();
                self.content_type = Some("application/json");
                self.body = Zeroizing::new(serde_json::to_vec(&fields).unwrap_or_default());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636, appendix B.
    #[test]
    fn the_proof_key_is_the_rfcs() {
        let octets = [
            116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105,
            214, 191, 240, 91, 88, 5, 88, 83, 132, 141, 121,
        ];
        let (verifier, challenge) = proof_key(octets);
        assert_eq!(verifier, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
