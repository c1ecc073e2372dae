//! What is seen of rights while they are used, and what is taken from them meanwhile.
//!
//! Who is involved: the service makes one watch for an install; every call of it shares it through its rights; the broker's
//! question, for each request and each redirect, is where it is read and written. What must always hold: a right that is
//! withdrawn is gone at the next question, and does not come back to calls that are under way: requests, and room in the connection's
//! storage and for its files. Deliberately absent: the limits of a call, which it keeps until its end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::Value;

use super::Grant;
use crate::capability::{EgressRule, MethodSet, Target};

/// Hosts that are noted for a rule with a wildcard; more are as good as any.
pub(super) const MAX_HOSTS: usize = 32;

/// The watch over an install's rights. Clones share it.
#[derive(Clone)]
pub struct Watch {
    shared: Arc<Shared>,
    /// What fills `${config.key}` in, for rules that are withdrawn later.
    config: Option<Arc<Value>>,
}

struct Shared {
    /// The methods that were used, for each rule that the manifest asks for.
    methods: Vec<AtomicU8>,
    hosts: Mutex<BTreeMap<usize, BTreeSet<String>>>,
    /// What of it was told already.
    told: Mutex<Used>,
    withdrew: AtomicBool,
    /// A request has to fit one rule of each list.
    left: RwLock<Vec<Vec<EgressRule>>>,
    room: Room,
}

/// The bytes that are left of what a connection may keep; what was not withdrawn is as good as endless.
struct Room {
    storage: AtomicU64,
    files: AtomicU64,
    file: AtomicU64,
}

impl Default for Room {
    fn default() -> Self {
        let endless = || AtomicU64::new(u64::MAX);
        Self {
            storage: endless(),
            files: endless(),
            file: endless(),
        }
    }
}

/// Which of the rules that a manifest asks for were used, by their places in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// The methods.
    #[serde(default)]
    pub rules: BTreeMap<usize, MethodSet>,
    /// The hosts, for rules with a wildcard; at most 32.
    #[serde(default)]
    pub hosts: BTreeMap<usize, BTreeSet<String>>,
}

impl Used {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rules: BTreeMap::new(),
            hosts: BTreeMap::new(),
        }
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.hosts.is_empty()
    }

    /// Adds what else was used. Hosts beyond 32 are left out.
    pub fn add(&mut self, other: Self) {
        for (place, methods) in other.rules {
            let own = self.rules.entry(place).or_default();
            *own = own.with(methods);
        }
        for (place, hosts) in other.hosts {
            let own = self.hosts.entry(place).or_default();
            for host in hosts {
                if own.len() < MAX_HOSTS {
                    own.insert(host);
                }
            }
        }
    }
}

impl Watch {
    pub(super) fn new(rules: usize) -> Self {
        let shared = Shared {
            methods: std::iter::repeat_with(AtomicU8::default).take(rules).collect(),
            hosts: Mutex::default(),
            told: Mutex::default(),
            withdrew: AtomicBool::default(),
            left: RwLock::default(),
            room: Room::default(),
        };
        Self {
            shared: Arc::new(shared),
            config: None,
        }
    }

    /// The same for a connection with this configuration.
    pub(super) fn of(&self, config: &Value) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            config: Some(Arc::new(config.clone())),
        }
    }

    /// Leaves only what this grant has as well, from the next question on, to whoever shares this watch.
    pub fn withdraw(&self, left: &Grant) {
        let room = &self.shared.room;
        room.storage.fetch_min(left.storage_bytes, Ordering::AcqRel);
        room.files.fetch_min(left.files_bytes, Ordering::AcqRel);
        room.file.fetch_min(left.file_bytes, Ordering::AcqRel);
        let mut lists = self.shared.left.write().unwrap_or_else(PoisonError::into_inner);
        // A list for each withdrawal; the oldest are contained in what was left of them after so many.
        if lists.len() < MAX_WITHDRAWALS {
            lists.push(left.egress.clone());
        } else {
            lists.push(Vec::new());
        }
        self.shared.withdrew.store(true, Ordering::Release);
    }

    /// What is left of the room for storage, for files together, and for one file, in bytes.
    pub(super) fn room(&self) -> (u64, u64, u64) {
        let Room { storage, files, file } = &self.shared.room;
        let of = |left: &AtomicU64| left.load(Ordering::Acquire);
        (of(storage), of(files), of(file))
    }

    /// Whether what was withdrawn has the request.
    pub(super) fn withdrew(&self, target: &Target<'_>) -> bool {
        if !self.shared.withdrew.load(Ordering::Acquire) {
            return false;
        }
        let config = self.config.as_deref().unwrap_or(&Value::Null);
        let permits = |rule: &EgressRule| rule.expand(config).is_ok_and(|rule| rule.permits(target));
        let lists = self.shared.left.read().unwrap_or_else(PoisonError::into_inner);
        lists.iter().any(|rules| !rules.iter().any(permits))
    }

    /// Notes that the rule at this place was used; of a wide one, also for which host.
    pub(super) fn note(&self, place: usize, target: &Target<'_>, wide: bool) {
        let Some(methods) = self.shared.methods.get(place) else {
            return;
        };
        let method = MethodSet::of(&[target.method]).unwrap_or(MethodSet::EMPTY);
        methods.fetch_or(method.bits(), Ordering::Relaxed);
        if !wide {
            return;
        }
        let mut hosts = self.shared.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let own = hosts.entry(place).or_default();
        if own.len() < MAX_HOSTS && !own.contains(target.host) {
            own.insert(target.host.to_owned());
        }
    }

    /// What was used and was not taken before.
    #[must_use]
    pub fn take(&self) -> Used {
        let mut told = self.shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = Used::default();
        for (place, methods) in self.shared.methods.iter().enumerate() {
            let now = MethodSet::from_bits(methods.load(Ordering::Relaxed));
            let before = told.rules.get(&place).copied().unwrap_or_default();
            if !before.covers(now) {
                fresh.rules.insert(place, now);
            }
        }
        let hosts = self.shared.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, seen) in hosts.iter() {
            let before = told.hosts.get(place);
            let new: BTreeSet<String> = seen
                .iter()
                .filter(|host| !before.is_some_and(|before| before.contains(*host)))
                .cloned()
                .collect();
            if !new.is_empty() {
                fresh.hosts.insert(*place, new);
            }
        }
        drop(hosts);
        told.add(fresh.clone());
        fresh
    }

    /// Another day begins: what was used since the last one began is told again, and what is used from now on.
    #[must_use]
    pub fn begin(&self) -> Used {
        *self.shared.told.lock().unwrap_or_else(PoisonError::into_inner) = Used::default();
        let used = self.take();
        for methods in &self.shared.methods {
            methods.store(0, Ordering::Relaxed);
        }
        let hosts = &self.shared.hosts;
        hosts.lock().unwrap_or_else(PoisonError::into_inner).clear();
        used
    }
}

/// Withdrawals while one install is loaded; after so many, nothing is left to calls of before.
const MAX_WITHDRAWALS: usize = 64;

/// The same watch, and not one that has seen the same.
impl PartialEq for Watch {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Watch {}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
