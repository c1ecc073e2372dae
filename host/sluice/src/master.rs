//! The master keys: where their text comes from, and the key file that a first start makes.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use data_encoding::HEXLOWER;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use sluice_model::seal::{KeyError, MasterKey};
use zeroize::Zeroizing;

use crate::config::{Data, MasterKeySource};

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterError {
    #[error("read the master key from {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("use the master key in {}: others than its owner may read it (mode {mode:o})", path.display())]
    Readable { path: PathBuf, mode: u32 },
    #[error("read the master key from the environment: {name} is not set")]
    Env { name: String },
    #[error("get the master key from `{program}`: {reason}")]
    Command { program: String, reason: String },
    #[error("use the master key from {place}")]
    Malformed {
        place: String,
        #[source]
        source: KeyError,
    },
    #[error("open the database: it exists, but the key file {} is missing", path.display())]
    Lost { path: PathBuf },
    #[error("make a master key: the machine's random source does not answer")]
    Random,
}

impl MasterError {
    /// Every code of [`code`](Self::code).
    pub const CODES: &[&str] = &[
        "key.unavailable",
        "key.readable_by_others",
        "key.malformed",
        "key.missing",
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::Env { .. } | Self::Command { .. } | Self::Random => "key.unavailable",
            Self::Readable { .. } => "key.readable_by_others",
            Self::Malformed { .. } => "key.malformed",
            Self::Lost { .. } => "key.missing",
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Readable { path, .. } => format!("chmod 600 {}", path.display()),
            Self::Lost { .. } => {
                "restore the key file from a backup: without it no stored secret can be read".to_owned()
            }
            Self::Malformed { .. } => "make one with: openssl rand -hex 32".to_owned(),
            Self::File { .. } | Self::Env { .. } | Self::Command { .. } => {
                "see data.master_key and data.previous_master_keys".to_owned()
            }
            Self::Random => return None,
        })
    }
}

/// The key, what is derived from it, and whether it was made just now.
#[derive(Debug)]
pub struct Master {
    pub key: MasterKey,
    /// Those before it, which the database may still need.
    pub previous: Vec<MasterKey>,
    /// Authenticates the cache of compiled connectors.
    pub cache_key: [u8; 32],
    /// The key file that this start made; it lies beside the database.
    pub made: Option<PathBuf>,
}

/// Gets the keys as configured, the present one without that from the key file in the data directory, which is made if
/// there is no database yet.
///
/// # Errors
///
/// If a key is unavailable, malformed or readable by others.
pub fn load(data: &Data) -> Result<Master, MasterError> {
    let mut master = present(data)?;
    for source in &data.previous_master_keys {
        let (text, place) = text(source)?;
        master.previous.push(parse(&text, &place)?);
    }
    Ok(master)
}

fn present(data: &Data) -> Result<Master, MasterError> {
    match &data.master_key {
        Some(source) => {
            let (text, place) = text(source)?;
            from_text(&text, &place, None)
        }
        None => {
            let path = data.dir.join(KEY_FILE);
            let place = path.display().to_string();
            if path.exists() {
                return from_text(&read_file(&path)?, &place, None);
            }
            if data.dir.join(DATABASE).exists() {
                return Err(MasterError::Lost { path });
            }
            let text = make_file(&data.dir, &path)?;
            from_text(&text, &place, Some(path))
        }
    }
}

/// A key's text, and where it was found.
fn text(source: &MasterKeySource) -> Result<(Zeroizing<String>, String), MasterError> {
    match source {
        MasterKeySource::File(path) => Ok((read_file(path)?, path.display().to_string())),
        MasterKeySource::Env(name) => {
            let text = std::env::var(name).map_err(|_| MasterError::Env { name: name.clone() })?;
            Ok((Zeroizing::new(text), name.clone()))
        }
        MasterKeySource::Command(words) => Ok((run(words)?, "its command".to_owned())),
    }
}

fn parse(text: &str, place: &str) -> Result<MasterKey, MasterError> {
    MasterKey::from_text(text).map_err(|source| MasterError::Malformed {
        place: place.to_owned(),
        source,
    })
}

