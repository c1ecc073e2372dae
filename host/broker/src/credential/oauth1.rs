//! OAuth 1.0a signatures in the `authorization` header (RFC 5849 §3).
//!
//! A request for a token has none yet: without `token` there is no `oauth_token`, and its secret counts as empty (§3.4.2). What
//! such requests carry besides (`callback`, `verifier`) goes where the rest goes: all of it stands in one place (§3.5.1).

use data_encoding::{BASE64, HEXLOWER};
use http::header::AUTHORIZATION;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use sluice_model::auth::OAuth1Method;
use zeroize::Zeroizing;

use super::form;
use super::outbound::Format;
use super::{Credential, Outbound};
use crate::error::Error;
use crate::place::percent;

pub(super) fn apply(
    credential: &Credential,
    method: OAuth1Method,
    out: &mut Outbound<'_>,
) -> Result<(), Error> {
    let header = header(credential, method, out, &nonce(credential)?)?;
    out.headers
        .insert(AUTHORIZATION, credential.value(b"", header.as_bytes())?);
    Ok(())
}

fn header(
    credential: &Credential,
    method: OAuth1Method,
    out: &Outbound<'_>,
    nonce: &str,
) -> Result<Zeroizing<String>, Error> {
    let word = match method {
        OAuth1Method::HmacSha1 => "HMAC-SHA1",
        OAuth1Method::HmacSha256 => "HMAC-SHA256",
        OAuth1Method::Plaintext if out.is_tls() => "PLAINTEXT",
        OAuth1Method::Plaintext => {
            return Err(credential.unfit("`PLAINTEXT` goes over TLS only (RFC 5849 §3.4.4)"));
        }
    };
    let stamp = out.now.as_secs().to_string();
    let mut own = vec![
        ("oauth_consumer_key", credential.text("consumer_key")?),
        ("oauth_nonce", nonce),
        ("oauth_signature_method", word),
        ("oauth_timestamp", stamp.as_str()),
        ("oauth_version", "1.0"),
    ];
    let (token, token_secret) = match credential.part("token") {
        Some(_) => (Some(credential.text("token")?), credential.text("token_secret")?),
        None => (None, ""),
    };
    if let Some(token) = token {
        own.push(("oauth_token", token));
    }
    for (part, name) in [("callback", "oauth_callback"), ("verifier", "oauth_verifier")] {
        if credential.part(part).is_some() {
            own.push((name, credential.text(part)?));
        }
    }
    let key = Zeroizing::new(format!(
        "{}&{}",
        percent(credential.text("consumer_secret")?),
        percent(token_secret)
    ));
    let signature = match method {
        OAuth1Method::Plaintext => key,
        OAuth1Method::HmacSha1 => sign(
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            &key,
            &base(credential, out, &own)?,
        ),
        OAuth1Method::HmacSha256 => sign(hmac::HMAC_SHA256, &key, &base(credential, out, &own)?),
    };
    own.push(("oauth_signature", signature.as_str()));
    own.sort_unstable();
    let mut header = Zeroizing::new(String::from("OAuth "));
    for (place, (name, value)) in own.iter().enumerate() {
        if place > 0 {
            header.push_str(", ");
        }
        header.push_str(name);
        header.push_str("=\"");
        header.push_str(&Zeroizing::new(percent(value)));
        header.push('"');
    }
    Ok(header)
}

