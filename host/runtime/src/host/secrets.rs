//! `secrets`: handles, and what is derived from one, which is again a handle. Bytes of a secret never cross into the
//! guest; a placeholder does, and the broker alone knows what it stands for.

use std::sync::Arc;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use ring::hmac;
use sluice_broker::{Held, VaultError};
use sluice_model::auth::{JwtAlgorithm, SECRET};
use sluice_model::fault::{Fault, FaultKind};
use sluice_model::jws;
use sluice_model::secret::Secret;
use wasmtime::component::Resource;

use crate::bindings::sluice::connector::secrets as wit;
use crate::state::State;
use crate::stop::Stop;

/// A JWT's header and claims together, in bytes.
const JWT_BYTES: usize = 64 << 10;

/// What a guest's handle stands for.
#[derive(Debug)]
#[expect(
    unreachable_pub,
    reason = "the generated bindings re-export it from their private module"
)]
pub struct Handle {
    held: Held,
    /// Whether it is a presigned address, which the caller of the call may give out.
    presigned: bool,
}

impl Handle {
    fn new(held: Held) -> Self {
        Self {
            held,
            presigned: false,
        }
    }

    /// A presigned address, bound to no origin: no request carries it.
    pub(crate) fn presigned(address: Secret) -> Self {
        Self {
            held: Held {
                name: "presigned".to_owned(),
                secret: address,
                origins: Vec::new(),
            },
            presigned: true,
        }
    }

    /// The same name and origins around other bytes.
    fn derive(&self, bytes: Vec<u8>) -> Self {
        Self::new(Held {
            name: self.held.name.clone(),
            secret: Secret::new(bytes),
            origins: self.held.origins.clone(),
        })
    }
}

impl wit::Host for State {
    /// The vault is one connection's view: what is somebody else's is not in it, so the answer is the same.
    async fn open(&mut self, name: String) -> wasmtime::Result<Option<Resource<Handle>>> {
        self.meter.call()?;
        if name.is_empty() {
            return Ok(None);
        }
        let vault = Arc::clone(&self.caller.vault);
        let found = vault.credential(&name).await;
        let found = found.map_err(unavailable)?;
        let Some(credential) = found else { return Ok(None) };
        // What has several parts is opened part by part, as `scheme.part`.
        let Some(secret) = credential.part(SECRET) else {
            return Ok(None);
        };
        let held = Held {
            name: credential.name.clone(),
            secret: secret.clone(),
            origins: credential.origins.clone(),
        };
        Ok(Some(self.table.push(Handle::new(held))?))
    }
}

impl wit::HostSecret for State {
    fn placeholder(&mut self, this: Resource<Handle>) -> wasmtime::Result<String> {
        self.meter.call()?;
        let Handle { held, presigned } = self.table.get(&this)?;
        let (address, held) = (presigned.then(|| held.secret.clone()), held.clone());
        let made = self.caller.budget.placeholders().insert(held);
        let limit = sluice_broker::placeholder::MAX_PLACEHOLDERS as u64;
        let made = made.map_err(|_| Stop::Budget {
            what: "placeholders",
            limit,
        })?;
        if let Some(address) = address {
            self.presigned.push((made.clone(), address));
        }
        Ok(made)
    }

    fn hmac(
        &mut self,
        this: Resource<Handle>,
        algorithm: wit::Algorithm,
        message: Vec<u8>,
        encoding: wit::Encoding,
    ) -> wasmtime::Result<Resource<Handle>> {
        self.meter.call()?;
        let handle = self.table.get(&this)?;
        let tag = hmac::sign(&key(algorithm, handle), &message);
        let text = match encoding {
            wit::Encoding::Hex => HEXLOWER.encode(tag.as_ref()),
            wit::Encoding::Base64 => BASE64.encode(tag.as_ref()),
            wit::Encoding::Base64url => BASE64URL_NOPAD.encode(tag.as_ref()),
        };
        let derived = handle.derive(text.into_bytes());
        Ok(self.table.push(derived)?)
    }

