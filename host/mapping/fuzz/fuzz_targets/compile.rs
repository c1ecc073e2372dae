//! Whatever somebody saves as rules, it is taken or refused with a code and a place; what is taken comes back as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_mapping::{Plan, RuleError, StreamRules};

fuzz_target!(|text: &str| {
    let Ok(rules) = StreamRules::parse(text) else {
        return;
    };
    let stored = serde_json::to_string(&rules).unwrap_or_default();
    assert_eq!(StreamRules::parse(&stored).as_ref(), Ok(&rules));
    if let Err(error) = Plan::compile(&rules, &["id".to_owned()], None) {
        assert!(RuleError::CODES.contains(&error.code()));
    }
});
