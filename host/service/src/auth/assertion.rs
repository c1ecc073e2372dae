//! Assertions: a JWT signed by the host with a key that only it has.

use serde_json::{Map, Value, json};
use sluice_model::auth::Assertion;
use sluice_model::jws;
use sluice_model::secret::Secret;

use super::Error;
use super::app::Known;
use crate::Service;

/// Makes the assertion of a recipe as of now.
pub(super) fn make(service: &Service, recipe: &Assertion, known: &Known<'_>) -> Result<Secret, Error> {
    let now = service.now().as_secs();
    let issued = now.saturating_sub(recipe.backdate_s.into());
    let mut claims = Map::new();
    for (name, template) in &recipe.claims {
        claims.insert(name.clone(), Value::String(template.fill(known)?.to_string()));
    }
    claims.insert("iat".to_owned(), json!(issued));
    claims.insert("exp".to_owned(), json!(issued + u64::from(recipe.lifetime_s)));
    if !claims.contains_key("jti") {
        let random = data_encoding::HEXLOWER.encode(&service.random::<16>());
        claims.insert("jti".to_owned(), Value::String(random));
    }
    let mut header = Map::new();
    header.insert("alg".to_owned(), json!(recipe.algorithm.name()));
    header.insert("typ".to_owned(), json!("JWT"));
    if let Some(key_id) = &recipe.key_id {
        header.insert("kid".to_owned(), Value::String(key_id.fill(known)?.to_string()));
    }
    let key = recipe.key.fill(known)?;
    let (header, claims) = (
        Value::Object(header).to_string(),
        Value::Object(claims).to_string(),
    );
    Ok(jws::sign(recipe.algorithm, key.as_bytes(), &header, &claims)?)
}
