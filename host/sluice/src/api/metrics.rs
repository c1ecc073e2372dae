//! The Prometheus page, in the text format 0.0.4. Names and labels are fixed in the code: nobody outside can add one.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use super::app::App;
use crate::panics;

pub(super) async fn page(State(app): State<App>) -> Response {
    let mut page = Page::default();
    for sample in app.service.metrics().samples() {
        page.add(sample.name, sample.help, "counter", sample.label, sample.value);
    }
    page.add(
        "sluice_secrets_opened_total",
        "Secrets unsealed; credentials in use are opened once, not for each request.",
        "counter",
        None,
        app.service.store().secrets_opened(),
    );
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let answers = ("sluice_http_answers_total", "Answers by their class.");
    for (class, counter) in [
        ("ok", &app.requests.ok),
        ("refused", &app.requests.refused),
        ("failed", &app.requests.failed),
    ] {
        page.add(
            answers.0,
            answers.1,
            "counter",
            Some(("class", class)),
            get(counter),
        );
    }
    let listener = &app.listener;
    page.add(
        "sluice_http_panics_total",
        "Requests whose work panicked.",
        "counter",
        None,
        get(&app.requests.panicked),
    );
    page.add(
        "sluice_panics_total",
        "Panics of any task.",
        "counter",
        None,
        panics::count(),
    );
    page.add(
        "sluice_connections_accepted_total",
        "Connections accepted.",
        "counter",
        None,
        get(&listener.accepted),
    );
    page.add(
        "sluice_connections_open",
        "Connections open now.",
        "gauge",
        None,
        get(&listener.open),
    );
    page.add(
        "sluice_connections_exhausted_total",
        "Accepts that failed for want of descriptors.",
        "counter",
        None,
        get(&listener.exhausted),
    );
    page.add(
        "sluice_connections_cut_off_total",
        "Connections cut off for being slow or silent.",
        "counter",
        None,
        get(&listener.cut_off),
    );
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        page.text,
    )
        .into_response()
}

#[derive(Default)]
struct Page {
    text: String,
    last: &'static str,
}

impl Page {
    /// Samples of one name stand together under one heading.
    fn add(&mut self, name: &'static str, help: &str, kind: &str, label: Option<(&str, &str)>, value: u64) {
        let mut lines = String::new();
        let written = (|| {
            if self.last != name {
                writeln!(lines, "# HELP {name} {help}")?;
                writeln!(lines, "# TYPE {name} {kind}")?;
            }
            match label {
                Some((key, text)) => writeln!(lines, "{name}{{{key}=\"{text}\"}} {value}"),
                None => writeln!(lines, "{name} {value}"),
            }
        })();
        if written.is_ok() {
            self.text.push_str(&lines);
        }
        self.last = name;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_heading_for_each_name() {
        let mut page = Page::default();
        page.add("a_total", "All a.", "counter", Some(("k", "x")), 1);
        page.add("a_total", "All a.", "counter", Some(("k", "y")), 2);
        page.add("b", "B.", "gauge", None, 3);
        let expected = "# HELP a_total All a.\n# TYPE a_total counter\na_total{k=\"x\"} 1\na_total{k=\"y\"} 2\n\
                        # HELP b B.\n# TYPE b gauge\nb 3\n";
        assert_eq!(page.text, expected);
    }
}
