//! What every stable code means and what to do about it: one catalogue for the API, the command line and people.
//!
//! Numbers never move: `SLU-1xxx` packages, `2xxx` the road out and secrets, `3xxx` connectors' code, `4xxx` connections, their
//! credentials, syncs and destinations, `5xxx` webhooks and endpoints, `6xxx` the database and keys, `7xxx` the API and the configuration. A test holds the catalogue
//! against the `CODES` of every crate.

mod auth;
mod author;
mod destination;
mod egress;
mod guest;
mod key;
mod link;
mod mapping;
mod outbound;
mod package;
mod server;
mod sync;
mod versions;
mod webhook;

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub number: u16,
    pub code: &'static str,
    /// The HTTP status of a request that fails with it.
    pub status: u16,
    /// Whether the same request may succeed later without anybody acting.
    pub retryable: bool,
    pub title: &'static str,
    pub text: &'static str,
    /// What to do; empty where nothing has to be done.
    pub next: &'static str,
}

impl Entry {
    /// `SLU-2107`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("SLU-{}", self.number)
    }
}

/// All entries, a room after the other.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    let rooms = [
        package::ENTRIES,
        author::ENTRIES,
        versions::ENTRIES,
        egress::ENTRIES,
        guest::ENTRIES,
        sync::ENTRIES,
        destination::ENTRIES,
        link::ENTRIES,
        mapping::ENTRIES,
        webhook::ENTRIES,
        outbound::ENTRIES,
        auth::ENTRIES,
        key::ENTRIES,
        server::ENTRIES,
    ];
    rooms.into_iter().flatten()
}

/// The entry of a code.
#[must_use]
pub fn find(code: &str) -> Option<&'static Entry> {
    all().find(|entry| entry.code == code)
}

/// The entry of what a person types: `SLU-2107`, `2107` or `egress.denied`.
#[must_use]
pub fn look_up(text: &str) -> Option<&'static Entry> {
    let text = text.trim();
    let digits = text
        .get(..4)
        .filter(|start| start.eq_ignore_ascii_case("slu-"))
        .map_or(text, |_| text.get(4..).unwrap_or(text));
    match digits.parse::<u16>() {
        Ok(number) => all().find(|entry| entry.number == number),
        Err(_) => find(text),
    }
}

/// The entries whose code is nearest to a mistyped one.
#[must_use]
pub fn near(text: &str) -> Vec<&'static Entry> {
    let wanted = text.trim().to_lowercase();
    let word = wanted.split('.').next_back().unwrap_or_default().to_owned();
    let mut near: Vec<_> = all()
        .filter(|entry| {
            entry.code.starts_with(&wanted)
                || (word.len() > 2 && entry.code.contains(&word))
                || (wanted.len() > 2 && entry.code.contains(&wanted))
        })
        .collect();
    near.truncate(8);
    near
}

/// What stands for a code that is not in the catalogue.
#[must_use]
pub const fn internal() -> &'static Entry {
    &server::INTERNAL
}

const fn entry(
    number: u16,
    code: &'static str,
    status: u16,
    title: &'static str,
    text: &'static str,
    next: &'static str,
) -> Entry {
    Entry {
        number,
        code,
        status,
        retryable: false,
        title,
        text,
        next,
    }
}

impl Entry {
    const fn passes(mut self) -> Self {
        self.retryable = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    #[test]
    fn the_catalogue_is_complete_and_has_nothing_stale() {
        let explained: BTreeSet<&str> = all().map(|entry| entry.code).collect();
        let given: BTreeSet<&str> = crate::codes::every().into_iter().collect();
        let missing: Vec<_> = given.difference(&explained).collect();
        let stale: Vec<_> = explained.difference(&given).collect();
        assert!(missing.is_empty(), "nothing explains {missing:?}");
        assert!(stale.is_empty(), "nothing gives {stale:?} any more");
    }

    #[test]
    fn entries_are_whole() {
        let (mut numbers, mut codes) = (HashSet::new(), HashSet::new());
        for entry in all() {
            assert!(numbers.insert(entry.number), "{} twice", entry.number);
            assert!(codes.insert(entry.code), "{} twice", entry.code);
            assert!(
                (1000..8000).contains(&entry.number) && (400..600).contains(&entry.status),
                "{entry:?}"
            );
            assert!(!entry.title.is_empty() && entry.text.len() > 20, "{entry:?}");
        }
    }

    #[test]
    fn people_may_type_it_in_several_ways() {
        let entry = find("egress.denied").unwrap();
        for text in [
            entry.id().as_str(),
            &entry.id().to_lowercase(),
            &entry.number.to_string(),
            "egress.denied",
        ] {
            assert_eq!(look_up(text), Some(entry));
        }
        assert!(look_up("SLU-").is_none() && look_up("").is_none() && look_up("ü").is_none());
        assert!(
            near("egress.denid").len() < 9 && near("egress").iter().any(|near| near.code == "egress.denied")
        );
    }
}
