//! Storage over a snapshot: staged, seen by its own call, and gone where the call does not succeed.

use std::sync::Arc;

use sluice_runtime::{Snapshot, StorageWrite};

use crate::support::{Making, shared};

/// One entry, `old`, at version 7.
struct One;

impl Snapshot for One {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u64)> {
        (key == "old").then(|| (b"0".to_vec(), 3))
    }
    fn keys(&self, prefix: &str, after: Option<&str>, limit: u32) -> Vec<String> {
        let fits = "old".starts_with(prefix) && after.is_none_or(|after| "old" > after) && limit > 0;
        if fits { vec!["old".into()] } else { Vec::new() }
    }
    fn used_bytes(&self) -> u64 {
        4
    }
}

#[tokio::test]
async fn a_tour() {
    let (runtime, connector) = shared().await;
    let mut making = Making::new(&connector, "storage");
    making.storage = Arc::new(One);
    let outcome = runtime.check(making.call()).await;
    let seen = outcome.result.unwrap().unwrap().name;
    assert_eq!(
        seen,
        r#"Some(([48], 3)) Some(([49], 1)) true ["new"] Err(Error::Quota(4096))"#
    );
    let expected = [
        StorageWrite {
            key: "new".into(),
            value: Some(b"1".to_vec()),
            expect: Some(0),
        },
        StorageWrite {
            key: "old".into(),
            value: None,
            expect: None,
        },
    ];
    assert_eq!(outcome.effects.storage, expected);
}

#[tokio::test]
async fn what_fails_leaves_nothing_but_its_log() {
    for (word, code) in [
        ("storage-then-fail trap", "guest.trap"),
        ("storage-then-fail", "guest.internal"),
    ] {
        let (runtime, connector) = shared().await;
        let outcome = runtime.check(Making::new(&connector, word).call()).await;
        let found = match outcome.result {
            Err(error) => error.code(),
            Ok(said) => said.unwrap_err().kind.code(),
        };
        assert_eq!(found, code);
        assert!(outcome.effects.storage.is_empty());
        assert_eq!(outcome.effects.logs[0].message, "wrote");
    }
}
