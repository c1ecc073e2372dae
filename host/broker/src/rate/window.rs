//! One window of a budget, as the vendor last told of it and as time has changed it since.

use std::borrow::Cow;
use std::time::Duration;

use sluice_model::schedule::MAX_RETRY_AFTER;
use tokio::time::Instant;

use super::stated::{Reading, Renews};

/// Resets that differ by less are the same: vendors count from now in whole seconds.
const SAME: Duration = Duration::from_secs(2);
/// An organization that uses the operator's app goes on while it has used less than so many times what is left. Alone it
/// can use four fifths of a window; of several, all that want more get the same part, and something is always left for
/// whoever comes next.
const SHARE: u64 = 4;
/// Drops that a leaky bucket is waited for.
const MAX_DROPS: u32 = 100_000;

#[derive(Debug)]
pub(super) struct Window {
    pub(super) name: Cow<'static, str>,
    pub(super) limit: Option<u64>,
    remaining: u64,
    renews: Renews,
    told: Instant,
    /// When what was told is over.
    ends: Instant,
    /// When what follows was counted from.
    since: Instant,
    /// Requests that we sent since.
    used: u64,
}

/// Whether there is room for one request more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// What is left is taken by requests that are under way; this long at most.
    Taken(Duration),
    /// Nothing is left, for so long.
    Closed(Duration),
}

impl Room {
    /// The worse of the two.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Closed(one), Self::Closed(two)) => Self::Closed(one.max(two)),
            (closed @ Self::Closed(_), _) | (_, closed @ Self::Closed(_)) => closed,
            (Self::Taken(one), Self::Taken(two)) => Self::Taken(one.max(two)),
            (taken @ Self::Taken(_), _) | (_, taken @ Self::Taken(_)) => taken,
            (Self::Free, Self::Free) => Self::Free,
        }
    }
}

impl Window {
    pub(super) fn new(reading: Reading, now: Instant) -> Self {
        let lasts = match reading.renews {
            Renews::Whole(time) | Renews::Within(time) => time,
            Renews::Each(each) => {
                let used = reading
                    .limit
                    .unwrap_or_default()
                    .saturating_sub(reading.remaining);
                each.saturating_mul(u32::try_from(used).unwrap_or(u32::MAX).clamp(1, MAX_DROPS))
            }
        };
        Self {
            name: reading.name,
            limit: reading.limit,
            remaining: reading.remaining,
            renews: reading.renews,
            told: now,
            ends: now + lasts,
            since: now,
            used: 0,
        }
    }

    /// Takes what an answer says. Answers may come in another order than they were given in: within one window only the
    /// least counts.
    pub(super) fn tell(&mut self, reading: Reading, now: Instant) {
        let next = Self::new(reading, now);
        let is_whole = matches!((self.renews, next.renews), (Renews::Whole(_), Renews::Whole(_)));
        let goes_on = match next.renews {
            Renews::Whole(_) => {
                let apart = next
                    .ends
                    .max(self.ends)
                    .saturating_duration_since(next.ends.min(self.ends));
                is_whole && self.ends > now && apart <= SAME
            }
            Renews::Within(time) => now.saturating_duration_since(self.since) < time,
            Renews::Each(_) => false,
        };
        let before = std::mem::replace(self, next);
        if !goes_on {
            return;
        }
        (self.since, self.used) = (before.since, before.used);
        if is_whole {
            // The end stays where it was first said to be, so that an end that moves along is noticed.
            self.ends = before.ends;
            self.remaining = self.remaining.min(before.remaining);
        }
    }

    /// Counts a request.
    pub(super) fn take(&mut self) {
        self.used = self.used.saturating_add(1);
    }

    pub(super) const fn ends(&self) -> Instant {
        self.ends
    }

    /// What is left as far as is known.
    pub(super) fn remaining(&self, now: Instant) -> u64 {
        let Renews::Each(each) = self.renews else {
            return self.remaining;
        };
        let back = now.saturating_duration_since(self.told).as_nanos() / each.as_nanos().max(1);
        let back = u64::try_from(back).unwrap_or(u64::MAX);
        self.remaining
            .saturating_add(back)
            .min(self.limit.unwrap_or(u64::MAX))
    }

