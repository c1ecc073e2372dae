//! Every first-party connector's manifest is one.

use std::fs;
use std::path::Path;

use sluice_model::manifest::Manifest;

#[test]
fn every_manifest_of_ours_is_read() {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    let mut read = 0;
    for entry in fs::read_dir(plugins).expect("plugins/ is there") {
        let path = entry
            .expect("plugins/ can be listed")
            .path()
            .join("connector.toml");
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        match Manifest::parse(&text) {
            Ok(_) => read += 1,
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
    assert!(read > 0, "no manifest was found");
}
