//! What the connector asks for: every right that is wider than a vendor's API needs it to be.

use sluice_model::capability::{EgressRule, HostPattern, MethodSet, Scheme};
use sluice_model::limits::Limits;

use super::Reading;
use crate::finding::{Finding, Severity};

pub(super) fn look(reading: &Reading<'_>, found: &mut Vec<Finding>) {
    for rule in &reading.manifest.capabilities.egress {
        egress(reading, rule, found);
    }
    limits(reading, found);
}

fn egress(reading: &Reading<'_>, rule: &EgressRule, found: &mut Vec<Finding>) {
    let mut warn = |code, at: Option<(u32, u32)>, message: String, hint: &str| {
        let (severity, path) = (Severity::Warning, "capabilities.egress".to_owned());
        // One table gives a rule for each of its paths; what is wrong with the table is said once.
        if found
            .iter()
            .any(|other: &Finding| (other.code, &other.message) == (code, &message))
        {
            return;
        }
        found.push(Finding {
            code,
            severity,
            path,
            at,
            message,
            hint: hint.to_owned(),
        });
    };
    let host = rule.host.to_string();
    let at = reading.place(&host);
    if matches!(rule.host, HostPattern::Subdomains(_)) {
        warn(
            "check.wide_host",
            at,
            format!("asks for every host below {host}"),
            "name the hosts, or let the connection name its own: host = \"${config.KEY}\"",
        );
    }
    if rule.path.to_string() == "/**" {
        warn(
            "check.wide_paths",
            at,
            format!("asks for every path of {host}"),
            "name the paths that it uses: paths = [\"/v1/items/**\"]",
        );
    }
    if rule.methods.covers(MethodSet::ALL) {
        warn(
            "check.wide_methods",
            at,
            format!("asks for every method at {host}"),
            "name the methods that it uses: methods = [\"GET\"]",
        );
    }
    if rule.scheme == Scheme::Http {
        warn(
            "check.plain_http",
            at,
            format!("asks {host} without encryption"),
            "use https; a server of the connection's own can have it under scheme = \"https\" too",
        );
    }
    if rule.reason.is_none() {
        warn(
            "check.no_reason",
            at,
            format!("does not say what it wants of {host}"),
            "add reason = \"…\": whoever installs it reads that",
        );
    }
}

fn limits(reading: &Reading<'_>, found: &mut Vec<Finding>) {
    let asked = reading.manifest.capabilities.limits.named();
    let most = Limits::HARD_MAX.named();
    for ((name, asked), (_, most)) in asked.into_iter().zip(most) {
        if asked < most {
            continue;
        }
        found.push(Finding {
            code: "check.most_there_is",
            severity: Severity::Warning,
            path: format!("capabilities.limits.{name}"),
            at: None,
            message: format!("asks for {name} = {asked}, the most there is"),
            hint: "ask for what one call needs; the default is enough for nearly all".to_owned(),
        });
    }
}
