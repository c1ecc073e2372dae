//! What answers an interaction. Discord gives each a token with which anybody may answer in the app's name for fifteen minutes
//! ("Followup Messages"): it stays here, in the connection's storage, and no event has it. Ids tell their time, so those whose
//! time is over are known without a clock and removed when another comes.

use serde::{Deserialize, Serialize};
use sluice_sdk::{Error, storage};

use crate::api;

const PREFIX: &str = "interaction/";

/// How long Discord takes an answer.
const LIFE_MS: u64 = 900_000;

/// How many that are over are removed at once.
const SWEPT: u32 = 100;

/// What an answer needs.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) application: String,
    pub(crate) token: String,
}

/// Keeps what answers the interaction.
pub(crate) fn keep(id: &str, pending: &Pending) -> Result<(), Error> {
    if !api::is_id(id) || !api::is_id(&pending.application) || !is_token(&pending.token) {
        return Err(Error::invalid_data("not an interaction of Discord's"));
    }
    let now = api::made(id.parse().unwrap_or_default());
    for key in storage::list_keys(PREFIX, None, SWEPT) {
        let old = key.strip_prefix(PREFIX).and_then(|id| id.parse().ok());
        if old.is_none_or(|id| api::made(id).saturating_add(LIFE_MS) < now) {
            // One that cannot be removed now is removed with the next interaction.
            let _ = storage::delete(&key);
        }
    }
    storage::set_json(&format!("{PREFIX}{id}"), pending)
}

/// What answers the interaction, if it is known still.
pub(crate) fn pending(id: &str) -> Result<Pending, Error> {
    let known = storage::get_json(&format!("{PREFIX}{id}"))?;
    known.ok_or_else(|| {
        Error::invalid_data("no interaction of the last fifteen minutes has this id").at("/interaction_id")
    })
}

/// Nothing else becomes part of a path.
fn is_token(text: &str) -> bool {
    (1..=1_024).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(minute: u64) -> String {
        api::first_id(1_714_557_600_000 + minute * 60_000).to_string()
    }

    #[test]
    fn an_interaction_is_known_for_a_quarter_of_an_hour() {
        let pending_of = |token: &str| Pending {
            application: "1234567890123456789".to_owned(),
            token: token.to_owned(),
        };
        keep(&id(0), &pending_of("aW50ZXI=")).unwrap();
        keep(&id(10), &pending_of("b")).unwrap();
        assert_eq!(pending(&id(0)).unwrap().token, "aW50ZXI=");
        keep(&id(20), &pending_of("c")).unwrap();
        assert!(matches!(pending(&id(0)), Err(Error::InvalidData(_))));
        assert_eq!(pending(&id(10)).unwrap().token, "b");
        for token in ["", "a/b", "../x", "a?b"] {
            assert!(keep(&id(30), &pending_of(token)).is_err(), "{token}");
        }
    }
}