    /// Whether one more may go while `flying` are under way. `shared`: the budget is the operator's app's.
    pub(super) fn room(&self, now: Instant, flying: u64, shared: bool) -> Room {
        let until = self.ends;
        if until <= now {
            return Room::Free;
        }
        // What was told an hour ago is not believed for ever: one request at a time finds out.
        let believed = self.told + MAX_RETRY_AFTER;
        if believed <= now {
            return if flying == 0 {
                Room::Free
            } else {
                Room::Taken(until - now)
            };
        }
        let closed = until.min(believed) - now;
        let remaining = self.remaining(now);
        if remaining == 0 {
            return Room::Closed(match self.renews {
                Renews::Each(each) => each.saturating_sub(now - self.told).max(Duration::from_millis(1)),
                _ => closed,
            });
        }
        if shared && self.used >= remaining.saturating_mul(SHARE) {
            return Room::Closed(closed);
        }
        if flying >= remaining {
            return Room::Taken(closed);
        }
        Room::Free
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;

    fn reading(remaining: u64, renews: Renews) -> Reading {
        Reading {
            name: Cow::Borrowed(""),
            limit: Some(100),
            remaining,
            renews,
        }
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn whole_windows() {
        let now = Instant::now();
        let mut window = Window::new(reading(2, Renews::Whole(seconds(60))), now);
        assert_eq!(window.room(now, 1, false), Room::Free);
        assert_eq!(window.room(now, 2, false), Room::Taken(seconds(60)));
        window.tell(reading(0, Renews::Whole(seconds(61))), now);
        assert_eq!(window.room(now, 0, false), Room::Closed(seconds(60)));
        window.tell(reading(1, Renews::Whole(seconds(60))), now);
        assert_eq!(window.remaining(now), 0, "an older answer that came later");
        window.tell(reading(100, Renews::Whole(seconds(90))), now);
        assert_eq!(window.remaining(now), 100, "a new window");
        window.tell(reading(0, Renews::Whole(seconds(20_000))), now);
        assert_eq!(window.room(now, 0, false), Room::Closed(MAX_RETRY_AFTER));
        advance(MAX_RETRY_AFTER).await;
        let now = Instant::now();
        assert_eq!(window.room(now, 0, false), Room::Free, "one finds out");
        assert!(matches!(window.room(now, 1, false), Room::Taken(_)));
        advance(seconds(20_000)).await;
        assert_eq!(window.room(Instant::now(), 50, false), Room::Free);
    }

    #[tokio::test(start_paused = true)]
    async fn a_leaky_bucket_comes_back_bit_by_bit() {
        let half = Duration::from_millis(500);
        let window = Window::new(reading(0, Renews::Each(half)), Instant::now());
        assert_eq!(window.room(Instant::now(), 0, false), Room::Closed(half));
        advance(half).await;
        assert_eq!(window.room(Instant::now(), 0, false), Room::Free);
        assert!(matches!(window.room(Instant::now(), 1, false), Room::Taken(_)));
        advance(half * 98).await;
        assert_eq!(window.remaining(Instant::now()), 99);
        advance(half).await;
        assert_eq!(window.room(Instant::now(), 500, false), Room::Free);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rolling_window_is_what_it_was_last_said_to_be() {
        let now = Instant::now();
        let mut window = Window::new(reading(3, Renews::Within(seconds(10))), now);
        window.tell(reading(0, Renews::Within(seconds(10))), now);
        assert_eq!(window.room(now, 0, false), Room::Closed(seconds(10)));
        window.tell(reading(5, Renews::Within(seconds(10))), now);
        assert_eq!(window.room(now, 0, false), Room::Free);
    }

    proptest! {
        /// However many organizations take however much, each in its own order: nobody alone takes everything, whoever
        /// comes last still finds something, and those who want more than they get differ by one at most.
        #[test]
        fn shares_are_fair(limit in 50_u64..5_000, orgs in 1_usize..6, last in any::<bool>()) {
            let now = Instant::now();
            let window = || Window::new(reading(limit, Renews::Whole(seconds(60))), now);
            let mut windows: Vec<Window> = (0..orgs).map(|_| window()).collect();
            let mut left = limit;
            let mut try_one = |window: &mut Window| {
                window.tell(reading(left, Renews::Whole(seconds(60))), now);
                let free = window.room(now, 0, true) == Room::Free;
                if free {
                    window.take();
                    left -= 1;
                }
                free
            };
            loop {
                let mut any = false;
                for window in &mut windows {
                    any |= try_one(window);
                }
                if !any {
                    break;
                }
            }
            let used: Vec<u64> = windows.iter().map(|window| window.used).collect();
            let (least, most) = (used.iter().min().unwrap(), used.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{used:?}");
            prop_assert!(*most <= limit * 4 / 5 + 1, "{used:?} of {limit}");
            if last && limit >= 50 {
                prop_assert!(try_one(&mut window()), "a newcomer");
            }
        }
    }
}
