//! The road on which a connector meets the vendor itself, or somebody who plays it, and everything is written down.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use sluice_broker::{Error, Heard, Road, Said, Way};
use url::Url;

use crate::cassette::{Exchange, MAX_EXCHANGES};

/// Who plays the vendor.
#[derive(Debug, Clone, Default)]
pub struct Stage {
    /// By host; the empty name is every host that has no other.
    pub plain: HashMap<String, SocketAddr>,
}

#[derive(Debug)]
pub(crate) struct Recorder {
    stage: Stage,
    heard: Mutex<Vec<Exchange>>,
}

/// What went wrong on the way to the vendor or at it. What policy or a limit refused is refused again when it is played.
const OF_THE_NETWORK: [&str; 6] = [
    "egress.timeout",
    "egress.dns",
    "egress.unreachable",
    "egress.tls",
    "egress.protocol",
    "egress.truncated",
];

impl Recorder {
    pub(crate) fn new(stage: Stage) -> Self {
        Self {
            stage,
            heard: Mutex::default(),
        }
    }

    /// What was heard since the last time.
    pub(crate) fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Road for Recorder {
    fn way(&self, said: &Said) -> Way {
        let url = Url::parse(&said.url).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        let plain = self.stage.plain.get(host).or_else(|| self.stage.plain.get(""));
        plain.copied().map_or(Way::Vendor, Way::Plain)
    }

    fn heard(&self, said: &Said, heard: Result<Heard, Error>) {
        let heard = match heard {
            Ok(heard) => Ok(heard),
            Err(error) if OF_THE_NETWORK.contains(&error.code()) => Err(error.code().to_owned()),
            Err(_) => return,
        };
        let mut all = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MAX_EXCHANGES {
            all.push(Exchange::of(said, heard));
        }
    }

    fn repeats(&self) -> bool {
        true
    }
}
