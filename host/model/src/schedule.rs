//! Retry schedules: exponential backoff with jitter, clamped waits.
