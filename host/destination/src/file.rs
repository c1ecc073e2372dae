//! Files: one for each batch, in a directory or a bucket. A reader takes of each id the row with the highest
//! `_sluice_seq`; files are never read or changed here, so a load is one write.
//!
//! What must always hold:
//! - A file is there whole or not at all: in a directory it is renamed into place after its bytes are on the disk, and an
//!   object is one PUT.
//! - Its name has the position before its first row, so a repeated batch writes the same name, and a longer or shorter
//!   batch from there replaces it by what follows that position.
//! - No name from outside leads out of the directory that the operator opened: see [`directory`].

mod bucket;
mod csv;
mod directory;
mod ndjson;
mod parquet;

use std::path::PathBuf;

use sluice_broker::{Broker, Caller};

use self::bucket::Bucket;
use self::directory::Directory;
use crate::batch::{Batch, Loaded, Table};
use crate::column::{self, Kind};
use crate::destination::Check;
use crate::error::Error;
use crate::settings::{DirectorySettings, Format, Formulas, S3Settings};

/// Bytes of one name in a path, its ending aside. File systems take 255.
const MAX_NAME_BYTES: usize = 100;

#[derive(Debug)]
pub(crate) struct Files {
    place: Place,
    format: Format,
    formulas: Formulas,
}

#[derive(Debug)]
enum Place {
    Directory(Directory),
    Bucket(Box<Bucket>),
}

impl Files {
    pub(crate) fn directory(settings: DirectorySettings, root: PathBuf) -> Self {
        Self {
            place: Place::Directory(Directory::new(root, &settings.directory)),
            format: settings.format,
            formulas: settings.formulas,
        }
    }

    pub(crate) fn bucket(settings: S3Settings, broker: Broker, caller: Caller) -> Self {
        let (format, formulas) = (settings.format, settings.formulas);
        Self {
            place: Place::Bucket(Box::new(Bucket::new(settings, broker, caller))),
            format,
            formulas,
        }
    }

    pub(crate) async fn check(&self) -> Result<Check, Error> {
        let version = match &self.place {
            Place::Directory(directory) => directory.check().await?,
            Place::Bucket(bucket) => bucket.check().await?,
        };
        Ok(Check { version })
    }

    pub(crate) async fn load(&self, batch: &Batch) -> Result<Loaded, Error> {
        let rows = batch.latest_after(batch.after);
        if rows.is_empty() {
            return Ok(Loaded::default());
        }
        let mut columns = column::columns(&batch.table.schema);
        let (content, ending) = match self.format {
            Format::Ndjson => (ndjson::write(&rows).await?, "ndjson"),
            Format::Csv => (csv::write(&rows, &columns, self.formulas).await?, "csv"),
            Format::Parquet => {
                for column in &mut columns {
                    if column.kind == Kind::Number {
                        column.kind = Kind::Double;
                    }
                }
                (parquet::write(&rows, &columns).await?, "parquet")
            }
        };
        let loaded = Loaded {
            rows: rows.len() as u64,
            bytes: content.len() as u64,
            columns_added: 0,
        };
        let folder = name(&batch.table.name);
        let file = format!("{}-{:020}.{ending}", source(&batch.table), batch.after);
        match &self.place {
            Place::Directory(directory) => directory.put(folder, file, content).await?,
            Place::Bucket(bucket) => bucket.put(&folder, &file, self.format, content).await?,
        }
        Ok(loaded)
    }
}

/// Whose positions a file's name has: the connection's, and the stream's where the folder is not called like it.
fn source(table: &Table) -> String {
    if table.stream == table.name {
        table.connection.to_string()
    } else {
        format!("{}-{}", table.connection, name(&table.stream))
    }
}

/// A name from outside as one name in a path: letters and digits of ASCII, `_`, `-` and inner dots stay, other bytes are
/// `~XX` (a percent sign would be read once more in an address), and what is too long ends with a digest of itself.
fn name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let stays = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (byte == b'.' && at > 0);
        if stays {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("~{byte:02X}"));
        }
    }
    if name.len() > MAX_NAME_BYTES {
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        name.truncate(MAX_NAME_BYTES - 34);
        name.push_str("~~");
        name.push_str(&data_encoding::HEXLOWER.encode(digest.as_ref().get(..16).unwrap_or_default()));
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_lead_nowhere() {
        assert_eq!(name("contacts.v2"), "contacts.v2");
        assert_eq!(name(".."), "~2E.");
        assert_eq!(name("../a/b"), "~2E.~2Fa~2Fb");
        assert_eq!(name("ü\0"), "~C3~BC~00");
    }

    proptest! {
        #[test]
        fn names_are_one_name_and_their_own(one in "\\PC{1,200}", other in "\\PC{1,200}") {
            let made = name(&one);
            prop_assert!(made.len() <= MAX_NAME_BYTES && !made.contains('/') && !made.starts_with('.'));
            prop_assert_eq!(one == other, made == name(&other));
        }
    }
}
