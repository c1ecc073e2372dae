//! Every example of `docs/auth` and `docs/webhooks` is a whole manifest, and every page is in its table.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "what the tests share may fail like a test"
)]

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

/// Every page of a directory that is in its table, with its examples; `vendors.md` has parts of manifests and a test of its
/// own.
fn pages(directory: &str) -> Vec<(String, Vec<Manifest>)> {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(directory);
    let table = fs::read_to_string(pages.join("README.md")).expect("the table is there");
    let mut read = Vec::new();
    for entry in fs::read_dir(&pages).expect("the directory is there") {
        let path = entry.expect("it can be listed").path();
        let name = path
            .file_name()
            .expect("a file has a name")
            .to_string_lossy()
            .into_owned();
        if name == "README.md" {
            continue;
        }
        assert!(table.contains(&format!("({name})")), "{name} is not in the table");
        if name == "vendors.md" {
            continue;
        }
        let text = fs::read_to_string(&path).expect("the page is there");
        let examples = examples(&text);
        assert!(!examples.is_empty(), "{name} has no example");
        let manifests = examples
            .iter()
            .map(|example| Manifest::parse(example).unwrap_or_else(|error| panic!("{name}: {error}")))
            .collect();
        read.push((name, manifests));
    }
    read
}

#[test]
fn every_example_of_authentication_is_read() {
    let pages = pages("auth");
    let read: usize = pages.iter().map(|(_, examples)| examples.len()).sum();
    assert!(read >= 15, "only {read} examples were found");
    for (name, examples) in pages {
        assert!(examples.iter().all(|manifest| manifest.auth.len() == 1), "{name}");
    }
}

#[test]
fn every_example_of_webhooks_is_read() {
    let pages = pages("webhooks");
    assert_eq!(
        pages.len(),
        13,
        "a page for each family, and one about setting up"
    );
    for (name, examples) in pages {
        assert!(
            examples.iter().all(|manifest| manifest.webhooks.len() == 1),
            "{name}"
        );
    }
}
