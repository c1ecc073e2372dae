//! A run: one execution of a sync of one stream of one connection.

/// Where a run stands. Legal moves: queued → leased → running → succeeded / partial / failed / cancelled, and back from
/// running to retry-wait or waiting-rate and again to leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Waiting for a worker.
    Queued,
    /// A worker has it and moves pages.
    Running,
    /// The vendor asked to wait; goes on by itself.
    WaitingRate,
    /// A fault that passes; tried again later.
    RetryWait,
    /// Everything there was has been read.
    Succeeded,
    /// Ended with records in quarantine.
    Partial,
    /// Ended by an error that somebody has to act on.
    Failed,
    /// Ended by a person.
    Cancelled,
}

impl RunState {
    /// Whether the run is over.
    #[must_use]
    pub const fn ended(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Partial | Self::Failed | Self::Cancelled
        )
    }

    /// Whether `next` may follow.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use RunState::{Cancelled, Failed, Partial, Queued, RetryWait, Running, Succeeded, WaitingRate};
        match self {
            Queued | WaitingRate | RetryWait => matches!(next, Running | Cancelled | Failed),
            Running => matches!(
                next,
                Running | WaitingRate | RetryWait | Succeeded | Partial | Failed | Cancelled
            ),
            Succeeded | Partial | Failed | Cancelled => false,
        }
    }
}

/// What a run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// From the last checkpoint on.
    Incremental,
    /// Everything again; the cursor starts from nothing.
    Full,
}

impl Mode {
    /// The word for people, as the API writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incremental => "incremental",
            Self::Full => "full",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RunState::{Cancelled, Failed, Partial, Queued, RetryWait, Running, Succeeded, WaitingRate};

    const ALL: [RunState; 8] = [
        Queued,
        Running,
        WaitingRate,
        RetryWait,
        Succeeded,
        Partial,
        Failed,
        Cancelled,
    ];

    #[test]
    fn exactly_these_moves_are_legal() {
        let legal = [
            (Queued, &[Running, Cancelled, Failed][..]),
            (WaitingRate, &[Running, Cancelled, Failed]),
            (RetryWait, &[Running, Cancelled, Failed]),
            (
                Running,
                &[
                    Running,
                    WaitingRate,
                    RetryWait,
                    Succeeded,
                    Partial,
                    Failed,
                    Cancelled,
                ],
            ),
            (Succeeded, &[]),
            (Partial, &[]),
            (Failed, &[]),
            (Cancelled, &[]),
        ];
        assert_eq!(legal.len(), ALL.len());
        for (from, moves) in legal {
            for to in ALL {
                assert_eq!(from.may_become(to), moves.contains(&to), "{from:?} to {to:?}");
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
            let text = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<RunState>(&text).unwrap(), state);
        }
    }
}
