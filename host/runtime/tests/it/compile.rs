//! The compiler's child and its limits.

use std::time::Duration;

use sluice_runtime::{CompileLimits, Compiler, Config, LoadError, Runtime};

use crate::support::{Making, child, guest, runtime_with};

async fn reason(compiler: Compiler, limits: CompileLimits) -> String {
    let runtime = runtime_with(Config {
        compiler,
        compile: limits,
        slots: 1,
        ..Config::default()
    });
    match runtime.compile(guest()).await.unwrap_err() {
        LoadError::CompileFailed { reason } => reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_child_compiles_and_the_code_runs() {
    let runtime = runtime_with(Config {
        compiler: child(),
        slots: 1,
        ..Config::default()
    });
    let connector = runtime.load(guest(), &Runtime::digest(guest())).await.unwrap();
    let account = runtime
        .check(Making::new(&connector, "hello").call())
        .await
        .result
        .unwrap()
        .unwrap();
    assert_eq!(account.name, "hello");
}

#[tokio::test]
async fn memory_is_limited() {
    let limits = CompileLimits {
        memory_bytes: 64 << 20,
        ..CompileLimits::default()
    };
    // Out of memory, the child says so or dies of it.
    assert!(!reason(child(), limits).await.is_empty());
}

#[tokio::test]
async fn machine_code_is_limited() {
    let limits = CompileLimits {
        artifact_bytes: 10_000,
        ..CompileLimits::default()
    };
    let reason = reason(child(), limits).await;
    assert!(reason.contains("larger than 10000 bytes"), "{reason}");
}

#[tokio::test]
async fn time_is_limited() {
    let limits = CompileLimits {
        wall: Duration::from_millis(1),
        ..CompileLimits::default()
    };
    let reason = reason(child(), limits).await;
    assert!(reason.contains("took longer"), "{reason}");
}

/// The kernel counts whole seconds, of which this takes several.
#[tokio::test]
async fn processor_time_is_limited() {
    let exports: String = ["auth", "sync", "webhook", "actions"]
        .iter()
        .map(|name| format!("(export \"sluice:connector/{name}@0.1.0\" (instance $empty))"))
        .collect();
    let body = "local.get 0 i32.mul local.get 1 i32.rotl ".repeat(500);
    let function = format!("(func (param i32 i32) (result i32) local.get 0 {body})");
    let text = format!(
        "(component (core module {}) (instance $empty) {exports})",
        function.repeat(2_000)
    );
    let limits = CompileLimits {
        cpu_seconds: 1,
        ..CompileLimits::default()
    };
    let runtime = runtime_with(Config {
        compiler: child(),
        compile: limits,
        slots: 1,
        ..Config::default()
    });
    let error = runtime.compile(&wat::parse_str(text).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("ran out of its limits"), "{error}");
}

#[tokio::test]
async fn a_compiler_that_is_not_there() {
    let missing = Compiler::Program {
        program: "/nowhere/compiler".into(),
        args: Vec::new(),
    };
    let reason = reason(missing, CompileLimits::default()).await;
    assert!(reason.contains("start the compiler"), "{reason}");
}

/// The child says why it refuses, in its own words.
#[tokio::test]
async fn invalid_code_has_a_reason() {
    let runtime = runtime_with(Config {
        compiler: child(),
        slots: 1,
        ..Config::default()
    });
    let names = ["auth", "sync", "webhook", "actions"];
    let exports: String = names
        .iter()
        .map(|name| format!("(export \"sluice:connector/{name}@0.1.0\" (instance $empty))"))
        .collect();
    let text = format!("(component (core module (func (result i32))) (instance $empty) {exports})");
    let error = runtime.compile(&wat::parse_str(text).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("type mismatch"), "{error}");
}
