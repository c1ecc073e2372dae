//! Time, memory, host calls, handles, slots: each limit has a guest that it stops.

use std::time::Duration;

use sluice_runtime::{CallError, Compiler, Config, Outcome, Runtime};

use crate::support::{Making, guest, runtime_with, shared};

async fn stopped(word: &str, change: impl FnOnce(&mut Making)) -> Outcome<sluice_runtime::Account> {
    let (runtime, connector) = shared().await;
    let mut making = Making::new(&connector, word);
    change(&mut making);
    runtime.check(making.call()).await
}

fn short(making: &mut Making) {
    making.limits.call_time = Duration::from_millis(50);
}

#[tokio::test]
async fn a_loop_ends_at_its_deadline() {
    let error = stopped("loop", short).await.result.unwrap_err();
    assert_eq!(error, CallError::Deadline { limit_ms: 50 });
}

#[tokio::test]
async fn a_sleeper_ends_at_its_deadline() {
    let error = stopped("sleep", short).await.result.unwrap_err();
    assert_eq!(error, CallError::Deadline { limit_ms: 50 });
}

/// One thread, and a guest that never waits: others still get it.
#[tokio::test(flavor = "current_thread")]
async fn a_loop_gives_its_thread_back() {
    let (runtime, connector) = shared().await;
    let making = Making::new(&connector, "loop");
    let cancel = making.cancel.clone();
    let looping = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.check(making.call()).await }
    });
    tokio::task::yield_now().await;
    let mut neighbour = Making::new(&connector, "hello");
    neighbour.org = 2;
    runtime.check(neighbour.call()).await.result.unwrap().unwrap();
    assert!(!looping.is_finished());
    cancel.cancel();
    assert_eq!(looping.await.unwrap().result.unwrap_err(), CallError::Cancelled);
}

#[tokio::test]
async fn cancelling_ends_a_loop_and_a_sleeper() {
    for word in ["loop", "sleep"] {
        let (runtime, connector) = shared().await;
        let making = Making::new(&connector, word);
        let cancel = making.cancel.clone();
        let running = tokio::spawn(async move { runtime.check(making.call()).await });
        tokio::task::yield_now().await;
        cancel.cancel();
        assert_eq!(running.await.unwrap().result.unwrap_err(), CallError::Cancelled);
    }
}

#[tokio::test]
async fn memory_is_limited() {
    let outcome = stopped("grow", |making| making.limits.memory_bytes = 8 << 20).await;
    assert_eq!(
        outcome.result.unwrap_err(),
        CallError::Memory { limit_bytes: 8 << 20 }
    );
    assert!(outcome.effects.used.memory_bytes <= 8 << 20);
    // Less than the component begins with.
    let outcome = stopped("hello", |making| making.limits.memory_bytes = 64 << 10).await;
    assert_eq!(outcome.result.unwrap_err().code(), "guest.memory");
}

#[tokio::test]
async fn tables_are_limited() {
    let outcome = stopped("hello", |making| making.limits.table_elements = 1).await;
    assert_eq!(
        outcome.result.unwrap_err(),
        CallError::Budget {
            what: "table elements",
            limit: 1
        }
    );
}

#[tokio::test]
async fn host_calls_are_limited() {
    for word in ["calls", "wasi-calls"] {
        let outcome = stopped(word, |making| making.limits.host_calls = 1000).await;
        assert_eq!(
            outcome.result.unwrap_err(),
            CallError::Budget {
                what: "host calls",
                limit: 1000
            },
            "{word}"
        );
        assert!(outcome.effects.used.host_calls > 1000);
    }
}

#[tokio::test]
async fn handles_are_limited() {
    let error = stopped("handles", |_| ()).await.result.unwrap_err();
    assert_eq!(
        error,
        CallError::Budget {
            what: "resources of the host",
            limit: 1024
        }
    );
}

#[tokio::test]
async fn a_panic_tells_where() {
    let outcome = stopped("panic", |_| ()).await;
    let CallError::Trap { message, symbols } = outcome.result.unwrap_err() else {
        panic!()
    };
    assert_eq!(message, "panicked at src/lib.rs:47:9: boom of the guest");
    assert!(
        symbols.iter().any(|symbol| symbol.contains("deep_inside")),
        "{symbols:?}"
    );
    let said: Vec<_> = outcome
        .effects
        .logs
        .iter()
        .map(|line| line.message.as_str())
        .collect();
    assert!(
        said.iter().any(|line| line.contains("boom of the guest")),
        "{said:?}"
    );
}

#[tokio::test]
async fn recursion_ends() {
    let error = stopped("recurse", |_| ()).await.result.unwrap_err();
    // A Rust guest's frames lie in its own memory; which of the two stacks ends first depends on their size.
    let ends = ["stack", "out of bounds memory access"];
    assert!(ends.iter().any(|end| error.to_string().contains(end)), "{error}");
}

#[tokio::test]
async fn exit_is_a_crash() {
    let error = stopped("exit", |_| ()).await.result.unwrap_err();
    assert!(
        matches!(&error, CallError::Trap { message, .. } if message.contains("exited")),
        "{error}"
    );
}

/// Half of the slots, and then no more for this organization; another one is served.
#[tokio::test]
async fn one_organization_does_not_take_all_slots() {
    let config = Config {
        compiler: Compiler::InProcess,
        slots: 4,
        slot_wait: Duration::from_millis(20),
        ..Config::default()
    };
    let runtime = runtime_with(config);
    let connector = runtime.load(guest(), &Runtime::digest(guest())).await.unwrap();
    let mut sleepers = Vec::new();
    for _ in 0..2 {
        let making = Making::new(&connector, "sleep");
        let cancel = making.cancel.clone();
        let runtime = runtime.clone();
        sleepers.push((
            cancel,
            tokio::spawn(async move { runtime.check(making.call()).await }),
        ));
    }
    tokio::task::yield_now().await;
    let refused = runtime.check(Making::new(&connector, "hello").call()).await;
    assert_eq!(refused.result.unwrap_err(), CallError::Saturated);
    let mut neighbour = Making::new(&connector, "hello");
    neighbour.org = 2;
    runtime.check(neighbour.call()).await.result.unwrap().unwrap();
    for (cancel, sleeper) in sleepers {
        cancel.cancel();
        assert_eq!(sleeper.await.unwrap().result.unwrap_err(), CallError::Cancelled);
    }
    runtime
        .check(Making::new(&connector, "hello").call())
        .await
        .result
        .unwrap()
        .unwrap();
}

/// A dropped call leaves its slot and its instance behind, free.
#[tokio::test]
async fn a_dropped_call_frees_its_slot() {
    let runtime = runtime_with(Config {
        compiler: Compiler::InProcess,
        slots: 1,
        ..Config::default()
    });
    let connector = runtime.load(guest(), &Runtime::digest(guest())).await.unwrap();
    for word in ["loop", "sleep", "loop", "sleep"] {
        let call = Making::new(&connector, word).call();
        let running = tokio::time::timeout(Duration::from_millis(30), runtime.check(call));
        assert!(running.await.is_err());
    }
    runtime
        .check(Making::new(&connector, "hello").call())
        .await
        .result
        .unwrap()
        .unwrap();
}
