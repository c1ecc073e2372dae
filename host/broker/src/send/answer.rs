//! The response as the caller may see it: decoded, capped, redacted, and without what was captured.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, StatusCode};
use sluice_model::secret::Secret;

use super::attempt::Answer;
use super::{Hop, Payload, Sending};
use crate::body::{Held, Reading, ResponseBody, Source};
use crate::capture;
use crate::decode::Decoder;
use crate::entry::Entry;
use crate::error::Error;
use crate::exchange::is_bodyless;
use crate::header;
use crate::request::{Capture, CaptureInto};
use crate::response::Response;
use crate::road::Heard;
use crate::splice::Splice;

impl Sending<'_> {
    /// The response as the caller may see it.
    pub(super) async fn answer(
        &mut self,
        hop: &Hop,
        answer: Answer,
        mut entry: Entry,
    ) -> Result<Response, Error> {
        let Answer {
            response,
            link,
            key,
            permit,
            rate_slot,
            peeked,
        } = answer;
        let (head, incoming) = response.into_parts();
        let host = hop.place.host().to_owned();
        let cap = self
            .body_bytes
            .unwrap_or_else(|| self.caller.rights.limits().response_bytes);
        let bodyless = is_bodyless(&hop.method, head.status);
        let decoder = if bodyless {
            Ok(Decoder::Plain)
        } else {
            Decoder::of(&head.headers, cap)
        };
        let decoder = decoder.map_err(|_| {
            let reason = "its body has a coding that was not asked for".to_owned();
            let error = Error::Protocol {
                host: host.clone(),
                reason,
            };
            entry.fail(&error);
            error
        })?;
        let captures = std::mem::take(&mut self.captures);
        let decodes = !decoder.is_plain();
        let mut redactor = self.known.redactor();
        let mut headers = redacted(&head.headers, &mut redactor);
        entry.reflects(redactor.found());
        // What the reader gets may be shorter or longer than what the peer announced.
        headers.retain(|(name, _)| {
            bodyless
                || !((name == CONTENT_LENGTH.as_str()
                    && (decodes || !redactor.is_empty() || !captures.is_empty()))
                    || (name == CONTENT_ENCODING.as_str() && decodes))
        });
        let back = matches!(hop.body, Payload::Whole(_)).then(|| (self.pool(), key));
        entry.received(peeked.len());
        let mut reading = Reading {
            source: Some(Source { incoming, link, back }),
            held: Some(Held {
                _permit: permit,
                _slot: self.slot.take(),
                _rate: rate_slot,
            }),
            decoder,
            redactor,
            entry,
            host,
            deadline: self.deadline,
            limit: self.limit,
            cap,
            total: 0,
            pending: peeked,
            ready: Bytes::new(),
            failed: None,
        };
        let status = head.status;
        if captures.is_empty() {
            if self.is_heard() {
                // Whoever listens is told of the whole; the reader then gets it at once.
                let rest = reading.rest().await;
                if let Ok(body) = &rest {
                    reading.ready = body.clone();
                }
                self.hear(hop, || told(status, &headers, rest));
            }
            let body = ResponseBody::new(reading);
            return Ok(Response {
                status: status.as_u16(),
                headers,
                body,
                captured: Vec::new(),
            });
        }
        // The redactor would hide from the captures what has not changed since the last time.
        reading.redactor = Splice::new([]);
        let raw = reading.rest().await?;
        let captured = self.capture(&mut reading, status, raw, &captures)?;
        for (_, value) in &mut headers {
            *value = self.known.redact(value);
        }
        self.hear(hop, || told(status, &headers, Ok(reading.ready.clone())));
        Ok(Response {
            status: status.as_u16(),
            headers,
            body: ResponseBody::new(reading),
            captured,
        })
    }

    fn capture(
        &mut self,
        reading: &mut Reading,
        status: StatusCode,
        raw: Bytes,
        captures: &[Capture],
    ) -> Result<Vec<(CaptureInto, Secret)>, Error> {
        let (body, captured) = match capture::take(raw.clone(), captures) {
            Ok(taken) => taken,
            // An error page has no credentials in it; a success that cannot be read may have.
            Err(capture::NotJson) if !status.is_success() => (raw, Vec::new()),
            Err(capture::NotJson) => {
                let reason = "its body is not the JSON that was to be captured from".to_owned();
                return Err(Error::Protocol {
                    host: reading.host.clone(),
                    reason,
                });
            }
        };
        for (into, secret) in &captured {
            if let CaptureInto::Secret(name) = into {
                self.known.add(name, secret.clone());
            }
        }
        reading.ready = self.known.redactor().all(body);
        Ok(captured)
    }
}

fn told(
    status: StatusCode,
    headers: &[(String, String)],
    body: Result<Bytes, Error>,
) -> Result<Heard, Error> {
    Ok(Heard {
        status: status.as_u16(),
        headers: headers.to_vec(),
        body: body?,
    })
}

pub(super) fn redacted(headers: &HeaderMap, redactor: &mut Splice) -> Vec<(String, String)> {
    let fields = headers.iter().filter(|(name, _)| header::is_end_to_end(name));
    fields
        .map(|(name, value)| {
            let value = redactor.all(Bytes::copy_from_slice(value.as_bytes()));
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(&value).into_owned(),
            )
        })
        .collect()
}
