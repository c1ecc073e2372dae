//! Where things are in this checkout and in the target directory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The checkout: the directory above this crate.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The workspace's target directory, wherever the caller's cargo puts it.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The binary `name` as the workspace builds it.
pub(crate) fn binary(name: &str, release: bool) -> PathBuf {
    let profile = if release { "release" } else { "debug" };
    target()
        .join(profile)
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// The packages below `room` that are no members of the workspace, in order: `plugins/github`, `sdk-guest/rust` …
pub(crate) fn packages(room: &str) -> Result<Vec<PathBuf>> {
    let room = root().join(room);
    if !room.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&room).with_context(|| format!("read {}", room.display()))? {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The text value of `key` in `table` of a TOML text ("" is what stands before the first table). Enough for `name = "x"`, which
/// is all that xtask asks; the real parser is in host/model.
pub(crate) fn toml_text(text: &str, table: &str, key: &str) -> Option<String> {
    let mut current = "";
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            current = header
                .trim_start_matches('[')
                .split(']')
                .next()
                .unwrap_or_default()
                .trim();
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        if current == table && name.trim() == key {
            return value
                .trim()
                .strip_prefix('"')?
                .split('"')
                .next()
                .map(str::to_owned);
        }
    }
    None
}

/// How a path is shown to a person: from the checkout, when it is inside.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::toml_text;

    #[test]
    fn a_text_value_is_found_in_its_table_only() {
        let text =
            "manifest = 1\nid = \"github\" # the vendor\n[package]\nname = \"x\"\n[[bin]]\nname = \"y\"\n";
        assert_eq!(toml_text(text, "", "id").as_deref(), Some("github"));
        assert_eq!(toml_text(text, "package", "name").as_deref(), Some("x"));
        assert_eq!(toml_text(text, "bin", "name").as_deref(), Some("y"));
        assert_eq!(toml_text(text, "", "name"), None);
        assert_eq!(toml_text(text, "", "manifest"), None);
    }
}
