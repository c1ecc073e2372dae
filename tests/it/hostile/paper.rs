//! A shelf that has no files and keeps none, and sees to it that no more comes than one file may have.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sluice_runtime::{FileDraft, FileView, Held, Shelf, Unkept};

use super::yard::FILE_BYTES;

#[derive(Debug, Clone, Copy)]
pub(super) struct Paper;

struct Draft {
    id: String,
    bytes: u64,
}

impl Shelf for Paper {
    fn get(&self, _key: &str) -> Option<FileView> {
        None
    }

    fn used_bytes(&self) -> u64 {
        0
    }

    fn draft<'a>(&'a self, id: Option<&'a str>) -> BoxFuture<'a, Result<Box<dyn FileDraft>, Unkept>> {
        let id = id.unwrap_or("fil_00000000000000000000000000").to_owned();
        let draft: Box<dyn FileDraft> = Box::new(Draft { id, bytes: 0 });
        Box::pin(std::future::ready(Ok(draft)))
    }
}

impl FileDraft for Draft {
    fn id(&self) -> &str {
        &self.id
    }

    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), Unkept>> {
        self.bytes += bytes.len() as u64;
        assert!(self.bytes <= FILE_BYTES, "{} bytes of a file came", self.bytes);
        Box::pin(std::future::ready(Ok(())))
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Held, Unkept>> {
        Box::pin(std::future::ready(Ok(Arc::new(()) as Held)))
    }
}
