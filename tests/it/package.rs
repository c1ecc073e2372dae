//! Connector files: the real GitHub connector, and others made of its code or a guest's with another manifest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The custom section that holds the manifest.
const SECTION: &[u8] = b"sluice:manifest";

/// The GitHub connector as it is shipped.
pub(crate) fn github() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| fs::read(github_file()).expect("read the connector"))
}

/// Its file.
pub(crate) fn github_file() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| file("github", "plugins/github"))
}

/// The connector of the auth tests.
pub(crate) fn acme() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| fs::read(file("acme", "fixtures/connectors/acme")).expect("read the connector"))
}

/// A connector's file, built if the step before did not, or if it is older than its sources.
pub(crate) fn file(id: &str, sources: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = tmp
        .parent()
        .expect("the target directory")
        .join(format!("connectors/{id}.wasm"));
    let built = fs::metadata(&file)
        .and_then(|found| found.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let newest = [sources, "sdk-guest/rust/src", "wit"]
        .into_iter()
        .map(|part| newest(&root.join(part)))
        .max();
    if newest.is_some_and(|newest| newest > built) {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .current_dir(&root)
            .args(["run", "--quiet", "--locked", "-p", "xtask", "--", "build"])
            .status()
            .expect("start cargo");
        assert!(
            status.success(),
            "`cargo xtask build` does not build the connector"
        );
    }
    file
}

fn newest(path: &Path) -> SystemTime {
    let found = fs::metadata(path).expect("look at a source");
    if !found.is_dir() {
        return found.modified().expect("the time of a source");
    }
    let skipped = |name: &std::ffi::OsStr| name == "target" || name == "README.md" || name == "fixtures";
    let entries = fs::read_dir(path).expect("list the sources");
    entries
        .map(|entry| entry.expect("list the sources"))
        .filter(|entry| !skipped(&entry.file_name()))
        .map(|entry| newest(&entry.path()))
        .max()
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The manifest in a connector file.
pub(crate) fn manifest(connector: &[u8]) -> String {
    let found = sections(connector).find(|(_, name, _)| *name == Some(SECTION));
    let (_, _, content) = found.expect("a manifest");
    String::from_utf8(content.to_vec()).expect("a manifest is text")
}

/// The same code with another manifest.
pub(crate) fn with_manifest(connector: &[u8], manifest: &str) -> Vec<u8> {
    let mut bytes = connector[..8].to_vec();
    for (whole, name, _) in sections(connector) {
        if name != Some(SECTION) {
            bytes.extend_from_slice(whole);
        }
    }
    let mut content = leb128(SECTION.len());
    content.extend_from_slice(SECTION);
    content.extend_from_slice(manifest.as_bytes());
    bytes.push(0);
    bytes.extend(leb128(content.len()));
    bytes.extend(content);
    bytes
}

/// The GitHub connector with a change of its manifest; the text to be replaced has to be there.
pub(crate) fn changed(from: &str, to: &str) -> Vec<u8> {
    let manifest = manifest(github());
    assert!(manifest.contains(from), "the manifest has no `{from}`");
    with_manifest(github(), &manifest.replacen(from, to, 1))
}

type Section<'a> = (&'a [u8], Option<&'a [u8]>, &'a [u8]);

/// Every section: its bytes, and for a custom one its name and content.
fn sections(component: &[u8]) -> impl Iterator<Item = Section<'_>> {
    let mut rest = &component[8..];
    std::iter::from_fn(move || {
        let id = *rest.first()?;
        let (size, length) = unleb128(&rest[1..]);
        let whole = &rest[..1 + length + size];
        let body = &whole[1 + length..];
        rest = &rest[whole.len()..];
        if id != 0 {
            return Some((whole, None, body));
        }
        let (size, length) = unleb128(body);
        Some((whole, Some(&body[length..length + size]), &body[length + size..]))
    })
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A number and the bytes it takes.
fn unleb128(bytes: &[u8]) -> (usize, usize) {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate() {
        number |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return (number, at + 1);
        }
    }
    panic!("a number is cut off")
}
