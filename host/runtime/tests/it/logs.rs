//! The log, stdout and stderr, and metrics.

use sluice_runtime::{Level, Source};

use crate::support::{Making, shared};

#[tokio::test]
async fn three_mouths_of_one_voice() {
    let (runtime, connector) = shared().await;
    let effects = runtime.check(Making::new(&connector, "log").call()).await.effects;
    let lines: Vec<_> = effects
        .logs
        .iter()
        .map(|line| (line.level, line.source, line.message.as_str()))
        .collect();
    let expected = [
        (Level::Warn, Source::Log, "one red↵two"),
        (Level::Info, Source::Stdout, "to stdout"),
        (Level::Warn, Source::Stderr, "to stderrforged"),
        (Level::Info, Source::Stdout, "without end"),
    ];
    assert_eq!(lines, expected);
    assert_eq!(effects.logs[0].fields.as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(effects.metrics.counts["pages"], 5);
    assert!(effects.metrics.gauges.is_empty());
    assert_eq!(effects.metrics.dropped, 1);
}

#[tokio::test]
async fn a_flood_is_dropped_and_counted() {
    for (word, source) in [("flood", Source::Log), ("flood-stdout", Source::Stdout)] {
        let (runtime, connector) = shared().await;
        let mut making = Making::new(&connector, word);
        making.limits.log_bytes = 10_000;
        let outcome = runtime.check(making.call()).await;
        assert_eq!(outcome.result.unwrap().unwrap().name, "flooded");
        let lines = outcome.effects.logs;
        let bytes: usize = lines.iter().map(|line| line.message.len()).sum();
        assert!(bytes < 11_000, "{bytes}");
        assert_eq!(lines[0].source, source);
        let last = lines.last().unwrap();
        assert_eq!(last.source, Source::Host);
        assert!(last.message.starts_with("dropped 4"), "{}", last.message);
    }
}
