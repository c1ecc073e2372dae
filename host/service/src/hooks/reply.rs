//! Vendors that wait for an answer from the connector's code: the sender waits, for a moment, for the worker that handles
//! its webhook.
//!
//! What must always hold: the webhook is durable before anybody waits; an answer that is late, or is no answer to a
//! vendor, is not given, and the webhook is acknowledged instead; a page for a browser is never among them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sluice_model::id::ReceiptId;
use sluice_runtime::Reply;
use tokio::sync::oneshot;

/// Slack waits for three seconds, and none that waits at all for less.
const PATIENCE: Duration = Duration::from_millis(2500);
/// Answers are messages and small documents.
const MAX_BYTES: usize = 64 << 10;
/// Senders that wait at once: more are answered at once.
const MAX_WAITING: usize = 10_000;
/// What vendors want: none of it is run by a browser.
const KINDS: [&str; 4] = ["text/plain", "application/json", "application/xml", "text/xml"];

/// Who waits for what.
#[derive(Default)]
pub(crate) struct Replies {
    waiting: Mutex<HashMap<ReceiptId, oneshot::Sender<Reply>>>,
}

/// Waits for the answer to one webhook.
pub(super) struct Waiting<'r> {
    replies: &'r Replies,
    receipt: ReceiptId,
    answer: Option<oneshot::Receiver<Reply>>,
}

impl Replies {
    /// Has to be asked before the webhook is kept: its worker may be quick.
    pub(super) fn wait_for(&self, receipt: ReceiptId) -> Waiting<'_> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = (waiting.len() < MAX_WAITING).then(|| {
            let (sender, answer) = oneshot::channel();
            waiting.insert(receipt, sender);
            answer
        });
        Waiting {
            replies: self,
            receipt,
            answer,
        }
    }

    /// A webhook was handled, with this answer; without one whoever waits goes on.
    pub(super) fn give(&self, receipt: ReceiptId, reply: Option<Reply>) {
        let waiting = self.take(receipt);
        if let (Some(waiting), Some(reply)) = (waiting, reply.filter(is_fit)) {
            // Its sender has gone, or has been acknowledged.
            drop(waiting.send(reply));
        }
    }

    fn take(&self, receipt: ReceiptId) -> Option<oneshot::Sender<Reply>> {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&receipt)
    }
}

impl Waiting<'_> {
    pub(super) async fn reply(mut self) -> Option<Reply> {
        let answer = self.answer.take()?;
        tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        drop(self.replies.take(self.receipt));
    }
}

fn is_fit(reply: &Reply) -> bool {
    let kind = reply.content_type.split(';').next().unwrap_or_default().trim();
    (200..300).contains(&reply.status)
        && reply.body.len() <= MAX_BYTES
        && KINDS.iter().any(|known| kind.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, content_type: &str) -> Reply {
        Reply {
            status,
            content_type: content_type.to_owned(),
            body: b"{}".to_vec(),
        }
    }

    #[test]
    fn only_answers_to_a_vendor_are_given() {
        assert!(is_fit(&reply(200, "application/json; charset=utf-8")));
        assert!(is_fit(&reply(200, "text/xml")));
        for (status, kind) in [
            (200, "text/html"),
            (302, "text/plain"),
            (500, "text/plain"),
            (200, ""),
        ] {
            assert!(!is_fit(&reply(status, kind)), "{status} {kind}");
        }
    }

    #[tokio::test]
    async fn an_answer_comes_to_whom_it_is_for_and_nobody_waits_in_vain() {
        let replies = Replies::default();
        let (one, two) = (ReceiptId::from_bytes([1; 16]), ReceiptId::from_bytes([2; 16]));
        let (waits, other) = (replies.wait_for(one), replies.wait_for(two));
        replies.give(one, Some(reply(200, "text/plain")));
        assert_eq!(waits.reply().await, Some(reply(200, "text/plain")));
        replies.give(two, None);
        assert_eq!(other.reply().await, None, "handled without an answer");
        assert!(replies.waiting.lock().unwrap().is_empty());
    }
}