    fn sign_jwt(
        &mut self,
        this: Resource<Handle>,
        header: String,
        claims: String,
    ) -> wasmtime::Result<Result<Resource<Handle>, String>> {
        self.meter.call()?;
        let handle = self.table.get(&this)?;
        match jwt(handle, &header, &claims) {
            Ok(derived) => Ok(Ok(self.table.push(derived)?)),
            Err(reason) => Ok(Err(reason)),
        }
    }

    fn verify_hmac(
        &mut self,
        this: Resource<Handle>,
        algorithm: wit::Algorithm,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> wasmtime::Result<bool> {
        self.meter.call()?;
        let handle = self.table.get(&this)?;
        Ok(hmac::verify(&key(algorithm, handle), &message, &signature).is_ok())
    }

    fn drop(&mut self, this: Resource<Handle>) -> wasmtime::Result<()> {
        self.meter.call()?;
        self.table.delete(this)?;
        Ok(())
    }
}

/// The contract has no error here, so the call ends; who has to act is told as if the guest had said it.
fn unavailable(error: VaultError) -> Stop {
    if !error.is_over {
        return Stop::Host("a credential could not be read".into());
    }
    Stop::Fault(Fault {
        kind: FaultKind::Auth,
        message: error.reason,
        pointer: None,
        retry_after: None,
    })
}

fn key(algorithm: wit::Algorithm, handle: &Handle) -> hmac::Key {
    let algorithm = match algorithm {
        wit::Algorithm::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        wit::Algorithm::HmacSha256 => hmac::HMAC_SHA256,
        wit::Algorithm::HmacSha512 => hmac::HMAC_SHA512,
    };
    hmac::Key::new(algorithm, handle.held.secret.expose())
}

/// A compact JWS over claims, as `wit` says: HS256 or RS256.
fn jwt(handle: &Handle, header: &str, claims: &str) -> Result<Handle, String> {
    if header.len() + claims.len() > JWT_BYTES {
        return Err("the header and the claims have more than 64 KiB".to_owned());
    }
    let parsed: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(header).map_err(|_| "the header is not a JSON object")?;
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(claims)
        .map_err(|_| "the claims are not a JSON object")?;
    let algorithm = match parsed.get("alg").and_then(serde_json::Value::as_str) {
        Some("HS256") => JwtAlgorithm::Hs256,
        Some("RS256") => JwtAlgorithm::Rs256,
        _ => return Err("`alg` of the header must be HS256 or RS256".to_owned()),
    };
    let token = jws::sign(algorithm, handle.held.secret.expose(), header, claims);
    let token = token.map_err(|error| error.to_string())?;
    Ok(handle.derive(token.expose().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(secret: &[u8]) -> Handle {
        Handle::new(Held {
            name: "key".into(),
            secret: Secret::new(secret.to_vec()),
            origins: Vec::new(),
        })
    }

    #[test]
    fn a_grant_that_is_over_is_the_owners_business() {
        let Stop::Fault(fault) = unavailable(VaultError::ended("it has ended")) else {
            panic!("not a fault")
        };
        assert_eq!(
            (fault.kind, fault.message.as_str()),
            (FaultKind::Auth, "it has ended")
        );
        assert!(matches!(
            unavailable(VaultError::new("the database is away")),
            Stop::Host(_)
        ));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let check = |secret: &[u8], header: &str, claims: &str| {
            let reason = jwt(&handle(secret), header, claims).unwrap_err();
            assert!(!reason.contains("s3cret"));
        };
        check(b"s3cret", r#"{"alg":"none"}"#, "{}");
        check(b"s3cret", r#"{"alg":"RS256"}"#, "{}");
        check(b"s3cret", r#"{"alg":"HS256"}"#, "[]");
        check(b"s3cret", "alg", "{}");
        check(
            b"-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----",
            r#"{"alg":"HS256"}"#,
            "{}",
        );
        check(
            b"-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----",
            r#"{"alg":"RS256"}"#,
            "{}",
        );
        check(
            b"s3cret",
            r#"{"alg":"HS256"}"#,
            &format!("{{\"a\":\"{}\"}}", "x".repeat(JWT_BYTES)),
        );
    }
}
