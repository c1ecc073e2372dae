//! Connections that wait for their next exchange. The key names the tenant and the credential, so no two tenants ever
//! share one; a connection whose response was not read to its end never comes back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use sluice_model::capability::Scheme;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::caller::Owner;
use crate::wire::Outgoing;

/// Whose connection it is and where it leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) owner: Owner,
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) credential: Option<String>,
    /// The digest of a client certificate and its key: what a handshake proved holds for its connection only.
    pub(crate) identity: Option<[u8; 32]>,
}

/// One connection, or for HTTP/2 one handle of it.
pub(crate) struct Link {
    pub(crate) sender: Sender,
    /// The vetted address that it was dialled at.
    pub(crate) address: SocketAddr,
    made: Instant,
    _driver: Arc<Driver>,
}

pub(crate) enum Sender {
    One(http1::SendRequest<Outgoing>),
    Two(http2::SendRequest<Outgoing>),
}

/// The task that moves the bytes. It ends with the last handle, and the socket with it.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    pub(crate) fn new(sender: Sender, address: SocketAddr, driver: JoinHandle<()>) -> Self {
        Self {
            sender,
            address,
            made: Instant::now(),
            _driver: Arc::new(Driver(driver)),
        }
    }

    /// Another handle, where the protocol carries several exchanges at once.
    pub(crate) fn share(&self) -> Option<Self> {
        let Sender::Two(sender) = &self.sender else {
            return None;
        };
        let sender = Sender::Two(sender.clone());
        Some(Self {
            sender,
            address: self.address,
            made: self.made,
            _driver: Arc::clone(&self._driver),
        })
    }

    fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => sender.is_closed(),
            Sender::Two(sender) => sender.is_closed(),
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
pub(crate) struct Pool {
    idle: Arc<Mutex<Idle>>,
    cap: usize,
    idle_timeout: Duration,
    max_age: Duration,
}

#[derive(Default)]
struct Idle {
    links: HashMap<Key, Vec<(Instant, Link)>>,
    count: usize,
    swept: bool,
}

impl Pool {
    pub(crate) fn new(cap: usize, idle_timeout: Duration, max_age: Duration) -> Self {
        Self {
            idle: Arc::default(),
            cap,
            idle_timeout,
            max_age,
        }
    }

    /// A connection for `key` that is still good as far as is known.
    pub(crate) fn checkout(&self, key: &Key) -> Option<Link> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (since, link) = idle.pop(key)?;
            if self.is_stale(since, &link) {
                continue;
            }
            if let Some(shared) = link.share() {
                idle.push(key, link);
                return Some(shared);
            }
            return Some(link);
        }
    }

    /// Keeps `link` for later; the oldest goes when there are too many.
    pub(crate) fn checkin(&self, key: &Key, link: Link) {
        if self.cap == 0 || self.is_stale(Instant::now(), &link) {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = matches!(link.sender, Sender::Two(_));
        if shared
            && let Some(known) = idle.links.get_mut(key).and_then(|links| links.last_mut())
            && matches!(known.1.sender, Sender::Two(_))
            && !known.1.is_closed()
        {
            // One handle is enough; it has just been used.
            known.0 = Instant::now();
            return;
        }
        while idle.count >= self.cap && idle.drop_oldest() {}
        idle.push(key, link);
        if !std::mem::replace(&mut idle.swept, true) {
            drop(tokio::spawn(sweep(
                Arc::downgrade(&self.idle),
                (self.idle_timeout, self.max_age),
            )));
        }
    }

    fn is_stale(&self, since: Instant, link: &Link) -> bool {
        is_stale(since, link, (self.idle_timeout, self.max_age))
    }
}

fn is_stale(since: Instant, link: &Link, (idle_timeout, max_age): (Duration, Duration)) -> bool {
    link.is_closed() || since.elapsed() >= idle_timeout || link.made.elapsed() >= max_age
}

/// Closes what nobody came back for. Ends when nothing is left or the broker is gone.
async fn sweep(idle: Weak<Mutex<Idle>>, times: (Duration, Duration)) {
    loop {
        tokio::time::sleep(times.0.max(Duration::from_millis(10))).await;
        let Some(idle) = idle.upgrade() else { return };
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.links.retain(|_, links| {
            links.retain(|(since, link)| !is_stale(*since, link, times));
            !links.is_empty()
        });
        idle.count = idle.links.values().map(Vec::len).sum();
        if idle.count == 0 {
            idle.swept = false;
            return;
        }
    }
}

impl Idle {
    fn pop(&mut self, key: &Key) -> Option<(Instant, Link)> {
        let links = self.links.get_mut(key)?;
        let found = links.pop();
        if links.is_empty() {
            self.links.remove(key);
        }
        self.count -= usize::from(found.is_some());
        found
    }

    fn push(&mut self, key: &Key, link: Link) {
        self.links
            .entry(key.clone())
            .or_default()
            .push((Instant::now(), link));
        self.count += 1;
    }

    fn drop_oldest(&mut self) -> bool {
        let oldest = self
            .links
            .iter()
            .filter_map(|(key, links)| links.first().map(|(since, _)| (*since, key)));
        let Some(key) = oldest.min_by_key(|(since, _)| *since).map(|(_, key)| key.clone()) else {
            return false;
        };
        if let Some(links) = self.links.get_mut(&key) {
            links.remove(0);
            self.count -= 1;
            if links.is_empty() {
                self.links.remove(&key);
            }
        }
        true
    }
}
