//! Writes to the vendor in the batches that it takes, with one outcome for each.
//!
//! ```
//! use sluice_sdk::{Item, PendingWrite, WriteOp, WriteOutcome, write};
//!
//! let writes = [PendingWrite {
//!     op: WriteOp::Create(r#"{"name":"door"}"#.to_owned()),
//!     idempotency_key: "k1".to_owned(),
//!     expect_revision: None,
//! }];
//! let outcomes = write::in_batches(&writes, 10, |kind, batch| {
//!     assert_eq!((kind, batch.len()), (write::Kind::Create, 1));
//!     let item = Item { id: "1".to_owned(), data: "{}".to_owned(), modified: None };
//!     Ok(vec![WriteOutcome::Done(item)])
//! });
//! assert_eq!(outcomes.len(), 1);
//! ```

use crate::{Error, PendingWrite, WriteOp, WriteOutcome};

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Makes a record.
    Create,
    /// Changes one.
    Update,
    /// Removes one.
    Delete,
}

impl PendingWrite {
    /// What it does.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.op {
            WriteOp::Create(_) => Kind::Create,
            WriteOp::Update(_) => Kind::Update,
            WriteOp::Delete(_) => Kind::Delete,
        }
    }

    /// The record that it concerns; empty for one that is still to be made.
    #[must_use]
    pub fn id(&self) -> &str {
        match &self.op {
            WriteOp::Create(_) => "",
            WriteOp::Update(item) => &item.id,
            WriteOp::Delete(id) => id,
        }
    }

    /// What is written, as JSON text; an empty object for a removal.
    #[must_use]
    pub fn data(&self) -> &str {
        match &self.op {
            WriteOp::Create(data) => data,
            WriteOp::Update(item) => &item.data,
            WriteOp::Delete(_) => "{}",
        }
    }
}

/// Sends the writes in batches of one kind and at most `most` entries, in their order; `send` gives one outcome for each
/// entry of a batch.
///
/// A batch that the vendor refuses as a whole (`invalid-data`) is sent again one by one, so that one bad record does not
/// take the others with it: `send` must only say so where nothing of the batch was done. Any other error is the outcome
/// of every entry of its batch, and, as it would come again (a rate limit, a credential that ended), of all that follow.
pub fn in_batches(
    writes: &[PendingWrite],
    most: usize,
    mut send: impl FnMut(Kind, &[PendingWrite]) -> Result<Vec<WriteOutcome>, Error>,
) -> Vec<WriteOutcome> {
    let mut outcomes = Vec::with_capacity(writes.len());
    let mut broken: Option<Error> = None;
    for same in writes.chunk_by(|a, b| a.kind() == b.kind()) {
        for batch in same.chunks(most.max(1)) {
            let mut one_by_one = batch.len() > 1;
            let mut parts = vec![batch];
            while let Some(part) = parts.pop() {
                let Some(first) = part.first() else { continue };
                let answer = match &broken {
                    Some(error) => Err(error.clone()),
                    None => send(first.kind(), part).and_then(|given| counted(given, part.len())),
                };
                match answer {
                    Ok(given) => outcomes.extend(given),
                    Err(Error::InvalidData(_)) if one_by_one => {
                        one_by_one = false;
                        parts.extend(part.chunks(1).rev());
                    }
                    Err(error) => {
                        outcomes.extend(part.iter().map(|_| WriteOutcome::Failed(error.clone())));
                        let again =
                            matches!(error, Error::RateLimited(_) | Error::Auth(_) | Error::Config(_));
                        if again && broken.is_none() {
                            broken = Some(error);
                        }
                    }
                }
            }
        }
    }
    outcomes
}

fn counted(given: Vec<WriteOutcome>, wanted: usize) -> Result<Vec<WriteOutcome>, Error> {
    if given.len() == wanted {
        return Ok(given);
    }
    Err(Error::internal(format!(
        "{wanted} writes were sent and {} outcomes came back: which is whose cannot be told",
        given.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Item;

    fn delete(id: &str) -> PendingWrite {
        PendingWrite {
            op: WriteOp::Delete(id.to_owned()),
            idempotency_key: format!("k-{id}"),
            expect_revision: None,
        }
    }

    fn create(data: &str) -> PendingWrite {
        PendingWrite {
            op: WriteOp::Create(data.to_owned()),
            ..delete("")
        }
    }

    fn done(write: &PendingWrite) -> WriteOutcome {
        WriteOutcome::Done(Item {
            id: write.id().to_owned(),
            data: write.data().to_owned(),
            modified: None,
        })
    }

    #[test]
    fn batches_are_of_one_kind_and_within_the_limit() {
        let writes = [delete("1"), delete("2"), delete("3"), create("{}"), delete("4")];
        let mut sent = Vec::new();
        let outcomes = in_batches(&writes, 2, |kind, batch| {
            sent.push((kind, batch.len()));
            Ok(batch.iter().map(done).collect())
        });
        assert_eq!(
            sent,
            [
                (Kind::Delete, 2),
                (Kind::Delete, 1),
                (Kind::Create, 1),
                (Kind::Delete, 1)
            ]
        );
        assert_eq!(outcomes, writes.iter().map(done).collect::<Vec<_>>());
    }

    #[test]
    fn one_bad_record_does_not_take_the_others_with_it() {
        let writes = [delete("1"), delete("bad"), delete("3"), delete("4")];
        let outcomes = in_batches(&writes, 3, |_, batch| {
            if batch.iter().any(|write| write.id() == "bad") {
                return Err(Error::invalid_data("no such record"));
            }
            Ok(batch.iter().map(done).collect())
        });
        assert!(matches!(
            &outcomes[..],
            [
                WriteOutcome::Done(_),
                WriteOutcome::Failed(Error::InvalidData(_)),
                WriteOutcome::Done(third),
                WriteOutcome::Done(_)
            ] if third.id == "3"
        ));
    }

    #[test]
    fn what_would_come_again_is_not_tried_again() {
        let writes = [delete("1"), delete("2"), create("{}")];
        let mut sent = 0;
        let outcomes = in_batches(&writes, 1, |_, _| {
            sent += 1;
            Err(Error::rate_limited("slow down", Some(5)))
        });
        assert_eq!(sent, 1);
        assert_eq!(outcomes.len(), 3);
        assert!(outcomes.iter().all(
            |outcome| matches!(outcome, WriteOutcome::Failed(Error::RateLimited(wait)) if wait.retry_after_ms == Some(5))
        ));
    }

    #[test]
    fn outcomes_that_cannot_be_told_apart_are_a_bug() {
        let outcomes = in_batches(&[delete("1"), delete("2")], 9, |_, batch| {
            Ok(batch.iter().take(1).map(done).collect())
        });
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome, WriteOutcome::Failed(Error::Internal(_))))
        );
    }
}
