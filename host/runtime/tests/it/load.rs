//! What is taken as a connector and what is refused, each with its code and every name.

use sluice_runtime::{Compiler, Config, LoadError, Runtime};

use crate::support::{guest, runtime_with};

fn runtime() -> Runtime {
    runtime_with(Config {
        compiler: Compiler::InProcess,
        slots: 1,
        max_component_bytes: 1 << 20,
        ..Config::default()
    })
}

async fn refused(bytes: &[u8]) -> LoadError {
    let runtime = runtime();
    let error = runtime.load(bytes, &Runtime::digest(bytes)).await.unwrap_err();
    assert!(LoadError::CODES.contains(&error.code()));
    assert_eq!(runtime.compile(bytes).await.unwrap_err().code(), error.code());
    error
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {text})")).unwrap()
}

/// A component with empty instances as the contract's exports.
fn exporting(names: &[&str]) -> Vec<u8> {
    let exports: String = names
        .iter()
        .map(|name| format!("(export \"{name}\" (instance $empty))"))
        .collect();
    component(&format!("(instance $empty) {exports}"))
}

#[tokio::test]
async fn a_connector_is_taken() {
    let runtime = runtime();
    let inspection = runtime.inspect(guest()).unwrap();
    inspection.check().unwrap();
    assert!(
        inspection
            .imports
            .iter()
            .any(|name| name == "sluice:connector/http@0.1.0")
    );
    assert!(
        inspection
            .exports
            .iter()
            .any(|name| name == "sluice:connector/sync@0.1.0")
    );
    assert_eq!(
        (inspection.size, inspection.manifest),
        (guest().len() as u64, None)
    );
    let digest = Runtime::digest(guest());
    let first = runtime.load(guest(), &digest).await.unwrap();
    assert_eq!(first.digest(), digest);
    // Loaded once for however many installs.
    for _ in 0..100 {
        runtime.load(guest(), &digest).await.unwrap();
    }
    drop(first);
}

#[tokio::test]
async fn what_is_not_a_component() {
    let check = |error: LoadError, code: &str| assert_eq!(error.code(), code, "{error}");
    check(refused(b"").await, "package.malformed");
    check(refused(b"hello, world").await, "package.malformed");
    check(
        refused(&wat::parse_str("(module)").unwrap()).await,
        "package.not_component",
    );
    check(refused(&guest()[..guest().len() - 1]).await, "package.malformed");
    check(refused(&guest()[..guest().len() / 2]).await, "package.malformed");
    check(refused(&vec![0; (1 << 20) + 1]).await, "package.too_large");
}

#[tokio::test]
async fn another_digest() {
    let error = runtime()
        .load(guest(), &Runtime::digest(b"other"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "package.digest_mismatch");
}

#[tokio::test]
async fn every_unknown_import_is_named() {
    let bytes = component(
        r#"(import "wasi:io/poll@0.2.3" (instance))
           (import "wasi:threads/spawn@0.2.0" (instance))
           (import "sluice:connector/http@0.2.0" (instance))
           (import "sluice:connector/log@0.1.7" (instance))
           (import "wasi:io/poll@0.3.0" (instance))
           (import "run" (func))"#,
    );
    let names = [
        "wasi:threads/spawn@0.2.0",
        "sluice:connector/http@0.2.0",
        "wasi:io/poll@0.3.0",
        "run",
    ];
    assert_eq!(
        refused(&bytes).await,
        LoadError::ImportsRefused {
            names: names.map(str::to_owned).to_vec()
        }
    );
}

#[tokio::test]
async fn every_missing_export_is_named() {
    let bytes = exporting(&["sluice:connector/auth@0.1.0", "sluice:connector/sync@0.2.0"]);
    let LoadError::ExportsMissing { names } = refused(&bytes).await else {
        panic!()
    };
    let expected = [
        "sluice:connector/sync@0.1 (it has sluice:connector/sync@0.2.0)",
        "sluice:connector/webhook@0.1",
        "sluice:connector/actions@0.1",
    ];
    assert_eq!(names, expected);
}

/// The names are there and what is behind them is not: only the linker sees it.
#[tokio::test]
async fn exports_without_functions() {
    let names = ["auth", "sync", "webhook", "actions"].map(|name| format!("sluice:connector/{name}@0.1.0"));
    let bytes = exporting(&names.each_ref().map(String::as_str));
    let error = runtime()
        .load(&bytes, &Runtime::digest(&bytes))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "package.exports_missing", "{error}");
}

