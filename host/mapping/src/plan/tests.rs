use proptest::prelude::*;

use super::*;

fn plan(rules: &str) -> Plan {
    let rules = StreamRules::parse(rules).unwrap();
    Plan::compile(&rules, &["id".to_owned()], None).unwrap()
}

fn show(outcome: Outcome<'_>) -> String {
    match outcome {
        Outcome::Kept { data, .. } => data.into_owned(),
        Outcome::Dropped => "dropped".to_owned(),
        Outcome::Refused(refused) => format!("{} {}", refused.code, refused.pointer)
            .trim_end()
            .to_owned(),
        Outcome::Frozen(frozen) => format!("{} {}", frozen.code(), frozen.pointer),
    }
}

fn after(rules: &str, record: &str) -> String {
    let salt = Salt::new(b"0123456789abcdef").unwrap();
    let find = |stream: &str, id: &str| {
        (stream == "owners" && id == "7")
            .then(|| r#"{"name":"Jane","team":{"id":9007199254740993}}"#.to_owned())
    };
    let around = Surroundings {
        salt: Some(&salt),
        find: Some(&find),
    };
    show(plan(rules).apply(record, &Shape::default(), &around))
}

use crate::Salt;

#[test]
fn steps() {
    for (step, record, expected) in [
        (
            r#"{"rename":{"from":"a","to":"b"}}"#,
            r#"{"id":1,"a" : 1.10}"#,
            r#"{"id":1,"b":1.10}"#,
        ),
        (
            r#"{"rename":{"from":"a","to":"/x/y"}}"#,
            r#"{"id":1,"a":[ 1 ]}"#,
            r#"{"id":1,"x":{"y":[ 1 ]}}"#,
        ),
        (
            r#"{"rename":{"from":"a","to":"id"}}"#,
            r#"{"id":1,"a":2}"#,
            "mapping.place /id",
        ),
        (
            r#"{"rename":{"from":"a","to":"/id/x"}}"#,
            r#"{"id":1,"a":2}"#,
            "mapping.place /id/x",
        ),
        (
            r#"{"rename":{"from":"zz","to":"y"}}"#,
            r#"{"id":1}"#,
            r#"{"id":1}"#,
        ),
        (
            r#"{"select":["/a/b"]}"#,
            r#"{"id":1,"a":{"b":1e400,"c":2},"d":3}"#,
            r#"{"id":1,"a":{"b":1e400}}"#,
        ),
        (r#"{"select":["/a/b"]}"#, r#"{"id":1,"a":[1]}"#, r#"{"id":1}"#),
        (
            r#"{"remove":["a","/b/0","/b/9","/c/d"]}"#,
            r#"{"id":1,"a":1,"b":[1,2],"c":3}"#,
            r#"{"id":1,"b":[2],"c":3}"#,
        ),
        (
            r#"{"constant":{"field":"k","value":{"x":1.0}}}"#,
            r#"{"id":1}"#,
            r#"{"id":1,"k":{"x":1.0}}"#,
        ),
        (
            r#"{"default":{"field":"k","value":0}}"#,
            r#"{"id":1,"k":null}"#,
            r#"{"id":1,"k":0}"#,
        ),
        (
            r#"{"default":{"field":"k","value":0}}"#,
            r#"{"id":1,"k":false}"#,
            r#"{"id":1,"k":false}"#,
        ),
        (
            r#"{"cast":{"field":"a","to":"integer"}}"#,
            r#"{"id":1,"a":"9007199254740993"}"#,
            r#"{"id":1,"a":9007199254740993}"#,
        ),
        (
            r#"{"cast":{"field":"a","to":"integer"}}"#,
            r#"{"id":1,"a":"x"}"#,
            "mapping.cast /a",
        ),
        (
            r#"{"cast":{"field":"a","to":"integer","on_error":"null"}}"#,
            r#"{"id":1,"a":"x"}"#,
            r#"{"id":1,"a":null}"#,
        ),
        (
            r#"{"cast":{"field":"a","to":"integer","on_error":"keep"}}"#,
            r#"{"id":1,"a":"x"}"#,
            r#"{"id":1,"a":"x"}"#,
        ),
        (
            r#"{"date":{"field":"a","formats":["%d.%m.%Y"]}}"#,
            r#"{"id":1,"a":"01.03.2026"}"#,
            r#"{"id":1,"a":"2026-03-01T00:00:00Z"}"#,
        ),
        (
            r#"{"date":{"field":"a","formats":["%d.%m.%Y"]}}"#,
            r#"{"id":1,"a":"soon"}"#,
            "mapping.date /a",
        ),
        (
            r#"{"enrich":{"by":"a","table":{"1":"open"},"copy":[{"to":"s"}]}}"#,
            r#"{"id":1,"a":1}"#,
            r#"{"id":1,"a":1,"s":"open"}"#,
        ),
        (
            r#"{"enrich":{"by":"a","table":{},"copy":[{"to":"s"}]}}"#,
            r#"{"id":1,"a":1}"#,
            r#"{"id":1,"a":1}"#,
        ),
        (
            r#"{"enrich":{"by":"a","table":{},"copy":[{"to":"s"}],"missing":"null"}}"#,
            r#"{"id":1}"#,
            r#"{"id":1,"s":null}"#,
        ),
        (
            r#"{"enrich":{"by":"a","stream":"owners","copy":[{"from":"/team/id","to":"team"}]}}"#,
            r#"{"id":1,"a":"7"}"#,
            r#"{"id":1,"a":"7","team":9007199254740993}"#,
        ),
        (
            r#"{"enrich":{"by":"a","stream":"owners","copy":[{"to":"o"}],"missing":"refuse"}}"#,
            r#"{"id":1,"a":"8"}"#,
            "mapping.lookup /a",
        ),
        (
            r#"{"mask":{"fields":["a"],"way":"email"}}"#,
            r#"{"id":1,"a":"jane@example.com"}"#,
            r#"{"id":1,"a":"j****@example.com"}"#,
        ),
        (
            r#"{"mask":{"fields":["a","/b/c"],"way":{"keep_last":2}}}"#,
            r#"{"id":1,"a":12345,"b":{"c":null}}"#,
            r#"{"id":1,"a":"****45","b":{"c":null}}"#,
        ),
        (
            r#"{"jq":"{id, total: ([.l[].n] | add)}"}"#,
            r#"{"id":1,"l":[{"n":1},{"n":2}]}"#,
            r#"{"id":1,"total":3}"#,
        ),
        (r#"{"jq":"[.]"}"#, r#"{"id":1}"#, "mapping.program_result"),
        (
            r#"{"jq":"[range(1e9)]"}"#,
            r#"{"id":1}"#,
            "mapping.program_budget",
        ),
    ] {
        assert_eq!(
            after(&format!("{{\"map\":[{step}]}}"), record),
            expected,
            "{step} {record}"
        );
    }
}

#[test]
fn filters() {
    let record = r#"{"id":7,"s":"open","n":9007199254740993,"p":1.10,"t":["a",{"x":1}],"z":null}"#;
    for (filter, holds) in [
        (r#"{"field":"s","is":"open"}"#, true),
        (r#"{"field":"s","is_not":"open"}"#, false),
        (r#"{"field":"p","is":1.1}"#, true),
        (r#"{"field":"z","is":null}"#, true),
        (r#"{"field":"missing","is":null}"#, true),
        (r#"{"field":"z","exists":true}"#, true),
        (r#"{"field":"missing","exists":false}"#, true),
        (r#"{"field":"s","one_of":["a","open"]}"#, true),
        (r#"{"field":"n","greater":9007199254740992}"#, true),
        (r#"{"field":"n","less":9007199254740993}"#, false),
        (r#"{"field":"n","at_most":9007199254740993.0}"#, true),
        (r#"{"field":"s","at_least":"p"}"#, false),
        (r#"{"field":"s","less":5}"#, false),
        (r#"{"field":"s","matches":"^o.*n$"}"#, true),
        (r#"{"field":"s","contains":"pe"}"#, true),
        (r#"{"field":"t","contains":{"x":1.0}}"#, true),
        (r#"{"field":"/t/1/x","is":1}"#, true),
        (
            r#"{"all":[{"field":"id","is":7},{"not":{"field":"s","is":"shut"}}]}"#,
            true,
        ),
        (
            r#"{"any":[{"field":"id","is":8},{"field":"s","is":"shut"}]}"#,
            false,
        ),
        (r#"{"all":[]}"#, true),
        (r#"{"jq":".n > 5 and .s == \"open\""}"#, true),
        (r#"{"jq":".z"}"#, false),
    ] {
        let expected = if holds { record } else { "dropped" };
        assert_eq!(
            after(&format!("{{\"filter\":{filter}}}"), record),
            expected,
            "{filter}"
        );
    }
}

#[test]
fn contracts() {
    let known = Shape::of(r#"{"id":1,"a":"x","o":{"p":1}}"#).unwrap();
    for (contract, record, expected) in [
        (r#"{}"#, r#"{"id":1,"new":1}"#, r#"{"id":1,"new":1}"#),
        (
            r#"{"new_fields":"freeze"}"#,
            r#"{"id":1,"a":"y"}"#,
            r#"{"id":1,"a":"y"}"#,
        ),
        (
            r#"{"new_fields":"freeze"}"#,
            r#"{"id":1,"o":{"q":1}}"#,
            "mapping.frozen /o/q",
        ),
        (
            r#"{"new_fields":"discard_row"}"#,
            r#"{"id":1,"new":1}"#,
            "mapping.contract /new",
        ),
        (
            r#"{"new_fields":"discard_value"}"#,
            r#"{"id":1,"new":1,"o":{"p":1.0e5,"q":1}}"#,
            r#"{"id":1,"o":{"p":1.0e5}}"#,
        ),
        (
            r#"{"changed_types":"discard_value"}"#,
            r#"{"id":1,"a":5}"#,
            r#"{"id":1}"#,
        ),
        (
            r#"{"changed_types":"freeze"}"#,
            r#"{"id":1.5}"#,
            "mapping.frozen /id",
        ),
        (
            r#"{"changed_types":"discard_row"}"#,
            r#"{"id":1,"a":null,"new":1}"#,
            r#"{"id":1,"a":null,"new":1}"#,
        ),
    ] {
        let rules = format!("{{\"contract\":{contract}}}");
        assert_eq!(
            show(plan(&rules).apply(record, &known, &Surroundings::NONE)),
            expected,
            "{contract} {record}"
        );
    }
    let plan = plan(r#"{"contract":{"new_fields":"discard_value"}}"#);
    let outcome = plan.apply(r#"{"id":1,"x":1,"y":2}"#, &known, &Surroundings::NONE);
    assert!(matches!(outcome, Outcome::Kept { discarded: 2, .. }));
}

#[test]
fn bad_records_are_refused() {
    let rules = r#"{"map":[{"remove":["a"]}]}"#;
    for record in [
        "",
        "[]",
        "1",
        "{",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,}",
        "\u{0}",
        "{\"b\":\"\u{0}\"}",
    ] {
        assert_eq!(after(rules, record), "mapping.record", "{record}");
    }
    let deep = format!("{{\"b\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(after(rules, &deep), "mapping.record");
    let long = format!("{{\"b\":\"{}\"}}", "x".repeat(MAX_RECORD_BYTES));
    assert_eq!(after(rules, &long), "mapping.record_too_long");
    let inner = r#"{"map":[{"remove":["/a/b"]}]}"#;
    assert_eq!(after(inner, r#"{"a":{"b":1,"b":2}}"#), "mapping.record /a/b");
}

#[test]
fn bad_rules_are_refused_when_they_are_saved() {
    for (rules, code, at) in [
        (r#"{"select":["/a~"]}"#, "mapping.field", "/select/0"),
        (r#"{"select":[""]}"#, "mapping.field", "/select/0"),
        (r#"{"filter":{}}"#, "mapping.filter", "/filter"),
        (r#"{"filter":{"field":"a"}}"#, "mapping.filter", "/filter"),
        (r#"{"filter":{"is":1}}"#, "mapping.filter", "/filter"),
        (
            r#"{"filter":{"field":"a","is":1,"less":2}}"#,
            "mapping.filter",
            "/filter",
        ),
        (
            r#"{"filter":{"all":[{"field":"a","less":true}]}}"#,
            "mapping.filter",
            "/filter/all/0/less",
        ),
        (
            r#"{"filter":{"not":{"field":"a","matches":"("}}}"#,
            "mapping.pattern",
            "/filter/not/matches",
        ),
        (
            r#"{"filter":{"field":"a","matches":"((a{1,100}){1,100}){1,100}"}}"#,
            "mapping.pattern",
            "/filter/matches",
        ),
        (r#"{"filter":{"jq":"input"}}"#, "mapping.program", "/filter/jq"),
        (
            r#"{"map":[{"rename":{"from":"a","to":"/a/b"}}]}"#,
            "mapping.step",
            "/map/0/rename/to",
        ),
        (
            r#"{"map":[{"remove":["a"]},{"jq":"def f: f; f"}]}"#,
            "mapping.program",
            "/map/1/jq",
        ),
        (
            r#"{"map":[{"date":{"field":"a","formats":["x"]}}]}"#,
            "mapping.step",
            "/map/0/date/formats/0",
        ),
        (
            r#"{"map":[{"enrich":{"by":"a","copy":[{"to":"b"}]}}]}"#,
            "mapping.step",
            "/map/0/enrich",
        ),
        (
            r#"{"map":[{"enrich":{"by":"a","table":{},"copy":[]}}]}"#,
            "mapping.step",
            "/map/0/enrich",
        ),
    ] {
        let rules = StreamRules::parse(rules).unwrap();
        let error = Plan::compile(&rules, &[], None).unwrap_err();
        assert_eq!((error.code(), error.at()), (code, at), "{error}");
    }
    let many = vec![r#"{"remove":["a"]}"#; check::MAX_STEPS + 1].join(",");
    let rules = StreamRules::parse(&format!("{{\"map\":[{many}]}}")).unwrap();
    assert_eq!(
        Plan::compile(&rules, &[], None).unwrap_err().code(),
        "mapping.too_much"
    );
}

#[test]
fn what_is_probably_not_meant_is_told() {
    let schema: Value =
        serde_json::from_str(r#"{"properties":{"id":{},"a":{"properties":{"b":{}}},"o":{}}}"#).unwrap();
    let warnings = |rules: &str| {
        let plan = Plan::compile(
            &StreamRules::parse(rules).unwrap(),
            &["id".to_owned()],
            Some(&schema),
        )
        .unwrap();
        plan.warnings()
            .iter()
            .map(|warning| warning.at.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        warnings(r#"{"select":["a","/a/c","/o/anything","nmae"]}"#),
        ["/select/1", "/select/3"]
    );
    assert!(warnings(r#"{"map":[{"rename":{"from":"a","to":"x"}},{"remove":["x"]}]}"#).is_empty());
    assert_eq!(warnings(r#"{"map":[{"remove":["id"]}]}"#), ["/map/0/remove/0"]);
    assert!(warnings(r#"{"map":[{"jq":"."},{"remove":["any"]}]}"#).is_empty());
}

#[test]
fn nothing_of_a_value_is_in_a_refusal() {
    for step in [
        r#"{"cast":{"field":"a","to":"integer"}}"#,
        r#"{"date":{"field":"a","formats":["rfc3339"]}}"#,
        r#"{"enrich":{"by":"a","table":{},"copy":[{"to":"b"}],"missing":"refuse"}}"#,
        r#"{"jq":".a | tonumber"}"#,
    ] {
        let plan = plan(&format!("{{\"map\":[{step}]}}"));
        let outcome = plan.apply(r#"{"a":"hunter2"}"#, &Shape::default(), &Surroundings::NONE);
        assert!(
            matches!(&outcome, Outcome::Refused(refused) if !refused.reason.contains("hunter2")),
            "{outcome:?}"
        );
        let codes = matches!(&outcome, Outcome::Refused(refused) if Refused::CODES.contains(&refused.code));
        assert!(codes);
    }
}

#[test]
fn hashes_are_stable_and_differ_by_salt() {
    let plan = plan(r#"{"map":[{"hash":["a"]}]}"#);
    assert!(plan.needs_salt());
    let hash = |salt: &[u8], record: &str| {
        let salt = Salt::new(salt).unwrap();
        assert_eq!(format!("{salt:?}"), "Salt");
        show(plan.apply(
            record,
            &Shape::default(),
            &Surroundings {
                salt: Some(&salt),
                find: None,
            },
        ))
    };
    let first = hash(&[1; 32], r#"{"a":"jane@example.com"}"#);
    // As Python's hmac module computes it.
    assert_eq!(
        first,
        r#"{"a":"57cfe0b0770ac432bb8664f4da134cc759171e93b6a8680a6432bd13486a4d62"}"#
    );
    assert_eq!(first, hash(&[1; 32], r#"{"a":"jane\u0040example.com"}"#));
    assert_ne!(first, hash(&[2; 32], r#"{"a":"jane@example.com"}"#));
    assert!(Salt::new(&[1; 15]).is_none());
    let outcome = show(plan.apply(r#"{"a":1}"#, &Shape::default(), &Surroundings::NONE));
    assert_eq!(outcome, "mapping.salt");
}

#[test]
fn previews_show_each_step() {
    let plan = plan(
        r#"{"filter":{"field":"id","greater":1},"map":[{"remove":["a"]},{"cast":{"field":"id","to":"text"}}]}"#,
    );
    let samples = [r#"{"id":1}"#, r#"{"id":2,"a":3}"#, "no"];
    let shown = plan.preview(&samples, &Shape::default(), &Surroundings::NONE);
    assert_eq!(shown.len(), 3);
    assert_eq!(shown[0].outcome, Outcome::Dropped);
    assert_eq!(shown[1].steps, [r#"{"id":2}"#, r#"{"id":"2"}"#]);
    assert!(matches!(shown[2].outcome, Outcome::Refused(_)));
    assert_eq!(
        plan.preview(&["{}"; 99], &Shape::default(), &Surroundings::NONE)
            .len(),
        preview::MAX_SAMPLES
    );
}

fn json() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        Just("9007199254740993".to_owned()),
        Just("1e400".to_owned()),
        Just("-0".to_owned()),
        Just("1.10".to_owned()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?",
    ];
    let leaf = prop_oneof![
        number,
        Just("null".to_owned()),
        Just("true".to_owned()),
        "[a-zé\\\\\"\n]{0,8}".prop_map(|text| crate::json::encode(&text)),
        Just("\"\\u00e9\\/\"".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(" , "))),
            prop::collection::btree_map("[a-e]{1,2}", inner, 0..4).prop_map(|map| {
                let pairs: Vec<String> = map
                    .into_iter()
                    .map(|(key, value)| format!("\"{key}\": {value}"))
                    .collect();
                format!("{{{}}}", pairs.join(","))
            }),
        ]
    })
}

fn record() -> impl Strategy<Value = String> {
    prop::collection::btree_map("[a-e]", json(), 0..6).prop_map(|map| {
        let pairs: Vec<String> = map
            .into_iter()
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        format!("{{{}}}", pairs.join(","))
    })
}

proptest! {
    #[test]
    fn rules_without_effect_keep_every_byte(record in record()) {
        for rules in [
            "{}",
            r#"{"filter":{"not":{"field":"/zz/y","exists":true}}}"#,
            r#"{"select":["a","b","c","d","e"]}"#,
            r#"{"map":[{"remove":["zz"]},{"rename":{"from":"zz","to":"y"}},{"cast":{"field":"/zz/q","to":"text"}}]}"#,
            r#"{"map":[{"rename":{"from":"a","to":"zz"}},{"rename":{"from":"zz","to":"a"}}]}"#,
        ] {
            prop_assert_eq!(after(rules, &record), record.clone());
        }
    }

    #[test]
    fn jq_keeps_every_number(record in record()) {
        let kept = after(r#"{"map":[{"jq":"."}]}"#, &record);
        prop_assert!(crate::json::same(&kept, &record), "{} {}", kept, record);
        let numbers = |text: &str| {
            let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
            let text = text.replace("\\u00e9", "");
            let mut found: Vec<String> = text.split(|c: char| !is_part(c)).filter(|part| part.starts_with(|c: char| c == '-' || c.is_ascii_digit())).map(str::to_owned).collect();
            found.sort();
            found
        };
        prop_assert_eq!(numbers(&kept), numbers(&record));
    }

    #[test]
    fn every_record_ends_once_and_kept_ones_are_json(records in prop::collection::vec(prop_oneof![record(), any::<String>()], 0..8)) {
        let plan = plan(r#"{"contract":{"new_fields":"discard_value","changed_types":"discard_row"},"filter":{"field":"a","is_not":null},"map":[{"cast":{"field":"b","to":"integer"}},{"mask":{"fields":["c"],"way":{"keep_last":2}}}]}"#);
        let known = Shape::of(r#"{"a":1,"b":"x","c":"y"}"#).unwrap();
        let (mut kept, mut dropped, mut refused) = (0, 0, 0);
        for record in &records {
            match plan.apply(record, &known, &Surroundings::NONE) {
                Outcome::Kept { data, .. } => {
                    prop_assert!(serde_json::from_str::<Box<serde_json::value::RawValue>>(&data).is_ok());
                    kept += 1;
                }
                Outcome::Dropped => dropped += 1,
                Outcome::Refused(_) => refused += 1,
                Outcome::Frozen(_) => prop_assert!(false, "nothing freezes"),
            }
        }
        prop_assert_eq!(records.len(), kept + dropped + refused);
    }

    #[test]
    fn any_settings_and_any_program_only_ever_give_errors(text in any::<String>(), program in "[.a|,\\[\\](){}\"1+*;:$x ?/#=<>-]{0,40}") {
        let _ = StreamRules::parse(&text);
        if let Ok(program) = crate::jq::Program::compile(&program) {
            let _ = program.run(r#"{"a":[1,{"x":"y"}]}"#);
        }
    }

    #[test]
    fn what_serde_takes_is_taken(text in record()) {
        prop_assert!(crate::json::check(&text).is_ok());
        prop_assert!(serde_json::from_str::<Box<serde_json::value::RawValue>>(&text).is_ok());
    }
}
