//! WASI that gives nothing away.

use sluice_runtime::Source;

use crate::support::{Making, shared};

#[tokio::test]
async fn nothing_to_find() {
    let (runtime, connector) = shared().await;
    let outcome = runtime.check(Making::new(&connector, "env").call()).await;
    let found = outcome.result.unwrap().unwrap().name;
    assert_eq!(
        found,
        "vars=0 args=0 file=true write=true tcp=true names=true udp=true stdin=0"
    );
    let told = outcome
        .effects
        .logs
        .iter()
        .filter(|line| line.source == Source::Host);
    assert_eq!(
        told.map(|line| line.message.as_str()).collect::<Vec<_>>(),
        ["refused a socket: connectors reach the network only by http"]
    );
}

#[tokio::test]
async fn clocks_are_coarse() {
    let (runtime, connector) = shared().await;
    let mut making = Making::new(&connector, "clock");
    // It asks the clock as often as it can.
    making.limits.host_calls = u64::MAX;
    let found = runtime.check(making.call()).await.result.unwrap().unwrap().name;
    let (smallest, rest) = found.split_once(' ').unwrap();
    assert!(smallest.parse::<u64>().unwrap() >= 1_000_000, "{found}");
    assert_eq!(rest, "0");
}
