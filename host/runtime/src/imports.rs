//! What a connector may import and must export, by interface and version. Whatever else a component asks for is refused
//! by name before anything is compiled; the linker then checks every function and type.

/// `interface`, and the part of its version that must agree: within it, versions are compatible (semver).
const IMPORTS: &[(&str, &str)] = &[
    ("sluice:connector/files", "0.1"),
    ("sluice:connector/http", "0.1"),
    ("sluice:connector/log", "0.1"),
    ("sluice:connector/metrics", "0.1"),
    ("sluice:connector/secrets", "0.1"),
    ("sluice:connector/storage", "0.1"),
    ("sluice:connector/types", "0.1"),
    ("wasi:cli/environment", "0.2"),
    ("wasi:cli/exit", "0.2"),
    ("wasi:cli/stderr", "0.2"),
    ("wasi:cli/stdin", "0.2"),
    ("wasi:cli/stdout", "0.2"),
    ("wasi:cli/terminal-input", "0.2"),
    ("wasi:cli/terminal-output", "0.2"),
    ("wasi:cli/terminal-stderr", "0.2"),
    ("wasi:cli/terminal-stdin", "0.2"),
    ("wasi:cli/terminal-stdout", "0.2"),
    ("wasi:clocks/monotonic-clock", "0.2"),
    ("wasi:clocks/wall-clock", "0.2"),
    ("wasi:filesystem/preopens", "0.2"),
    ("wasi:filesystem/types", "0.2"),
    ("wasi:http/outgoing-handler", "0.2"),
    ("wasi:http/types", "0.2"),
    ("wasi:io/error", "0.2"),
    ("wasi:io/poll", "0.2"),
    ("wasi:io/streams", "0.2"),
    ("wasi:random/insecure", "0.2"),
    ("wasi:random/insecure-seed", "0.2"),
    ("wasi:random/random", "0.2"),
    ("wasi:sockets/instance-network", "0.2"),
    ("wasi:sockets/ip-name-lookup", "0.2"),
    ("wasi:sockets/network", "0.2"),
    ("wasi:sockets/tcp", "0.2"),
    ("wasi:sockets/tcp-create-socket", "0.2"),
    ("wasi:sockets/udp", "0.2"),
    ("wasi:sockets/udp-create-socket", "0.2"),
];

/// What the contract's world exports.
const EXPORTS: &[(&str, &str)] = &[
    ("sluice:connector/auth", "0.1"),
    ("sluice:connector/sync", "0.1"),
    ("sluice:connector/webhook", "0.1"),
    ("sluice:connector/actions", "0.1"),
];

/// The imports that nobody here serves.
pub(crate) fn unknown(imports: &[String]) -> Vec<String> {
    imports
        .iter()
        .filter(|name| !IMPORTS.iter().any(|known| fits(name, *known)))
        .cloned()
        .collect()
}

/// What a connector must export and this one does not; a version that does not fit is told.
pub(crate) fn missing(exports: &[String]) -> Vec<String> {
    let absent = EXPORTS
        .iter()
        .filter(|wanted| !exports.iter().any(|name| fits(name, **wanted)));
    absent
        .map(|(interface, track)| {
            let other = exports
                .iter()
                .find(|name| name.split('@').next() == Some(interface));
            match other {
                Some(other) => format!("{interface}@{track} (it has {other})"),
                None => format!("{interface}@{track}"),
            }
        })
        .collect()
}

/// Whether `name` is `interface@version` with a version of the track.
fn fits(name: &str, (interface, track): (&str, &str)) -> bool {
    let Some((found, version)) = name.split_once('@') else {
        return false;
    };
    // A prerelease promises nothing about its neighbours.
    if found != interface || version.contains('-') {
        return false;
    }
    version
        .strip_prefix(track)
        .and_then(|rest| rest.strip_prefix('.'))
        .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use wasmtime::component::{Component, Linker};

    use super::*;
    use crate::{Config, engine, host, wasi};

    #[test]
    fn versions_fit_within_their_track() {
        let check =
            |name: &str, expected: bool| assert_eq!(fits(name, ("wasi:io/poll", "0.2")), expected, "{name}");
        check("wasi:io/poll@0.2.0", true);
        check("wasi:io/poll@0.2.12", true);
        check("wasi:io/poll@0.20.1", false);
        check("wasi:io/poll@0.3.0", false);
        check("wasi:io/poll@0.2.0-rc-2023-11-10", false);
        check("wasi:io/poll@0.2", false);
        check("wasi:io/poll", false);
        check("wasi:io/polls@0.2.0", false);
    }

    /// The list above and the linker must say the same.
    #[test]
    fn every_known_import_is_linked() {
        let engine = engine::serving(&Config {
            slots: 1,
            ..Config::default()
        })
        .unwrap();
        let mut linker = Linker::new(&engine);
        host::link(&mut linker).unwrap();
        wasi::link(&mut linker).unwrap();
        for (interface, track) in IMPORTS {
            let text = format!("(component (import \"{interface}@{track}.0\" (instance)))");
            let component = Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
            assert!(linker.instantiate_pre(&component).is_ok(), "{interface}");
        }
    }

    #[test]
    fn a_wrong_version_is_told() {
        let exports = [
            "sluice:connector/auth@0.2.0",
            "sluice:connector/sync@0.1.3",
            "run",
        ]
        .map(str::to_owned);
        assert_eq!(
            missing(&exports),
            [
                "sluice:connector/auth@0.1 (it has sluice:connector/auth@0.2.0)",
                "sluice:connector/webhook@0.1",
                "sluice:connector/actions@0.1",
            ]
        );
    }
}
