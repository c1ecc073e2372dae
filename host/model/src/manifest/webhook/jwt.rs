//! `scheme = "jwt"`: JSON Web Tokens whose claims say what the request is.

use std::time::Duration;

use super::super::ManifestError;
use super::super::source::{Node, Table};
use super::place::{self, visible};
use super::signed::{ENCODINGS, address, secret};
use crate::signature::{Bound, ClaimDigest, Expected, Jwt, KeySource, Place, Recipe, TokenAlgorithm};

/// The longest leeway and age.
const MAX_TOLERANCE_S: u64 = 3600;
/// The most claims that are looked at.
const MAX_CLAIMS: usize = 16;

pub(super) fn read(node: &Node<'_>) -> Result<Recipe, ManifestError> {
    let mut keys = vec![
        "scheme",
        "algorithm",
        "prefix",
        "secret_prefix",
        "secret_encoding",
        "secret_has_id",
        "keys",
        "detached",
        "critical",
        "header_claims",
        "claims",
        "absent",
        "body_hash",
        "url_hash",
        "qsh",
        "bound",
        "tolerance_s",
    ];
    keys.extend(place::KEYS);
    let table = node.table(&keys)?;
    let algorithms = [
        ("HS256", TokenAlgorithm::Hs256),
        ("HS512", TokenAlgorithm::Hs512),
        ("RS256", TokenAlgorithm::Rs256),
        ("PS256", TokenAlgorithm::Ps256),
        ("ES256", TokenAlgorithm::Es256),
    ];
    let algorithm = table.need("algorithm")?.choice(&algorithms)?;
    let keys = table.get("keys").map(|node| source(&node)).transpose()?;
    match (&keys, algorithm.is_shared()) {
        (Some(_), true) => return Err(table.error("keys", "does not go with a shared secret")),
        (None, false) => return Err(table.error("keys", "is missing: say where the vendor's keys are")),
        _ => {}
    }
    let place = place::of(&table, node)?;
    let detached = table.flag_or("detached", false)?;
    if detached && place == Place::Body {
        return Err(table.error("detached", "does not go with a token that is the body"));
    }
    let claims = claims(&table, "claims")?;
    let has_own = |(_, wanted): &(String, Expected)| !matches!(wanted, Expected::Present | Expected::True);
    // With the vendor's own key everybody's tokens verify; something has to say that this one is for us.
    if keys.is_some() && !detached && !claims.iter().any(has_own) && table.get("body_hash").is_none() {
        let message =
            "is missing: the vendor's key signs for all its customers; say what a token for this hook claims";
        return Err(table.error("claims", message));
    }
    let names = |key: &str| {
        let texts = table.each(key, MAX_CLAIMS)?;
        texts.iter().map(visible).collect::<Result<Vec<_>, _>>()
    };
    let recipe = Jwt {
        place,
        prefix: table
            .get("prefix")
            .map_or(Ok(String::new()), |node| visible(&node))?,
        algorithm,
        secret: secret(&table, table.flag_or("secret_has_id", false)?)?,
        keys,
        detached,
        critical: names("critical")?,
        header: self::claims(&table, "header_claims")?,
        claims,
        absent: names("absent")?,
        body: table.get("body_hash").map(|node| digest(&node)).transpose()?,
        url: table.get("url_hash").map(|node| digest(&node)).transpose()?,
        qsh: table.flag_or("qsh", false)?,
        bound: bound(&table)?,
        tolerance: Duration::from_secs(table.whole_or("tolerance_s", 300, 1..MAX_TOLERANCE_S)?),
    };
    Ok(Recipe::Jwt(Box::new(recipe)))
}

fn source(node: &Node<'_>) -> Result<KeySource, ManifestError> {
    let table = node.table(&["url", "post", "at", "credential"])?;
    Ok(KeySource {
        address: address(&table.need("url")?)?,
        post: table.get("post").map(|node| visible(&node)).transpose()?,
        at: table.get("at").map(|node| place::pointer(&node)).transpose()?,
        credential: table.get("credential").map(|node| node.name()).transpose()?,
    })
}

/// A table of claims: `aud = "{url}"`, `email_verified = true`, `iss = "https://accounts.google.com"`.
fn claims(table: &Table<'_>, key: &str) -> Result<Vec<(String, Expected)>, ManifestError> {
    let Some(node) = table.get(key) else {
        return Ok(Vec::new());
    };
    let Some(entries) = node.entries() else {
        return Err(node.error("is not a table"));
    };
    let mut claims = Vec::new();
    for (name, at_key, value) in entries {
        if claims.len() >= MAX_CLAIMS {
            return Err(at_key.error("is one claim too many; 16 are the most"));
        }
        let wanted = match value.value().as_bool() {
            Some(true) => Expected::True,
            Some(false) => return Err(value.error("is neither `true` nor a text")),
            None => match visible(&value)?.as_str() {
                "" => return Err(value.error("is empty")),
                "{secret}" => Expected::Secret,
                "{secret_id}" => Expected::SecretId,
                "{url}" => Expected::Url,
                "{origin}" => Expected::Origin,
                "{any}" => Expected::Present,
                text if text.contains(['{', '}']) => {
                    return Err(value.error(
                        "has braces, but is not one of `{secret}`, `{secret_id}`, `{url}`, `{origin}` and `{any}`",
                    ));
                }
                text => Expected::Text(text.to_owned()),
            },
        };
        claims.push((name.to_owned(), wanted));
    }
    Ok(claims)
}

fn digest(node: &Node<'_>) -> Result<ClaimDigest, ManifestError> {
    let table = node.table(&["claim", "encoding", "unless_empty"])?;
    Ok(ClaimDigest {
        claim: visible(&table.need("claim")?)?,
        encoding: table.need("encoding")?.choice(&ENCODINGS)?,
        unless_empty: table.flag_or("unless_empty", false)?,
    })
}

fn bound(table: &Table<'_>) -> Result<Bound, ManifestError> {
    let node = table.need("bound")?;
    Ok(match visible(&node)?.as_str() {
        "exp" => Bound::Expires,
        "none" => Bound::Nothing,
        "" => {
            return Err(node.error("is empty: it is `exp`, `none`, or the claim that says when it was made"));
        }
        claim => Bound::Issued(claim.to_owned()),
    })
}
