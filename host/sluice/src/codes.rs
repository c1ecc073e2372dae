//! Every stable code that any crate of the house can give.

use sluice_model::fault::FaultKind;

/// Codes, some of them twice.
#[must_use]
pub fn every() -> Vec<&'static str> {
    let faults = [
        FaultKind::Config,
        FaultKind::Auth,
        FaultKind::RateLimited,
        FaultKind::Transient,
        FaultKind::InvalidData,
        FaultKind::Unsupported,
        FaultKind::Internal,
        FaultKind::Denied,
    ];
    let tables: &[&[&'static str]] = &[
        sluice_model::grant::Denial::CODES,
        sluice_model::capability::PatternError::CODES,
        sluice_model::manifest::ManifestError::CODES,
        sluice_model::signature::SignatureError::CODES,
        sluice_model::seal::SealError::CODES,
        sluice_model::seal::KeyError::CODES,
        sluice_broker::Error::CODES,
        sluice_broker::ConfigError::CODES,
        sluice_destination::Error::CODES,
        sluice_runtime::StartError::CODES,
        sluice_runtime::LoadError::CODES,
        sluice_runtime::CallError::CODES,
        sluice_store::Error::CODES,
        sluice_store::OpenError::CODES,
        sluice_package::FormatError::CODES,
        sluice_harness::Finding::CODES,
        sluice_harness::Error::CODES,
        sluice_package::SourceError::CODES,
        sluice_package::Untrusted::CODES,
        sluice_service::install::Error::CODES,
        sluice_service::approval::Error::CODES,
        sluice_service::channel::Error::CODES,
        sluice_service::source::Error::CODES,
        sluice_service::trust::Error::CODES,
        sluice_service::catalogue::Error::CODES,
        sluice_service::connection::Error::CODES,
        sluice_service::connection::MigrationError::CODES,
        sluice_service::auth::Error::CODES,
        sluice_service::action::Error::CODES,
        sluice_service::schema::SchemaError::CODES,
        sluice_mapping::RuleError::CODES,
        sluice_mapping::Refused::CODES,
        sluice_mapping::Frozen::CODES,
        sluice_service::sync::Error::CODES,
        sluice_service::sync::discover::Error::CODES,
        sluice_service::sync::PAGE_CODES,
        sluice_service::sync::RUN_CODES,
        sluice_service::destination::Error::CODES,
        sluice_service::link::Error::CODES,
        sluice_service::link::REASONS,
        sluice_service::write::Error::CODES,
        sluice_service::hooks::Error::CODES,
        sluice_service::hooks::Refused::CODES,
        sluice_service::hooks::HANDLE_CODES,
        sluice_service::hooks::CHORE_CODES,
        sluice_service::hooks::REGISTRATION_CODES,
        sluice_service::endpoint::Error::CODES,
        sluice_service::endpoint::TRY_CODES,
        sluice_service::replay::Error::CODES,
        crate::config::ConfigError::CODES,
        crate::listen::ListenError::CODES,
        crate::listen::TlsError::CODES,
        crate::master::MasterError::CODES,
        crate::serve::ServeError::CODES,
        crate::api::problem::CODES,
    ];
    tables
        .iter()
        .flat_map(|table| table.iter().copied())
        .chain(faults.map(FaultKind::code))
        .collect()
}
