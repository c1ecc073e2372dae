//! The request as it goes on the wire.

use std::sync::Arc;
use std::time::Duration;

use sluice_model::clock::Timestamp;

use super::{Hop, Payload, Sending};
use crate::credential::{Apply, Content, Credential, Outbound, Streamed};
use crate::entry::Entry;
use crate::error::Error;
use crate::exchange::Composed;
use crate::header::{self, refuse};
use crate::substitute::Placed;
use crate::wire::{Outgoing, Rules};

impl Sending<'_> {
    /// The request with every secret on it that may go to this place.
    pub(super) fn compose(
        &self,
        hop: &mut Hop,
        credential: Option<&Arc<Credential>>,
        entry: &Entry,
    ) -> Result<Composed, Error> {
        let mut place = hop.place.clone();
        let mut headers = hop.headers.clone();
        let placed = Placed::new(&self.placeholders, &place);
        placed.headers(&mut headers, hop.number > 0)?;
        if hop.number == 0 {
            // The URL of a later hop was made by a server, which knows no placeholders.
            placed.query(&mut place)?;
        }
        header::complete(&mut headers);
        let mut streamed = Streamed::default();
        let mut whole = None;
        match &hop.body {
            Payload::Whole(body) => whole = Some(placed.body(body)?),
            Payload::Stream(Some(stream)) => {
                // Where placeholders are replaced the length is not the one that the caller gave.
                streamed.length = stream.length.filter(|_| !placed.replaces());
            }
            Payload::Stream(None) => {}
        }
        if let Some(credential) = credential {
            credential.apply(&mut Outbound {
                method: &hop.method,
                place: &mut place,
                headers: &mut headers,
                content: whole
                    .as_mut()
                    .map_or(Content::Stream(&mut streamed), Content::Whole),
                now: self.now(),
            })?;
        }
        if place.as_str().len() > crate::place::MAX_URL_BYTES {
            return Err(refuse("the URL is longer than 8 KiB"));
        }
        let progress = entry.progress();
        let body = match &mut hop.body {
            Payload::Whole(_) => Outgoing::whole(whole.unwrap_or_default(), progress),
            Payload::Stream(stream) => {
                let stream = stream
                    .take()
                    .ok_or_else(|| refuse("its body has been sent already"))?;
                let cap = self.caller.rights.limits().request_bytes;
                let (bound, unbound, mismatch) = placed.streams();
                let rules = Rules {
                    cap,
                    bound,
                    unbound,
                    mismatch,
                    chunks: streamed.chunks,
                };
                Outgoing::stream(stream, rules, progress)
            }
        };
        Ok(Composed {
            method: hop.method.clone(),
            place,
            headers,
            body,
            identity: credential
                .filter(|credential| credential.apply == Apply::ClientCertificate)
                .cloned(),
        })
    }

    /// The time that signatures name.
    fn now(&self) -> Timestamp {
        let now = self.broker.shared.clock.now();
        let by = Duration::from_millis(self.ahead_ms.unsigned_abs());
        if self.ahead_ms < 0 {
            Timestamp::from_millis(
                u64::try_from(now.since(Timestamp::default()).saturating_sub(by).as_millis())
                    .unwrap_or_default(),
            )
        } else {
            now.after(by)
        }
    }
}
