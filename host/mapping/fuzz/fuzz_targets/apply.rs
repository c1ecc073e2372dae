//! Whatever a vendor sends, rules end it in one of their ways, and what is kept is JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_mapping::{Outcome, Plan, Refused, Shape, StreamRules, Surroundings};

const RULES: [&str; 4] = [
    r#"{"select":["a","/b/c"],"filter":{"not":{"field":"a","less":1.5}}}"#,
    r#"{"contract":{"new_fields":"discard_value","changed_types":"discard_value"}}"#,
    r#"{"map":[{"rename":{"from":"a","to":"/z/a"}},{"cast":{"field":"b","to":"integer","on_error":"null"}},{"mask":{"fields":["c"],"way":{"keep_last":3}}}]}"#,
    r#"{"map":[{"jq":"with_entries(.value |= tostring)"},{"date":{"field":"a","formats":["epoch_s","%Y-%m-%d"],"on_error":"keep"}}]}"#,
];

fuzz_target!(|input: (u8, &str)| {
    let (which, record) = input;
    let rules = RULES
        .get(usize::from(which) % RULES.len())
        .copied()
        .unwrap_or("{}");
    let Ok(Ok(plan)) = StreamRules::parse(rules).map(|rules| Plan::compile(&rules, &[], None)) else {
        panic!("the rules are good");
    };
    let known = Shape::of(r#"{"a":1,"b":{"c":"x"}}"#).unwrap_or_default();
    match plan.apply(record, &known, &Surroundings::NONE) {
        Outcome::Kept { data, .. } => {
            assert!(serde_json::from_str::<&serde_json::value::RawValue>(&data).is_ok());
        }
        Outcome::Refused(refused) => assert!(Refused::CODES.contains(&refused.code)),
        Outcome::Dropped => {}
        Outcome::Frozen(frozen) => panic!("nothing is frozen: {frozen}"),
    }
});
