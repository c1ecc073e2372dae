//! Presigned addresses: an AWS request whose signature stands in the query, so that whoever has the address can make it
//! until it ends.
//!
//! Such an address is a secret of its own: it comes as one, and nothing here writes it anywhere. A guest asks for one and
//! gets a handle; the host gives the address itself to whoever runs an action that its manifest says `presigns` of.

use std::time::Duration;

use sluice_model::clock::Timestamp;
use sluice_model::secret::Secret;

use super::form;
use super::sigv4::{Scope, path, region_text};
use super::time::compact;
use super::{Apply, Credential};
use crate::broker::Broker;
use crate::caller::Caller;
use crate::error::Error;
use crate::header::{self, refuse};
use crate::place::Place;

/// The longest that a presigned address may be good for: AWS refuses more than seven days.
pub const MAX_PRESIGNED: Duration = Duration::from_secs(7 * 24 * 3600);

/// What is to be made possible.
#[derive(Debug, Clone)]
pub struct Presign {
    /// In upper case.
    pub method: String,
    /// Absolute, with the parameters that whoever uses it has to send.
    pub url: String,
    /// The credential's name; [`OWN`](super::OWN) for the connection's own.
    pub credential: String,
    /// From now, in whole seconds; at most [`MAX_PRESIGNED`].
    pub expires: Duration,
}

impl Broker {
    /// The address that makes this request possible until it ends, for whoever has it. Sends nothing. Policy is the same
    /// as if the request were sent, and the credential has to be bound to its origin.
    ///
    /// Cancel-safe.
    ///
    /// # Errors
    /// What policy refuses; a credential that is missing, bound elsewhere or signs in another way than by AWS Signature
    /// Version 4.
    pub async fn presign(&self, caller: &Caller, presign: Presign) -> Result<Secret, Error> {
        let method = header::method(&presign.method)?;
        let mut place = Place::parse(&presign.url).map_err(|error| refuse(&error.to_string()))?;
        Self::check(&caller.rights, &place.target(method.as_str())).map_err(|denial| Error::Denied {
            missing: denial.to_string(),
        })?;
        if presign.expires > MAX_PRESIGNED || presign.expires.as_secs() == 0 {
            return Err(refuse("an address is presigned for one second to seven days"));
        }
        let found = caller.vault.credential(&presign.credential).await;
        let missing = || Error::NoCredential {
            name: presign.credential.clone(),
        };
        let credential = found.map_err(Error::Vault)?.ok_or_else(missing)?;
        if !credential.is_bound_to(&place) {
            return Err(Error::OriginMismatch {
                name: credential.name.clone(),
                origin: place.origin(),
            });
        }
        let at = place.to_string();
        sign(
            &credential,
            method.as_str(),
            &mut place,
            presign.expires,
            self.shared.clock.now(),
        )?;
        tracing::debug!(
            method = method.as_str(),
            at,
            credential = credential.name,
            expires_s = presign.expires.as_secs(),
            "broker.presign"
        );
        Ok(Secret::new(place.as_str().as_bytes().to_vec()))
    }
}

pub(super) fn sign(
    credential: &Credential,
    method: &str,
    place: &mut Place,
    expires: Duration,
    now: Timestamp,
) -> Result<(), Error> {
    let Apply::SigV4 { service, region } = &credential.apply else {
        return Err(credential.unfit("only AWS signatures can stand in an address"));
    };
    let scope = Scope {
        moment: compact(now),
        region: region_text(credential, region)?,
        service,
    };
    let key_id = credential.text("access_key_id")?;
    let mut pairs = form::pairs(place.query().unwrap_or_default().as_bytes());
    pairs.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("x-amz-"));
    let mut add = |name: &str, value: String| pairs.push((name.to_owned(), value));
    add("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned());
    add("X-Amz-Credential", format!("{key_id}/{}", scope.text()));
    add("X-Amz-Date", scope.moment.clone());
    add("X-Amz-Expires", expires.as_secs().to_string());
    add("X-Amz-SignedHeaders", "host".to_owned());
    if credential.part("session_token").is_some() {
        add(
            "X-Amz-Security-Token",
            credential.text("session_token")?.to_owned(),
        );
    }
    let query = form::sorted(&pairs);
    let host = place
        .authority()
        .map_or_else(String::new, |authority| authority.as_str().to_owned());
    let payload = if service == "s3" {
        "UNSIGNED-PAYLOAD".to_owned()
    } else {
        super::sigv4::sha256(b"")
    };
    let request = format!(
        "{method}\n{}\n{query}\nhost:{host}\n\nhost\n{payload}",
        path(service, place.path())
    );
    let signature = scope.sign(credential, &request)?;
    place.set_query(&format!("{query}&X-Amz-Signature={signature}"));
    if place.as_str().len() > crate::place::MAX_URL_BYTES {
        return Err(refuse("the URL is longer than 8 KiB"));
    }
    Ok(())
}
