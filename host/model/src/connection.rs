//! A connection's life.

/// Where a connection stands: draft → authorizing → verifying → active ⇄ degraded; needs-reauth, misconfigured and paused
/// wait for somebody. Reconnecting runs beside the old grant: a connection that serves stays where it is until the new
/// credential is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionState {
    /// Created, not yet tested.
    Draft,
    /// Somebody is at the vendor, who has not answered yet.
    Authorizing,
    /// The vendor has answered; whose account it is, is being asked.
    Verifying,
    /// Tested and serving.
    Active,
    /// Serving, though something is wrong that may pass: its token can't be refreshed just now.
    Degraded,
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
        matches!(self, Self::Active | Self::Degraded)
    }

    /// Whether `next` may follow.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use ConnectionState::{
            Active, Authorizing, Degraded, Draft, Misconfigured, NeedsReauth, Paused, Verifying,
        };
        match self {
            Draft => matches!(next, Draft | Authorizing | Active | NeedsReauth | Misconfigured),
            Authorizing => matches!(
                next,
                Authorizing | Verifying | Active | NeedsReauth | Misconfigured
            ),
            Verifying => matches!(next, Verifying | Active | NeedsReauth | Misconfigured),
            Active => matches!(next, Active | Degraded | NeedsReauth | Misconfigured | Paused),
            Degraded => matches!(next, Degraded | Active | NeedsReauth | Misconfigured | Paused),
            NeedsReauth | Misconfigured => matches!(next, Active | NeedsReauth | Misconfigured | Paused),
            Paused => matches!(next, Paused | Active | NeedsReauth | Misconfigured),
        }
    }

    /// The word for people, as the API writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Authorizing => "authorizing",
            Self::Verifying => "verifying",
            Self::Active => "active",
            Self::Degraded => "degraded",
            Self::NeedsReauth => "needs-reauth",
            Self::Misconfigured => "misconfigured",
            Self::Paused => "paused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConnectionState::{
        Active, Authorizing, Degraded, Draft, Misconfigured, NeedsReauth, Paused, Verifying,
    };

    const ALL: [ConnectionState; 8] = [
        Draft,
        Authorizing,
        Verifying,
        Active,
        Degraded,
        NeedsReauth,
        Misconfigured,
        Paused,
    ];

    #[test]
    fn exactly_these_moves_are_legal() {
        let legal = [
            (
                Draft,
                &[Draft, Authorizing, Active, NeedsReauth, Misconfigured][..],
            ),
            (
                Authorizing,
                &[Authorizing, Verifying, Active, NeedsReauth, Misconfigured],
            ),
            (Verifying, &[Verifying, Active, NeedsReauth, Misconfigured]),
            (Active, &[Active, Degraded, NeedsReauth, Misconfigured, Paused]),
            (Degraded, &[Degraded, Active, NeedsReauth, Misconfigured, Paused]),
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
    fn only_what_is_connected_serves_and_nothing_becomes_a_draft_again() {
        for state in ALL {
            assert_eq!(state.serves(), matches!(state, Active | Degraded));
            assert!(state.may_become(Active), "{state:?}");
            assert_eq!(state.may_become(Draft), state == Draft);
            let word = serde_json::to_value(state).unwrap();
            assert_eq!(word, state.name());
        }
    }
}
