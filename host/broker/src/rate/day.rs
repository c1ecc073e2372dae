//! Daily quotas that a manifest declares: a day is 24 hours that begin with the first request.

use std::time::Duration;

use sluice_model::schedule::MAX_RETRY_AFTER;
use tokio::time::Instant;

/// A day.
const DAY: Duration = Duration::from_secs(86_400);
/// As in [`window`](super::window): an organization goes on while it has used less than so many times what is left of the
/// operator's app's quota.
const SHARE: u64 = 4;

/// What was used of one day.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Day {
    ends: Option<Instant>,
    used: u64,
}

impl Day {
    /// Whether nothing is lost if it is forgotten.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.ends.is_none_or(|ends| ends <= now)
    }

    /// How long to wait for a request of a holder that has its quota for itself.
    pub(super) fn closed(&self, quota: u64, now: Instant) -> Option<Duration> {
        let ends = self.ends.filter(|ends| *ends > now)?;
        (self.used >= quota).then(|| (ends - now).min(MAX_RETRY_AFTER))
    }

    /// The same for one of several that share a quota, of which `all` was used by all together.
    pub(super) fn share_closed(&self, all: &Self, quota: u64, now: Instant) -> Option<Duration> {
        let ends = all.ends.filter(|ends| *ends > now)?;
        let left = quota.saturating_sub(all.used);
        let used = if self.ends == all.ends { self.used } else { 0 };
        (used >= left.saturating_mul(SHARE)).then(|| (ends - now).min(MAX_RETRY_AFTER))
    }

    /// Counts a request.
    pub(super) fn take(&mut self, now: Instant) {
        if self.is_over(now) {
            *self = Self {
                ends: Some(now + DAY),
                used: 0,
            };
        }
        self.used = self.used.saturating_add(1);
    }

    /// Counts a request of one of several.
    pub(super) fn take_share(&mut self, all: &mut Self, now: Instant) {
        all.take(now);
        if self.ends != all.ends {
            *self = Self {
                ends: all.ends,
                used: 0,
            };
        }
        self.used = self.used.saturating_add(1);
    }

    /// What is left, and until when.
    pub(super) fn left(&self, quota: u64, now: Instant) -> (u64, Option<Duration>) {
        match self.ends.filter(|ends| *ends > now) {
            Some(ends) => (quota.saturating_sub(self.used), Some(ends - now)),
            None => (quota, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_day_ends() {
        let mut day = Day::default();
        for _ in 0..3 {
            assert_eq!(day.closed(3, Instant::now()), None);
            day.take(Instant::now());
        }
        assert_eq!(day.closed(3, Instant::now()), Some(MAX_RETRY_AFTER));
        advance(DAY - Duration::from_secs(60)).await;
        assert_eq!(day.closed(3, Instant::now()), Some(Duration::from_secs(60)));
        assert_eq!(day.left(3, Instant::now()), (0, Some(Duration::from_secs(60))));
        advance(Duration::from_secs(60)).await;
        assert_eq!(day.closed(3, Instant::now()), None);
        assert_eq!(day.left(3, Instant::now()), (3, None));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_takes_a_shared_day() {
        let (mut all, mut greedy, mut modest) = (Day::default(), Day::default(), Day::default());
        let now = Instant::now();
        while greedy.share_closed(&all, 100, now).is_none() {
            greedy.take_share(&mut all, now);
        }
        assert_eq!(all.used, 80);
        for _ in 0..16 {
            assert_eq!(modest.share_closed(&all, 100, now), None);
            modest.take_share(&mut all, now);
        }
        assert!(modest.share_closed(&all, 100, now).is_some());
        advance(DAY).await;
        assert_eq!(greedy.share_closed(&all, 100, Instant::now()), None);
        greedy.take_share(&mut all, Instant::now());
        assert_eq!((all.used, greedy.used), (1, 1));
    }
}
