//! The component: whether a server would take it, and whether it is the one of this manifest.

use sluice_runtime::{Inspection, LoadError};
use sluice_service::install::CONTRACT;

use super::{Draft, Reading};
use crate::finding::{Finding, Severity};

/// A component that has more than this part of what it may have is near the end of it: three quarters.
const NEARLY: (u64, u64) = (3, 4);

pub(super) fn contract(reading: &Reading<'_>, found: &mut Vec<Finding>) {
    let wanted = &reading.manifest.contract;
    if wanted != CONTRACT {
        found.push(Finding {
            code: "check.contract",
            severity: Severity::Error,
            path: "contract".to_owned(),
            at: reading.place(wanted),
            message: format!("is written for contract {wanted}; this version serves {CONTRACT}"),
            hint: format!("take the SDK of contract {CONTRACT}"),
        });
    }
}

pub(super) fn look(subject: &Draft<'_>, found: &mut Vec<Finding>) {
    for name in subject.missing {
        found.push(Finding {
            code: "check.missing_file",
            severity: Severity::Note,
            path: String::new(),
            at: None,
            message: format!("there is no {name}"),
            hint: format!("put {name} beside connector.toml: whoever installs it reads that"),
        });
    }
    let Some(bytes) = subject.component else {
        return;
    };
    let whole = |code, severity, message: String, hint: &str| Finding {
        code,
        severity,
        path: "component".to_owned(),
        at: None,
        message,
        hint: hint.to_owned(),
    };
    let read = Inspection::read(bytes, subject.component_bytes);
    let inspection = match read.and_then(|read| read.check().map(|()| read)) {
        Ok(inspection) => inspection,
        Err(error) => {
            let hint = match &error {
                LoadError::TooLarge { .. } => "build it for release, and leave out what it does not need",
                _ => "build it anew: sluice connector build",
            };
            let finding = whole("check.component", Severity::Error, error.to_string(), hint);
            found.push(finding);
            return;
        }
    };
    let (size, most) = (inspection.size, subject.component_bytes);
    if size.saturating_mul(NEARLY.1) > most.saturating_mul(NEARLY.0) {
        let message = format!("has {size} bytes; {most} are the most");
        let hint = "leave out packages that it does not need";
        found.push(whole("check.size", Severity::Warning, message, hint));
    }
    if inspection
        .manifest
        .as_deref()
        .is_some_and(|text| text != subject.manifest)
    {
        let message = "was built with another connector.toml".to_owned();
        let hint = "build it anew: sluice connector build";
        found.push(whole("check.stale", Severity::Error, message, hint));
    }
}
