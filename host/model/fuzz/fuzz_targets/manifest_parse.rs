//! A manifest, or an error with a place within the text; never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_model::grant::{diff, permission_page};
use sluice_model::manifest::Manifest;

fuzz_target!(|text: &str| {
    match Manifest::parse(text) {
        Ok(manifest) => {
            let page = permission_page(&manifest, &manifest.capabilities);
            assert!(page.to_string().contains("CANNOT"));
            assert!(!diff(&manifest.capabilities, &manifest.capabilities).asks_for_more());
        }
        Err(error) => {
            assert!(error.line > 0 && error.column > 0);
            assert!(error.line as usize <= text.lines().count() + 1);
        }
    }
});
