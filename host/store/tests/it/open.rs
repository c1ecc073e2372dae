//! Opening: who is let in, and what a refusal leaves behind.

use std::path::Path;

use sluice_model::seal::MasterKey;
use sluice_store::{OpenError, Options, Store};

use super::room::{NOW, master};

fn other() -> MasterKey {
    MasterKey::from_text("ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").unwrap()
}

fn open(directory: &Path, key: MasterKey) -> Result<Store, OpenError> {
    Store::open(Options::new(directory.to_owned(), key))
}

fn code(result: Result<Store, OpenError>) -> &'static str {
    result.unwrap_err().code()
}

fn bytes(directory: &Path) -> Vec<u8> {
    std::fs::read(directory.join("sluice.redb")).unwrap()
}

#[test]
fn a_second_open_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let store = open(&path, master()).unwrap();
    assert_eq!(code(open(&path, master())), "store.locked");
    std::fs::remove_file(path.join("sluice.lock")).unwrap();
    assert_eq!(code(open(&path, master())), "store.locked");
    assert_eq!(code(open(&path, other())), "store.locked");
    drop(store);
    drop(open(&path, master()).unwrap());
}

#[test]
fn what_is_no_database_is_never_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for contents in [&b""[..], &[7; 9000]] {
        std::fs::write(path.join("sluice.redb"), contents).unwrap();
        assert_eq!(code(open(path, master())), "storage.corrupt");
        assert_eq!(bytes(path), contents);
    }
    std::fs::remove_file(path.join("sluice.redb")).unwrap();
    std::fs::write(path.join("sluice.redb.new"), b"half made").unwrap();
    drop(open(path, master()).unwrap());
}

#[tokio::test]
async fn another_master_key_is_refused_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (closed, killed) = (directory.path().join("closed"), directory.path().join("killed"));
    let store = open(&closed, master()).unwrap();
    store.ensure_org("acme", NOW).await.unwrap();
    // What a kill leaves behind: the file as it is while it is open.
    std::fs::create_dir(&killed).unwrap();
    std::fs::copy(closed.join("sluice.redb"), killed.join("sluice.redb")).unwrap();
    drop(store);
    for path in [closed, killed] {
        let before = bytes(&path);
        assert_eq!(code(open(&path, other())), "key.wrong");
        assert!(bytes(&path) == before, "{} was changed", path.display());
        drop(open(&path, master()).unwrap());
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let store = open(path, master()).unwrap();
    for n in 0..50 {
        store.ensure_org(&format!("org {n}"), NOW).await.unwrap();
    }
    drop(store);
    let whole = bytes(path);
    let mut refused = 0;
    for page in 1..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096 + 40] ^= 0x10;
        std::fs::write(path.join("sluice.redb"), &damaged).unwrap();
        if let Err(error) = open(path, master()) {
            assert_eq!(error.code(), "storage.corrupt");
            assert!(bytes(path) == damaged, "page {page}");
            refused += 1;
        }
    }
    assert!(refused > 0);
}
