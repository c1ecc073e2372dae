//! Requests signed with a keyed hash as a manifest's recipe says, see [`SignRecipe`].

use data_encoding::HEXLOWER;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use ring::hmac;
use sluice_model::auth::{Piece, Placement, SignRecipe, Template, TemplateError, Values};
use sluice_model::signature::Algorithm;
use zeroize::Zeroizing;

use super::form;
use super::outbound::Format;
use super::time::rfc2822;
use super::{Credential, Outbound, md5, oauth1, sigv4};
use crate::error::Error;

pub(super) fn apply(
    credential: &Credential,
    recipe: &SignRecipe,
    out: &mut Outbound<'_>,
) -> Result<(), Error> {
    let nonce = oauth1::nonce(credential)?;
    for placement in &recipe.before {
        place(credential, placement, out, &nonce, None)?;
    }
    let message = fill(credential, &recipe.message, out, &nonce, None)?;
    let algorithm = match recipe.algorithm {
        Algorithm::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::HmacSha256 => hmac::HMAC_SHA256,
        Algorithm::HmacSha512 => hmac::HMAC_SHA512,
    };
    let tag = hmac::sign(
        &hmac::Key::new(algorithm, credential.need("key")?),
        message.as_bytes(),
    );
    let signature = recipe.encoding.encode(tag.as_ref());
    for placement in &recipe.after {
        place(credential, placement, out, &nonce, Some(&signature))?;
    }
    Ok(())
}

fn place(
    credential: &Credential,
    placement: &Placement,
    out: &mut Outbound<'_>,
    nonce: &str,
    signature: Option<&str>,
) -> Result<(), Error> {
    let filled = |template: &Template, out: &Outbound<'_>| fill(credential, template, out, nonce, signature);
    match placement {
        Placement::Header(name, value) => {
            let value = filled(value, out)?;
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| credential.unfit("its header name is not a header name"))?;
            let value = HeaderValue::from_bytes(value.as_bytes())
                .map_err(|_| credential.unfit("a value has characters that no header may carry"))?;
            out.headers.insert(name, value);
        }
        Placement::Query(name, value) => {
            let value = filled(value, out)?;
            out.place.set_query_value(name, &value);
        }
        Placement::Basic(user, password) => {
            let pair = format!(
                "{}:{}",
                filled(user, out)?.as_str(),
                filled(password, out)?.as_str()
            );
            let value = credential.basic(Zeroizing::new(pair).as_bytes())?;
            out.headers.insert(AUTHORIZATION, value);
        }
    }
    Ok(())
}

fn fill(
    credential: &Credential,
    template: &Template,
    out: &Outbound<'_>,
    nonce: &str,
    signature: Option<&str>,
) -> Result<Zeroizing<String>, Error> {
    let request = Of {
        credential,
        out,
        nonce,
        signature,
    };
    template.fill(&request).map_err(|error| match error {
        TemplateError::Missing(piece) => credential.unfit(&format!(
            "its recipe takes `{piece}`, which this request does not have: its body may be sent as it comes, or be no text"
        )),
        TemplateError::Form(_) | TemplateError::Unfit(_) => credential.unfit("its recipe cannot be filled"),
    })
}

/// The values of one request.
struct Of<'a, 'b> {
    credential: &'a Credential,
    out: &'a Outbound<'b>,
    nonce: &'a str,
    signature: Option<&'a str>,
}

impl Of<'_, '_> {
    fn query(&self) -> String {
        form::sorted(&form::pairs(
            self.out.place.query().unwrap_or_default().as_bytes(),
        ))
    }

    /// The pairs of a form; nothing for another body. A form that is sent as it comes has no value.
    fn form(&self) -> Option<String> {
        if self.out.format() != Some(Format::Form) {
            return Some(String::new());
        }
        self.out.whole().map(|body| form::sorted(&form::pairs(body)))
    }

    fn own(&self, key: &str) -> Option<String> {
        let (out, now) = (self.out, self.out.now);
        Some(match key {
            "key_id" => self.credential.text("key_id").ok()?.to_owned(),
            "method" => out.method.as_str().to_owned(),
            "host" => out.authority(),
            "path" => out.place.path().to_owned(),
            "query" => self.query(),
            "form" => self.form()?,
            "parameters" if out.format() == Some(Format::Form) => self.form()?,
            "parameters" => self.query(),
            "body" => std::str::from_utf8(out.whole()?).ok()?.to_owned(),
            "body_md5" => HEXLOWER.encode(&md5::digest(out.whole()?)),
            "body_sha256" => sigv4::sha256(out.whole()?),
            "timestamp" => now.as_secs().to_string(),
            "timestamp_ms" => now.as_millis().to_string(),
            "date" => rfc2822(now),
            "nonce" => self.nonce.to_owned(),
            "signature" => self.signature?.to_owned(),
            _ => return None,
        })
    }
}

impl Values for Of<'_, '_> {
    fn value(&self, piece: &Piece) -> Option<Zeroizing<String>> {
        match piece {
            Piece::Own(key) => self.own(key).map(Zeroizing::new),
            _ => None,
        }
    }
}
