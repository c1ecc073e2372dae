//! A destination as the service holds it: opened from its settings, checked, loaded.

use std::path::PathBuf;

use sluice_broker::{Broker, Caller};
use sluice_model::id::OrgId;
use sluice_model::secret::Secret;

use crate::batch::{Batch, Loaded};
use crate::error::Error;
use crate::file::Files;
use crate::postgres::Postgres;
use crate::settings::{DestinationSettings, SettingsError};

/// What a destination needs beside its settings. Each kind takes what it uses.
#[derive(Debug)]
pub struct Access {
    /// The road out.
    pub broker: Broker,
    /// Whose permits connections take.
    pub org: OrgId,
    /// Of the database's user.
    pub password: Option<Secret>,
    /// The directory that the operator opened for files.
    pub root: Option<PathBuf>,
    /// On whose behalf objects are put: its rights have to let `PUT` and `DELETE` through to the bucket, its limits a body
    /// of [`MAX_BATCH_BYTES`](crate::MAX_BATCH_BYTES) and some, and its own credential has to sign for S3.
    pub caller: Option<Caller>,
}

/// An open destination. One load at a time; further ones wait.
#[derive(Debug)]
pub struct Destination(Place);

#[derive(Debug)]
enum Place {
    Postgres(Box<Postgres>),
    Files(Box<Files>),
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is there, in its own words: `PostgreSQL 15.3`.
    pub version: String,
}

impl Destination {
    /// Makes one from its settings. Opens no connection yet.
    ///
    /// # Errors
    /// [`Error::Settings`] where `access` lacks what the kind needs.
    pub fn open(settings: DestinationSettings, access: Access) -> Result<Self, Error> {
        let place = match settings {
            DestinationSettings::Postgres(settings) => Place::Postgres(Box::new(Postgres::new(
                settings,
                access.broker,
                access.org,
                access.password,
            ))),
            DestinationSettings::Directory(settings) => {
                let reason = "needs a directory that the operator opened for files";
                let root = access
                    .root
                    .ok_or_else(|| SettingsError::new("/directory", reason))?;
                Place::Files(Box::new(Files::directory(settings, root)))
            }
            DestinationSettings::S3(settings) => {
                let reason = "needs a key that signs for it";
                let caller = access
                    .caller
                    .ok_or_else(|| SettingsError::new("/bucket", reason))?;
                Place::Files(Box::new(Files::bucket(settings, access.broker, caller)))
            }
        };
        Ok(Self(place))
    }

    /// Whether it is reached and may be written to. Leaves nothing there.
    ///
    /// # Errors
    /// As a load would meet it.
    pub async fn check(&self) -> Result<Check, Error> {
        match &self.0 {
            Place::Postgres(postgres) => postgres.check().await,
            Place::Files(files) => files.check().await,
        }
    }

    /// Makes a batch durable. A batch that was loaded before, whole or in part, changes nothing again.
    ///
    /// Not cancel-safe in its effect, and safe in its meaning: a load that was given up has happened or not, and a repeat
    /// makes it have happened once.
    ///
    /// # Errors
    /// After each the destination has all of the batch or nothing; [`Error::Lost`] where it is not known which.
    pub async fn load(&self, batch: &Batch) -> Result<Loaded, Error> {
        batch.check()?;
        match &self.0 {
            Place::Postgres(postgres) => postgres.load(batch).await,
            Place::Files(files) => files.load(batch).await,
        }
    }
}
