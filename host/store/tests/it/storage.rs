//! Connector storage: versions and the quota.

use sluice_store::storage::{StorageWrite, StorageWrites};

use super::room::{code, room};

#[tokio::test]
async fn storage_keeps_versions_and_the_quota() {
    let r = room().await;
    let write = |key: &str, value: Option<&[u8]>, expect| StorageWrites {
        writes: vec![StorageWrite {
            key: key.into(),
            value: value.map(<[u8]>::to_vec),
            expect,
        }],
        quota: 10,
        ..StorageWrites::default()
    };
    let commit = |staged| r.store.commit_storage(r.org, r.connection, staged);
    commit(write("a", Some(b"1234"), Some(0))).await.unwrap();
    let view = r.store.storage_snapshot(r.org, r.connection);
    let (value, version) = view.get("a").unwrap().unwrap();
    assert_eq!(
        (value.as_slice(), view.used_bytes().unwrap()),
        (b"1234".as_slice(), 5)
    );
    assert_eq!(
        code(commit(write("a", Some(b"x"), Some(version + 1))).await),
        "storage.conflict"
    );
    assert_eq!(
        code(commit(write("b", Some(b"12345"), None)).await),
        "storage.quota"
    );
    assert_eq!(view.keys("", None, 10).unwrap(), ["a"]);
    commit(write("a", None, Some(version))).await.unwrap();
    commit(write("a", Some(b"1"), Some(0))).await.unwrap();
    assert!(
        view.get("a").unwrap().unwrap().1 > version,
        "a version comes once"
    );
    commit(write("ab", Some(b"1"), None)).await.unwrap();
    assert_eq!(view.keys("a", Some("a"), 10).unwrap(), ["ab"]);
}
