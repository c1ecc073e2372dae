//! The fixture guests as components, built once for each test binary: `fixtures/guests/examples/NAME.rs` by cargo for
//! `wasm32-wasip2`, `fixtures/guests/wat/NAME.wat` here. The sources are the truth; nothing built is committed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

mod wat;

/// Where the fixture guests live.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/guests")
}

/// The bytes of a guest. Most are components; one is a core module, and some are not valid.
pub(crate) fn component(name: &str) -> Vec<u8> {
    let text = directory().join("wat").join(format!("{name}.wat"));
    if text.exists() {
        return wat::component(
            &text,
            &std::fs::read_to_string(&text).expect("read the guest's text"),
        );
    }
    let path = built().join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("no guest `{name}`: {}: {error}", path.display()))
}

/// A connector around the fields of a core module, as the texts in `wat/` are written.
pub(crate) fn connector(fields: &str) -> Vec<u8> {
    wat::component(Path::new("a text of the test"), fields)
}

/// The name of every guest there is a source for.
pub(crate) fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (folder, extension) in [("examples", "rs"), ("wat", "wat")] {
        for entry in std::fs::read_dir(directory().join(folder)).expect("list the guests") {
            let path = entry.expect("list the guests").path();
            if path.extension().is_some_and(|found| found == extension) {
                let name = path
                    .file_stem()
                    .and_then(|name| name.to_str())
                    .expect("a guest's name");
                assert!(names.insert(name.to_owned()), "two guests are named `{name}`");
            }
        }
    }
    names
}

/// Builds the Rust guests, and says where they are. Cargo's own lock keeps two test binaries apart.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let target = tmp.parent().expect("the target directory").join("guests");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args([
                "build",
                "--quiet",
                "--locked",
                "--release",
                "--examples",
                "--target",
                "wasm32-wasip2",
            ])
            .arg("--manifest-path")
            .arg(directory().join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            // What the outer build was told does not fit another target.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET")
            .status()
            .expect("start cargo");
        assert!(
            status.success(),
            "the guests do not build; is the target wasm32-wasip2 installed?"
        );
        target.join("wasm32-wasip2/release/examples")
    })
}
