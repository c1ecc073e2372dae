//! Files: durable before they are named, gone when they are not, within the quota, and swept in steps.

use std::path::Path;
use std::sync::Arc;

use sluice_model::Timestamp;
use sluice_model::id::{FileId, OrgId};
use sluice_model::record::Change;
use sluice_store::connection::Data;
use sluice_store::file::{FileChange, FileWrite, MISSED_FOR, NewFile, OfRecord};
use sluice_store::storage::StorageWrites;
use sluice_store::stream_settings::StreamSettings;
use sluice_store::{Options, Page, Store};

use super::disk::{MemoryDisk, Unsynced};
use super::room::{NOW, Room, code, furnish, later, master, upsert};

struct Files {
    room: Room,
    disk: MemoryDisk,
    directory: tempfile::TempDir,
}

fn open(disk: &MemoryDisk, directory: &Path) -> Store {
    Store::open_on(
        Arc::new(disk.clone()),
        Options::new(directory.to_owned(), master()),
    )
    .unwrap()
}

async fn files() -> Files {
    let (disk, directory) = (MemoryDisk::default(), tempfile::tempdir().unwrap());
    let store = open(&disk, directory.path());
    let org = store.ensure_org("acme", NOW).await.unwrap();
    Files {
        room: furnish(store, org, 1).await,
        disk,
        directory,
    }
}

impl Files {
    /// A write that keeps this text under a key.
    async fn keep(&self, key: &str, id: FileId, text: &str) -> FileWrite {
        let shelf = self.room.store.shelf();
        let mut draft = shelf.draft(self.room.org, id, NOW).await.unwrap();
        draft.write(text.as_bytes()).await.unwrap();
        let new = NewFile {
            id,
            name: "x".into(),
            media_type: "a/b".into(),
            bytes: text.len() as u64,
            sha256: format!("of {text}"),
            record: None,
            at: NOW,
            draft: Some(Arc::new(draft.finish().await.unwrap())),
        };
        FileWrite {
            key: key.into(),
            change: FileChange::Keep(Box::new(new)),
        }
    }

    async fn commit(&self, files: Vec<FileWrite>) -> Result<(), sluice_store::Error> {
        let writes = StorageWrites {
            files,
            files_quota: 8192,
            ..StorageWrites::default()
        };
        self.room
            .store
            .commit_storage(self.room.org, self.room.connection, writes)
            .await
    }

    async fn read(&self, id: FileId) -> Option<String> {
        let (_, mut file) = self.room.store.open_file(self.room.org, id).await.unwrap()?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut file, &mut text).unwrap();
        Some(text)
    }

    /// How many files there are, whatever they are.
    fn on_disk(&self) -> usize {
        let dirs = std::fs::read_dir(self.directory.path().join("files")).unwrap();
        dirs.map(|dir| std::fs::read_dir(dir.unwrap().path()).unwrap().count())
            .sum()
    }

    async fn sweep(&self, now: Timestamp) {
        while self.room.store.sweep_files(now, 1).await.unwrap() {}
    }

    /// A process that takes over after this one was cut off.
    fn cut(self) -> Self {
        let image = self.disk.image(self.disk.log_len(), Unsynced::Lost);
        let disk = MemoryDisk::of(image);
        let store = open(&disk, self.directory.path());
        Self {
            room: Room { store, ..self.room },
            disk,
            directory: self.directory,
        }
    }
}

const fn id(n: u8) -> FileId {
    FileId::from_bytes([n; 16])
}

#[tokio::test]
async fn a_file_is_there_with_its_commit_and_gone_without() {
    let files = files().await;
    let write = files.keep("a", id(1), "one").await;
    assert_eq!(files.on_disk(), 1);
    drop(write);
    assert_eq!(files.on_disk(), 0, "nobody wants it");
    let write = files.keep("a", id(1), "one").await;
    files.commit(vec![write]).await.unwrap();
    assert_eq!(files.read(id(1)).await.unwrap(), "one");
    // Another key, and another id under the same key: refused, and gone.
    let write = files.keep("a", id(2), "two").await;
    assert_eq!(code(files.commit(vec![write]).await), "file.changed");
    let other = OrgId::from_bytes([9; 16]);
    assert!(files.room.store.open_file(other, id(1)).await.unwrap().is_none());
    assert_eq!(files.on_disk(), 1);
}

