//! OAuth 2.0 as vendors really do it: the standard flow, with the places where they differ as data.

use serde_json::Value;

use super::{Address, Assertion, Fill, Template};

/// How tokens are obtained, kept fresh and revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2 {
    /// The flows that the vendor offers; the first is the default.
    pub grants: Vec<OAuthGrant>,
    /// An OpenID provider or authorization server whose addresses are read from its metadata (OpenID Connect Discovery 1.0,
    /// RFC 8414). Its ID tokens are checked.
    pub issuer: Option<Address>,
    /// RFC 6749 §3.1.
    pub authorize_url: Option<Address>,
    /// RFC 6749 §3.2.
    pub token_url: Option<Address>,
    /// RFC 8628 §3.1.
    pub device_url: Option<Address>,
    /// RFC 7009.
    pub revoke_url: Option<Address>,
    /// What is sent there.
    pub revoke_token: RevokedToken,
    /// What its answer has when the token is revoked. Without it, an answer that says an error is none.
    pub revoke_success: Option<Success>,
    /// Where the issuer's keys are (RFC 7517), for an issuer that keeps them on another host.
    pub keys_url: Option<Address>,
    /// Asked for; a connection may ask for fewer, or for more of `optional_scopes`.
    pub scopes: Vec<String>,
    /// What a connection may ask for as well.
    pub optional_scopes: Vec<String>,
    /// Between scopes; a space by RFC 6749 §3.3.
    pub scope_separator: String,
    /// The parameter that carries them; `scope` by RFC 6749.
    pub scope_parameter: String,
    /// How the app proves itself to the token endpoint.
    pub client_auth: ClientAuth,
    /// How the token request's body is written.
    pub body: BodyFormat,
    /// Proof key S256 (RFC 7636); false only for a vendor that refuses it.
    pub pkce: bool,
    /// More of the authorize address's query.
    pub authorize_params: Vec<(String, Template)>,
    /// More of each token request.
    pub token_params: Vec<(String, Template)>,
    /// Where things stand in the token endpoint's answer.
    pub answer: AnswerRecipe,
    /// For `jwt-bearer`, and for apps that prove themselves with a key.
    pub assertion: Option<Assertion>,
    /// A second request that turns the token into one that lives longer.
    pub exchange: Option<Exchange>,
    /// A request made with the new token that tells more about the account.
    pub metadata: Option<Metadata>,
    /// What goes from answers into the configuration.
    pub fill: Vec<Fill>,
    /// How an answer of the API says that the token has ended; status 401 where none is given.
    pub expired: Vec<ExpirySign>,
    /// Seconds before its end at which a token is refreshed.
    pub refresh_margin_s: u32,
    /// A refresh token that ends when it is not used is used this often, in seconds.
    pub idle_refresh_s: Option<u32>,
}

/// A flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OAuthGrant {
    /// RFC 6749 §4.1 with RFC 7636.
    AuthorizationCode,
    /// RFC 6749 §4.4.
    ClientCredentials,
    /// RFC 8628.
    DeviceCode,
    /// RFC 7523 §2.1, and vendors' own ways to give a token for a signed assertion.
    JwtBearer,
}

/// Which token stands for the grant where it is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokedToken {
    /// The refresh token, or the access token where there is none (RFC 7009 §2.1).
    Refresh,
    /// The access token, for vendors that take no other (Slack).
    Access,
}

/// How the app proves itself (RFC 6749 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// HTTP basic; id and secret form-encoded first.
    Header,
    /// `client_id` and `client_secret` in the body.
    Body,
    /// A public client: `client_id` alone.
    None,
}

/// How a token request's body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// `application/x-www-form-urlencoded`, as RFC 6749 has it.
    Form,
    /// `application/json`.
    Json,
}

/// Where things stand in a token endpoint's answer: JSON pointers (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerRecipe {
    /// The token.
    pub access_token: String,
    /// The next refresh token, where there is one.
    pub refresh_token: String,
    /// Seconds that the token lives, as a number or a text of digits.
    pub expires_in: String,
    /// The moment of its end: seconds since the epoch or RFC 3339.
    pub expires_at: Option<String>,
    /// What it is taken to live where the answer does not say; none: for ever.
    pub default_lifetime_s: Option<u32>,
    /// The scopes that were given.
    pub scope: String,
    /// An ID token (OpenID Connect Core 1.0 §2).
    pub id_token: String,
    /// Whose account it is.
    pub account: Option<String>,
    /// The error's code, also where the status is 200.
    pub error: String,
    /// More about it, for people.
    pub error_description: String,
    /// What an answer of success has.
    pub success: Option<Success>,
    /// Error codes that mean what `invalid_grant` means: the person has to connect again.
    pub ended: Vec<String>,
}

/// What an answer of success has, for vendors that answer 200 with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success {
    /// Where (RFC 6901).
    pub pointer: String,
    /// What stands there.
    pub equals: Value,
}

/// Turns a token into one that lives longer (Meta).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Asked with GET.
    pub url: Address,
    /// Its query; `token` is the token that was given.
    pub params: Vec<(String, Template)>,
}

/// A GET request made with a new token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Where.
    pub url: Address,
    /// Written before the token in `authorization`, e.g. `OAuth `.
    pub prefix: String,
}

/// How an answer says that the token has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpirySign {
    /// The status.
    pub status: u16,
    /// And what its JSON body has: a pointer and the texts that mean it.
    pub body: Option<(String, Vec<String>)>,
}

impl Default for AnswerRecipe {
    /// RFC 6749 §5.
    fn default() -> Self {
        Self {
            access_token: "/access_token".to_owned(),
            refresh_token: "/refresh_token".to_owned(),
            expires_in: "/expires_in".to_owned(),
            expires_at: None,
            default_lifetime_s: None,
            scope: "/scope".to_owned(),
            id_token: "/id_token".to_owned(),
            account: None,
            error: "/error".to_owned(),
            error_description: "/error_description".to_owned(),
            success: None,
            ended: vec!["invalid_grant".to_owned()],
        }
    }
}
