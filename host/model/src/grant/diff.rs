//! What another version or grant changes: decided by containment of what the broker enforces, never by comparing texts.
//!
//! What must always hold: where nothing is wider or new, whatever is permitted now was permitted before. Deliberately
//! absent: rules that several old rules cover only together through their paths or hosts. They count as wider or new: asking
//! once too often is the safe side.

mod rights;

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{Grant, units};
use crate::capability::{EgressRule, MethodSet};
use crate::manifest::Manifest;

/// What is held against each other: a manifest with what is granted of it.
#[derive(Debug, Clone, Copy)]
pub struct Approved<'a> {
    /// What it offers and asks for.
    pub manifest: &'a Manifest,
    /// What of it was given, or would be.
    pub grant: &'a Grant,
}

#[cfg(test)]
impl<'a> Approved<'a> {
    /// With all that it asks for.
    const fn whole(manifest: &'a Manifest) -> Self {
        let grant = &manifest.capabilities;
        Self { manifest, grant }
    }
}

/// What changes, a line for each right. It may be approved without asking when [`GrantDiff::asks_for_more`] says no. Text and
/// JSON are made of this one value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GrantDiff {
    /// Rights that permit more than a right they contain, and limits that rise.
    pub wider: Vec<String>,
    /// Rights that no old one contains and that contain none.
    pub new: Vec<String>,
    /// Rights and limits that permit what they permitted.
    pub same: Vec<String>,
    /// Rights that an old one contains and that permit less, old rights that are gone, and limits that fall.
    pub narrower: Vec<String>,
    /// Rights that may be switched on and were not there to be switched on before: nobody has them yet.
    pub optional: Vec<String>,
}

/// How much of what is permitted now was permitted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Wider,
    New,
    Same,
    Narrower,
}

impl GrantDiff {
    /// Whether a person has to look at it: something is permitted that was not.
    #[must_use]
    pub const fn asks_for_more(&self) -> bool {
        !self.wider.is_empty() || !self.new.is_empty()
    }

    fn add(&mut self, verdict: Verdict, line: String) {
        let list = match verdict {
            Verdict::Wider => &mut self.wider,
            Verdict::New => &mut self.new,
            Verdict::Same => &mut self.same,
            Verdict::Narrower => &mut self.narrower,
        };
        list.push(line);
    }

    fn gone(&mut self, line: impl std::fmt::Display) {
        self.narrower.push(format!("no longer {line}"));
    }

    /// Adds things that are or are not: what both have is the same, the others are new or gone.
    fn compare(&mut self, before: &[String], after: &[String]) {
        for line in after {
            let known = before.contains(line);
            self.add(if known { Verdict::Same } else { Verdict::New }, line.clone());
        }
        for line in before.iter().filter(|line| !after.contains(line)) {
            self.gone(line);
        }
    }

    fn of_egress(&mut self, old: &[EgressRule], new: &[EgressRule]) {
        for rule in new {
            let verdict = match (covered(rule, old), covers_any(rule, old)) {
                (true, true) => Verdict::Same,
                (true, false) => Verdict::Narrower,
                (false, true) => Verdict::Wider,
                (false, false) => Verdict::New,
            };
            self.add(verdict, rule.to_string());
        }
        for rule in old {
            let mut lost = rule.clone();
            lost.methods = MethodSet::EMPTY;
            for part in by_method(rule) {
                let kept = new.iter().any(|after| after.covers(&part));
                // What is left of it stands under `narrower` already.
                let left = new.iter().flat_map(by_method).any(|after| part.covers(&after));
                if !kept && !left {
                    part.methods.iter().for_each(|method| {
                        lost.methods.insert(method);
                    });
                }
            }
            if !lost.methods.is_empty() {
                self.gone(&lost);
            }
        }
    }

    fn of_sizes(&mut self, old: &Grant, new: &Grant) {
        let sizes = [
            ("storage", old.storage_bytes, new.storage_bytes),
            ("scratch files", old.scratch_bytes, new.scratch_bytes),
        ];
        // Few connectors keep files; of the others nothing is said.
        let files = [
            ("files", old.files_bytes, new.files_bytes),
            ("size of one file", old.file_bytes, new.file_bytes),
        ];
        let files = files
            .into_iter()
            .filter(|(_, before, after)| *before > 0 || *after > 0);
        let limits = old.limits.named().into_iter().zip(new.limits.named());
        let limits = limits.map(|((name, before), (_, after))| (name, before, after));
        for (name, before, after) in sizes.into_iter().chain(files).chain(limits) {
            let (label, show) = (units::label(name), |number: u64| units::amount(name, number));
            let changed = || format!("{label}: {} instead of {}", show(after), show(before));
            match after.cmp(&before) {
                Ordering::Greater => self.add(Verdict::Wider, changed()),
                Ordering::Less => self.add(Verdict::Narrower, changed()),
                Ordering::Equal => self.add(Verdict::Same, format!("{label}: {}", show(after))),
            }
        }
    }
}

