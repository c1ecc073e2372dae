use proptest::prelude::*;

use super::*;

/// A record whose members are told under the same names, but `noise`.
fn known(text: &str) -> Known<'_> {
    Known {
        own: text,
        mapped: Some(text),
        modified: None,
    }
}

fn pair<'a>(source: Option<&'a str>, target: Option<&'a str>, base: Option<(&'a str, &'a str)>) -> Pair<'a> {
    Pair {
        source: source.map(known),
        target: target.map(known),
        base: base.map(|(source, target)| (known(source), known(target))),
        both_ways: true,
    }
}

fn to_target(text: &str) -> Verdict {
    write(None, Some(Tell::Put(text.into())))
}

fn to_source(text: &str) -> Verdict {
    write(Some(Tell::Put(text.into())), None)
}

#[test]
fn who_changed_alone_is_heard_whatever_the_policy() {
    let base = Some((r#"{"a":1,"b":2}"#, r#"{"a":1,"b":2}"#));
    for policy in [
        Policy::SourceWins,
        Policy::TargetWins,
        Policy::Manual,
        Policy::Merge,
    ] {
        let decided =
            |source, target| decide(&policy.compile().unwrap(), &pair(source, target, base)).unwrap();
        assert_eq!(
            decided(Some(r#"{"a":3,"b":2}"#), Some(r#"{"a":1,"b":2}"#)),
            to_target(r#"{"a":3}"#)
        );
        assert_eq!(
            decided(Some(r#"{"a":1,"b":2}"#), Some(r#"{"a":1,"b":4}"#)),
            to_source(r#"{"b":4}"#)
        );
        assert_eq!(
            decided(None, Some(r#"{"b":2,"a":1.0}"#)),
            write(None, Some(Tell::Delete))
        );
        assert_eq!(
            decided(Some(r#"{"a":1,"b":2}"#), None),
            write(Some(Tell::Delete), None)
        );
        assert_eq!(decided(None, None), Verdict::Agreed);
    }
}

#[test]
fn policies_decide_what_both_changed() {
    let base = Some((r#"{"a":1,"b":2}"#, r#"{"a":1,"b":2}"#));
    let (source, target) = (r#"{"a":3,"b":2}"#, r#"{"a":4,"b":2}"#);
    let both = pair(Some(source), Some(target), base);
    let judged = |policy: &Policy| decide(&policy.compile().unwrap(), &both).unwrap();
    let clash = Verdict::Conflict(vec!["a".into()]);
    assert_eq!(judged(&Policy::SourceWins), to_target(r#"{"a":3}"#));
    assert_eq!(judged(&Policy::TargetWins), to_source(r#"{"a":4}"#));
    assert_eq!(judged(&Policy::Manual), clash);
    assert_eq!(judged(&Policy::Merge), clash);
    let rule = |jq: &str| Policy::Rule { jq: jq.into() };
    assert_eq!(
        judged(&rule(
            r#"if .source.a > .base.source.a then "source" else "manual" end"#
        )),
        to_target(r#"{"a":3}"#)
    );
    assert_eq!(
        judged(&rule(r#"{target: {a: 9}, source: {a: 9}}"#)),
        write(
            Some(Tell::Put(r#"{"a":9}"#.into())),
            Some(Tell::Put(r#"{"a":9}"#.into()))
        )
    );
    assert_eq!(
        decide(&rule("5").compile().unwrap(), &both),
        Err(PolicyError::Result)
    );
    assert!(rule("input").compile().is_err());
    let version = Policy::Version {
        source: "a".into(),
        target: "a".into(),
    };
    assert_eq!(judged(&version), to_source(r#"{"a":4}"#));

    // Different members go together.
    let apart = pair(Some(r#"{"a":3,"b":2}"#), Some(r#"{"a":1,"b":5}"#), base);
    assert_eq!(
        decide(&Policy::Merge.compile().unwrap(), &apart).unwrap(),
        write(
            Some(Tell::Put(r#"{"b":5}"#.into())),
            Some(Tell::Put(r#"{"a":3}"#.into()))
        )
    );
    assert_eq!(
        decide(&Policy::Manual.compile().unwrap(), &apart).unwrap(),
        Verdict::Conflict(vec![])
    );
}

#[test]
fn the_later_word_counts_beyond_the_skew() {
    let at = |text, seconds: u64| Known {
        own: text,
        mapped: Some(text),
        modified: Some(Timestamp::from_millis(seconds * 1000)),
    };
    let judged = |source, target| {
        let pair = Pair {
            source: Some(at(r#"{"a":3}"#, source)),
            target: Some(at(r#"{"a":4}"#, target)),
            base: Some((known(r#"{"a":1}"#), known(r#"{"a":1}"#))),
            both_ways: true,
        };
        decide(&Policy::LastWriter { skew_s: 5 }.compile().unwrap(), &pair).unwrap()
    };
    assert_eq!(judged(100, 94), to_target(r#"{"a":3}"#));
    assert_eq!(judged(94, 100), to_source(r#"{"a":4}"#));
    assert_eq!(judged(100, 95), Verdict::Conflict(vec!["a".into()]));
}

#[test]
fn one_way_leaves_the_target_its_own() {
    let one_way = |source, target, base: Option<(&'static str, &'static str)>| Pair {
        both_ways: false,
        ..pair(source, target, base)
    };
    let base = Some((r#"{"a":1}"#, r#"{"a":1,"x":0}"#));
    let decided = |pair: &Pair<'_>| decide(&Policy::Manual.compile().unwrap(), pair).unwrap();
    assert_eq!(
        decided(&one_way(Some(r#"{"a":1}"#), Some(r#"{"a":7}"#), base)),
        Verdict::Agreed
    );
    assert_eq!(
        decided(&one_way(Some(r#"{"a":2}"#), Some(r#"{"a":7}"#), base)),
        to_target(r#"{"a":2}"#)
    );
    assert_eq!(decided(&one_way(Some(r#"{"a":1}"#), None, base)), Verdict::Leave);
    assert_eq!(decided(&one_way(None, Some(r#"{"a":1}"#), None)), Verdict::Leave);
}

fn record() -> impl Strategy<Value = Option<Vec<(u8, u8)>>> {
    proptest::option::of(proptest::collection::vec((0u8..3, 0u8..3), 0..4))
}

fn text(members: &[(u8, u8)]) -> String {
    let mut seen = BTreeSet::new();
    let parts: Vec<String> = members
        .iter()
        .filter(|(name, _)| seen.insert(*name))
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", parts.join(","))
}

proptest! {
    /// Done as decided, the two sides agree, or a person was asked: nothing goes back and forth.
    #[test]
    fn what_is_written_is_no_news(source in record(), target in record(), base in record(), which in 0..4usize) {
        let policy = [Policy::SourceWins, Policy::TargetWins, Policy::Merge, Policy::Manual][which].clone();
        let (mut source, mut target, base) =
            (source.as_deref().map(text), target.as_deref().map(text), base.as_deref().map(text));
        let mut base = base.map(|base| (base.clone(), base));
        for round in 0..4 {
            let verdict = {
                let base = base.as_ref().map(|(source, target)| (source.as_str(), target.as_str()));
                decide(&policy.compile().unwrap(), &pair(source.as_deref(), target.as_deref(), base)).unwrap()
            };
            match verdict {
                Verdict::Agreed | Verdict::Conflict(_) | Verdict::Leave => return Ok(()),
                Verdict::Write { source: to_source, target: to_target } => {
                    prop_assert!(round < 2, "it goes on: {source:?} {target:?} {base:?}");
                    let told = |side: &mut Option<String>, tell: Option<Tell>| match tell {
                        Some(Tell::Put(parts)) => {
                            let now = side.clone().unwrap_or_else(|| "{}".into());
                            *side = Some(with(&now, &parts).unwrap());
                        }
                        Some(Tell::Delete) => *side = None,
                        None => {}
                    };
                    told(&mut source, to_source);
                    told(&mut target, to_target);
                    base = source.clone().zip(target.clone());
                }
            }
        }
    }

    /// No change of one side alone is lost by a merge.
    #[test]
    fn a_merge_loses_nothing(base in record(), source in record(), target in record()) {
        let (Some(base), Some(source), Some(target)) = (base, source, target) else { return Ok(()) };
        let (base, source, target) = (text(&base), text(&source), text(&target));
        let verdict = decide(&Policy::Merge.compile().unwrap(), &pair(Some(&source), Some(&target), Some((&base, &base)))).unwrap();
        let Verdict::Write { target: Some(Tell::Put(parts)), .. } = verdict else { return Ok(()) };
        let now = with(&target, &parts).unwrap();
        let (now, had, was) = (fields(&now).unwrap(), fields(&target).unwrap(), fields(&base).unwrap());
        for (name, value) in &had {
            if !agree(Some(value), field(&was, name)) {
                prop_assert!(agree(field(&now, name), Some(value)), "{name} of the target was overwritten");
            }
        }
    }
}
