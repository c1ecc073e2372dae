//! Deciding on a request allocates nothing (the bar of `bench/` for the policy check), counted by the allocator itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sluice_model::capability::{EgressRule, HostPattern, MethodSet, PathPattern, Scheme, Target};
use sluice_model::grant::{Ceiling, Grant, Rights};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe by its trait; this one only counts"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn permitting_allocates_nothing() {
    let rule = |host: &str, path: &str| EgressRule {
        scheme: Scheme::Https,
        host: HostPattern::parse(host).unwrap(),
        port: 443,
        methods: MethodSet::of(&["GET", "POST"]).unwrap(),
        path: PathPattern::parse(path).unwrap(),
        optional: false,
        reason: None,
    };
    let paths = [
        "/user",
        "/repos/*/*/issues",
        "/repos/*/*/commits/**",
        "/**/x*y/**/z",
        "/repos/**",
    ];
    let egress: Vec<_> = paths
        .iter()
        .flat_map(|path| [rule("api.github.com", path), rule("*.github.com", path)])
        .collect();
    let grant = Grant {
        egress: egress.clone(),
        ..Grant::default()
    };
    let ceiling = Ceiling {
        egress: Some(egress),
        ..Ceiling::default()
    };
    let rights = Rights::new(&grant, &ceiling, &grant);
    let path = "/repos/octo/hello%20world/commits/6dcb09b5b57875f334f61aebed695e2e4193db5e/status";
    let target = Target {
        scheme: Scheme::Https,
        host: "api.github.com",
        port: 443,
        method: "GET",
        path,
    };
    let other = Target {
        host: "evil.example",
        ..target
    };
    let before = COUNT.with(Cell::get);
    for _ in 0..1000 {
        assert!(rights.permits(&target).is_ok());
        assert!(!grant.egress[3].permits(&other));
    }
    assert_eq!(COUNT.with(Cell::get), before);
}
