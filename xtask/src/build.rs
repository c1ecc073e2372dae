//! Components: what is compiled for another target than the machine's, and put where the tests and the demo look for it.
//!
//! `plugins/*` and `fixtures/connectors/*` become `target/connectors/<id>.wasm` with their `connector.toml` inside; the bytes are
//! written under a temporary name and renamed, so a reader never sees half of one. `fixtures/guests` are built into `target/guests`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::place::{self, shown, toml_text};
use crate::{embed, step, tool};

/// Builds every connector of `plugins/`; gives the files, in the order of their directories.
pub(crate) fn connectors() -> Result<Vec<PathBuf>> {
    let written = connectors_of("plugins")?;
    if written.is_empty() {
        bail!("plugins/ holds no connector");
    }
    Ok(written)
}

/// Builds those that only the tests use.
pub(crate) fn fixtures() -> Result<Vec<PathBuf>> {
    connectors_of("fixtures/connectors")
}

fn connectors_of(room: &str) -> Result<Vec<PathBuf>> {
    tool::wasm_target()?;
    let mut written = Vec::new();
    for package in place::packages(room)? {
        let manifest = read_text(&package.join("connector.toml"))?;
        let id = toml_text(&manifest, "", "id").with_context(|| {
            format!(
                "{}: no `id` before the first table",
                shown(&package.join("connector.toml"))
            )
        })?;
        let release = compile(&package, "wasm", &[])?;
        let component = release.join(format!("{}.wasm", library_name(&package)?));
        let code = fs::read(&component).with_context(|| format!("read {}", component.display()))?;
        let path = place::target().join("connectors").join(format!("{id}.wasm"));
        let bytes = embed::embed_manifest(&code, &manifest)
            .with_context(|| format!("embed the manifest in {}", component.display()))?;
        place_file(&path, &bytes)?;
        println!("   {} ({} KiB)", path.display(), bytes.len() / 1024);
        written.push(path);
    }
    Ok(written)
}

/// Builds the hostile guests where `tests/it/guests.rs` looks for them; it would build them itself, without a word.
pub(crate) fn guests() -> Result<()> {
    tool::wasm_target()?;
    let built = compile(&place::root().join("fixtures/guests"), "guests", &["--examples"])?;
    println!("   {}", built.join("examples").display());
    Ok(())
}

/// Compiles the package for wasm into `place` of the target directory; gives the directory that cargo put the results in.
fn compile(package: &Path, place: &str, more: &[&str]) -> Result<PathBuf> {
    let dir = place::target().join(place);
    step::run(
        step::cargo()
            .args([
                "build",
                "--quiet",
                "--locked",
                "--release",
                "--target",
                tool::WASM,
                "--manifest-path",
            ])
            .arg(package.join("Cargo.toml"))
            .args(more)
            .arg("--target-dir")
            .arg(&dir)
            // What the outer build was told does not fit another target.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_BUILD_TARGET"),
    )?;
    Ok(dir.join(tool::WASM).join("release"))
}

/// The name cargo gives the package's library file.
fn library_name(package: &Path) -> Result<String> {
    let path = package.join("Cargo.toml");
    let text = read_text(&path)?;
    let name = toml_text(&text, "lib", "name").or_else(|| toml_text(&text, "package", "name"));
    Ok(name
        .with_context(|| format!("{}: no package name", shown(&path)))?
        .replace('-', "_"))
}

fn place_file(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let partial = path.with_extension("partial");
    fs::write(&partial, bytes).with_context(|| format!("write {}", partial.display()))?;
    fs::rename(&partial, path).with_context(|| format!("write {}", path.display()))
}

fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", shown(path)))
}
