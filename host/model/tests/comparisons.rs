//! Timing (THREATS C08): what a stranger can send is compared with what is secret, or with what only a secret can make, by
//! `secret::same` and ring's own verification alone. Measuring it would depend on the machine; this reads the code.

#![expect(clippy::expect_used, reason = "tests are free")]

use std::fs;
use std::path::{Path, PathBuf};

/// What stands on one side of a comparison that has to take the same time wherever the two sides differ.
const GUARDED: [&str; 9] = [
    "expose()",
    "digest(",
    "hash(",
    "sign(",
    "nonce",
    "verifier",
    "oauth_token",
    ".browser",
    ".ticket",
];

/// Where strangers' texts meet secrets, and by what they are compared there.
const MEETINGS: [(&str, &str); 6] = [
    ("model/src/signature/key.rs", "hmac::verify("),
    ("service/src/auth/memory.rs", "secret::same("),
    ("service/src/auth/id_token.rs", "same("),
    ("service/src/auth/oauth1.rs", "secret::same("),
    ("runtime/src/host/secrets.rs", "hmac::verify("),
    ("runtime/src/cache.rs", "same("),
];

fn host() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("list the sources") {
        let path = entry.expect("list the sources").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The lines of a file without its tests and comments.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let numbered = code.lines().enumerate();
    numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn is_unguarded(line: &str) -> bool {
    let compares = line.contains("==") || line.contains("!=");
    compares && GUARDED.iter().any(|guarded| line.contains(guarded))
}

#[test]
fn no_secret_is_compared_byte_by_byte() {
    let mut files = Vec::new();
    for room in ["model", "store", "broker", "runtime", "service", "sluice"] {
        sources(&host().join(room).join("src"), &mut files);
    }
    files.retain(|file| !file.components().any(|part| part.as_os_str() == "tests"));
    assert!(files.len() > 150, "{}", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in lines(&text).filter(|(_, line)| is_unguarded(line)) {
            wrong.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
        }
    }
    assert!(
        wrong.is_empty(),
        "compare by `secret::same`:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn where_strangers_meet_secrets_the_one_way_is_gone() {
    for (file, call) in MEETINGS {
        let text = fs::read_to_string(host().join(file)).unwrap();
        assert!(
            lines(&text).any(|(_, line)| line.contains(call)),
            "{file} has no `{call}`"
        );
    }
}

#[test]
fn the_wall_sees_what_it_should() {
    assert!(is_unguarded(
        "!remembered.is_empty() && remembered == digest(bytes)"
    ));
    assert!(is_unguarded("if text(\"nonce\") != expected.nonce {"));
    assert!(is_unguarded("one.expose() == other.expose()"));
    assert!(!is_unguarded("same(one, digest(bytes).as_bytes())"));
    assert!(!is_unguarded("recipe.revoke_token == RevokedToken::Access"));
}
