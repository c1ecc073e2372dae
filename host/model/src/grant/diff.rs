//! What an upgrade changes: decided by containment, never by comparing texts.

use std::cmp::Ordering;

use serde::Serialize;

use super::{Grant, units};
use crate::capability::EgressRule;
use crate::manifest::{Action, AuthScheme};

/// The lines of the permission page that an upgrade changes. An upgrade may be approved without asking when
/// [`GrantDiff::asks_for_more`] says no.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct GrantDiff {
    /// Rules that permit more than a rule they cover, and limits that rise.
    pub wider: Vec<String>,
    /// Rules that no old rule covers and that cover none.
    pub new: Vec<String>,
    /// Rules and limits that permit what they permitted.
    pub same: Vec<String>,
    /// Rules that an old rule covers and that permit less, old rules that are gone, and limits that fall.
    pub narrower: Vec<String>,
}

impl GrantDiff {
    /// Whether a person has to look at it: something is permitted that was not.
    #[must_use]
    pub const fn asks_for_more(&self) -> bool {
        !self.wider.is_empty() || !self.new.is_empty()
    }
}

/// Compares what was approved with what is asked for now. A rule that several old rules cover only together counts as
/// new: asking once too often is the safe side.
#[must_use]
pub fn diff(old: &Grant, new: &Grant) -> GrantDiff {
    let mut diff = GrantDiff::default();
    for rule in &new.egress {
        let covered = old.egress.iter().any(|before| before.covers(rule));
        let covers = old.egress.iter().any(|before| rule.covers(before));
        let list = match (covered, covers) {
            (true, true) => &mut diff.same,
            (true, false) => &mut diff.narrower,
            (false, true) => &mut diff.wider,
            (false, false) => &mut diff.new,
        };
        list.push(rule.to_string());
    }
    let lost = |rule: &&EgressRule| {
        !new.egress
            .iter()
            .any(|after| after.covers(rule) || rule.covers(after))
    };
    diff.narrower.extend(
        old.egress
            .iter()
            .filter(lost)
            .map(|rule| format!("no longer {rule}")),
    );
    let sizes = [
        ("storage", old.storage_bytes, new.storage_bytes),
        ("scratch files", old.scratch_bytes, new.scratch_bytes),
    ];
    let limits = old.limits.named().into_iter().zip(new.limits.named());
    let limits = limits.map(|((name, before), (_, after))| (name, before, after));
    for (name, before, after) in sizes.into_iter().chain(limits) {
        let show = |number: u64| units::amount(name, number);
        match after.cmp(&before) {
            Ordering::Greater => diff.wider.push(format!(
                "{}: {} instead of {}",
                units::label(name),
                show(after),
                show(before)
            )),
            Ordering::Less => diff.narrower.push(format!(
                "{}: {} instead of {}",
                units::label(name),
                show(after),
                show(before)
            )),
            Ordering::Equal => diff.same.push(format!("{}: {}", units::label(name), show(after))),
        }
    }
    diff
}

impl GrantDiff {
    /// Adds what changes in where credentials go and in what the server itself asks for them: an app's secret is sent
    /// there, so an upgrade that asks elsewhere is looked at by a person.
    pub fn compare_auth(&mut self, old: &[AuthScheme], new: &[AuthScheme]) {
        let lines = |schemes: &[AuthScheme]| -> Vec<String> {
            let of = |scheme: &AuthScheme| {
                let asked = scheme.asks().into_iter();
                let asked = asked.map(|at| format!("the server asks {at} for `{}`", scheme.name));
                let bound = scheme.origins.iter();
                asked
                    .chain(bound.map(|origin| format!("`{}` goes to {origin}", scheme.name)))
                    .collect::<Vec<_>>()
            };
            schemes.iter().flat_map(of).collect()
        };
        self.compare(&lines(old), &lines(new));
    }

    /// Adds what changes in which actions give links away, that work without a credential.
    pub fn compare_actions(&mut self, old: &[Action], new: &[Action]) {
        let lines = |actions: &[Action]| -> Vec<String> {
            let presigning = actions.iter().filter(|action| action.presigns);
            let line = |action: &Action| format!("action `{}` gives links away", action.name);
            presigning.map(line).collect()
        };
        self.compare(&lines(old), &lines(new));
    }

