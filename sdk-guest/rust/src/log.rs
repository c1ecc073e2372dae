//! The connector's voice in the run's log. The host cuts lines at 4 KiB and drops what exceeds the call's budget.

/// How loud a line is.
pub use crate::wit::sluice::connector::log::Level;

/// Writes a line with fields: a JSON object with more about it.
///
/// ```
/// sluice_sdk::log::write(sluice_sdk::log::Level::Warn, "skipped", Some(r#"{"repository":"acme/web"}"#));
/// ```
pub fn write(level: Level, message: &str, fields: Option<&str>) {
    #[cfg(target_family = "wasm")]
    crate::wit::sluice::connector::log::write(level, message, fields);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::logged(level, message, fields);
}

/// A line for the author.
pub fn debug(message: &str) {
    write(Level::Debug, message, None);
}

/// A line for whoever follows the run.
pub fn info(message: &str) {
    write(Level::Info, message, None);
}

/// A line about something odd that does not stop the run.
pub fn warn(message: &str) {
    write(Level::Warn, message, None);
}

/// A line about what is about to fail the call.
pub fn error(message: &str) {
    write(Level::Error, message, None);
}
