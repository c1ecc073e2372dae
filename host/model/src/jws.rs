//! Compact JSON Web Signatures (RFC 7515 §7.1) over claims (RFC 7519): made for assertions, checked for ID tokens.
//!
//! What must always hold: the algorithm is the caller's choice, never the token's (RFC 8725 §3.1); a private key never
//! serves as a shared secret; no error has key material in it.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::{hmac, rand, signature};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::auth::JwtAlgorithm;
use crate::secret::Secret;

/// Why a token cannot be made or is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JwsError(&'static str);

/// The longest token that is read.
const MAX_TOKEN_BYTES: usize = 64 << 10;

impl JwtAlgorithm {
    /// `alg` of RFC 7518 §3.1.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// Signs `header` and `claims`, both JSON texts; `alg` of the header is the caller's business.
///
/// # Errors
///
/// When the key is not one for the algorithm.
pub fn sign(algorithm: JwtAlgorithm, key: &[u8], header: &str, claims: &str) -> Result<Secret, JwsError> {
    let signed = format!(
        "{}.{}",
        BASE64URL_NOPAD.encode(header.as_bytes()),
        BASE64URL_NOPAD.encode(claims.as_bytes())
    );
    let signature = match algorithm {
        JwtAlgorithm::Hs256 if is_pem(key) => {
            return Err(JwsError("HS256 needs a shared secret, this is a private key"));
        }
        JwtAlgorithm::Hs256 => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes())
            .as_ref()
            .to_vec(),
        JwtAlgorithm::Rs256 => rs256(key, signed.as_bytes())?,
        JwtAlgorithm::Es256 => es256(key, signed.as_bytes())?,
    };
    let token = format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature));
    Ok(Secret::new(token.into_bytes()))
}

/// The claims of a token that one of the keys of a JWK Set (RFC 7517 §5) has signed with RS256 or ES256. What the claims
/// say (issuer, audience, times) is still to be checked.
///
/// # Errors
///
/// When it is not such a token.
pub fn verify(token: &str, keys: &Value) -> Result<Map<String, Value>, JwsError> {
    const FORM: JwsError = JwsError("the token is not a compact JWS");
    if token.len() > MAX_TOKEN_BYTES {
        return Err(JwsError("the token is longer than 64 KiB"));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(FORM)?;
    let (header, claims) = signed.split_once('.').ok_or(FORM)?;
    let object = |part: &str| -> Option<Map<String, Value>> {
        serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).ok()?).ok()
    };
    let (header, claims) = (object(header).ok_or(FORM)?, object(claims).ok_or(FORM)?);
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| FORM)?;
    // RFC 7515 §4.1.11: what is critical and not understood is refused.
    if header.contains_key("crit") {
        return Err(JwsError("the token has critical extensions"));
    }
    let text = |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
    let algorithm = text(&header, "alg").ok_or(FORM)?;
    if !["RS256", "ES256"].contains(&algorithm.as_str()) {
        return Err(JwsError("the token is signed with neither RS256 nor ES256"));
    }
    let wanted = text(&header, "kid");
    let keys = keys
        .get("keys")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let fits = |key: &&Map<String, Value>| {
        (wanted.is_none() || text(key, "kid") == wanted)
            && text(key, "use").is_none_or(|usage| usage == "sig")
            && text(key, "alg").is_none_or(|of| of == algorithm)
    };
    let mut candidates = keys.iter().filter_map(Value::as_object).filter(fits).take(16);
    let is_signed = candidates.any(|key| is_signed_by(key, &algorithm, signed.as_bytes(), &signature));
    if is_signed {
        Ok(claims)
    } else {
        Err(JwsError(
            "no key of the issuer has signed the token with RS256 or ES256",
        ))
    }
}

/// Whether a JWK (RFC 7517) has signed, with the algorithm that the caller has settled on.
pub(crate) fn is_signed_by(key: &Map<String, Value>, algorithm: &str, message: &[u8], sig: &[u8]) -> bool {
    let bytes = |name: &str| {
        let text = key.get(name)?.as_str()?;
        BASE64URL_NOPAD.decode(text.as_bytes()).ok()
    };
    let kind = key.get("kty").and_then(Value::as_str);
    match (algorithm, kind) {
        ("RS256" | "PS256", Some("RSA")) => {
            let (Some(n), Some(e)) = (bytes("n"), bytes("e")) else {
                return false;
            };
            let parameters = match algorithm {
                "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                _ => &signature::RSA_PSS_2048_8192_SHA256,
            };
            signature::RsaPublicKeyComponents { n, e }
                .verify(parameters, message, sig)
                .is_ok()
        }
        ("ES256", Some("EC")) if key.get("crv").and_then(Value::as_str) == Some("P-256") => {
            let (Some(x), Some(y)) = (bytes("x"), bytes("y")) else {
                return false;
            };
            // SEC 1 §2.3.3: an uncompressed point.
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                .verify(message, sig)
                .is_ok()
        }
        _ => false,
    }
}

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
fn rs256(key: &[u8], message: &[u8]) -> Result<Vec<u8>, JwsError> {
    const UNFIT: JwsError = JwsError("RS256 needs an RSA private key of at least 2048 bits, as PEM or DER");
    let der = der(key).ok_or(UNFIT)?;
    let pair = signature::RsaKeyPair::from_pkcs8(&der).or_else(|_| signature::RsaKeyPair::from_der(&der));
    let pair = pair.map_err(|_| UNFIT)?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(
        &signature::RSA_PKCS1_SHA256,
        &rand::SystemRandom::new(),
        message,
        &mut signature,
    )
    .map_err(|_| JwsError("the key could not sign"))?;
    Ok(signature)
}

