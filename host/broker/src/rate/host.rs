//! What one holder of budgets was told by one host: the budgets that count for everything there, those that count for a
//! part (GitHub's `search` beside its `core`), and which part a request is counted in.
//!
//! Which part that is, is known beforehand from a hint's path, or learned: the part that was last named for requests whose
//! paths begin alike. So a used up part closes itself and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::stated::{Reach, Stated};
use super::window::{Room, Window};
use crate::allowance::Allowance;

/// Parts of one host. GitHub has about ten.
const MAX_PARTS: usize = 16;
/// Beginnings of paths of which it is known where they are counted.
const MAX_ROUTES: usize = 32;
/// Windows of one budget.
const MAX_WINDOWS: usize = 8;
/// Bytes of a path's first segment.
const MAX_SEGMENT_BYTES: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Host {
    whole: Bucket,
    parts: Vec<(String, Bucket)>,
    /// From the beginning of a path to a part; the oldest first.
    routes: Vec<(String, String)>,
}

#[derive(Debug, Default)]
struct Bucket {
    /// Until when the vendor wants to be left alone.
    closed: Option<Instant>,
    windows: Vec<Window>,
    flying: Arc<Flying>,
    told: Option<Instant>,
}

/// How many requests are under way whose answers will tell of a budget.
#[derive(Debug, Default)]
pub(super) struct Flying {
    count: AtomicU64,
    landed: Notify,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Flight(Arc<Flying>);

/// At most one for the host and two for its parts.
pub(super) type Flights = [Option<Flight>; 3];

/// How a request is told from others of its host before its answer says where it was counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route<'a> {
    /// The path of its hint.
    pub(super) declared: Option<&'a str>,
    pub(super) path: &'a str,
}

/// Whether a request may go.
#[derive(Debug)]
pub(super) enum Leave {
    Go(Flights),
    /// What is left is taken by requests that are under way.
    After(Arc<Flying>, Duration),
    Closed(Duration),
}

impl Route<'_> {
    fn key(&self) -> &str {
        if let Some(declared) = self.declared {
            return declared;
        }
        let segment = self.path.split('/').nth(1).unwrap_or_default();
        if segment.len() > MAX_SEGMENT_BYTES {
            ""
        } else {
            segment
        }
    }
}

impl Host {
    /// How long nothing may go that way.
    pub(super) fn closed(&self, route: Route<'_>, now: Instant, shared: bool) -> Option<Duration> {
        let buckets = self.buckets(self.parts_of(route));
        let room = buckets.fold(Room::Free, |room, bucket| room.and(bucket.room(now, shared)));
        match room {
            Room::Closed(after) => Some(after),
            Room::Free | Room::Taken(_) => None,
        }
    }

    /// Lets one go if there is room for it, and counts it.
    pub(super) fn leave(&mut self, route: Route<'_>, now: Instant, shared: bool) -> Leave {
        let parts = self.parts_of(route);
        let mut taken = None;
        let mut closed = None;
        for bucket in self.buckets(parts) {
            match bucket.room(now, shared) {
                Room::Free => {}
                Room::Taken(time) => taken = Some((&bucket.flying, time)),
                Room::Closed(after) => closed = closed.max(Some(after)),
            }
        }
        if let Some(after) = closed {
            return Leave::Closed(after);
        }
        if let Some((flying, time)) = taken {
            return Leave::After(Arc::clone(flying), time);
        }
        let mut flights = Flights::default();
        for (flight, bucket) in flights.iter_mut().zip(self.buckets(parts)) {
            *flight = Some(Flight::new(&bucket.flying));
        }
        self.whole.windows.iter_mut().for_each(Window::take);
        for at in parts.into_iter().flatten() {
            if let Some((_, bucket)) = self.parts.get_mut(at) {
                bucket.windows.iter_mut().for_each(Window::take);
            }
        }
        Leave::Go(flights)
    }

    /// Takes what an answer says about the budgets.
    pub(super) fn tell(&mut self, route: Route<'_>, stated: Stated<'_>, now: Instant) {
        if let Some(resource) = stated.resource {
            self.learn(route.key(), resource);
        }
        let name = stated.resource.or(route.declared);
        if !stated.readings.is_empty() {
            let bucket = self.bucket(name, now);
            for reading in stated.readings {
                bucket.tell(reading, now);
            }
        }
        if let Some(wait) = stated.wait {
            let name = name.filter(|_| wait.reach == Reach::Bucket);
            self.bucket(name, now).closed = Some(now + wait.after);
        }
    }