#[tokio::test]
async fn the_quota_counts_blocks_and_what_is_replaced_once() {
    let files = files().await;
    let (store, org, connection) = (&files.room.store, files.room.org, files.room.connection);
    let a = files.keep("a", id(1), "one").await;
    let b = files.keep("b", id(2), "").await;
    files.commit(vec![a, b]).await.unwrap();
    assert_eq!(store.file_use(org, connection).unwrap().used_bytes, 8192);
    let c = files.keep("c", id(3), "x").await;
    assert_eq!(code(files.commit(vec![c]).await), "file.quota");
    let again = files.keep("a", id(1), "other").await;
    files.commit(vec![again]).await.unwrap();
    assert_eq!(files.read(id(1)).await.unwrap(), "other");
    let delete = FileWrite {
        key: "b".into(),
        change: FileChange::Delete,
    };
    files.commit(vec![delete]).await.unwrap();
    assert_eq!(store.file_use(org, connection).unwrap().files, 1);
    assert!(files.read(id(2)).await.is_none());
    assert_eq!(files.on_disk(), 3, "what was overtaken and deleted follows");
    files.sweep(NOW).await;
    assert_eq!(files.on_disk(), 1);
    let listed = store.list_files(org, connection, Page::first(10)).await.unwrap();
    assert_eq!(listed.items.len(), 1);
}

#[tokio::test]
async fn a_cut_leaves_what_was_committed_and_nothing_else() {
    let files = files().await;
    let write = files.keep("a", id(1), "one").await;
    files.commit(vec![write]).await.unwrap();
    let write = files.keep("a", id(1), "other").await;
    files.commit(vec![write]).await.unwrap();
    // On its way in when the process ends.
    std::mem::forget(files.keep("b", id(2), "two").await);
    // Committed, and not yet in its place.
    let org = files.room.org;
    let dir = files.directory.path().join("files");
    let place = dir.join(org.to_string());
    for entry in std::fs::read_dir(&place).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        std::fs::rename(
            &path,
            dir.join("incoming").join(format!("{org}.{}.{name}", id(1))),
        )
        .unwrap();
    }
    assert_eq!(files.on_disk(), 3);
    let files = files.cut();
    assert_eq!(files.on_disk(), 1);
    assert_eq!(files.read(id(1)).await.unwrap(), "other");
    files.sweep(NOW).await;
    assert_eq!(
        std::fs::read_dir(&place).unwrap().count(),
        1,
        "it is in its place"
    );
    assert_eq!(files.read(id(1)).await.unwrap(), "other");
}

#[tokio::test]
async fn a_file_goes_some_time_after_its_record() {
    let files = files().await;
    let r = &files.room;
    let fencing = r.run(1).await;
    let mut page = r.page(1, fencing, vec![upsert("m1", "{}")], "1");
    let mut write = files.keep("a", id(1), "one").await;
    let FileChange::Keep(new) = &mut write.change else {
        unreachable!()
    };
    new.record = Some(OfRecord {
        stream: page.stream.clone(),
        id: "m1".into(),
    });
    page.storage = StorageWrites {
        files: vec![write],
        files_quota: 8192,
        ..StorageWrites::default()
    };
    r.store.commit_page(page).await.unwrap();
    // The stream's history is kept longer than a file without it is.
    let time = StreamSettings::default().history_s.max(MISSED_FOR.as_secs());
    files.sweep(later(2 * time)).await;
    assert!(files.read(id(1)).await.is_some(), "its record is there");
    let page = r.page(1, fencing, vec![Change::Delete("m1".into())], "1");
    r.store.commit_page(page).await.unwrap();
    files.sweep(later(2 * time)).await;
    // It comes back before the time is over: the time begins anew.
    let page = r.page(1, fencing, vec![upsert("m1", "{}")], "1");
    r.store.commit_page(page).await.unwrap();
    files.sweep(later(3 * time - 1)).await;
    let page = r.page(1, fencing, vec![Change::Delete("m1".into())], "1");
    r.store.commit_page(page).await.unwrap();
    files.sweep(later(3 * time)).await;
    files.sweep(later(4 * time - 1)).await;
    assert!(files.read(id(1)).await.is_some());
    files.sweep(later(4 * time)).await;
    files.sweep(later(4 * time)).await;
    assert!(files.read(id(1)).await.is_none());
    assert_eq!(files.on_disk(), 0);
}

#[tokio::test]
async fn files_go_with_their_connection_and_their_organization() {
    let files = files().await;
    let r = &files.room;
    let write = files.keep("a", id(1), "one").await;
    files.commit(vec![write]).await.unwrap();
    r.store
        .remove_connection(r.org, r.connection, Data::Keep, NOW)
        .await
        .unwrap();
    assert!(files.read(id(1)).await.is_some(), "kept with the records");
    r.store
        .remove_connection(r.org, r.connection, Data::Delete, NOW)
        .await
        .unwrap();
    assert!(files.read(id(1)).await.is_none());
    files.sweep(NOW).await;
    assert_eq!(files.on_disk(), 0);

    let other = r.store.ensure_org("other", NOW).await.unwrap();
    let others = Files {
        room: furnish(r.store.clone(), other, 2).await,
        ..files
    };
    let write = others.keep("a", id(3), "three").await;
    others.commit(vec![write]).await.unwrap();
    others.room.store.delete_org(other).await.unwrap();
    others.sweep(NOW).await;
    assert_eq!(others.on_disk(), 0);
}
