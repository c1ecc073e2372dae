//! A second try with another credential, or with the vendor's time: for answers that say that what was sent has ended or
//! was signed at the wrong moment. Such a request was refused, so it may be sent again whatever its method is.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, DATE};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use serde_json::Value;
use sluice_model::auth::ExpirySign;

use super::attempt::Answer;
use super::{Hop, Payload, Sending};
use crate::body::{self, body_error};
use crate::credential::{Apply, Credential, http_date};
use crate::decode::Decoder;
use crate::error::Error;

/// Bytes of an answer's body that are looked at for a sign; vendors say it in a few hundred.
const MAX_LOOKED_AT: usize = 64 << 10;
/// A clock that is off by less is not why AWS refuses a signature: it bears five minutes, S3 fifteen.
const MIN_SKEW_MS: i64 = 240_000;

impl Sending<'_> {
    /// The credential to try again with; or the answer, which then is the caller's.
    pub(super) async fn renew(
        &mut self,
        hop: &Hop,
        used: &Arc<Credential>,
        mut answer: Answer,
    ) -> Result<Result<Arc<Credential>, Answer>, Error> {
        if self.again || matches!(hop.body, Payload::Stream(_)) {
            return Ok(Err(answer));
        }
        if let Some(ahead_ms) = self.skew(used, &answer)
            && self.caller.budget.take_request()
        {
            (self.again, self.ahead_ms) = (true, ahead_ms);
            self.discard(answer);
            return Ok(Ok(Arc::clone(used)));
        }
        if !has_ended(used, hop, &mut answer).await? || self.caller.budget.requests_left() == 0 {
            return Ok(Err(answer));
        }
        self.again = true;
        // Renewing sends a request of its own, which may have to wait for this turn.
        answer.permit = None;
        answer.rate_slot = None;
        let renewed = self.caller.vault.renewed(used).await.unwrap_or_else(|error| {
            tracing::warn!(credential = used.name, %error, "a credential can't be renewed");
            None
        });
        if let Some(next) = renewed.filter(|next| next.is_bound_to(&hop.place))
            && self.caller.budget.take_request()
        {
            self.know(&next);
            self.discard(answer);
            return Ok(Ok(next));
        }
        answer.permit = Some(self.broker.shared.permits.acquire(self.caller.org).await);
        Ok(Err(answer))
    }

    /// How far ahead the vendor's clock is, where a signature was refused and that may be why.
    fn skew(&self, used: &Credential, answer: &Answer) -> Option<i64> {
        if !matches!(used.apply, Apply::SigV4 { .. })
            || !matches!(answer.response.status().as_u16(), 400 | 401 | 403)
        {
            return None;
        }
        let date = answer.response.headers().get(DATE)?.to_str().ok()?;
        let theirs = i64::try_from(http_date(date)?.as_millis()).ok()?;
        let ours = i64::try_from(self.broker.shared.clock.now().as_millis()).ok()?;
        let ahead = theirs.saturating_sub(ours);
        (ahead.abs() >= MIN_SKEW_MS).then_some(ahead)
    }

    fn discard(&self, answer: Answer) {
        body::Source {
            incoming: answer.response.into_body(),
            link: answer.link,
            back: Some((self.pool(), answer.key)),
        }
        .discard();
    }
}

/// What the signs say about an answer before its body is read.
enum Seen {
    Ended,
    Fine,
    /// The body decides.
    Perhaps,
}

/// Whether the answer says that the credential has ended. Reads of its body what may say so, and keeps it for the reader.
async fn has_ended(used: &Credential, hop: &Hop, answer: &mut Answer) -> Result<bool, Error> {
    let Some(signs) = used.renewal.as_deref() else {
        return Ok(false);
    };
    let status = answer.response.status().as_u16();
    match by_status(signs, status) {
        Seen::Ended => Ok(true),
        Seen::Fine => Ok(false),
        Seen::Perhaps => {
            let document = look(hop, answer).await?;
            Ok(document.is_some_and(|document| by_body(signs, status, &document)))
        }
    }
}

fn by_status(signs: &[ExpirySign], status: u16) -> Seen {
    if signs.is_empty() && status == 401 {
        return Seen::Ended;
    }
    let mut seen = Seen::Fine;
    for sign in signs.iter().filter(|sign| sign.status == status) {
        if sign.body.is_none() {
            return Seen::Ended;
        }
        seen = Seen::Perhaps;
    }
    seen
}

fn by_body(signs: &[ExpirySign], status: u16, document: &Value) -> bool {
    let of_status = signs.iter().filter(|sign| sign.status == status);
    let mut bodies = of_status.filter_map(|sign| sign.body.as_ref());
    bodies.any(|(pointer, texts)| {
        let found = document.pointer(pointer).and_then(Value::as_str);
        found.is_some_and(|found| texts.iter().any(|text| text == found))
    })
}

/// The body as JSON, if it is that and not larger than what is looked at.
async fn look(hop: &Hop, answer: &mut Answer) -> Result<Option<Value>, Error> {
    let kind = answer.response.headers().get(CONTENT_TYPE);
    let is_json = kind
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.to_ascii_lowercase().contains("json"));
    let most = MAX_LOOKED_AT as u64;
    if !is_json || answer.response.body().size_hint().lower() > most {
        return Ok(None);
    }
    let Ok(mut decoder) = Decoder::of(answer.response.headers(), most) else {
        return Ok(None);
    };
    let mut seen = BytesMut::new();
    let whole = loop {
        match answer.response.body_mut().frame().await {
            None => break true,
            Some(Ok(frame)) => seen.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Some(Err(error)) => return Err(body_error(&error, hop.place.host())),
        }
        if seen.len() > MAX_LOOKED_AT {
            break false;
        }
    };
    answer.peeked = seen.freeze();
    if !whole {
        return Ok(None);
    }
    Ok(decoded(&mut decoder, answer.peeked.clone()).and_then(|text| serde_json::from_slice(&text).ok()))
}

fn decoded(decoder: &mut Decoder, body: Bytes) -> Option<Vec<u8>> {
    let mut text = decoder.feed(body).ok()?.to_vec();
    text.extend_from_slice(&decoder.finish().ok()?);
    Some(text)
}