    /// Whether nothing is lost if it is forgotten.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        let mut buckets = self.parts.iter().map(|(_, bucket)| bucket);
        self.whole.is_idle(now) && buckets.all(|bucket| bucket.is_idle(now))
    }

    pub(super) fn allowances(&self, host: &str, now: Instant) -> Vec<Allowance> {
        let parts = self.parts.iter().map(|(name, bucket)| (name.as_str(), bucket));
        let buckets = std::iter::once(("", &self.whole)).chain(parts);
        buckets
            .flat_map(|(name, bucket)| bucket.allowances(host, name, now))
            .collect()
    }

    /// The whole and these parts.
    fn buckets(&self, parts: [Option<usize>; 2]) -> impl Iterator<Item = &Bucket> {
        let parts = parts.into_iter().flatten().filter_map(|at| self.parts.get(at));
        std::iter::once(&self.whole).chain(parts.map(|(_, bucket)| bucket))
    }

    /// The parts that a request is counted in: what its hint says, and what was learned.
    fn parts_of(&self, route: Route<'_>) -> [Option<usize>; 2] {
        if self.parts.is_empty() {
            return [None; 2];
        }
        let place = |name: &str| self.parts.iter().position(|(known, _)| known == name);
        let key = route.key();
        let learned = self.routes.iter().find(|(known, _)| known == key);
        let learned = learned.and_then(|(_, part)| place(part));
        let declared = route.declared.and_then(place);
        [declared.filter(|_| declared != learned), learned]
    }

    fn learn(&mut self, key: &str, part: &str) {
        if let Some((_, known)) = self.routes.iter_mut().find(|(known, _)| known == key) {
            if known != part {
                part.clone_into(known);
            }
            return;
        }
        if self.routes.len() >= MAX_ROUTES {
            self.routes.remove(0);
        }
        self.routes.push((key.to_owned(), part.to_owned()));
    }

    /// The named part, or the whole; a new part takes the place of the one that was not told of for longest.
    fn bucket(&mut self, name: Option<&str>, now: Instant) -> &mut Bucket {
        let Some(name) = name else { return &mut self.whole };
        let at = self.parts.iter().position(|(known, _)| known == name);
        if at.is_none() {
            if self.parts.len() >= MAX_PARTS {
                let oldest = self.parts.iter().enumerate();
                let oldest = oldest.min_by_key(|(_, (_, bucket))| bucket.told);
                if let Some(at) = oldest.map(|(at, _)| at) {
                    self.parts.remove(at);
                }
            }
            self.parts.push((name.to_owned(), Bucket::default()));
        }
        let at = at.unwrap_or(self.parts.len().saturating_sub(1));
        let Some((_, bucket)) = self.parts.get_mut(at) else {
            return &mut self.whole;
        };
        bucket.told = Some(now);
        bucket
    }
}

impl Bucket {
    fn room(&self, now: Instant, shared: bool) -> Room {
        let flying = self.flying.count.load(Ordering::Relaxed);
        let closed = self.closed.filter(|until| *until > now);
        let closed = closed.map_or(Room::Free, |until| Room::Closed(until - now));
        self.windows
            .iter()
            .fold(closed, |room, window| room.and(window.room(now, flying, shared)))
    }

    fn tell(&mut self, reading: super::stated::Reading, now: Instant) {
        if let Some(window) = self.windows.iter_mut().find(|window| window.name == reading.name) {
            window.tell(reading, now);
            return;
        }
        if self.windows.len() >= MAX_WINDOWS {
            self.windows.retain(|window| window.ends() > now);
        }
        if self.windows.len() < MAX_WINDOWS {
            self.windows.push(Window::new(reading, now));
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.closed.is_none_or(|until| until <= now)
            && self.windows.iter().all(|window| window.ends() <= now)
            && Arc::strong_count(&self.flying) == 1
    }

    fn allowances(&self, host: &str, bucket: &str, now: Instant) -> Vec<Allowance> {
        let of = |window: &str| Allowance {
            host: host.to_owned(),
            bucket: bucket.to_owned(),
            window: window.to_owned(),
            ..Allowance::default()
        };
        let windows = self.windows.iter().filter(|window| window.ends() > now);
        let mut all: Vec<Allowance> = windows
            .map(|window| Allowance {
                limit: window.limit,
                remaining: Some(window.remaining(now)),
                resets_in: Some(window.ends() - now),
                ..of(&window.name)
            })
            .collect();
        if let Some(until) = self.closed.filter(|until| *until > now) {
            all.push(Allowance {
                closed_for: Some(until - now),
                ..of("")
            });
        }
        all
    }
}

impl Flying {
    /// Resolves when one has come back. Cancel-safe.
    pub(super) async fn landed(&self) {
        self.landed.notified().await;
    }

