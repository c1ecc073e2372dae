//! Somebody who plays a vendor: by its OpenAPI document, or by a cassette; and who misbehaves on demand.

mod document;
mod example;
mod fault;
mod yaml;

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use sluice_broker::Road as _;
use sluice_broker::{Heard, Said, Way};
use url::Url;

use crate::cassette::Cassette;
use crate::tape::Tape;

pub use document::{Document, DocumentError};
pub use fault::{Fault, FaultError, Kind};

/// Orders of misbehaviour that wait at once.
const MAX_FAULTS: usize = 100;

/// Who plays the vendor.
#[derive(Debug)]
pub struct Mock {
    part: Part,
    faults: Mutex<Vec<Fault>>,
}

#[derive(Debug)]
enum Part {
    Cassette { tape: Tape, hosts: Vec<String> },
    Document(Document),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    pub body: Bytes,
}

/// What is done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    pub wait: std::time::Duration,
    /// None: the connection is cut.
    pub answer: Option<Heard>,
    /// Why it is this, for people.
    pub note: String,
}

impl Mock {
    /// Plays what was recorded, whatever host is asked.
    #[must_use]
    pub fn of_cassette(cassette: Cassette) -> Self {
        let mut hosts = Vec::new();
        for exchange in &cassette.exchanges {
            let origin = Url::parse(&exchange.request.url).map(|url| url.origin().ascii_serialization());
            if let Ok(origin) = origin
                && !hosts.contains(&origin)
            {
                hosts.push(origin);
            }
        }
        Self::of(Part::Cassette {
            tape: Tape::new(cassette),
            hosts,
        })
    }

    /// Plays what a document says, with its examples.
    #[must_use]
    pub fn of_document(document: Document) -> Self {
        Self::of(Part::Document(document))
    }

    fn of(part: Part) -> Self {
        Self {
            part,
            faults: Mutex::default(),
        }
    }

    /// From now on it misbehaves like this, beside what was ordered before. False: too many orders wait.
    pub fn order(&self, fault: Fault) -> bool {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() >= MAX_FAULTS {
            return false;
        }
        faults.push(fault);
        true
    }

    /// It behaves again.
    pub fn behave(&self) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What to do with a request.
    #[must_use]
    pub fn play(&self, asked: &Asked<'_>) -> Played {
        if let Some(fault) = self.fault(asked) {
            return fault.played(|| self.answer(asked).0);
        }
        let (answer, note) = self.answer(asked);
        Played {
            wait: std::time::Duration::ZERO,
            answer: Some(answer),
            note,
        }
    }

    /// The first order that is meant for this request. One that is used up is gone.
    fn fault(&self, asked: &Asked<'_>) -> Option<Fault> {
        let path = asked.target.split('?').next().unwrap_or_default();
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let at = faults.iter().position(|fault| fault.is_for(asked.method, path))?;
        let fault = faults.get_mut(at)?;
        let found = fault.clone();
        if fault.is_last() {
            faults.remove(at);
        }
        Some(found)
    }

    fn answer(&self, asked: &Asked<'_>) -> (Heard, String) {
        match &self.part {
            Part::Document(document) => document.answer(asked.method, asked.target),
            Part::Cassette { tape, hosts } => {
                for host in hosts {
                    let said = Said {
                        method: asked.method.to_owned(),
                        url: format!("{host}{}", asked.target),
                        headers: Vec::new(),
                        body: Some(asked.body.clone()),
                    };
                    match tape.way(&said) {
                        Way::Canned(heard) => return (heard, "as recorded".to_owned()),
                        Way::Failed(_) | Way::Vendor | Way::Plain(_) => {}
                    }
                }
                let (misses, _) = tape.misses();
                let nearest = misses.into_iter().filter_map(|miss| miss.nearest).next();
                let (nearest, difference) = nearest.unzip();
                let value = json!({"mock": "the cassette has no such request", "nearest": nearest, "difference": difference});
                (answer(404, &value), "not recorded".to_owned())
            }
        }
    }
}

fn answer(status: u16, value: &Value) -> Heard {
    Heard {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: Bytes::from(value.to_string()),
    }
}

#[cfg(test)]
mod tests;
