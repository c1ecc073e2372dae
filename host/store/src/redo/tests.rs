use proptest::prelude::*;
use redb::backends::InMemoryBackend;

use super::*;

const ID: Id = [7; 16];

/// A file that is shared, as one is by a log and whoever reads it.
#[derive(Debug, Clone, Default)]
struct Shared(std::sync::Arc<InMemoryBackend>);

impl StorageBackend for Shared {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        if self.0.len()? < end {
            self.0.set_len(end)?;
        }
        self.0.write(offset, bytes)
    }
}

fn changes(row: &[u8]) -> Changes {
    let mut changes = Changes::new();
    changes.put("meta", b"key", row);
    changes
}

fn entries(file: &Shared, after: u64) -> Vec<Vec<u8>> {
    match Redo::read(file, ID, after).unwrap() {
        Found::Entries(entries) => entries,
        Found::Gap(number) => panic!("entry {number} is missing"),
    }
}

#[test]
fn a_half_is_written_again_and_only_the_newest_entries_count() {
    let file = Shared::default();
    let mut log = Redo::new(Box::new(file.clone()), ID, 0);
    let mut turns = 0;
    let mut first = 1;
    while turns < 5 {
        log.append(changes(&vec![1; 100_000])).unwrap();
        if log.is_over() {
            first = log.other_half() + 1;
            log.turn();
            turns += 1;
        }
    }
    let found = entries(&file, first - 1);
    assert_eq!(found.len() as u64, log.last() + 1 - first);
    assert!(entries(&file, log.last()).is_empty());
    assert!(entries(&file, u64::MAX).is_empty());
    // The half before it was written over: whoever does not have its entries is told.
    assert!(matches!(Redo::read(&file, ID, 0).unwrap(), Found::Gap(1)));
    assert!(matches!(Redo::read(&file, [8; 16], 0).unwrap(), Found::Entries(none) if none.is_empty()));
}

#[test]
fn changes_that_are_too_many_make_no_entry() {
    let mut changes = Changes::new();
    while changes.fit() {
        changes.put("meta", b"key", &[1; 50_000]);
    }
    changes.delete("meta", b"key");
    assert!(!changes.fit());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn entries_come_back(rows: Vec<Vec<(String, Vec<u8>, Option<Vec<u8>>)>>, after: u8) {
        let file = Shared::default();
        let mut log = Redo::new(Box::new(file.clone()), ID, 0);
        let rows: Vec<_> = rows.into_iter().filter(|rows| !rows.is_empty()).collect();
        for rows in &rows {
            let mut changes = Changes::new();
            for (table, key, row) in rows {
                let end = table.floor_char_boundary(200);
                match row {
                    Some(row) => changes.put(&table[..end], key, row),
                    None => changes.delete(&table[..end], key),
                }
            }
            log.append(changes).unwrap();
        }
        let after = u64::from(after).min(rows.len() as u64);
        let found = entries(&file, after);
        prop_assert_eq!(found.len() as u64, rows.len() as u64 - after);
        for (entry, rows) in found.iter().zip(&rows[after as usize..]) {
            let mut rest = entry.as_slice();
            for (table, key, row) in rows {
                let table = &table[..table.floor_char_boundary(200)];
                let change = match row {
                    Some(row) => Change::Put { table, key, row },
                    None => Change::Delete { table, key },
                };
                prop_assert_eq!(Change::take(&mut rest), Some(change));
            }
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, after: u64) {
        let mut rest = bytes.as_slice();
        while Change::take(&mut rest).is_some() {}
        let file = Shared::default();
        file.write(0, &bytes).unwrap();
        prop_assert!(matches!(Redo::read(&file, ID, after).unwrap(), Found::Entries(none) if none.is_empty()));
    }
}
