//! What is said of a case, for people and for scripts.

use serde_json::{Value, json};
use sluice_harness::{Found, Miss, Report};
use sluice_model::exchange::Exchange;

use crate::cli::output::Output;

pub(in crate::cli::workshop) fn value(report: &Report) -> Value {
    let checks: Vec<_> = report
        .verdicts
        .iter()
        .map(|verdict| json!({"check": verdict.check, "outcome": word(verdict.outcome), "detail": verdict.detail}))
        .collect();
    json!({
        "case": report.case, "ok": report.is_good(), "records": report.records, "checks": checks,
        "unrecorded": report.misses.iter().map(of_miss).collect::<Vec<_>>(),
        "unplayed": report.unplayed, "log": report.logs,
    })
}

fn of_miss(miss: &Miss) -> Value {
    let (nearest, difference) = miss.nearest.clone().unzip();
    json!({"asked": miss.asked, "nearest": nearest, "difference": difference})
}

const fn word(found: Found) -> &'static str {
    match found {
        Found::Passed => "passed",
        Found::Failed => "failed",
        Found::Skipped => "skipped",
    }
}

pub(in crate::cli::workshop) fn show(output: &Output, report: &Report) {
    output.line(&report.case);
    for verdict in &report.verdicts {
        let mark = match verdict.outcome {
            Found::Passed => "ok  ",
            Found::Failed => "FAIL",
            Found::Skipped => "-   ",
        };
        let mut lines = verdict.detail.lines();
        let first = lines.next().unwrap_or_default();
        output.line(&format!("  {mark}  {:<16}{first}", verdict.check));
        for line in lines {
            output.line(&format!("        {:<16}{line}", ""));
        }
    }
    if report.is_good() {
        for unplayed in report.unplayed.iter().take(MAX_LINES) {
            output.note(&format!("  recorded and never asked: {unplayed}"));
        }
        return;
    }
    for miss in report.misses.iter().skip(1).take(MAX_LINES) {
        output.line(&format!("        not recorded: {}", miss.asked));
    }
    for line in &report.logs {
        output.line(&format!("  log   {line}"));
    }
}

/// One brokered request, as a line.
pub(in crate::cli::workshop) fn exchange(exchange: &Exchange) -> String {
    let status = exchange.status.map(|status| status.to_string());
    let came = status.or_else(|| exchange.error.clone()).unwrap_or_default();
    let with = exchange
        .credential
        .as_ref()
        .map(|name| format!("  with {name}"))
        .unwrap_or_default();
    format!(
        "  sent  {} {}  {came}  {} bytes{with}",
        exchange.method, exchange.url, exchange.received_bytes
    )
}

/// Lines of one kind that are printed.
const MAX_LINES: usize = 10;
