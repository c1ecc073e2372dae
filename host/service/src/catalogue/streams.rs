//! The streams of one connection: those that its connector's manifest lists, and those that its account has at the vendor.
//!
//! Whoever wants to know a stream of a connection asks here. What an account has is compiled once for each list that the
//! connector told, not for each call.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluice_model::Timestamp;
use sluice_model::id::{ConnectionId, InstallId, OrgId};
use sluice_model::manifest::{Stream, ToldStream};

use super::Known;
use crate::Service;
use crate::schema::Schema;

/// A connection's streams, as they are known now.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    known: Arc<Known>,
    told: Option<Arc<Told>>,
}

/// What an account has.
#[derive(Debug)]
struct Told {
    number: u64,
    install: InstallId,
    at: Timestamp,
    streams: BTreeMap<String, (Stream, Schema)>,
}

/// What was told of connections, compiled.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    told: Mutex<HashMap<ConnectionId, Arc<Told>>>,
}

/// Connections whose lists are kept compiled; beyond them all are forgotten and read again.
const MAX_KEPT: usize = 512;

impl Streams {
    /// The streams of a connection of this install.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub(crate) async fn of(
        service: &Service,
        org: OrgId,
        connection: ConnectionId,
        known: &Arc<Known>,
    ) -> Result<Self, sluice_store::Error> {
        let told = match known.manifest.discovered {
            Some(_) => told(service, org, connection, known).await?,
            None => None,
        };
        Ok(Self {
            known: Arc::clone(known),
            told,
        })
    }

    /// One of them.
    pub(crate) fn get(&self, name: &str) -> Option<&Stream> {
        let told = self.told.as_ref().and_then(|told| told.streams.get(name));
        told.map(|(stream, _)| stream)
            .or_else(|| self.known.manifest.stream(name))
    }

    /// The schema of its records.
    pub(crate) fn schema(&self, name: &str) -> Option<&Schema> {
        let told = self.told.as_ref().and_then(|told| told.streams.get(name));
        told.map(|(_, schema)| schema)
            .or_else(|| self.known.streams.get(name))
    }

    /// All of them: first those of the manifest, in its order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Stream> {
        let manifest = &self.known.manifest;
        let listed = manifest.streams.iter();
        let listed = listed.map(|stream| self.get(&stream.name).unwrap_or(stream));
        let told = self.told.iter().flat_map(|told| told.streams.values());
        let beyond = told.filter(|(stream, _)| manifest.stream(&stream.name).is_none());
        listed.chain(beyond.map(|(stream, _)| stream))
    }

    /// Whether only the account has it.
    pub(crate) fn is_discovered(&self, name: &str) -> bool {
        self.known.manifest.stream(name).is_none()
    }

    /// When the connector was asked last; `None` if never.
    pub(crate) fn asked(&self) -> Option<Timestamp> {
        self.told.as_ref().map(|told| told.at)
    }
}

async fn told(
    service: &Service,
    org: OrgId,
    connection: ConnectionId,
    known: &Known,
) -> Result<Option<Arc<Told>>, sluice_store::Error> {
    let accounts = service.catalogue().accounts();
    let number = service.store().account_streams_number(org, connection)?;
    if number == 0 {
        return Ok(None);
    }
    let install = known.install.id;
    let kept = accounts.lock().get(&connection).cloned();
    if let Some(kept) = kept.filter(|kept| kept.number == number && kept.install == install) {
        return Ok(Some(kept));
    }
    let Some(list) = service.store().account_streams(org, connection).await? else {
        return Ok(None);
    };
    let mut streams = BTreeMap::new();
    for told in &list.streams {
        // It was checked when it was told; another version of the connector may know it in another way.
        match compiled(known, told) {
            Ok(found) => drop(streams.insert(told.name.clone(), found)),
            Err(reason) => {
                tracing::warn!(%connection, stream = told.name, reason, "a discovered stream is left out");
            }
        }
    }
    let told = Arc::new(Told {
        number,
        install,
        at: list.at,
        streams,
    });
    let mut kept = accounts.lock();
    if kept.len() >= MAX_KEPT {
        kept.clear();
    }
    kept.insert(connection, Arc::clone(&told));
    Ok(Some(told))
}

/// A stream that was told, and its schema.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn compiled(known: &Known, told: &ToldStream) -> Result<(Stream, Schema), String> {
    let stream = known.manifest.told(told)?;
    let place = format!("stream `{}`", stream.name);
    let schema = Schema::compile(&place, &stream.schema).map_err(|error| error.to_string())?;
    Ok((stream, schema))
}

impl Accounts {
    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Arc<Told>>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
