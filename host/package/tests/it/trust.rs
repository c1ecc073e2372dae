//! Whom a policy believes: a table of attacks, and the memory that defeats those over time.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sluice_model::Timestamp;
use sluice_package::{
    Identity, Name, Package, Policy, Publisher, Remembered, Revocation, Signer, SigningKey, Standing, Terms,
    UnknownKeys, Untrusted, Verdict, Who,
};

use super::{DAY, NOW, key, pack, signed, terms};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn judge(policy: &Policy, bytes: &[u8], known: &Remembered, at: Timestamp) -> Result<Verdict, Untrusted> {
    policy.judge(&Package::read(bytes).unwrap(), known, [&name("github")], None, at)
}

fn listed(publisher: &str, keys: &[&SigningKey], names: &[&str]) -> Policy {
    Policy {
        publishers: vec![Publisher {
            name: name(publisher),
            keys: keys.iter().map(|key| key.public()).collect(),
            identities: Vec::new(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }],
        ..Policy::default()
    }
}

#[test]
fn the_first_key_is_kept() {
    let (ours, other) = (key(), key());
    let policy = Policy::default();
    let nothing = Remembered::default();
    let first = judge(
        &policy,
        &signed("acme", "1.0.0", "acme-inc", &ours),
        &nothing,
        NOW,
    )
    .unwrap();
    assert_eq!(first.standing, Standing::First);
    assert_eq!(first.signer.unwrap().publisher, name("acme-inc"));
    let known = first.remember.unwrap();
    let next = judge(&policy, &signed("acme", "1.1.0", "acme-inc", &ours), &known, NOW).unwrap();
    assert_eq!(next.standing, Standing::Pinned);
    let error = judge(&policy, &signed("acme", "1.1.0", "acme-inc", &other), &known, NOW).unwrap_err();
    assert!(matches!(error, Untrusted::WrongKey { .. }), "{error}");
    let error = judge(&policy, &signed("acme", "1.1.0", "acme", &ours), &known, NOW).unwrap_err();
    assert!(matches!(error, Untrusted::WrongPublisher { .. }), "{error}");
    // The signature stripped: the name is somebody's.
    let error = judge(&policy, &pack("acme", "1.1.0").bytes, &known, NOW).unwrap_err();
    assert!(matches!(error, Untrusted::Stripped { .. }), "{error}");
    // What looks like a name that is somebody's is nobody else's.
    let error = judge(
        &policy,
        &signed("g1thub", "1.0.0", "acme-inc", &ours),
        &nothing,
        NOW,
    )
    .unwrap_err();
    assert!(matches!(error, Untrusted::LooksAlike { .. }), "{error}");
    assert_eq!(error.code(), "package.untrusted");
}

#[test]
fn unsigned_is_for_those_who_consent() {
    let nothing = Remembered::default();
    let bytes = pack("acme", "1.0.0").bytes;
    let verdict = judge(&Policy::default(), &bytes, &nothing, NOW).unwrap();
    assert_eq!((verdict.standing, verdict.remember), (Standing::Unsigned, None));
    let strict = Policy {
        require_signatures: true,
        ..Policy::default()
    };
    let error = judge(&strict, &bytes, &nothing, NOW).unwrap_err();
    assert!(matches!(error, Untrusted::SignatureRequired(_)), "{error}");
    let error = judge(&listed("acme-inc", &[&key()], &["ac*"]), &bytes, &nothing, NOW).unwrap_err();
    assert!(matches!(error, Untrusted::Stripped { .. }), "{error}");
}

#[test]
fn a_list_says_who_publishes_what() {
    let (ours, other) = (key(), key());
    let nothing = Remembered::default();
    let policy = listed("acme-inc", &[&ours], &["acme", "acme-*"]);
    policy.check().unwrap();
    let try_it = |policy: &Policy, id: &str, publisher: &str, key: &SigningKey| {
        judge(policy, &signed(id, "1.0.0", publisher, key), &nothing, NOW)
    };
    assert_eq!(
        try_it(&policy, "acme-eu", "acme-inc", &ours).unwrap().standing,
        Standing::Listed
    );
    let refused = |id: &str, publisher: &str, key: &SigningKey| {
        let error = try_it(&policy, id, publisher, key).unwrap_err();
        assert_eq!(error.code(), "package.untrusted");
        error
    };
    assert!(matches!(
        refused("github", "acme-inc", &ours),
        Untrusted::NotAllowed { .. }
    ));
    assert!(matches!(
        refused("acme", "acme-inc", &other),
        Untrusted::WrongKey { .. }
    ));
    assert!(matches!(
        refused("acme", "someone", &other),
        Untrusted::WrongPublisher { .. }
    ));
    assert!(matches!(
        refused("acme", "someone", &ours),
        Untrusted::WrongKey { .. }
    ));
    assert!(matches!(
        refused("acmc-1", "acme-inc", &other),
        Untrusted::WrongKey { .. }
    ));
    assert!(matches!(
        refused("acrne", "someone", &other),
        Untrusted::LooksAlike { .. }
    ));
    // Whom the list names takes the place of whoever was first.
    let first = judge(
        &Policy::default(),
        &signed("acme", "1.0.0", "someone", &other),
        &nothing,
        NOW,
    )
    .unwrap();
    let first = first.remember.unwrap();
    let after = judge(&policy, &signed("acme", "1.0.0", "acme-inc", &ours), &first, NOW)
        .unwrap()
        .remember
        .unwrap();
    assert_eq!(after.pin.unwrap().who, Who::Key(ours.public()));
    let strict = Policy {
        unknown_keys: UnknownKeys::Refuse,
        ..policy.clone()
    };
    let error = try_it(&strict, "other", "someone", &other).unwrap_err();
    assert!(matches!(error, Untrusted::UnknownKey(_)), "{error}");
    let least = Policy {
        minimum: BTreeMap::from([(name("acme"), "1.0.1".parse().unwrap())]),
        ..policy.clone()
    };
    let error = try_it(&least, "acme", "acme-inc", &ours).unwrap_err();
    assert!(matches!(error, Untrusted::BelowMinimum { .. }), "{error}");
}

#[test]
fn a_key_ends() {
    let ours = key();
    let nothing = Remembered::default();
    let whole = signed("acme", "1.0.0", "acme-inc", &ours);
    let policy = Policy::default();
    assert!(judge(&policy, &whole, &nothing, NOW.after(364 * DAY)).is_ok());
    let error = judge(&policy, &whole, &nothing, NOW.after(365 * DAY)).unwrap_err();
    assert!(matches!(error, Untrusted::Expired(_)), "{error}");
    let before = Timestamp::from_millis(NOW.as_millis() - 301_000);
    let error = judge(&policy, &whole, &nothing, before).unwrap_err();
    assert!(matches!(error, Untrusted::Future(301)), "{error}");

    let package = Package::read(&whole).unwrap();
    let signer = judge(&policy, &whole, &nothing, NOW).unwrap().signer.unwrap();
    // What is installed does not stop on a day, but with its key.
    assert_eq!(policy.recheck(&package, &signer, None), Ok(()));
    let revoked = Policy {
        revoked: vec![Revocation {
            who: Who::Key(ours.public()),
            reason: "it was published".to_owned(),
        }],
        ..listed("acme-inc", &[&ours], &["*"])
    };
    revoked.check().unwrap();
    for error in [
        judge(&revoked, &whole, &nothing, NOW).unwrap_err(),
        revoked.recheck(&package, &signer, None).unwrap_err(),
    ] {
        assert!(matches!(error, Untrusted::Revoked { .. }), "{error}");
    }
    let other = signed("acme", "1.0.0", "acme-inc", &key());
    assert!(
        policy
            .recheck(&Package::read(&other).unwrap(), &signer, None)
            .is_err()
    );
    let bare = pack("acme", "1.0.0").bytes;
    assert!(
        policy
            .recheck(&Package::read(&bare).unwrap(), &signer, None)
            .is_err()
    );
}

/// Policies are kept as this text, and sent as it.
#[test]
fn a_revocation_is_of_one_key_or_of_one_identity() {
    let key = format!("\"key\":\"{}\"", key().public());
    let identity = r#""identity":{"issuer":"https://idp.example","subject":"release@acme.example"}"#;
    let reason = r#""reason":"it was published""#;
    let read = |members: &[&str]| serde_json::from_str::<Revocation>(&format!("{{{}}}", members.join(",")));
    for who in [&key, identity] {
        let revocation = read(&[who, reason]).unwrap();
        let written = serde_json::to_string(&revocation).unwrap();
        assert_eq!(written, format!("{{{who},{reason}}}"));
        assert_eq!(read(&[reason, who]).unwrap(), revocation);
    }
    let refused = |members: &[&str], why: &str| {
        let error = read(members).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(&[&key, reason, r#""until":"then""#], "unknown field `until`");
    refused(&[&key, identity, reason], "a key or an identity, and not both");
    refused(&[reason], "a key or an identity");
    refused(&[&key], "missing field `reason`");
    refused(&[&key, &key, reason], "duplicate field `key`");
    refused(&[&key, r#""identity":null"#, reason], "null");
}

#[test]
fn there_is_no_way_back_and_none_too_far_ahead() {
    let (ours, next) = (key(), key());
    let policy = listed("acme-inc", &[&ours, &next], &["acme"]);
    let at = |version: &str, key: &SigningKey, known: &Remembered| {
        judge(&policy, &signed("acme", version, "acme-inc", key), known, NOW)
    };
    let known = at("2.0.0", &ours, &Remembered::default())
        .unwrap()
        .remember
        .unwrap();
    let refused = |version: &str, known: &Remembered| {
        let error = at(version, &ours, known).unwrap_err();
        assert_eq!(error.code(), "package.rollback", "{error}");
    };
    refused("1.9.9", &known);
    refused("2.0.0-rc.1", &known);
    // The same version and the same bytes, also signed anew: nothing new to remember.
    assert_eq!(at("2.0.0", &ours, &known).unwrap().remember, None);
    let later = Terms {
        signed: NOW.after(DAY),
        ..terms("acme-inc")
    };
    let packed = pack("acme", "2.0.0").bytes;
    let text = sluice_package::sign(&packed, &ours, &later).unwrap();
    let anew = sluice_package::attach(&packed, &text).unwrap();
    assert_eq!(
        judge(&policy, &anew, &known, NOW.after(DAY)).unwrap().remember,
        None
    );
    // The same version with other bytes: build metadata makes no new one.
    let error = at("2.0.0+other", &ours, &known).unwrap_err();
    assert!(matches!(error, Untrusted::Changed { .. }), "{error}");
    // To the end of numbers: no manifest has it, and what a manifest can have cannot be signed.
    assert!(
        sluice_model::manifest::Manifest::parse(&super::manifest("acme", "18446744073709551615.0.0"))
            .is_err()
    );
    for version in ["9999999999999999999.0.0", "2.1000000000.0"] {
        let packed = pack("acme", version).bytes;
        assert!(sluice_package::sign(&packed, &ours, &terms("acme-inc")).is_err());
    }
    // Another key of the same publisher begins anew: that is the way out after a stolen key.
    assert!(at("1.9.9", &next, &known).is_ok());
    // What is kept survives being kept.
    let text = serde_json::to_string(&known).unwrap();
    assert_eq!(serde_json::from_str::<Remembered>(&text).unwrap(), known);
}

#[test]
fn policies_that_make_no_sense_are_refused() {
    let (one, other) = (key(), key());
    let both = |a: Policy, b: Policy| Policy {
        publishers: [a.publishers, b.publishers].concat(),
        ..Policy::default()
    };
    let check = |policy: Policy, words: &str| {
        let error = policy.check().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    check(listed("acme", &[], &["acme"]), "without a key");
    check(listed("acme", &[&one], &[]), "without a key");
    for pattern in ["a*b", "**", "Acme", "-*", "a/*", "acme\u{202e}"] {
        check(listed("acme", &[&one], &[pattern]), "neither a name");
    }
    for pattern in ["*", "a*", "acme-*", "acme"] {
        listed("acme", &[&one], &[pattern]).check().unwrap();
    }
    check(
        both(
            listed("acme", &[&one], &["a*"]),
            listed("acme", &[&other], &["b*"]),
        ),
        "twice",
    );
    check(
        both(listed("acme", &[&one], &["a*"]), listed("beta", &[&one], &["b*"])),
        "one key",
    );
    for text in [
        "{\"publishers\":[],\"x\":1}",
        "{\"minimum\":{\"Acme\":\"1.0.0\"}}",
        "{\"unknown_keys\":\"all\"}",
    ] {
        assert!(serde_json::from_str::<Policy>(text).is_err(), "{text}");
    }
}

fn identity(subject: &str) -> Identity {
    Identity {
        issuer: "https://idp.acme.example".to_owned(),
        subject: subject.to_owned(),
    }
}

#[test]
fn identities_are_listed_like_keys() {
    let of = |publisher: &str, identities: &[Identity], names: &[&str]| Policy {
        publishers: vec![Publisher {
            name: name(publisher),
            keys: Vec::new(),
            identities: identities.to_vec(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }],
        ..Policy::default()
    };
    let ours = of("acme", &[identity("release@acme.example")], &["acme"]);
    ours.check().unwrap();
    let twice = Policy {
        publishers: [
            ours.publishers.clone(),
            of("beta", &[identity("release@acme.example")], &["b*"]).publishers,
        ]
        .concat(),
        ..Policy::default()
    };
    assert!(twice.check().unwrap_err().to_string().contains("one identity"));
    for wrong in ["", "a\nb", "a\u{202e}b", &"a".repeat(1025)] {
        let error = of("acme", &[identity(wrong)], &["acme"]).check().unwrap_err();
        assert!(error.to_string().contains("an identity whose"), "{error}");
    }
    // A name that an identity signs is nobody's by a key, nor anybody's unsigned.
    let nothing = Remembered::default();
    let by_key = signed("acme", "1.0.0", "acme", &key());
    let error = judge(&ours, &by_key, &nothing, NOW).unwrap_err();
    assert!(matches!(error, Untrusted::WrongKey { .. }), "{error}");
    let error = judge(&ours, &pack("acme", "1.0.0").bytes, &nothing, NOW).unwrap_err();
    assert!(matches!(error, Untrusted::Stripped { .. }), "{error}");
    // As people write them.
    let text = r#"{"publishers":[{"name":"acme","identities":[{"issuer":"i","subject":"s"}],"names":["acme"]}],
        "revoked":[{"identity":{"issuer":"i","subject":"t"},"reason":"r"}]}"#;
    let read: Policy = serde_json::from_str(text).unwrap();
    read.check().unwrap();
    let again = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&again).unwrap(), read);
    for wrong in [
        r#"{"revoked":[{"reason":"r"}]}"#,
        r#"{"revoked":[{"key":"ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","identity":{"issuer":"i","subject":"t"},"reason":"r"}]}"#,
        r#"{"revoked":[{"identity":{"issuer":"i","subject":"t"},"reason":"r","x":1}]}"#,
        r#"{"publishers":[{"name":"acme","identities":[{"issuer":"i","subject":"s*","x":1}],"names":["acme"]}]}"#,
    ] {
        assert!(serde_json::from_str::<Policy>(wrong).is_err(), "{wrong}");
    }
}

/// As databases have it from before there were identities.
#[test]
fn what_was_kept_before_identities_still_reads() {
    let key = "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let digest = format!("sha256:{}", "0".repeat(64));
    let at = serde_json::to_string(&NOW).unwrap();
    let policy = format!(
        r#"{{"require_signatures":true,"unknown_keys":"refuse","publishers":[{{"name":"acme","keys":["{key}"],"names":["a*"]}}],"revoked":[{{"key":"{key}","reason":"r"}}],"minimum":{{"acme":"1.0.0"}}}}"#
    );
    let remembered = format!(
        r#"{{"pin":{{"publisher":"acme","key":"{key}","since":{at}}},"marks":[{{"key":"{key}","version":"1.0.0","content":"{digest}","at":{at}}}]}}"#
    );
    let signer = format!(r#"{{"publisher":"acme","key":"{key}","signed":{at},"expires":{at}}}"#);
    // And is written as it was, so that nothing is lost on the way back to an older server.
    let read: Policy = serde_json::from_str(&policy).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), policy);
    let read: Remembered = serde_json::from_str(&remembered).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), remembered);
    let read: Signer = serde_json::from_str(&signer).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), signer);
}

proptest! {
    /// Whatever order versions come in, what is accepted only ever goes up, and the same version is the same bytes.
    #[test]
    fn the_mark_only_rises(versions in proptest::collection::vec((0..3u8, 0..3u8), 1..12)) {
        let ours = key();
        let policy = Policy::default();
        let mut known = Remembered::default();
        let mut newest: Option<(u8, u8)> = None;
        for (major, minor) in versions {
            let bytes = signed("acme", &format!("{major}.{minor}.0"), "acme-inc", &ours);
            let verdict = judge(&policy, &bytes, &known, NOW);
            prop_assert_eq!(verdict.is_ok(), newest.is_none_or(|newest| (major, minor) >= newest));
            if let Ok(verdict) = verdict {
                newest = Some((major, minor));
                known = verdict.remember.unwrap_or(known);
            }
        }
        prop_assert_eq!(known.marks.len(), 1);
    }
}
