//! A run: one execution of a sync of one stream of one connection.

use crate::clock::Timestamp;

/// Where a run stands: queued → leased → running → committing → succeeded or partial. On the way it may wait (for a rate, for
/// a retry, for its next turn) and is then leased again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Waiting for a worker.
    Queued,
    /// A worker has it and has not read yet.
    Leased,
    /// Pages are read and committed.
    Running,
    /// Everything has been read; the new generation takes the old one's place.
    Committing,
    /// The vendor asked to wait; goes on by itself.
    WaitingRate,
    /// Stopped at a checkpoint to let others work, or because the server stops; goes on by itself.
    Interrupted,
    /// A fault that passes; tried again later.
    RetryWait,
    /// Everything there was has been read.
    Succeeded,
    /// Ended with records in quarantine.
    Partial,
    /// Ended by an error that somebody has to act on.
    Failed,
    /// Ended because a fault that should pass did not, for all its tries.
    Dead,
    /// Ended by a person.
    Cancelled,
}

impl RunState {
    /// The word for people, as the API writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Running => "running",
            Self::Committing => "committing",
            Self::WaitingRate => "waiting-rate",
            Self::Interrupted => "interrupted",
            Self::RetryWait => "retry-wait",
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the run is over.
    #[must_use]
    pub const fn ended(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Partial | Self::Failed | Self::Dead | Self::Cancelled
        )
    }

    /// Whether a worker has it.
    #[must_use]
    pub const fn held(self) -> bool {
        matches!(self, Self::Leased | Self::Running | Self::Committing)
    }

    /// Whether it goes on by itself, later.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::WaitingRate | Self::Interrupted | Self::RetryWait)
    }

    /// Whether `next` may follow. What a worker held may be leased again: the worker may be gone.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use RunState::{Cancelled, Committing, Dead, Failed, Leased, Partial, Running, Succeeded};
        match self {
            Self::Queued | Self::WaitingRate | Self::Interrupted | Self::RetryWait => {
                matches!(next, Leased | Cancelled | Failed)
            }
            Leased => {
                next.waits() || matches!(next, Leased | Running | Committing | Failed | Dead | Cancelled)
            }
            Running => {
                next.waits()
                    || matches!(
                        next,
                        Leased | Committing | Succeeded | Partial | Failed | Dead | Cancelled
                    )
            }
            Committing => {
                next.waits() || matches!(next, Leased | Succeeded | Partial | Failed | Dead | Cancelled)
            }
            Succeeded | Partial | Failed | Dead | Cancelled => false,
        }
    }
}

/// What set a run off. Its order is the order in which runs that wait are taken: what a person waits for comes first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A person, or a program on somebody's behalf.
    #[default]
    Manual,
    /// A webhook that told less than the API does.
    Hook,
    /// The stream's schedule.
    Schedule,
}

/// A stretch of time, from `start` up to but not including `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Window {
    /// The first moment of it.
    pub start: Timestamp,
    /// The first moment behind it.
    pub end: Timestamp,
}

/// What a run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// From the last checkpoint on.
    Incremental,
    /// Everything again; the cursor starts from nothing.
    Full,
    /// A window of time, beside the cursor.
    Backfill,
    /// Everything again, compared with what is there and not kept.
    Check,
}

impl Mode {
    /// The word for people, as the API writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incremental => "incremental",
            Self::Full => "full",
            Self::Backfill => "backfill",
            Self::Check => "check",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RunState::{
        Cancelled, Committing, Dead, Failed, Interrupted, Leased, Partial, Queued, RetryWait, Running,
        Succeeded, WaitingRate,
    };

    const ALL: [RunState; 12] = [
        Queued,
        Leased,
        Running,
        Committing,
        WaitingRate,
        Interrupted,
        RetryWait,
        Succeeded,
        Partial,
        Failed,
        Dead,
        Cancelled,
    ];

    #[test]
    fn exactly_these_moves_are_legal() {
        let from_a_wait = &[Leased, Cancelled, Failed][..];
        let ends = [Succeeded, Partial, Failed, Dead, Cancelled];
        let waits = [WaitingRate, Interrupted, RetryWait];
        let leased = [
            &[Leased, Running, Committing, Failed, Dead, Cancelled],
            &waits[..],
        ]
        .concat();
        let running = [&[Leased, Committing][..], &ends, &waits].concat();
        let committing = [&[Leased][..], &ends, &waits].concat();
        for from in ALL {
            let legal = match from {
                Queued | WaitingRate | Interrupted | RetryWait => from_a_wait,
                Leased => &leased,
                Running => &running,
                Committing => &committing,
                Succeeded | Partial | Failed | Dead | Cancelled => &[],
            };
            for to in ALL {
                assert_eq!(from.may_become(to), legal.contains(&to), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn what_has_ended_stays_and_what_has_not_can_end() {
        for state in ALL {
            let moves = ALL.iter().filter(|next| state.may_become(**next)).count();
            assert_eq!(state.ended(), moves == 0, "{state:?}");
            assert!(
                state.ended() || state.may_become(Cancelled) && state.may_become(Failed),
                "{state:?}"
            );
            let kinds = [state.ended(), state.held(), state.waits(), state == Queued];
            assert_eq!(
                kinds.iter().filter(|is| **is).count(),
                1,
                "{state:?} is one kind of state"
            );
            let text = serde_json::to_string(&state).unwrap();
            assert_eq!(text, format!("\"{}\"", state.name()));
            assert_eq!(serde_json::from_str::<RunState>(&text).unwrap(), state);
        }
    }
}