/// ECDSA with P-256 and SHA-256 (RFC 7518 §3.4).
fn es256(key: &[u8], message: &[u8]) -> Result<Vec<u8>, JwsError> {
    const UNFIT: JwsError = JwsError("ES256 needs a P-256 private key in PKCS #8, as PEM or DER");
    let der = der(key).ok_or(UNFIT)?;
    let random = rand::SystemRandom::new();
    let pair =
        signature::EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &der, &random)
            .map_err(|_| UNFIT)?;
    let signed = pair
        .sign(&random, message)
        .map_err(|_| JwsError("the key could not sign"))?;
    Ok(signed.as_ref().to_vec())
}

pub(crate) fn is_pem(key: &[u8]) -> bool {
    key.trim_ascii_start().starts_with(b"-----BEGIN ")
}

/// The first block of a PEM text (RFC 7468), or the bytes as they are.
pub(crate) fn der(key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if !is_pem(key) {
        return Some(Zeroizing::new(key.to_vec()));
    }
    let text = std::str::from_utf8(key).ok()?;
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
    use ring::signature::KeyPair;
    use serde_json::json;

    use super::*;

    /// The example of RFC 7515 A.1.
    #[test]
    fn hs256_as_the_rfc_says() {
        let key = BASE64URL_NOPAD
            .decode(b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let header = "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}";
        let claims = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
        let token = sign(JwtAlgorithm::Hs256, &key, header, claims).unwrap();
        let expected = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(token.expose(), expected.as_bytes());
    }

    fn signed() -> (String, Value) {
        let random = rand::SystemRandom::new();
        let document =
            signature::EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &random)
                .unwrap();
        let pair = signature::EcdsaKeyPair::from_pkcs8(
            &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            document.as_ref(),
            &random,
        )
        .unwrap();
        let point = pair.public_key().as_ref();
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig",
            "x": BASE64URL_NOPAD.encode(&point[1..33]), "y": BASE64URL_NOPAD.encode(&point[33..])});
        let header = r#"{"alg":"ES256","kid":"k1"}"#;
        let token = sign(JwtAlgorithm::Es256, document.as_ref(), header, r#"{"sub":"a"}"#).unwrap();
        let token = String::from_utf8(token.expose().to_vec()).unwrap();
        (token, json!({"keys": [{"kty": "oct"}, jwk]}))
    }

    #[test]
    fn what_is_signed_is_believed_and_nothing_else() {
        let (token, keys) = signed();
        assert_eq!(verify(&token, &keys).unwrap().get("sub"), Some(&json!("a")));
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last letter of each part has bits that mean nothing; strict decoding refuses those as well.
            assert!(changed == token || verify(&changed, &keys).is_err(), "byte {at}");
        }
        let (_, others) = signed();
        assert!(verify(&token, &others).is_err());
        assert!(verify(&token, &json!({})).is_err());
    }

    #[test]
    fn algorithms_are_not_confused() {
        let (token, keys) = signed();
        let claims = token.split('.').nth(1).unwrap();
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS256","kid":"k1"}"#,
            r#"{"alg":"RS256","kid":"k1"}"#,
            r#"{"alg":"ES256","kid":"k1","crit":["b64"]}"#,
        ] {
            let header = BASE64URL_NOPAD.encode(header.as_bytes());
            for signature in ["", "AA", token.rsplit('.').next().unwrap()] {
                assert!(verify(&format!("{header}.{claims}.{signature}"), &keys).is_err());
            }
        }
        let pem = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
        for algorithm in [JwtAlgorithm::Hs256, JwtAlgorithm::Rs256, JwtAlgorithm::Es256] {
            assert!(sign(algorithm, pem, "{}", "{}").is_err(), "{algorithm:?}");
        }
    }
}
