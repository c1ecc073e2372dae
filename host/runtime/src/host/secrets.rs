//! `secrets`: handles, and what is derived from one, which is again a handle. Bytes of a secret never cross into the
//! guest; a placeholder does, and the broker alone knows what it stands for.

use std::sync::Arc;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use ring::{hmac, rand, signature};
use sluice_broker::Held;
use sluice_model::secret::Secret;
use wasmtime::component::Resource;
use zeroize::Zeroizing;

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
pub struct Handle(Held);

impl Handle {
    /// The same name and origins around other bytes.
    fn derive(&self, bytes: Vec<u8>) -> Self {
        Self(Held {
            name: self.0.name.clone(),
            secret: Secret::new(bytes),
            origins: self.0.origins.clone(),
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
        let found = found.map_err(|_| Stop::Host("a credential could not be read".into()))?;
        let Some(credential) = found else { return Ok(None) };
        let held = Held {
            name: credential.name.clone(),
            secret: credential.secret.clone(),
            origins: credential.origins.clone(),
        };
        Ok(Some(self.table.push(Handle(held))?))
    }
}

impl wit::HostSecret for State {
    fn placeholder(&mut self, this: Resource<Handle>) -> wasmtime::Result<String> {
        self.meter.call()?;
        let held = self.table.get(&this)?.0.clone();
        let made = self.caller.budget.placeholders().insert(held);
        let limit = sluice_broker::placeholder::MAX_PLACEHOLDERS as u64;
        Ok(made.map_err(|_| Stop::Budget {
            what: "placeholders",
            limit,
        })?)
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
            Err(reason) => Ok(Err(reason.to_owned())),
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

fn key(algorithm: wit::Algorithm, handle: &Handle) -> hmac::Key {
    let algorithm = match algorithm {
        wit::Algorithm::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        wit::Algorithm::HmacSha256 => hmac::HMAC_SHA256,
        wit::Algorithm::HmacSha512 => hmac::HMAC_SHA512,
    };
    hmac::Key::new(algorithm, handle.0.secret.expose())
}

/// A compact JWS (RFC 7515 §7.1) over claims (RFC 7519).
fn jwt(handle: &Handle, header: &str, claims: &str) -> Result<Handle, &'static str> {
    if header.len() + claims.len() > JWT_BYTES {
        return Err("the header and the claims have more than 64 KiB");
    }
    let parsed: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(header).map_err(|_| "the header is not a JSON object")?;
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(claims)
        .map_err(|_| "the claims are not a JSON object")?;
    let signed = format!(
        "{}.{}",
        BASE64URL_NOPAD.encode(header.as_bytes()),
        BASE64URL_NOPAD.encode(claims.as_bytes())
    );
    let secret = handle.0.secret.expose();
    let signature = match parsed.get("alg").and_then(serde_json::Value::as_str) {
        // A private key must not become a shared one: that is how algorithms are confused.
        Some("HS256") if is_pem(secret) => return Err("HS256 needs a shared secret, this is a private key"),
        Some("HS256") => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes())
            .as_ref()
            .to_vec(),
        Some("RS256") => rsa(secret, signed.as_bytes())?,
        _ => return Err("`alg` of the header must be HS256 or RS256"),
    };
    let text = format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature));
    Ok(handle.derive(text.into_bytes()))
}

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
fn rsa(secret: &[u8], message: &[u8]) -> Result<Vec<u8>, &'static str> {
    const UNFIT: &str = "RS256 needs an RSA private key of at least 2048 bits, as PEM or DER";
    let der = if is_pem(secret) {
        pem(secret).ok_or(UNFIT)?
    } else {
        Zeroizing::new(secret.to_vec())
    };
    let pair = signature::RsaKeyPair::from_pkcs8(&der).or_else(|_| signature::RsaKeyPair::from_der(&der));
    let pair = pair.map_err(|_| UNFIT)?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(
        &signature::RSA_PKCS1_SHA256,
        &rand::SystemRandom::new(),
        message,
        &mut signature,
    )
    .map_err(|_| "the key could not sign")?;
    Ok(signature)
}

fn is_pem(secret: &[u8]) -> bool {
    secret.trim_ascii_start().starts_with(b"-----BEGIN ")
}

/// The first block of a PEM text (RFC 7468).
fn pem(secret: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(secret).ok()?;
    let inside = text
        .trim_start()
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with("-----END "));
    let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
    for line in inside {
        base64.push_str(line.trim());
    }
    BASE64.decode(base64.as_bytes()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(secret: &[u8]) -> Handle {
        Handle(Held {
            name: "key".into(),
            secret: Secret::new(secret.to_vec()),
            origins: Vec::new(),
        })
    }

    /// The example of RFC 7515 A.1.
    #[test]
    fn hs256_as_the_rfc_says() {
        let key = BASE64URL_NOPAD
            .decode(b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let header = "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}";
        let claims = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
        let token = jwt(&handle(&key), header, claims).unwrap();
        let expected = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(token.0.secret.expose(), expected.as_bytes());
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
