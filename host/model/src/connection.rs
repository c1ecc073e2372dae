//! A connection's life.

/// Where a connection stands. The states of OAuth and of revoking join when the flows that reach them do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionState {
    /// Created, not yet tested.
    Draft,
    /// Tested and serving.
    Active,
    /// The vendor refused the credential: somebody has to reconnect.
    NeedsReauth,
    /// The configuration is wrong.
    Misconfigured,
    /// A person paused it.
    Paused,
}

impl ConnectionState {
    /// Whether background work may run for it.
    #[must_use]
    pub const fn serves(self) -> bool {
        matches!(self, Self::Active)
    }

    /// Whether `next` may follow.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use ConnectionState::{Active, Draft, Misconfigured, NeedsReauth, Paused};
        match self {
            Draft => matches!(next, Draft | Active | NeedsReauth | Misconfigured),
            Active => matches!(next, Active | NeedsReauth | Misconfigured | Paused),
            NeedsReauth | Misconfigured => matches!(next, Active | NeedsReauth | Misconfigured | Paused),
            Paused => matches!(next, Paused | Active | NeedsReauth | Misconfigured),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConnectionState::{Active, Draft, Misconfigured, NeedsReauth, Paused};

    const ALL: [ConnectionState; 5] = [Draft, Active, NeedsReauth, Misconfigured, Paused];

    #[test]
    fn exactly_these_moves_are_legal() {
        let legal = [
            (Draft, &[Draft, Active, NeedsReauth, Misconfigured][..]),
            (Active, &[Active, NeedsReauth, Misconfigured, Paused]),
            (NeedsReauth, &[Active, NeedsReauth, Misconfigured, Paused]),
            (Misconfigured, &[Active, NeedsReauth, Misconfigured, Paused]),
            (Paused, &[Paused, Active, NeedsReauth, Misconfigured]),
        ];
        assert_eq!(legal.len(), ALL.len());
        for (from, moves) in legal {
            for to in ALL {
                assert_eq!(from.may_become(to), moves.contains(&to), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn only_what_is_active_serves_and_nothing_becomes_a_draft_again() {
        for state in ALL {
            assert_eq!(state.serves(), state == Active);
            assert!(state.may_become(Active), "{state:?}");
            assert_eq!(state.may_become(Draft), state == Draft);
        }
    }
}
