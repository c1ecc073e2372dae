//! Keys that secrets are sealed under: the background of a master key's rotation, and organizations' keys by hand.
//!
//! What must always hold: nothing waits for a rotation. Each is made of short commits between which everything is
//! readable, and whatever ends it (a crash, a stop) leaves it to the next start or sweep.

use std::time::Duration;

use sluice_model::id::OrgId;
use sluice_model::seal::OrgKey;
pub use sluice_store::Error;
pub use sluice_store::master::MasterKeys;
pub use sluice_store::org_key::OrgKeyState;
use tokio_util::sync::CancellationToken;

use crate::Service;

/// How often an organization's key can seal.
pub const MAX_USES: u64 = OrgKey::MAX_USES;

/// How the database stands to the master keys that the server was given.
///
/// # Errors
///
/// If the database does not answer.
pub async fn master(service: &Service) -> Result<MasterKeys, Error> {
    service.store().master_keys().await
}

/// How the organization's key stands.
///
/// # Errors
///
/// If the database does not answer.
pub async fn organization(service: &Service, org: OrgId) -> Result<OrgKeyState, Error> {
    service.store().org_key(org).await
}

/// Rotates the organization's key, or goes on with a rotation that is under way. Answers when it is done or after two
/// seconds, whichever comes first; what is left then goes on by itself.
///
/// # Errors
///
/// If the database does not answer.
pub async fn rotate(service: &Service, org: OrgId) -> Result<OrgKeyState, Error> {
    let of = service.clone();
    // Not cut off with the request: the caller's patience is not the rotation's.
    let rotation = tokio::spawn(async move {
        let result = of.store().rotate_org_key(org).await;
        match &result {
            Ok(state) => {
                tracing::info!(%org, version = state.version, left = state.left, "the organization's key was rotated")
            }
            Err(error) => {
                tracing::error!(%org, code = error.code(), %error, "the organization's key was not rotated")
            }
        }
        result
    });
    match tokio::time::timeout(PATIENCE, rotation).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Error::Broken("rotate an organization's key")),
        Err(_) => organization(service, org).await,
    }
}

/// Wraps the organizations' keys anew under the present master key, if some are still under a previous one.
pub(crate) async fn rewrap(service: Service, stop: CancellationToken) {
    let mut renewed = 0;
    loop {
        match service.store().rewrap(STEP_KEYS).await {
            Ok(progress) => {
                renewed += progress.done;
                if progress.left == 0 {
                    break;
                }
                if stop.is_cancelled() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            Err(Error::Failed { .. }) => return,
            Err(error) => {
                tracing::error!(code = error.code(), %error, "the master key's rotation does not come to its end");
                tokio::select! {
                    () = tokio::time::sleep(AFTER_AN_ERROR) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }
    match service.store().master_keys().await {
        Ok(keys) if keys.previous > 0 => tracing::info!(
            keys = renewed,
            "everything is under the present master key: data.previous_master_keys can be removed"
        ),
        _ => {}
    }
}

/// Organization keys of one commit.
const STEP_KEYS: usize = 100;
/// Damage does not go away by itself; this only keeps the log telling of it.
const AFTER_AN_ERROR: Duration = Duration::from_secs(600);
/// A thousand values take less.
const PATIENCE: Duration = Duration::from_secs(2);
