use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use redb::backends::InMemoryBackend;

use super::*;

type Notes = Arc<Mutex<Vec<String>>>;

/// A file whose syncs wait until they are let go on, and which notes what happened in which order.
#[derive(Debug)]
struct Gated {
    file: InMemoryBackend,
    gate: Mutex<Receiver<io::Result<()>>>,
    notes: Notes,
}

impl StorageBackend for Gated {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.notes.lock().unwrap().push(format!("length {len}"));
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.gate.lock().unwrap().recv().unwrap()?;
        self.notes.lock().unwrap().push("sync".to_owned());
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.notes.lock().unwrap().push(format!("write {offset}"));
        self.file.write(offset, bytes)
    }
}

fn gated() -> (Pipeline, Sender<io::Result<()>>, Notes) {
    let (go, gate) = channel();
    let notes = Notes::default();
    let file = Gated {
        file: InMemoryBackend::new(),
        gate: Mutex::new(gate),
        notes: Arc::clone(&notes),
    };
    file.file.set_len(64).unwrap();
    (Pipeline::over(Box::new(file)), go, notes)
}

fn read(pipeline: &Pipeline, offset: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    pipeline.read(offset, &mut out).unwrap();
    out
}

#[test]
fn what_comes_after_a_sync_that_was_put_off_waits_for_it_and_is_read_all_the_same() {
    let (pipeline, go, notes) = gated();
    let (_, ticket) = pipeline.lazily(|| {
        pipeline.write(0, b"aaaaaaaa").unwrap();
        pipeline.sync_data().unwrap();
        pipeline.write(4, b"bbbb").unwrap();
        pipeline.sync_data().unwrap();
    });
    pipeline.write(6, b"cccc").unwrap();
    assert_eq!(*notes.lock().unwrap(), ["write 0"]);
    assert_eq!(read(&pipeline, 0, 12), b"aaaabbcccc\0\0");
    assert_eq!(read(&pipeline, 7, 2), b"cc");
    assert!(!pipeline.is_done(ticket).unwrap());
    pipeline.set_len(128).unwrap();
    go.send(Ok(())).unwrap();
    go.send(Ok(())).unwrap();
    pipeline.drain().unwrap();
    assert!(pipeline.is_done(ticket).unwrap());
    assert_eq!(
        *notes.lock().unwrap(),
        ["write 0", "length 128", "sync", "write 4", "sync", "write 6"]
    );
    assert_eq!(read(&pipeline, 0, 12), b"aaaabbcccc\0\0");
}

#[test]
fn a_sync_that_is_waited_for_comes_after_those_that_were_put_off() {
    let (pipeline, go, notes) = gated();
    pipeline.lazily(|| pipeline.sync_data().unwrap());
    for _ in 0..2 {
        go.send(Ok(())).unwrap();
    }
    pipeline.write(0, b"a").unwrap();
    pipeline.sync_data().unwrap();
    assert_eq!(*notes.lock().unwrap(), ["sync", "write 0", "sync"]);
    pipeline.write(1, b"b").unwrap();
    assert_eq!(notes.lock().unwrap().last().unwrap(), "write 1");
}

#[test]
fn a_file_is_made_shorter_only_when_nothing_waits() {
    let (pipeline, go, notes) = gated();
    pipeline.lazily(|| pipeline.sync_data().unwrap());
    pipeline.write(60, b"a").unwrap();
    go.send(Ok(())).unwrap();
    pipeline.set_len(32).unwrap();
    assert_eq!(*notes.lock().unwrap(), ["sync", "write 60", "length 32"]);
}

#[test]
fn a_sync_that_failed_fails_everything_after_it() {
    let (pipeline, go, notes) = gated();
    let (_, ticket) = pipeline.lazily(|| pipeline.sync_data().unwrap());
    go.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
    let full = |result: io::Result<()>| result.unwrap_err().kind() == io::ErrorKind::StorageFull;
    assert!(full(pipeline.drain()));
    assert!(full(pipeline.is_done(ticket).map(drop)));
    assert!(full(pipeline.write(0, b"a")));
    assert!(full(pipeline.sync_data()));
    assert!(full(pipeline.close()));
    assert!(notes.lock().unwrap().is_empty());
}
