//! A connection's files as one call sees them. The runtime does not know the store: whoever commits the call's outcome brings the
//! shelf, and gets back what was written for it.

use std::any::Any;
use std::sync::Arc;

use futures_util::future::BoxFuture;

/// Files for the runtime. Two implementations: the service's over the store, and the harness's, which keeps nothing.
pub trait Shelf: Send + Sync {
    /// What is kept under a key. Answers without waiting: it is called on the guest's fiber.
    fn get(&self, key: &str) -> Option<FileView>;
    /// All files together, as they count against the quota.
    fn used_bytes(&self) -> u64;
    /// A place for a new file; `id` is the one that its key has, if it has one.
    fn draft<'a>(&'a self, id: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn FileDraft>, Unkept>>;
}

/// A file that is being written. Dropped before it is finished, it is gone.
pub trait FileDraft: Send {
    /// The file's id.
    fn id(&self) -> &str;
    /// Adds bytes.
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), Unkept>>;
    /// Makes it durable. What comes back is the shelf's own and goes to whoever commits the call; when the last copy is dropped
    /// without that, the file is gone.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Held, Unkept>>;
}

/// The shelf's own hold on a file that is durable and not committed.
pub type Held = Arc<dyn Any + Send + Sync>;

/// A file cannot be written; the text may be told to the guest.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Unkept(pub String);

/// A kept file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileView {
    pub id: String,
    pub name: String,
    pub media_type: String,
    pub bytes: u64,
    /// In lower-case hexadecimal.
    pub sha256: String,
}

/// Files of a connection that has none and can keep none.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmptyShelf;

impl Shelf for EmptyShelf {
    fn get(&self, _key: &str) -> Option<FileView> {
        None
    }

    fn used_bytes(&self) -> u64 {
        0
    }

    fn draft<'a>(&'a self, _id: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn FileDraft>, Unkept>> {
        Box::pin(std::future::ready(Err(Unkept(
            "no files are kept here".to_owned(),
        ))))
    }
}
