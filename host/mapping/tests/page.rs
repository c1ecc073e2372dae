//! Every example of docs/operator/mapping.md is parsed and run.

use sluice_mapping::{Outcome, Plan, Salt, Shape, StreamRules, Surroundings};

const PAGE: &str = include_str!("../../../docs/operator/mapping.md");

/// What each block is, and its text.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let parts = PAGE.split("\n```").skip(1).step_by(2);
    let read = |part: &'static str| {
        let (info, body) = part.split_once('\n')?;
        Some((info.split_whitespace().last()?, body.trim()))
    };
    parts.filter_map(read).collect()
}

#[test]
fn the_page_says_what_happens() {
    let blocks = blocks();
    let salt = Salt::new(b"a salt of the examples").unwrap();
    let find = |stream: &str, id: &str| {
        (stream == "owners" && id == "7").then(|| r#"{"name":"Jane","team":{"id":9}}"#.to_owned())
    };
    let around = Surroundings {
        salt: Some(&salt),
        find: Some(&find),
    };
    let known = Shape::of(r#"{"id":1,"name":"x"}"#).unwrap();
    let mut kinds = Vec::new();
    assert!(
        blocks.len() > 30 && blocks.len().is_multiple_of(3),
        "{} blocks",
        blocks.len()
    );
    for example in blocks.chunks(3) {
        let [("rules", rules), ("before", before), ("after", after)] = example else {
            panic!("an example is rules, before and after: {example:?}");
        };
        let rules = StreamRules::parse(rules).unwrap();
        kinds.push(serde_json::to_string(&rules).unwrap());
        let plan = Plan::compile(&rules, &["id".to_owned()], None).unwrap();
        let became = match plan.apply(before, &known, &around) {
            Outcome::Kept { data, .. } => data.into_owned(),
            Outcome::Dropped => "dropped".to_owned(),
            Outcome::Refused(refused) => format!("{} {}", refused.code, refused.pointer),
            Outcome::Frozen(frozen) => format!("{} {}", frozen.code(), frozen.pointer),
        };
        assert_eq!(&became, after, "{before}");
    }
    let all = kinds.join("\n");
    for kind in [
        "rename", "select", "remove", "constant", "default", "cast", "date", "enrich", "hash", "mask", "jq",
        "filter", "contract",
    ] {
        assert!(all.contains(&format!("\"{kind}\":")), "no example of {kind}");
    }
}
