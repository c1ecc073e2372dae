//! `[auth.oauth2]`.

use super::super::ManifestError;
use super::super::source::{Node, Table};
use super::template::{Declared, Place, address, parameter, params};
use super::{answer, applied, assertion, parts};
use crate::auth::{
    Address, AssertionUse, BodyFormat, ClientAuth, Exchange, FillFrom, Metadata, OAuth2, OAuthGrant, Part,
    RevokedToken,
};

const MAX_SCOPES: usize = 200;
/// The longest margin before a token's end, in seconds: a day.
const MAX_MARGIN_S: u64 = 86_400;
/// Between uses that keep a refresh token alive, in seconds: an hour to a year.
const IDLE_S: std::ops::Range<u64> = 3600..31_536_000;

/// What the host sets in the authorize address (RFC 6749 §4.1.1, RFC 7636 §4.3, OpenID Connect Core 1.0 §3.1.2.1).
const OF_AUTHORIZE: [&str; 7] = [
    "client_id",
    "response_type",
    "redirect_uri",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];

/// What the host sets in token requests. `grant_type` is not among them: some vendors have names of their own.
const OF_TOKEN: [&str; 10] = [
    "client_id",
    "client_secret",
    "redirect_uri",
    "code",
    "code_verifier",
    "refresh_token",
    "device_code",
    "assertion",
    "client_assertion",
    "client_assertion_type",
];

const KEYS: [&str; 26] = [
    "grants",
    "issuer",
    "authorize_url",
    "token_url",
    "device_url",
    "revoke_url",
    "revoke_token",
    "revoke_success",
    "keys_url",
    "scopes",
    "optional_scopes",
    "scope_separator",
    "scope_parameter",
    "client_auth",
    "body",
    "pkce",
    "authorize_params",
    "token_params",
    "refresh_margin_s",
    "idle_refresh_s",
    "expired",
    "fill",
    "answer",
    "assertion",
    "exchange",
    "metadata",
];

/// The flows and how the app proves itself: what the app's parts depend on.
struct Flow {
    grants: Vec<OAuthGrant>,
    client_auth: ClientAuth,
    asserted: Option<AssertionUse>,
}

impl Flow {
    fn read(table: &Table<'_>) -> Result<Self, ManifestError> {
        let words = [
            ("authorization-code", OAuthGrant::AuthorizationCode),
            ("device-code", OAuthGrant::DeviceCode),
            ("client-credentials", OAuthGrant::ClientCredentials),
            ("jwt-bearer", OAuthGrant::JwtBearer),
        ];
        let mut grants = Vec::new();
        for node in table.need("grants")?.some(words.len())? {
            let grant = node.choice(&words)?;
            if grants.contains(&grant) {
                return Err(node.error("is there twice"));
            }
            grants.push(grant);
        }
        let ways = [
            ("header", ClientAuth::Header),
            ("body", ClientAuth::Body),
            ("none", ClientAuth::None),
        ];
        Ok(Self {
            grants,
            client_auth: table
                .get("client_auth")
                .map_or(Ok(ClientAuth::Header), |node| node.choice(&ways))?,
            asserted: table
                .get("assertion")
                .map(|node| assertion::used(&node))
                .transpose()?,
        })
    }

    fn has(&self, grant: OAuthGrant) -> bool {
        self.grants.contains(&grant)
    }

    /// Whether a client takes part: a signed assertion alone needs none.
    fn has_client(&self) -> bool {
        self.grants.iter().any(|grant| *grant != OAuthGrant::JwtBearer)
    }

    fn needs_secret(&self) -> bool {
        self.has_client()
            && self.client_auth != ClientAuth::None
            && self.asserted != Some(AssertionUse::Client)
    }
}

/// The app's parts: as listed, or what the flows need.
pub(super) fn app(scheme: &Table<'_>, oauth2: &Node<'_>) -> Result<Vec<Part>, ManifestError> {
    let flow = Flow::read(&table(oauth2)?)?;
    let needed: &[&str] = match (flow.has_client(), flow.needs_secret()) {
        (false, _) => &[],
        (true, false) => &["client_id"],
        (true, true) => &["client_id", "client_secret"],
    };
    if let Some(listed) = parts::listed(scheme, "app", needed)? {
        return Ok(listed);
    }
    let mut app: Vec<Part> = needed.iter().map(|name| parts::known(name, false)).collect();
    if flow.has_client() && flow.client_auth == ClientAuth::None {
        app.push(parts::known("client_secret", true));
    }
    Ok(app)
}

