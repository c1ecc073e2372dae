//! Family 11: what a vendor asks before it sends webhooks, and what it is answered.
//!
//! What must always hold: an answer is plain text or JSON, never to be sniffed, and says nothing but what the recipe
//! names; a secret is only learned while the hook has none; what an unverified request has signed for it can be no
//! webhook: a word of at most 128 letters, digits, `-` and `_`. Deliberately absent: doing what the answer asks for
//! (keeping the secret, visiting the address), which is the service's.

use std::fmt;

use ring::hmac;

use super::fetch::{AddressPattern, Fetched};
use super::key::{self, Algorithm, Encoding};
use super::place::{Place, View};
use super::{MAX_SECRETS, Recipe, Request, SecretForm, SignatureError, Verified};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// The longest challenge: Microsoft's are sentences.
const MAX_VALUE_BYTES: usize = 2048;
/// The longest word that is signed for somebody unknown.
const MAX_WORD_BYTES: usize = 128;

/// A question that a vendor asks, and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The method; any if not named.
    pub method: Option<String>,
    /// What makes a request this question: each place has a value, or this one.
    pub when: Vec<(Place, Option<String>)>,
    /// Whether the recipe has to verify the request first.
    pub verified: bool,
    /// Where the token stands that shows that the question is about this hook; see [`verify_token`].
    pub token: Option<Place>,
    /// Where the value stands that is answered, signed or kept.
    pub value: Option<Place>,
    /// How the value is signed with the hook's secret for `{signature}`.
    pub sign: Option<ChallengeSign>,
    /// What is answered.
    pub reply: Reply,
    /// A header of the answer that bears the value.
    pub echo: Option<String>,
    /// Whether the value is the hook's secret from now on. It is learned while there is none.
    pub keep: bool,
    /// The value is an address within this, which the service has to visit once with GET.
    pub visit: Vec<AddressPattern>,
}

/// How a challenge is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChallengeSign {
    /// The hash.
    pub algorithm: Algorithm,
    /// How the signature is written.
    pub encoding: Encoding,
}

/// What is answered. Texts may have `{value}`, `{signature}` and `{id}` (of the secret) in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing but the status.
    Empty,
    /// Plain text.
    Text(String),
    /// A JSON object.
    Json(Vec<(String, ReplyValue)>),
}

/// A value of a JSON answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyValue {
    /// A text with placeholders.
    Text(String),
    /// A number.
    Number(u64),
}

/// The answer to a challenge. Its `Debug` has no values: the secret that is learned is among them.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers: the content type, `x-content-type-options: nosniff`, and one that bears the value.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
    /// What is to be kept as the hook's secret before the answer is sent.
    pub keep: Option<Secret>,
    /// What is to be visited with GET, without credentials or redirects.
    pub visit: Option<String>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .field("keeps", &self.keep.is_some())
            .field("visits", &self.visit.is_some())
            .finish()
    }
}

