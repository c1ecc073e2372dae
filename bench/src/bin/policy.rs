//! The policy check of one request: request ∩ ceiling ∩ grant, on rights as large as GitHub's connector needs and five times as
//! large. The request that is checked matches the last rule of each set, so every rule is looked at.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement prints its numbers"
)]

use std::hint::black_box;
use std::process::ExitCode;

use sluice_bench::{Counting, per_call};
use sluice_model::capability::{
    EgressRule, HostPattern, MethodSet, PathPattern, PatternError, Scheme, Target,
};
use sluice_model::grant::{Ceiling, Grant, Rights};

#[global_allocator]
static MEMORY: Counting = Counting::new();

/// The bar of issue 2: nanoseconds, and no allocation.
const BAR_NS: f64 = 1_500.0;

const PATHS: [&str; 12] = [
    "/user",
    "/user/repos",
    "/orgs/*",
    "/orgs/*/repos",
    "/repos/*/*/releases",
    "/repos/*/*/commits",
    "/repos/*/*/pulls",
    "/repos/*/*/actions/runs",
    "/repos/*/*/deployments",
    "/repos/*/*/statuses/*",
    "/repos/*/*/hooks/**",
    "/repos/*/*/issues/**",
];

fn main() -> ExitCode {
    match measure() {
        Ok(true) => {
            eprintln!("policy check: holds (bar: {BAR_NS} ns, no allocation)");
            ExitCode::SUCCESS
        }
        Ok(false) => {
            eprintln!("policy check: does not hold (bar: {BAR_NS} ns, no allocation)");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("policy check: not measured: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures both sizes; whether the bar holds for the first, which is a real connector's. The second shows how it grows.
fn measure() -> Result<bool, PatternError> {
    let holds = check(1)?;
    check(5)?;
    Ok(holds)
}

fn check(copies: usize) -> Result<bool, PatternError> {
    let rights = rights(copies)?;
    let target = Target {
        scheme: Scheme::Https,
        host: "api.github.com",
        port: 443,
        method: "GET",
        path: "/repos/acme/web/issues/4711/comments",
    };
    assert!(
        rights.permits(&target).is_ok(),
        "the request that is measured is permitted"
    );

    let before = MEMORY.allocations();
    for _ in 0..10_000 {
        black_box(black_box(&rights).permits(black_box(&target)).is_ok());
    }
    let allocations = MEMORY.allocations() - before;
    let time = per_call(2_000, 200, || {
        black_box(black_box(&rights).permits(black_box(&target)).is_ok());
    });

    let rules = PATHS.len() * copies;
    println!(
        r#"{{"bench":"policy","rules_in_each_of_3_sets":{rules},"p50_ns":{:.1},"p99_ns":{:.1},"allocations":{allocations}}}"#,
        time.p50, time.p99
    );
    Ok(time.p50 <= BAR_NS && allocations == 0)
}

/// Rights whose three sets are equal and hold every path `copies` times, for another host each; the last is GitHub's.
fn rights(copies: usize) -> Result<Rights, PatternError> {
    let mut rules = Vec::new();
    for copy in (0..copies).rev() {
        for path in PATHS {
            rules.push(rule(copy, path)?);
        }
    }
    let grant = Grant {
        egress: rules.clone(),
        ..Grant::default()
    };
    let ceiling = Ceiling {
        egress: Some(rules),
        ..Ceiling::default()
    };
    Ok(Rights::new(&grant, &ceiling, &grant))
}

fn rule(copy: usize, path: &str) -> Result<EgressRule, PatternError> {
    let host = if copy == 0 {
        "api.github.com".to_owned()
    } else {
        format!("api{copy}.github.com")
    };
    Ok(EgressRule {
        scheme: Scheme::Https,
        host: HostPattern::parse(&host)?,
        port: 443,
        methods: MethodSet::ALL,
        path: PathPattern::parse(path)?,
        optional: false,
        reason: None,
    })
}