    fn compare(&mut self, before: &[String], after: &[String]) {
        for line in after {
            let list = if before.contains(line) {
                &mut self.same
            } else {
                &mut self.new
            };
            list.push(line.clone());
        }
        let gone = before.iter().filter(|line| !after.contains(line));
        self.narrower.extend(gone.map(|line| format!("no longer {line}")));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::capability::{HostPattern, MethodSet, PathPattern, Scheme, Target};

    fn rule(methods: &[&str], host: &str, path: &str) -> EgressRule {
        EgressRule {
            scheme: Scheme::Https,
            host: HostPattern::parse(host).unwrap(),
            port: 443,
            methods: MethodSet::of(methods).unwrap(),
            path: PathPattern::parse(path).unwrap(),
            optional: false,
            reason: None,
        }
    }

    fn grant(egress: Vec<EgressRule>) -> Grant {
        Grant {
            egress,
            ..Grant::default()
        }
    }

    #[test]
    fn rules_are_compared_by_what_they_permit() {
        let old = grant(vec![
            rule(&["GET"], "a.x.com", "/repos/**"),
            rule(&["GET"], "b.x.com", "/user"),
            rule(&["GET"], "c.x.com", "/**"),
            rule(&["GET"], "gone.x.com", "/**"),
        ]);
        let new = grant(vec![
            rule(&["GET"], "a.x.com", "/repos/*"),
            rule(&["GET", "POST"], "b.x.com", "/user"),
            rule(&["GET"], "c.x.com", "/**/**"),
            rule(&["GET"], "d.x.com", "/"),
        ]);
        let diff = diff(&old, &new);
        assert_eq!(
            diff.narrower,
            [
                "GET https://a.x.com/repos/*",
                "no longer GET https://gone.x.com/**"
            ]
        );
        assert_eq!(diff.wider, ["GET, POST https://b.x.com/user"]);
        assert_eq!(diff.same.first().unwrap(), "GET https://c.x.com/**/**");
        assert_eq!(diff.new, ["GET https://d.x.com/"]);
        assert!(diff.asks_for_more());
    }

    #[test]
    fn limits_and_sizes_are_compared_too() {
        let old = Grant {
            storage_bytes: 1 << 20,
            scratch_bytes: 5,
            ..Grant::default()
        };
        let mut new = Grant {
            storage_bytes: 2 << 20,
            ..old.clone()
        };
        new.limits.memory_bytes = 32 << 20;
        let changed = diff(&old, &new);
        assert_eq!(
            changed.wider,
            ["storage for each connection: 2 MiB instead of 1 MiB"]
        );
        assert_eq!(changed.narrower, ["memory of one call: 32 MiB instead of 64 MiB"]);
        assert!(!diff(&old, &old).asks_for_more());
    }

    #[test]
    fn asking_elsewhere_for_a_token_is_new() {
        let text = include_str!("../../tests/auth.toml");
        let schemes = |text: &str| crate::manifest::Manifest::parse(text).unwrap().auth;
        let mut diff = GrantDiff::default();
        diff.compare_auth(&schemes(text), &schemes(text));
        assert!(!diff.asks_for_more() && diff.narrower.is_empty());
        let moved = text.replace("https://oauth2.acme.example/token", "https://evil.example/token");
        diff.compare_auth(&schemes(text), &schemes(&moved));
        assert_eq!(
            diff.new,
            ["the server asks https://evil.example/token for `account`"]
        );
        assert_eq!(
            diff.narrower,
            ["no longer the server asks https://oauth2.acme.example/token for `account`"]
        );
    }

    #[test]
    fn an_action_that_begins_to_give_links_away_is_new() {
        let text = include_str!("../../tests/auth.toml");
        let actions = |text: &str| crate::manifest::Manifest::parse(text).unwrap().actions;
        let before = actions(&text.replace("presigns = true", "presigns = false"));
        let mut diff = GrantDiff::default();
        diff.compare_actions(&before, &actions(text));
        assert_eq!(diff.new, ["action `share` gives links away"]);
        let mut diff = GrantDiff::default();
        diff.compare_actions(&actions(text), &actions(text));
        assert!(!diff.asks_for_more());
    }

    fn any_grant() -> impl Strategy<Value = Grant> {
        let host = prop_oneof![Just("x.com"), Just("a.x.com"), Just("*.x.com")];
        let path = prop_oneof![Just("/a"), Just("/*"), Just("/**"), Just("/a/b"), Just("/a/*")];
        let methods = prop_oneof![Just(vec!["GET"]), Just(vec!["POST"]), Just(vec!["GET", "POST"])];
        let rule = (methods, host, path).prop_map(|(methods, host, path)| rule(&methods, host, path));
        prop::collection::vec(rule, 0..4).prop_map(grant)
    }

    proptest! {
        /// What does not ask for more permits nothing that was not permitted.
        #[test]
        fn nothing_more_means_nothing_more(
            old in any_grant(),
            new in any_grant(),
            host in prop_oneof![Just("x.com"), Just("a.x.com"), Just("b.x.com")],
            method in prop_oneof![Just("GET"), Just("POST")],
            path in prop_oneof![Just("/a"), Just("/b"), Just("/a/b"), Just("/a/c"), Just("/")],
        ) {
            let target = Target { scheme: Scheme::Https, host, port: 443, method, path };
            let permits = |grant: &Grant| grant.egress.iter().any(|rule| rule.permits(&target));
            if !diff(&old, &new).asks_for_more() && permits(&new) {
                prop_assert!(permits(&old));
            }
        }
    }
}
