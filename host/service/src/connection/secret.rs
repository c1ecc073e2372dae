//! A connection's secret: checked, sealed, and bound to the origins that its scheme names for this configuration.

use std::sync::Arc;

use serde_json::json;
use sluice_model::id::{ConnectionId, OrgId};
use sluice_model::manifest::Manifest;
use sluice_model::secret::Secret;

use super::{Connection, Error, get};
use crate::schema::Violation;
use crate::vault::origin_text;
use crate::{Service, catalogue, event};

/// Sets the secret anew, bound to the origins of the configuration as it is now. Calls that begin after this use it.
///
/// # Errors
///
/// [`Error::Scheme`], [`Error::Secret`].
pub async fn set_secret(
    service: &Service,
    org: OrgId,
    id: ConnectionId,
    scheme: Option<String>,
    secret: Secret,
) -> Result<(), Error> {
    check_secret(&secret)?;
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
    put_secret(service, org, &known.manifest, &connection, &scheme, secret).await?;
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
    secret: Secret,
) -> Result<(), Error> {
    let Some(declared) = manifest.auth(scheme) else {
        return Err(Error::Scheme {
            wanted: scheme.to_owned(),
            offered: offered(manifest),
        });
    };
    let mut origins = Vec::with_capacity(declared.origins.len());
    for origin in &declared.origins {
        let origin = origin.expand(&connection.config).map_err(|error| {
            Error::Config(Violation {
                pointer: String::new(),
                reason: error.to_string(),
            })
        })?;
        origins.push(origin_text(&origin));
    }
    service
        .store()
        .put_credential(org, connection.id, scheme, secret, origins)
        .await?;
    service.credentials().forget(connection.id);
    Ok(())
}

pub(super) fn choose_scheme(manifest: &Manifest, wanted: Option<String>) -> Result<Option<String>, Error> {
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

pub(super) fn check_secret(secret: &Secret) -> Result<(), Error> {
    let bytes = secret.expose();
    let fits = (1..=MAX_SECRET_BYTES).contains(&bytes.len())
        && !bytes.iter().any(|byte| *byte < 0x20 || *byte == 0x7f);
    if fits { Ok(()) } else { Err(Error::Secret) }
}

/// Tokens are short; the longest in use are JWTs of a few KiB.
const MAX_SECRET_BYTES: usize = 16 * 1024;