#[tokio::test]
async fn a_known_import_of_another_type() {
    let names = ["auth", "sync", "webhook", "actions"];
    let exports: String = names
        .iter()
        .map(|name| format!("(export \"sluice:connector/{name}@0.1.0\" (instance $empty))"))
        .collect();
    let import = r#"(import "sluice:connector/log@0.1.0" (instance (export "shout" (func))))"#;
    let bytes = component(&format!("{import} (instance $empty) {exports}"));
    let error = runtime()
        .load(&bytes, &Runtime::digest(&bytes))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "package.imports_refused", "{error}");
    assert!(error.to_string().contains("log"), "{error}");
}

/// Code that parses and is not valid: the compiler says so.
#[tokio::test]
async fn invalid_code() {
    let names = ["auth", "sync", "webhook", "actions"];
    let exports: String = names
        .iter()
        .map(|name| format!("(export \"sluice:connector/{name}@0.1.0\" (instance $empty))"))
        .collect();
    let bytes = component(&format!(
        "(core module (func (result i32))) (instance $empty) {exports}"
    ));
    assert_eq!(refused(&bytes).await.code(), "package.compile_failed");
    // And what the engine has switched off.
    for module in [
        "(memory 1) (memory 1)",
        "(memory i64 1)",
        "(memory 1 1 shared)",
        "(type (struct))",
        "(tag)",
        "(func (param v128) (result v128) local.get 0 i32x4.relaxed_trunc_f32x4_s)",
    ] {
        let bytes = component(&format!("(core module {module}) (instance $empty) {exports}"));
        assert_eq!(refused(&bytes).await.code(), "package.compile_failed", "{module}");
    }
}

/// Two components in one, the first called by the second with a text: between their memories stands code of the engine's own.
#[tokio::test]
async fn a_composed_component() {
    let names = ["auth", "sync", "webhook", "actions"];
    let exports: String = names
        .iter()
        .map(|name| format!("(export \"sluice:connector/{name}@0.1.0\" (instance $empty))"))
        .collect();
    let bytes = component(&format!(
        r#"(component $called
             (core module $code
               (memory (export "memory") 1)
               (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 64)
               (func (export "hear") (param i32 i32)))
             (core instance $code (instantiate $code))
             (func (export "hear") (param "text" string)
               (canon lift (core func $code "hear") (memory $code "memory") (realloc (func $code "realloc")))))
           (component $caller
             (import "hear" (func $hear (param "text" string)))
             (core module $memory (memory (export "memory") 1))
             (core instance $memory (instantiate $memory))
             (core func $lowered (canon lower (func $hear) (memory $memory "memory")))
             (core module $code (import "" "hear" (func (param i32 i32))))
             (core instance (instantiate $code (with "" (instance (export "hear" (func $lowered)))))))
           (instance $called (instantiate $called))
           (instance (instantiate $caller (with "hear" (func $called "hear"))))
           (instance $empty) {exports}"#
    ));
    runtime().compile(&bytes).await.unwrap();
}

#[tokio::test]
async fn the_manifest_is_read_from_its_section() {
    let mut bytes = component("");
    let (name, text) = ("sluice:manifest", "id = \"x\"");
    // A custom section: 0, its size, the name's length, the name, the content.
    bytes.push(0);
    bytes.push(u8::try_from(1 + name.len() + text.len()).unwrap());
    bytes.push(u8::try_from(name.len()).unwrap());
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(text.as_bytes());
    assert_eq!(runtime().inspect(&bytes).unwrap().manifest.as_deref(), Some(text));
}
