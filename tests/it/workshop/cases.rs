//! The cases of the connectors as they are shipped: what each vendor documents, played without a network, and the tests that every
//! connector gets.

use std::fs;

use super::{root, run};
use crate::package;

/// Those that have no case yet; whoever writes one takes its name out.
const WITHOUT: [&str; 9] = [
    "airtable", "dropbox", "hubspot", "jira", "linear", "mixpanel", "notion", "s3", "twilio",
];

#[test]
fn every_shipped_connector_plays_its_case() {
    let mut without = Vec::new();
    for entry in fs::read_dir(root().join("plugins")).expect("the connectors") {
        let dir = entry.expect("a connector").path();
        if !dir.join("connector.toml").exists() {
            continue;
        }
        let id = dir.file_name().expect("a name").to_string_lossy().into_owned();
        if !dir.join("tests").exists() {
            without.push(id);
            continue;
        }
        let (place, component) = (
            dir.display().to_string(),
            package::file(&id, &format!("plugins/{id}")),
        );
        let component = component.display().to_string();
        let played = run(&["connector", "test", "--component", &component, &place]);
        assert_eq!(played.code, Some(0), "{id}: {played:?}");
    }
    without.sort();
    assert_eq!(without, WITHOUT);
}
