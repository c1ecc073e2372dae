//! How a command ends. The numbers are promised to scripts.

use std::process::ExitCode;

/// Exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Denied = 4,
    Approval = 5,
    Findings = 6,
    Unreachable = 7,
    Pending = 8,
    Bug = 70,
    Interrupted = 130,
}

/// Every code and what it says.
pub(super) const ALL: &[(Exit, &str)] = &[
    (Exit::Ok, "done"),
    (Exit::Failed, "the operation failed"),
    (Exit::Usage, "the command line or the configuration is wrong"),
    (Exit::NotFound, "what was named does not exist"),
    (Exit::Denied, "not signed in, or not allowed"),
    (Exit::Approval, "somebody has to approve permissions first"),
    (Exit::Findings, "there are differences or findings"),
    (
        Exit::Unreachable,
        "the server cannot be reached; trying again may help",
    ),
    (Exit::Pending, "timed out, or still pending"),
    (Exit::Bug, "a mistake in Sluice itself"),
    (Exit::Interrupted, "interrupted"),
];

/// `sluice help exit-codes`.
pub(super) fn page() -> String {
    let mut page = "Exit codes:\n".to_owned();
    for (exit, meaning) in ALL {
        page.push_str(&format!("  {:>3}  {meaning}\n", *exit as u8));
    }
    page
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