fn from_text(text: &str, place: &str, made: Option<PathBuf>) -> Result<Master, MasterError> {
    let text = text.trim();
    let key = parse(text, place)?;
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()),
        b"sluice compiled cache 1",
    );
    let mut cache_key = [0; 32];
    cache_key
        .iter_mut()
        .zip(tag.as_ref())
        .for_each(|(to, from)| *to = *from);
    Ok(Master {
        key,
        previous: Vec::new(),
        cache_key,
        made,
    })
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, MasterError> {
    let failed = |source| MasterError::File {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(MasterError::Readable {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::with_capacity(128));
    file.take(KEY_TEXT_BYTES)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text)
}

fn run(words: &[String]) -> Result<Zeroizing<String>, MasterError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(MasterError::Command {
            program: String::new(),
            reason: "the command is empty".to_owned(),
        });
    };
    let failed = |reason: String| MasterError::Command {
        program: program.clone(),
        reason,
    };
    let command = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let output = command.map_err(|error| failed(error.to_string()))?;
    let text = Zeroizing::new(output.stdout);
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    String::from_utf8(text.to_vec())
        .map(Zeroizing::new)
        .map_err(|_| failed("its output is not text".to_owned()))
}

fn make_file(dir: &Path, path: &Path) -> Result<Zeroizing<String>, MasterError> {
    let failed = |source| MasterError::File {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Zeroizing::new([0; 32]);
    SystemRandom::new()
        .fill(bytes.as_mut_slice())
        .map_err(|_| MasterError::Random)?;
    let text = Zeroizing::new(HEXLOWER.encode(bytes.as_slice()));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed)?;
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    // The name must be as durable as what is sealed under the key.
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
    Ok(text)
}

/// In the data directory.
pub const KEY_FILE: &str = "master.key";
/// The store's file, as `sluice_store::Options::path` says.
const DATABASE: &str = "sluice.redb";
/// A key's text is 64 bytes of hex; more than this is another kind of file.
const KEY_TEXT_BYTES: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn data(dir: &Path, master_key: Option<MasterKeySource>) -> Data {
        Data {
            dir: dir.to_owned(),
            master_key,
            ..Data::default()
        }
    }

    fn code(data: &Data) -> &'static str {
        let error = load(data).unwrap_err();
        assert!(MasterError::CODES.contains(&error.code()));
        error.code()
    }

    #[test]
    fn a_first_start_makes_a_private_file_and_the_next_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let data = data(&dir.path().join("data"), None);
        let first = load(&data).unwrap();
        let path = first.made.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let second = load(&data).unwrap();
        assert!(second.made.is_none());
        assert_eq!(first.cache_key, second.cache_key);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(code(&data), "key.readable_by_others");
        fs::remove_file(&path).unwrap();
        fs::write(data.dir.join(DATABASE), b"x").unwrap();
        assert_eq!(code(&data), "key.missing");
    }

    #[test]
    fn keys_of_before_come_from_the_same_kinds_of_places() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = data(dir.path(), None);
        let old = dir.path().join("old.key");
        fs::write(
            &old,
            "aa0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n",
        )
        .unwrap();
        data.previous_master_keys = vec![MasterKeySource::File(old.clone())];
        assert_eq!(code(&data), "key.readable_by_others");
        fs::set_permissions(&old, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(load(&data).unwrap().previous.len(), 1);
        let none = MasterKeySource::Env("SLUICE_NO_SUCH_VARIABLE".to_owned());
        data.previous_master_keys.push(none);
        assert_eq!(code(&data), "key.unavailable");
        fs::write(&old, "short").unwrap();
        assert_eq!(code(&data), "key.malformed");
    }

    #[test]
    fn other_sources() {
        let dir = tempfile::tempdir().unwrap();
        let command =
            |words: &[&str]| MasterKeySource::Command(words.iter().map(|w| (*w).to_owned()).collect());
        let with = |source| data(dir.path(), Some(source));
        assert!(
            load(&with(command(&[
                "printf",
                "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
            ])))
            .is_ok()
        );
        assert_eq!(code(&with(command(&["false"]))), "key.unavailable");
        assert_eq!(code(&with(command(&["printf", "short"]))), "key.malformed");
        assert_eq!(
            code(&with(MasterKeySource::Env("SLUICE_NO_SUCH_VARIABLE".to_owned()))),
            "key.unavailable"
        );
        assert_eq!(
            code(&with(MasterKeySource::File(dir.path().join("none")))),
            "key.unavailable"
        );
    }
}