/// The signature base string (§3.4.1): method, address and parameters, those of a form among them.
fn base(
    credential: &Credential,
    out: &Outbound<'_>,
    own: &[(&str, &str)],
) -> Result<Zeroizing<String>, Error> {
    let mut pairs = form::pairs(out.place.query().unwrap_or_default().as_bytes());
    if out.format() == Some(Format::Form) {
        let body = out.whole().ok_or_else(|| {
            credential.unfit(
                "the form is sent as it comes; its fields are signed before it, so it has to be held whole",
            )
        })?;
        pairs.extend(form::pairs(body));
    }
    pairs.extend(
        own.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    let scheme = out.place.scheme();
    let address = format!("{scheme}://{}{}", out.authority(), out.place.path());
    Ok(Zeroizing::new(format!(
        "{}&{}&{}",
        out.method,
        percent(&address),
        percent(&form::sorted(&pairs))
    )))
}

fn sign(algorithm: hmac::Algorithm, key: &str, base: &str) -> Zeroizing<String> {
    let key = hmac::Key::new(algorithm, key.as_bytes());
    Zeroizing::new(BASE64.encode(hmac::sign(&key, base.as_bytes()).as_ref()))
}

/// 32 random hexadecimal digits.
pub(super) fn nonce(credential: &Credential) -> Result<String, Error> {
    let mut random = [0; 16];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| credential.unfit("the system has no randomness"))?;
    Ok(HEXLOWER.encode(&random))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, Method};
    use sluice_model::auth::Apply;
    use sluice_model::clock::Timestamp;
    use sluice_model::secret::Secret;

    use super::*;
    use crate::credential::Content;
    use crate::place::Place;

    fn credential(parts: &[(&str, &str)]) -> Credential {
        let method = OAuth1Method::HmacSha1;
        let mut credential =
            Credential::new("c", Secret::new(Vec::new()), Apply::OAuth1 { method }, Vec::new());
        credential.parts = parts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Secret::new(value.as_bytes().to_vec())))
            .collect();
        credential
    }

    fn signed(
        parts: &[(&str, &str)],
        method: OAuth1Method,
        url: &str,
        body: &str,
        nonce: &str,
        at: u64,
    ) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(
            "content-type",
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let out = Outbound {
            method: &Method::POST,
            place: &mut Place::parse(url).unwrap(),
            headers: &mut headers,
            content: Content::Whole(&mut Bytes::copy_from_slice(body.as_bytes())),
            now: Timestamp::from_millis(at * 1000),
        };
        header(&credential(parts), method, &out, nonce)
            .unwrap()
            .to_string()
    }

    /// The example of X (Twitter) API documentation, "Creating a signature": all of the base string is in it.
    #[test]
    fn a_documented_example() {
        let header = signed(
            &[
                ("consumer_key", "xvz1evFS4wEEPTGEFPHBog"),
                ("consumer_secret", "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw"),
                ("token", "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb"),
                ("token_secret", "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE"),
            ],
            OAuth1Method::HmacSha1,
            "https://api.twitter.com/1.1/statuses/update.json?include_entities=true",
            "status=Hello%20Ladies%20%2b%20Gentlemen%2c%20a%20signed%20OAuth%20request%21",
            "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg",
            1_318_622_958,
        );
        assert!(
            header.contains("oauth_signature=\"hCtSmYh%2BiHYCEqBWrE7C7hYmtUk%3D\""),
            "{header}"
        );
        assert!(header.starts_with("OAuth oauth_consumer_key=\"xvz1evFS4wEEPTGEFPHBog\", oauth_nonce="));
    }

    /// RFC 5849 §3.5: the protocol's parameters stand in one place, none of them in the query.
    #[test]
    fn what_a_flow_carries_stands_with_the_rest() {
        let header = signed(
            &[
                ("consumer_key", "dpf43f3p2l4k3l03"),
                ("consumer_secret", "kd94hf93k423kf44"),
                ("callback", "http://printer.example.com/ready?state=x"),
            ],
            OAuth1Method::HmacSha1,
            "https://photos.example.net/initiate",
            "",
            "n",
            137_131_200,
        );
        let callback = "oauth_callback=\"http%3A%2F%2Fprinter.example.com%2Fready%3Fstate%3Dx\"";
        assert!(header.contains(callback), "{header}");
        assert!(!header.contains("oauth_verifier"), "{header}");
    }

    /// RFC 5849 §3.4.4 and the temporary-credentials request of §1.2.
    #[test]
    fn without_a_token_and_in_plain() {
        let header = signed(
            &[
                ("consumer_key", "dpf43f3p2l4k3l03"),
                ("consumer_secret", "kd94hf93k423kf44"),
            ],
            OAuth1Method::Plaintext,
            "https://photos.example.net/initiate",
            "",
            "n",
            137_131_200,
        );
        assert!(
            header.contains("oauth_signature=\"kd94hf93k423kf44%26\""),
            "{header}"
        );
        assert!(!header.contains("oauth_token"), "{header}");
    }
}