/// Compares what was approved with what would be.
#[must_use]
pub fn diff(old: Approved<'_>, new: Approved<'_>) -> GrantDiff {
    let mut diff = GrantDiff::default();
    diff.of_egress(&old.grant.egress, &new.grant.egress);
    let optional = |of: Approved<'_>| -> Vec<EgressRule> {
        let asked = of.manifest.capabilities.egress.iter();
        let off = asked.filter(|rule| rule.optional && !covered(rule, &of.grant.egress));
        off.cloned().collect()
    };
    let known: Vec<EgressRule> = optional(old)
        .into_iter()
        .chain(old.grant.egress.clone())
        .collect();
    let unknown = optional(new).into_iter().filter(|rule| !covered(rule, &known));
    diff.optional.extend(unknown.map(|rule| rule.to_string()));
    diff.of_manifests(old.manifest, new.manifest);
    diff.of_sizes(old.grant, new.grant);
    diff
}

/// The same rule, once for each of its methods.
fn by_method(rule: &EgressRule) -> Vec<EgressRule> {
    let one = |method| {
        let methods = MethodSet::of(&[method])?;
        Some(EgressRule {
            methods,
            ..rule.clone()
        })
    };
    rule.methods.iter().filter_map(one).collect()
}

/// Whether the rules together permit all that the rule permits; each method may be another's.
pub(super) fn covered(rule: &EgressRule, by: &[EgressRule]) -> bool {
    by.iter().any(|own| own.covers(rule))
        || by_method(rule)
            .iter()
            .all(|part| by.iter().any(|own| own.covers(part)))
}

