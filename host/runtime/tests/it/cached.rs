//! The compiled cache, whole and tampered with. A compiler that is not there tells whether it was needed.

use std::path::{Path, PathBuf};

use sluice_runtime::{Compiler, Config, Runtime};

use crate::support::{guest, runtime_with};

fn config(dir: &Path, compiler: Compiler) -> Config {
    Config {
        cache_dir: Some(dir.to_owned()),
        cache_key: [9; 32],
        compiler,
        slots: 1,
        ..Config::default()
    }
}

fn no_compiler() -> Compiler {
    Compiler::Program {
        program: "/nowhere/compiler".into(),
        args: Vec::new(),
    }
}

/// The code that `load` ends with when nothing can be compiled; none if nothing had to be.
async fn load(config: Config) -> Option<&'static str> {
    let loaded = runtime_with(config)
        .load(guest(), &Runtime::digest(guest()))
        .await;
    loaded.err().map(|error| error.code())
}

fn file(dir: &Path) -> PathBuf {
    let files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[tokio::test]
async fn what_was_compiled_is_loaded_later() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("deep/cache");
    assert_eq!(
        load(config(&cache, no_compiler())).await,
        Some("package.compile_failed")
    );
    runtime_with(config(&cache, Compiler::InProcess))
        .compile(guest())
        .await
        .unwrap();
    assert_eq!(load(config(&cache, no_compiler())).await, None);
    // Another key, and so another installation's file.
    let stranger = Config {
        cache_key: [8; 32],
        ..config(&cache, no_compiler())
    };
    assert_eq!(load(stranger).await, Some("package.compile_failed"));
}

#[tokio::test]
async fn a_changed_file_is_compiled_anew_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    runtime_with(config(dir.path(), Compiler::InProcess))
        .compile(guest())
        .await
        .unwrap();
    let path = file(dir.path());
    let whole = std::fs::read(&path).unwrap();
    for place in [0, 8, 20, 40, 41, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[place] ^= 0x40;
        std::fs::write(&path, &changed).unwrap();
        assert_eq!(
            load(config(dir.path(), no_compiler())).await,
            Some("package.compile_failed"),
            "byte {place}"
        );
    }
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(load(config(dir.path(), Compiler::InProcess)).await, None);
    assert_eq!(load(config(dir.path(), no_compiler())).await, None);
    assert_eq!(file(dir.path()), path);
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_or_write() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    runtime_with(config(&cache, Compiler::InProcess))
        .compile(guest())
        .await
        .unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&cache), mode(&file(&cache))), (0o700, 0o600));
}