    /// Lets the next one look that waits.
    pub(super) fn next(&self) {
        self.landed.notify_one();
    }
}

impl Flight {
    fn new(flying: &Arc<Flying>) -> Self {
        flying.count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(flying))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
        self.0.next();
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::rate::stated::{Reading, Renews, Wait};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn told(resource: &str, remaining: u64) -> Stated<'_> {
        Stated {
            resource: Some(resource).filter(|resource| !resource.is_empty()),
            readings: vec![Reading {
                name: Cow::Borrowed(""),
                limit: Some(60),
                remaining,
                renews: Renews::Whole(HOUR),
            }],
            ..Stated::default()
        }
    }

    const fn at(path: &str) -> Route<'_> {
        Route { declared: None, path }
    }

    #[tokio::test(start_paused = true)]
    async fn a_used_up_part_closes_itself() {
        let now = Instant::now();
        let mut host = Host::default();
        host.tell(at("/search/code"), told("search", 0), now);
        host.tell(at("/repos/a/b"), told("core", 9), now);
        let closed = |host: &Host, path| host.closed(at(path), now, false);
        assert_eq!(closed(&host, "/search/issues"), Some(HOUR));
        assert_eq!(closed(&host, "/repos/a/b"), None);
        assert_eq!(
            closed(&host, "/graphql"),
            None,
            "nobody said where that is counted"
        );
        let declared = Route {
            declared: Some("/search/code"),
            path: "/search/code",
        };
        assert_eq!(host.closed(declared, now, false), None, "a hint of its own");
        host.tell(declared, told("", 0), now);
        assert_eq!(host.closed(declared, now, false), Some(HOUR));
        host.tell(at("/repos/a/b"), told("", 0), now);
        assert_eq!(closed(&host, "/graphql"), Some(HOUR), "the whole host");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_about_a_part_or_about_all() {
        let now = Instant::now();
        let mut host = Host::default();
        let mut wait = |resource: &str, reach, path| {
            let stated = Stated {
                wait: Some(Wait { after: HOUR, reach }),
                ..told(resource, 5)
            };
            host.tell(at(path), stated, now);
            ["/search", "/repos"].map(|path| host.closed(at(path), now, false).is_some())
        };
        assert_eq!(wait("core", Reach::Bucket, "/repos"), [false, true]);
        assert_eq!(wait("core", Reach::Host, "/repos"), [true, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_is_counted() {
        let now = Instant::now();
        let mut host = Host::default();
        host.tell(at("/"), told("", 2), now);
        let mut held = Vec::new();
        for _ in 0..2 {
            let Leave::Go(flights) = host.leave(at("/"), now, false) else {
                panic!()
            };
            held.push(flights);
        }
        assert!(!host.is_idle(now + HOUR));
        let Leave::After(flying, _) = host.leave(at("/"), now, false) else {
            panic!()
        };
        held.pop();
        flying.landed().await;
        assert!(matches!(host.leave(at("/"), now, false), Leave::Go(_)));
        held.clear();
        drop(flying);
        assert!(host.is_idle(now + HOUR));
    }

    #[tokio::test(start_paused = true)]
    async fn a_vendor_that_names_for_ever_is_bounded() {
        let now = Instant::now();
        let mut host = Host::default();
        for number in 0..1_000 {
            let (name, path) = (format!("part-{number}"), format!("/{number}/x"));
            let mut stated = told(&name, 0);
            stated.readings.extend((0..20).map(|window| Reading {
                name: Cow::Owned(format!("{window}")),
                ..told("", 3).readings.remove(0)
            }));
            host.tell(at(&path), stated, now);
        }
        assert_eq!((host.parts.len(), host.routes.len()), (MAX_PARTS, MAX_ROUTES));
        assert!(
            host.parts
                .iter()
                .all(|(_, bucket)| bucket.windows.len() <= MAX_WINDOWS)
        );
        assert_eq!(host.closed(at("/999/y"), now, false), Some(HOUR));
        assert_eq!(host.closed(at("/0/y"), now, false), None, "forgotten");
    }
}