fn covers_any(rule: &EgressRule, old: &[EgressRule]) -> bool {
    old.iter().flat_map(by_method).any(|part| rule.covers(&part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::capability::{HostPattern, PathPattern, Scheme, Target};
    use crate::manifest::OriginPattern;
    use crate::signature::SourceRange;

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

    fn manifest(text: &str) -> Manifest {
        Manifest::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn acme() -> Manifest {
        manifest(include_str!("../../tests/connector.toml"))
    }

    /// What changes in the grant alone.
    fn of_grants(old: &Grant, new: &Grant) -> GrantDiff {
        let mut diff = GrantDiff::default();
        diff.of_egress(&old.egress, &new.egress);
        diff.of_sizes(old, new);
        diff
    }

    /// What changes in a manifest of which everything is granted.
    fn of_texts(old: &str, new: &str) -> GrantDiff {
        let (old, new) = (manifest(old), manifest(new));
        let of = |manifest| Approved::whole(manifest);
        diff(of(&old), of(&new))
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
        let diff = of_grants(&old, &new);
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
    fn methods_are_compared_one_by_one() {
        let both = grant(vec![rule(&["GET", "POST"], "x.com", "/a")]);
        let apart = grant(vec![
            rule(&["POST"], "x.com", "/a"),
            rule(&["GET"], "x.com", "/a"),
        ]);
        assert!(!of_grants(&apart, &both).asks_for_more());
        assert!(!of_grants(&both, &apart).asks_for_more());
        let less = of_grants(&both, &grant(vec![rule(&["GET"], "x.com", "/a")]));
        assert_eq!(less.narrower, ["no longer POST https://x.com/a"]);
        assert_eq!(less.same.first().unwrap(), "GET https://x.com/a");
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
        let changed = of_grants(&old, &new);
        assert_eq!(
            changed.wider,
            ["storage for each connection: 2 MiB instead of 1 MiB"]
        );
        assert_eq!(changed.narrower, ["memory of one call: 32 MiB instead of 64 MiB"]);
        assert!(!of_grants(&old, &old).asks_for_more());
    }

    #[test]
    fn keeping_files_is_more() {
        let old = Grant::default();
        let new = Grant {
            files_bytes: 1 << 30,
            file_bytes: 25 << 20,
            ..Grant::default()
        };
        assert_eq!(
            of_grants(&old, &new).wider,
            [
                "files kept for each connection: 1 GiB instead of 0 bytes",
                "size of one file: 25 MiB instead of 0 bytes"
            ]
        );
        assert_eq!(of_grants(&new, &old).narrower.len(), 2);
        assert!(!of_grants(&new, &new).asks_for_more());
        assert!(!format!("{:?}", of_grants(&old, &old)).contains("file kept"));
    }

    #[test]
    fn asking_elsewhere_for_a_token_is_new() {
        let text = include_str!("../../tests/auth.toml");
        let diff = of_texts(text, text);
        assert!(!diff.asks_for_more() && diff.narrower.is_empty(), "{diff:?}");
        let moved = text.replace("https://oauth2.acme.example/token", "https://evil.example/token");
        let diff = of_texts(text, &moved);
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
        let before = text.replace("presigns = true", "presigns = false");
        assert_eq!(of_texts(&before, text).new, ["action `share` gives links away"]);
    }

    /// Each right that is no request: what is changed in the manifest, the list that it stands in, and its line.
    #[test]
    fn every_other_right_is_compared() {
        let text = include_str!("../../tests/connector.toml");
        let lists = |diff: &GrantDiff| [diff.wider.clone(), diff.new.clone(), diff.narrower.clone()];
        let check = |from: &str, to: &str, place: usize, line: &str| {
            assert!(text.contains(from), "{from}");
            let diff = of_texts(text, &text.replacen(from, to, 1));
            let found = lists(&diff).get(place).unwrap().clone();
            assert!(found.iter().any(|own| own == line), "{line:?} is not in {diff:?}");
        };
        check(
            "scheme = \"bearer\"\norigins = [\"https://api.acme.example\"]",
            "scheme = \"bearer\"\norigins = [\"https://api.acme.example\", \"https://${config.host}\"]",
            1,
            "`token` goes to https://${config.host}",
        );
        check(
            "scheme = \"bearer\"",
            "scheme = \"query\"\nparameter = \"t\"",
            0,
            "`token` is added otherwise: in the query parameter `t`",
        );
        check(
            "name = \"token\"",
            "name = \"other\"",
            1,
            "`other` goes to https://api.acme.example",
        );
        check(
            "name = \"token\"",
            "name = \"other\"",
            2,
            "no longer the credential `token`",
        );
        check(
            "write = [\"create\", \"update\"]",
            "write = [\"create\", \"delete\"]",
            1,
            "deletes records of stream `issues` at the vendor",
        );
        check(
            "write = [\"create\", \"update\"]",
            "write = [\"create\"]",
            2,
            "no longer updates records of stream `issues` at the vendor",
        );
        check(
            "[config.properties.host]\ntype = \"string\"",
            "[config.properties.host]\ntype = \"string\"\nminLength = 1",
            0,
            "`${config.host}` may be set otherwise",
        );
    }

    #[test]
    fn webhooks_are_compared_by_who_may_send_what() {
        let old = acme();
        let check = |change: &dyn Fn(&mut crate::manifest::Webhook), wider: &[&str], narrower: &[&str]| {
            let mut new = acme();
            let webhook = new.webhooks.iter_mut().find(|webhook| webhook.name == "events");
            change(webhook.unwrap());
            let diff = diff(Approved::whole(&old), Approved::whole(&new));
            let more: Vec<String> = diff.wider.iter().chain(&diff.new).cloned().collect();
            assert_eq!((more, diff.narrower), (texts(wider), texts(narrower)));
        };
        fn texts(lines: &[&str]) -> Vec<String> {
            lines.iter().map(ToString::to_string).collect()
        }
        let unsigned = |webhook: &mut crate::manifest::Webhook| {
            let reason = "easier".to_owned();
            webhook.recipe = crate::signature::Recipe::Unsigned { reason };
        };
        check(&unsigned, &["webhook `events` is NOT VERIFIED any more"], &[]);
        check(
            &|webhook| webhook.reply = true,
            &["webhook `events` is answered by the connector's code"],
            &[],
        );
        check(
            &|webhook| webhook.sources = vec![SourceRange::parse("192.0.2.0/24").unwrap()],
            &[],
            &["webhook `events` may come from 192.0.2.0/24"],
        );
        check(
            &|webhook| {
                webhook
                    .events
                    .iter_mut()
                    .for_each(|event| event.kind = "issues.opened".to_owned())
            },
            &[],
            &["no longer webhook `events` receives issues.*"],
        );
        check(
            &|webhook| {
                webhook
                    .events
                    .iter_mut()
                    .for_each(|event| event.kind = "*".to_owned())
            },
            &["webhook `events` receives *"],
            &["no longer webhook `events` receives issues.*"],
        );
        check(
            &|webhook| webhook.name = "others".to_owned(),
            &["webhook `others`"],
            &["no longer webhook `events`"],
        );
    }

    #[test]
    fn what_may_be_switched_on_asks_for_nothing_yet() {
        let (old, new) = (acme(), acme());
        let (mut none, given) = (old, new.capabilities.without_optional());
        none.capabilities = given.clone();
        let before = Approved {
            manifest: &none,
            grant: &given,
        };
        let after = Approved {
            manifest: &new,
            grant: &given,
        };
        let diff = diff(before, after);
        assert_eq!(diff.optional, ["DELETE https://api.acme.example/repos/*"]);
        assert!(!diff.asks_for_more());
    }

    fn any_host() -> impl Strategy<Value = &'static str> {
        prop_oneof![Just("x.com"), Just("a.x.com"), Just("b.x.com"), Just("*.x.com")]
    }

    fn any_policy() -> impl Strategy<Value = Manifest> {
        let path = prop_oneof![Just("/a"), Just("/*"), Just("/**"), Just("/a/b"), Just("/a/*")];
        let methods = prop_oneof![Just(vec!["GET"]), Just(vec!["POST"]), Just(vec!["GET", "POST"])];
        let rule = (methods, any_host(), path).prop_map(|(methods, host, path)| rule(&methods, host, path));
        let origin = any_host().prop_map(|host| OriginPattern::parse(&format!("https://{host}")).unwrap());
        let source = prop_oneof![Just("192.0.2.0/24"), Just("192.0.2.128/25"), Just("198.51.100.1")];
        let source = source.prop_map(|text| SourceRange::parse(text).unwrap());
        let limits = (0u64..3, 0u64..3);
        let lists = (
            prop::collection::vec(rule, 0..4),
            prop::collection::vec(origin, 0..3),
            prop::collection::vec(source, 0..3),
        );
        (lists, limits).prop_map(|((rules, origins, sources), (storage, calls))| {
            let mut manifest = acme();
            manifest.capabilities = grant(rules);
            manifest.capabilities.storage_bytes = storage;
            manifest.capabilities.limits.host_calls = calls;
            manifest
                .auth
                .iter_mut()
                .for_each(|scheme| scheme.origins = origins.clone());
            manifest
                .webhooks
                .iter_mut()
                .for_each(|webhook| webhook.sources = sources.clone());
            manifest
        })
    }

    proptest! {
        /// What does not ask for more permits nothing that was not permitted: no request, no place for a credential, no sender,
        /// no size.
        #[test]
        fn nothing_more_means_nothing_more(
            old in any_policy(),
            new in any_policy(),
            host in prop_oneof![Just("x.com"), Just("a.x.com"), Just("b.x.com"), Just("a.b.x.com")],
            method in prop_oneof![Just("GET"), Just("POST")],
            path in prop_oneof![Just("/a"), Just("/b"), Just("/a/b"), Just("/a/c"), Just("/")],
            sender in prop_oneof![Just("192.0.2.1"), Just("192.0.2.200"), Just("198.51.100.1"), Just("203.0.113.9")],
        ) {
            let target = Target { scheme: Scheme::Https, host, port: 443, method, path };
            let sender: std::net::IpAddr = sender.parse().unwrap();
            let told = diff(Approved::whole(&old), Approved::whole(&new));
            if told.asks_for_more() {
                return Ok(());
            }
            let permits = |of: &Manifest| of.capabilities.egress.iter().any(|rule| rule.permits(&target));
            prop_assert!(!permits(&new) || permits(&old));
            let given = |of: &Manifest| {
                of.auth.iter().any(|scheme| scheme.origins.iter().any(|origin| origin.permits(&target)))
            };
            prop_assert!(!given(&new) || given(&old));
            let from = |of: &Manifest| {
                of.webhooks.iter().any(|webhook| {
                    webhook.sources.is_empty() || webhook.sources.iter().any(|range| range.contains(sender))
                })
            };
            prop_assert!(!from(&new) || from(&old));
            let sizes = |of: &Manifest| (of.capabilities.storage_bytes, of.capabilities.limits.host_calls);
            let (before, after) = (sizes(&old), sizes(&new));
            prop_assert!(after.0 <= before.0 && after.1 <= before.1);
        }

        /// Nothing changes between a policy and itself, whatever the order of its rules.
        #[test]
        fn the_same_is_the_same(policy in any_policy()) {
            let mut turned = policy.clone();
            turned.capabilities.egress.reverse();
            let told = diff(Approved::whole(&policy), Approved::whole(&turned));
            prop_assert!(!told.asks_for_more());
            prop_assert_eq!(told.narrower, Vec::<String>::new());
        }
    }
}
