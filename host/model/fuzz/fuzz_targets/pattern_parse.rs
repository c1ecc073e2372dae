//! Three lines: two patterns and a path. What the first covers and the second permits, the first permits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice_model::capability::{HostPattern, PathPattern};

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let (Some(a), Some(b), Some(c)) = (lines.next(), lines.next(), lines.next()) else {
        return;
    };
    if let (Ok(a), Ok(b)) = (PathPattern::parse(a), PathPattern::parse(b)) {
        assert!(a.covers(&a) && b.covers(&b));
        if a.covers(&b) && b.matches(c) {
            assert!(a.matches(c), "{a} covers {b} but not {c}");
        }
    }
    if let (Ok(a), Ok(b)) = (HostPattern::parse(a), HostPattern::parse(b)) {
        assert_eq!(HostPattern::parse(&a.to_string()).as_ref(), Ok(&a));
        if a.covers(&b) && b.matches(c) {
            assert!(a.matches(c), "{a} covers {b} but not {c}");
        }
    }
});
