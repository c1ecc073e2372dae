//! A connection's secret as a person gives it: checked part by part, sealed, and bound to the origins that its scheme names
//! for this configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use sluice_broker::redact::MIN_SECRET_BYTES;
use sluice_model::auth::{Apply, SECRET};
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::manifest::{AuthScheme, Manifest};
use sluice_model::secret::Secret;
use sluice_store::credential::{Life, NewCredential};

use super::{Connection, Error, get};
use crate::auth::Bundle;
use crate::schema::Violation;
use crate::{Service, catalogue, event, vault};

/// The parts of a secret by name; a scheme with one part calls it `secret`.
pub type Given = BTreeMap<String, Secret>;

/// Sets the secret anew, bound to the origins of the configuration as it is now. Calls that begin after this use it.
///
/// # Errors
///
/// [`Error::Scheme`], [`Error::Secret`], [`Error::Part`], [`Error::Parts`].
pub async fn set_secret(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    scheme: Option<String>,
    given: Given,
) -> Result<(), Error> {
    let connection = get(service, org, &id.to_string()).await?;
    let known = catalogue::known(service, org, connection.install).await?;
    let wanted = scheme.or_else(|| connection.auth.clone());
    let offered = choose_scheme(&known.manifest, wanted)?;
    let Some(scheme) = offered else {
        return Err(Error::Scheme {
            wanted: "(any)".to_owned(),
            offered: "none".to_owned(),
        });
    };
    put_secret(service, org, &known.manifest, &connection, &scheme, given).await?;
    event::platform(
        service,
        org,
        "sluice.connection.secret_set",
        id,
        || json!({"scheme": scheme}),
    )
    .await?;
    Ok(())
}

pub(super) async fn put_secret(
    service: &Service,
    org: OrgId,
    manifest: &Arc<Manifest>,
    connection: &Connection,
    scheme: &str,
    given: Given,
) -> Result<(), Error> {
    let Some(declared) = manifest.auth(scheme) else {
        return Err(Error::Scheme {
            wanted: scheme.to_owned(),
            offered: offered(manifest),
        });
    };
    check(declared, &given)?;
    let bundle: Bundle = joined(declared, given).into_iter().collect();
    let origins = vault::origins(declared, &connection.config)?;
    let new = NewCredential {
        secret: bundle.write(),
        origins,
        life: Life {
            obtained: Some(service.now()),
            ..Life::default()
        },
    };
    service
        .store()
        .put_credential(org, connection.id, scheme, new, None)
        .await?;
    service.credentials().forget(connection.id);
    Ok(())
}

/// Basic authentication's user and password, however they were given: the user is not always fixed by the manifest.
fn joined(scheme: &AuthScheme, mut given: Given) -> Given {
    if !matches!(scheme.apply, Apply::Basic { username: None }) {
        return given;
    }
    if let (Some(user), Some(password)) = (given.remove("user"), given.remove("password")) {
        let pair = [user.expose(), b":", password.expose()].concat();
        given.insert(SECRET.to_owned(), Secret::new(pair));
    }
    given
}

pub(crate) fn choose_scheme(manifest: &Manifest, wanted: Option<String>) -> Result<Option<String>, Error> {
    match wanted {
        None => Ok(manifest.auth.first().map(|scheme| scheme.name.clone())),
        Some(wanted) if manifest.auth(&wanted).is_some() => Ok(Some(wanted)),
        Some(wanted) => Err(Error::Scheme {
            wanted,
            offered: offered(manifest),
        }),
    }
}

fn offered(manifest: &Manifest) -> String {
    let names: Vec<_> = manifest
        .auth
        .iter()
        .map(|scheme| format!("`{}`", scheme.name))
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// Whether these are the scheme's parts, and each can go where it has to.
pub(super) fn check(scheme: &AuthScheme, given: &Given) -> Result<(), Error> {
    // `user:password` in one is what command lines give.
    let is_pair = matches!(scheme.apply, Apply::Basic { username: None })
        && given.len() == 1
        && given
            .get(SECRET)
            .is_some_and(|pair| pair.expose().contains(&b':'));
    for (name, secret) in given {
        let part = scheme.parts.iter().find(|part| part.name == *name);
        if part.is_none() && !is_pair {
            let names: Vec<_> = scheme
                .parts
                .iter()
                .map(|part| format!("`{}`", part.name))
                .collect();
            return Err(Error::Part {
                part: name.clone(),
                offered: if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                },
            });
        }
        check_part(secret, part.is_some_and(|part| part.multiline))?;
        let hidden = match part {
            Some(part) if part.secret => secret.expose(),
            Some(_) => continue,
            None => password(secret.expose()),
        };
        if hidden.len() < MIN_SECRET_BYTES {
            return Err(Error::ShortSecret);
        }
    }
    let missing: Vec<_> = scheme
        .parts
        .iter()
        .filter(|part| !is_pair && !part.optional && !given.contains_key(&part.name))
        .map(|part| format!("`{}`", part.name))
        .collect();
    match missing.len() {
        0 => Ok(()),
        1 => Err(Error::Parts(format!("part {} is", missing.join("")))),
        _ => Err(Error::Parts(format!("parts {} are", missing.join(", ")))),
    }
}

/// What is behind the colon of `user:password`.
fn password(pair: &[u8]) -> &[u8] {
    let mut halves = pair.splitn(2, |byte| *byte == b':');
    halves.next().and(halves.next()).unwrap_or(pair)
}

pub(crate) fn check_part(secret: &Secret, multiline: bool) -> Result<(), Error> {
    let bytes = secret.expose();
    let control = |byte: &u8| *byte < 0x20 || *byte == 0x7f;
    let line = |byte: &u8| multiline && matches!(*byte, b'\n' | b'\r' | b'\t');
    let fits = (1..=MAX_SECRET_BYTES).contains(&bytes.len())
        && !bytes.iter().any(|byte| control(byte) && !line(byte))
        && std::str::from_utf8(bytes).is_ok();
    if fits { Ok(()) } else { Err(Error::Secret) }
}

/// Tokens are short; the longest in use are JWTs and certificate chains of a few KiB.
const MAX_SECRET_BYTES: usize = 16 * 1024;

impl From<vault::OriginError> for Error {
    fn from(error: vault::OriginError) -> Self {
        Self::Config(Violation {
            pointer: String::new(),
            reason: error.to_string(),
        })
    }
}
