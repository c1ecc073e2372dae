//! Every example of `docs/auth` is a whole manifest, and every page is in the table.

use std::fs;
use std::path::Path;

use sluice_model::manifest::Manifest;

/// The TOML blocks of a page.
fn examples(text: &str) -> Vec<&str> {
    let blocks = text.split("```toml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap_or_default())
        .collect()
}

#[test]
fn every_example_is_read() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/auth");
    let table = fs::read_to_string(pages.join("README.md")).expect("the table is there");
    let mut read = 0;
    for entry in fs::read_dir(&pages).expect("docs/auth is there") {
        let path = entry.expect("docs/auth can be listed").path();
        let name = path
            .file_name()
            .expect("a file has a name")
            .to_string_lossy()
            .into_owned();
        if name == "README.md" {
            continue;
        }
        assert!(table.contains(&format!("({name})")), "{name} is not in the table");
        let text = fs::read_to_string(&path).expect("the page is there");
        let found = examples(&text);
        assert!(!found.is_empty(), "{name} has no example");
        for example in found {
            let manifest = Manifest::parse(example).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(manifest.auth.len(), 1, "{name}");
            read += 1;
        }
    }
    assert!(read >= 15, "only {read} examples were found");
}