/// The token that the owner enters at a vendor that sends one with its challenge. It is made from the hook's secret, so
/// that there is nothing more to keep, and gives nothing of it away.
#[must_use]
pub fn verify_token(secret: &Secret) -> Option<String> {
    if secret.expose().is_empty() {
        return None;
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
    let tag = hmac::sign(&key, b"the verify token of a hook's challenge");
    Some(Encoding::Hex.encode(tag.as_ref().split_at(16).0))
}

impl Challenge {
    /// Whether a request is this question. One that brings a secret is only one while there is none, or when it says the
    /// same one again in a header: vendors repeat what was not answered in time.
    fn is_asked(&self, view: &View<'_>, secrets: &[Secret]) -> bool {
        if self.keep && !secrets.is_empty() {
            let again = self
                .value
                .as_ref()
                .filter(|place| !place.is_in_body())
                .and_then(|place| view.only(place));
            let is_again = |value: &str| {
                secrets
                    .iter()
                    .any(|own| key::is_same(own.expose(), value.as_bytes()))
            };
            if !again.is_some_and(|value| is_again(&value)) {
                return false;
            }
        }
        let method = self
            .method
            .as_deref()
            .is_none_or(|method| method == view.request.method);
        method
            && self
                .when
                .iter()
                .all(|(place, wanted)| match (view.only(place), wanted) {
                    (Some(value), Some(wanted)) => value == wanted.as_str(),
                    (found, None) => found.is_some(),
                    (None, Some(_)) => false,
                })
    }

    fn answer(
        &self,
        view: &View<'_>,
        form: &SecretForm,
        secrets: &[Secret],
    ) -> Result<Answer, SignatureError> {
        let secrets = secrets
            .iter()
            .take(MAX_SECRETS)
            .filter(|secret| !secret.expose().is_empty());
        let secrets: Vec<_> = secrets.collect();
        if let Some(place) = &self.token {
            let sent = view.only(place).ok_or(SignatureError::Missing)?;
            let is_ours = |token: String| key::is_same(token.as_bytes(), sent.as_bytes());
            let tokens = secrets.iter().filter_map(|secret| verify_token(secret));
            if !tokens.fold(false, |ours, token| ours | is_ours(token)) {
                return Err(SignatureError::Mismatch);
            }
        }
        let value = match &self.value {
            None => String::new(),
            Some(place) => view.only(place).ok_or(SignatureError::Missing)?.into_owned(),
        };
        let visible = value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let given = self.value.is_none() || !value.is_empty();
        if !given || !visible || value.len() > MAX_VALUE_BYTES {
            return Err(SignatureError::Missing);
        }
        if !self.visit.is_empty() && !self.visit.iter().any(|pattern| pattern.permits(&value)) {
            return Err(SignatureError::Address);
        }
        let signature = match &self.sign {
            None => String::new(),
            Some(sign) => {
                let word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                if !self.verified && (value.len() > MAX_WORD_BYTES || !value.bytes().all(word)) {
                    return Err(SignatureError::Mismatch);
                }
                let key = secrets
                    .first()
                    .and_then(|secret| form.bytes(secret))
                    .ok_or(SignatureError::Secret)?;
                let key = hmac::Key::new(sign.algorithm.hash(), &key);
                sign.encoding.encode(hmac::sign(&key, value.as_bytes()).as_ref())
            }
        };
        let id = secrets
            .first()
            .and_then(|secret| form.halves(secret))
            .map(|(id, _)| id)
            .unwrap_or_default();
        let filled = |text: &str| {
            filled(
                text,
                &[("{value}", &value), ("{signature}", &signature), ("{id}", id)],
            )
        };
        let (kind, body) = match &self.reply {
            Reply::Empty => (None, String::new()),
            Reply::Text(text) => (Some("text/plain; charset=utf-8"), filled(text)),
            Reply::Json(fields) => {
                let field = |(name, field): &(String, ReplyValue)| {
                    let field = match field {
                        ReplyValue::Text(text) => serde_json::Value::String(filled(text)),
                        ReplyValue::Number(number) => (*number).into(),
                    };
                    (name.clone(), field)
                };
                let object: serde_json::Map<_, _> = fields.iter().map(field).collect();
                (
                    Some("application/json"),
                    serde_json::Value::Object(object).to_string(),
                )
            }
        };
        let mut headers = vec![("x-content-type-options".to_owned(), "nosniff".to_owned())];
        headers.extend(kind.map(|kind| ("content-type".to_owned(), kind.to_owned())));
        headers.extend(self.echo.as_ref().map(|name| (name.clone(), value.clone())));
        Ok(Answer {
            status: 200,
            headers,
            body,
            keep: (self.keep && secrets.is_empty()).then(|| Secret::new(value.clone().into_bytes())),
            visit: (!self.visit.is_empty()).then_some(value),
        })
    }
}

/// The text with its placeholders filled once: what is filled in is not looked at again.
fn filled(text: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        match values
            .iter()
            .find_map(|(name, value)| Some((value, tail.strip_prefix(name)?)))
        {
            Some((value, behind)) => {
                out.push_str(value);
                rest = behind;
            }
            None => {
                out.push('{');
                rest = tail.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

/// What a request turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// A webhook of the vendor's.
    Webhook(Verified),
    /// A question, with its answer: nothing is to be kept as a receipt.
    Challenge(Answer),
}

/// Decides about a request: a question that needs no proof is answered, anything else has to verify, and a question that
/// needs proof is answered then. `fetched` is what [`Recipe::needs`] asks for.
///
/// # Errors
///
/// When the recipe refuses it, or it is a question but its token is wrong, or its value is missing or more than a
/// challenge is.
pub fn admit(
    challenges: &[Challenge],
    recipe: &Recipe,
    request: &Request<'_>,
    secrets: &[Secret],
    fetched: Option<&Fetched>,
    now: Timestamp,
) -> Result<Admitted, SignatureError> {
    let view = View::new(request);
    let form = recipe.secret_form();
    let asked = |verified: bool| {
        let mut of_kind = challenges
            .iter()
            .filter(move |challenge| challenge.verified == verified);
        of_kind.find(|challenge| challenge.is_asked(&view, secrets))
    };
    if let Some(challenge) = asked(false) {
        return challenge.answer(&view, &form, secrets).map(Admitted::Challenge);
    }
    let verified = recipe.verify(request, secrets, fetched, now)?;
    match asked(true) {
        Some(challenge) => challenge.answer(&view, &form, secrets).map(Admitted::Challenge),
        None => Ok(Admitted::Webhook(verified)),
    }
}
