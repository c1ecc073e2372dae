//! A connection's files, as far as a rehearsal keeps them: what is known of each, and no bytes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use sluice_model::file::charge;
use sluice_model::id::FileId;
use sluice_runtime::{FileChange, FileDraft, FileView, FileWrite, Held, Shelf, Unkept};

/// What is kept. A value to be cloned: each call has the one that it began with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drawer {
    files: BTreeMap<String, FileView>,
    /// Ids that were given: the next one is the same in every rehearsal.
    given: u64,
}

/// The drawer in one call.
#[derive(Debug)]
pub(crate) struct OpenDrawer {
    drawer: Drawer,
    given: AtomicU64,
}

struct Draft(String);

impl Drawer {
    pub(crate) fn open(&self) -> Arc<OpenDrawer> {
        Arc::new(OpenDrawer {
            drawer: self.clone(),
            given: AtomicU64::new(self.given),
        })
    }

    /// What a call wanted kept.
    pub(crate) fn commit(&mut self, writes: Vec<FileWrite>) {
        for write in writes {
            match write.change {
                FileChange::Keep(kept) => {
                    self.given += 1;
                    self.files.insert(write.key, kept.file);
                }
                FileChange::Delete => {
                    self.files.remove(&write.key);
                }
            }
        }
    }
}

impl Shelf for OpenDrawer {
    fn get(&self, key: &str) -> Option<FileView> {
        self.drawer.files.get(key).cloned()
    }

    fn used_bytes(&self) -> u64 {
        self.drawer.files.values().map(|file| charge(file.bytes)).sum()
    }

    fn draft<'a>(&'a self, id: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn FileDraft>, Unkept>> {
        let id = id.map_or_else(
            || {
                let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
                FileId::from_bytes(u128::from(number).to_be_bytes()).to_string()
            },
            str::to_owned,
        );
        Box::pin(std::future::ready(Ok(Box::new(Draft(id)) as Box<dyn FileDraft>)))
    }
}

impl FileDraft for Draft {
    fn id(&self) -> &str {
        &self.0
    }

    fn write<'a>(&'a mut self, _bytes: &'a [u8]) -> BoxFuture<'a, Result<(), Unkept>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Held, Unkept>> {
        Box::pin(std::future::ready(Ok(Arc::new(()) as Held)))
    }
}
