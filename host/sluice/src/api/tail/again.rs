//! What a replay has delivered again, for a tail that wants to see it: shown when the replay has ended, before whatever came after that.
//! A tail that is cut off in the middle shows it from the beginning, because the number of its end is told behind the last event.

use std::collections::VecDeque;

use sluice_model::id::ReplayId;
use sluice_service::event::{self, Events};
use sluice_service::replay;

use super::{Tail, wire};

/// The event that tells of a replay's end.
const KIND: &str = "sluice.replay.ended";
/// Events that are shown at once.
const PART: usize = 100;

/// A replay that has ended.
pub(super) struct Ended {
    replay: ReplayId,
    /// The number of the event that tells of the end.
    seq: u64,
    /// How far was looked for its events, whether that was all, and those that are not shown yet.
    place: u64,
    is_all: bool,
    seqs: VecDeque<u64>,
}

/// The first end of a replay among these events; what follows it is left for the next look.
pub(super) fn first(found: &mut Events) -> Option<Ended> {
    let at = found.items.iter().position(|event| event.kind == KIND)?;
    found.items.truncate(at + 1);
    let told = found.items.last()?;
    (found.next, found.end) = (told.seq, false);
    Some(Ended {
        replay: told.subject.parse().ok()?,
        seq: told.seq,
        place: 0,
        is_all: false,
        seqs: VecDeque::new(),
    })
}

impl Tail {
    /// The next part of what an ended replay has delivered; `Some(None)` if there is none to be shown, nothing if the store does not
    /// answer.
    pub(super) async fn replayed(&mut self) -> Option<Option<String>> {
        while let Some(mut ended) = self.ended.take() {
            if ended.seqs.is_empty() {
                if ended.is_all {
                    return Some(None);
                }
                let found = replay::asked_for(&self.app.service, self.org, ended.replay, ended.place);
                let found = found.await.ok()?;
                let is_seen = |of| self.view.as_ref().is_none_or(|view| view.endpoint() == of);
                if let Some(found) = found.filter(|found| is_seen(found.endpoint)) {
                    (ended.place, ended.is_all, ended.seqs) = (found.place, found.end, found.seqs.into());
                    self.ended = Some(ended);
                }
                continue;
            }
            let mut events = Vec::new();
            for seq in ended.seqs.drain(..ended.seqs.len().min(PART)) {
                // It may have been removed meanwhile, by its age.
                let found = event::get(&self.app.service, self.org, seq).await.ok()?;
                events.extend(found.filter(|event| self.sought.has(event)));
            }
            let shown = self.shown(events).await?;
            let is_last = ended.is_all && ended.seqs.is_empty();
            let mut text = String::new();
            for (event, shape) in &shown {
                text += &wire(event, &format!("replay: {}", event.seq), shape);
            }
            if is_last {
                text += &format!("id: {}\n\n", ended.seq);
            }
            self.ended = (!is_last).then_some(ended);
            if !text.is_empty() {
                return Some(Some(text));
            }
        }
        Some(None)
    }
}