fn table<'a>(node: &Node<'a>) -> Result<Table<'a>, ManifestError> {
    node.table(&KEYS)
}

pub(super) fn read(node: &Node<'_>, declared: &Declared<'_>) -> Result<OAuth2, ManifestError> {
    let table = table(node)?;
    let flow = Flow::read(&table)?;
    let url = |key: &str| table.get(key).map(|node| address(&node, declared)).transpose();
    let scope_separator = separator(&table)?;
    let scope_parameter = table
        .get("scope_parameter")
        .map_or(Ok("scope".to_owned()), |node| parameter(&node))?;
    let mut of_authorize = OF_AUTHORIZE.to_vec();
    of_authorize.push(&scope_parameter);
    let mut of_token = OF_TOKEN.to_vec();
    of_token.push(&scope_parameter);
    let scopes = scopes(&table, "scopes", &scope_separator, &[])?;
    let oauth = OAuth2 {
        issuer: url("issuer")?,
        authorize_url: url("authorize_url")?,
        token_url: url("token_url")?,
        device_url: url("device_url")?,
        revoke_url: url("revoke_url")?,
        revoke_token: table
            .get("revoke_token")
            .map_or(Ok(RevokedToken::Refresh), |node| {
                node.choice(&[
                    ("refresh", RevokedToken::Refresh),
                    ("access", RevokedToken::Access),
                ])
            })?,
        revoke_success: table
            .get("revoke_success")
            .map(|node| answer::success(&node))
            .transpose()?,
        keys_url: url("keys_url")?,
        optional_scopes: self::scopes(&table, "optional_scopes", &scope_separator, &scopes)?,
        scopes,
        client_auth: flow.client_auth,
        body: table.get("body").map_or(Ok(BodyFormat::Form), |node| {
            node.choice(&[("form", BodyFormat::Form), ("json", BodyFormat::Json)])
        })?,
        pkce: table.flag_or("pkce", true)?,
        authorize_params: params(
            &table,
            "authorize_params",
            declared,
            Place::Browser,
            &of_authorize,
        )?,
        token_params: params(&table, "token_params", declared, Place::TokenRequest, &of_token)?,
        answer: answer::read(table.get("answer"))?,
        assertion: table
            .get("assertion")
            .map(|node| assertion::read(&node, declared))
            .transpose()?,
        exchange: table
            .get("exchange")
            .map(|node| exchange(&node, declared))
            .transpose()?,
        metadata: table
            .get("metadata")
            .map(|node| metadata(&node, declared))
            .transpose()?,
        fill: answer::fills(&table, declared)?,
        expired: answer::expired(&table)?,
        refresh_margin_s: small(table.whole_or("refresh_margin_s", 300, 0..MAX_MARGIN_S)?),
        idle_refresh_s: idle(&table)?,
        grants: Vec::new(),
        scope_separator,
        scope_parameter,
    };
    check(&table, &flow, &oauth)?;
    Ok(OAuth2 {
        grants: flow.grants,
        ..oauth
    })
}

/// What the keys demand of each other.
fn check(table: &Table<'_>, flow: &Flow, oauth: &OAuth2) -> Result<(), ManifestError> {
    let known = |url: &Option<Address>| url.is_some() || oauth.issuer.is_some();
    let code = flow.has(OAuthGrant::AuthorizationCode);
    let device = flow.has(OAuthGrant::DeviceCode);
    for (asked, url, key) in [
        (true, &oauth.token_url, "token_url"),
        (code, &oauth.authorize_url, "authorize_url"),
        (device, &oauth.device_url, "device_url"),
    ] {
        if asked && !known(url) {
            return Err(table.error(key, "is missing: the grants need it, or an `issuer` that says it"));
        }
    }
    let issuer = oauth.issuer.is_some();
    let revoked = oauth.revoke_url.is_some() || issuer;
    for (used, key, why) in [
        (revoked, "revoke_token", "belongs to a `revoke_url`"),
        (revoked, "revoke_success", "belongs to a `revoke_url`"),
        (code, "authorize_url", "belongs to the grant `authorization-code`"),
        (
            code,
            "authorize_params",
            "belongs to the grant `authorization-code`",
        ),
        (code, "pkce", "belongs to the grant `authorization-code`"),
        (device, "device_url", "belongs to the grant `device-code`"),
        (issuer, "keys_url", "belongs to an `issuer`"),
    ] {
        if let Some(node) = table.get(key).filter(|_| !used) {
            return Err(node.error(why));
        }
    }
    let jwt = flow.has(OAuthGrant::JwtBearer);
    match flow.asserted {
        Some(AssertionUse::Grant | AssertionUse::Bearer) if !jwt => Err(table
            .need("assertion")?
            .error("stands for the grant `jwt-bearer`, which is not among `grants`")),
        Some(AssertionUse::Client) if !flow.has_client() => Err(table
            .need("assertion")?
            .error("proves a client, but `jwt-bearer` alone has none")),
        None | Some(AssertionUse::Client) if jwt => Err(table.error(
            "assertion",
            "is missing: the grant `jwt-bearer` needs one with `use` of \"grant\" or \"bearer\"",
        )),
        _ => Ok(()),
    }?;
    for fill in &oauth.fill {
        match fill.from {
            FillFrom::Metadata if oauth.metadata.is_none() => {
                return Err(table.error("fill", "takes from the metadata, but there is no `metadata`"));
            }
            FillFrom::Callback if !code => {
                return Err(table.error(
                    "fill",
                    "takes from the redirect, but there is no grant `authorization-code`",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn separator(table: &Table<'_>) -> Result<String, ManifestError> {
    let Some(node) = table.get("scope_separator") else {
        return Ok(" ".to_owned());
    };
    match node.raw(4)? {
        text @ (" " | "," | ", " | ";" | "+" | "|" | ":") => Ok(text.to_owned()),
        _ => Err(node.error("is not one of a space, `,`, `, `, `;`, `+`, `|` and `:`")),
    }
}

fn scopes(
    table: &Table<'_>,
    key: &str,
    separator: &str,
    known: &[String],
) -> Result<Vec<String>, ManifestError> {
    let mut scopes = Vec::new();
    for node in table.each(key, MAX_SCOPES)? {
        let scope = node.raw(256)?;
        // RFC 6749 §3.3.
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
        if scope.is_empty() || !scope.bytes().all(plain) || scope.contains(separator) {
            return Err(node.error(
                "is not a scope: printable ASCII without spaces, quotes, backslashes and the separator",
            ));
        }
        let scope = scope.to_owned();
        if scopes.contains(&scope) || known.contains(&scope) {
            return Err(node.error("is there twice"));
        }
        scopes.push(scope);
    }
    Ok(scopes)
}

fn idle(table: &Table<'_>) -> Result<Option<u32>, ManifestError> {
    let Some(node) = table.get("idle_refresh_s") else {
        return Ok(None);
    };
    if node.whole(0..IDLE_S.end)? == 0 {
        return Ok(None);
    }
    node.whole(IDLE_S).map(small).map(Some)
}

fn exchange(node: &Node<'_>, declared: &Declared<'_>) -> Result<Exchange, ManifestError> {
    let table = node.table(&["url", "params"])?;
    let at = table.need("params")?;
    let params = params(&table, "params", declared, Place::Exchange, &[])?;
    if !params.iter().any(|(_, template)| template.takes("token")) {
        return Err(at.error("takes `${token}` nowhere"));
    }
    Ok(Exchange {
        url: address(&table.need("url")?, declared)?,
        params,
    })
}

fn metadata(node: &Node<'_>, declared: &Declared<'_>) -> Result<Metadata, ManifestError> {
    let table = node.table(&["url", "prefix"])?;
    Ok(Metadata {
        url: address(&table.need("url")?, declared)?,
        prefix: table
            .get("prefix")
            .map_or(Ok("Bearer ".to_owned()), |node| applied::header_text(&node))?,
    })
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
