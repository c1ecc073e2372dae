//! The table of routes: what there is, who may, and what it is called. The router, the check of keys and the OpenAPI
//! document are all made of it, so none of them can know a route that another does not.

mod data;
mod outbound;
mod table;
mod versions;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, any, delete, get, patch, post, put};

use super::app::App;
use super::problem::Problem;
use super::{
    actions, approvals, apps, authorizations, connect, connections, connectors, destinations, document,
    endpoints, events, files, front, grants, guard, health, hooks, inbound,
};
use super::{
    installs, keys, links, metrics, receipts, records, replays, runs, secrets, streams, tail, traces, trust,
    upgrades, writes,
};

/// All routes.
pub const ROUTES: &[Route] = &joined::<
    { table::ROUTES.len() + data::ROUTES.len() + outbound::ROUTES.len() + versions::ROUTES.len() },
>();

#[expect(
    clippy::indexing_slicing,
    reason = "at compile time: an index that is out of bounds does not compile"
)]
const fn joined<const N: usize>() -> [Route; N] {
    let parts = [table::ROUTES, data::ROUTES, outbound::ROUTES, versions::ROUTES];
    let mut all = [table::ROUTES[0]; N];
    let (mut part, mut within, mut place) = (0, 0, 0);
    while place < N {
        if within == parts[part].len() {
            (part, within) = (part + 1, 0);
        }
        all[place] = parts[part][within];
        (within, place) = (within + 1, place + 1);
    }
    all
}

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody. Only health, and the addresses that check a signature themselves.
    Public,
    /// Who has an API key.
    Key,
    /// Who has one that may approve what connectors may do.
    Approver,
}

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// In capitals; `*` takes all.
    pub method: &'static str,
    pub path: &'static str,
    pub access: Access,
    pub operation: Operation,
    pub summary: &'static str,
    /// Parameters of the query: name and what it means.
    pub query: &'static [(&'static str, &'static str)],
    /// Schema of the request's body; `binary` for bytes.
    pub takes: Option<&'static str>,
    /// Status and schema of the answer; `[X]` for a page of X, `text` for text.
    pub gives: (u16, Option<&'static str>),
}

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    HealthLive,
    HealthReady,
    Metrics,
    ReceiveWebhook,
    OpenApi,
    ListConnectors,
    GetConnector,
    InspectConnector,
    ListInstalls,
    CreateInstall,
    GetInstall,
    RemoveInstall,
    GetPackage,
    GetTrustPolicy,
    SetTrustPolicy,
    ListTrustedNames,
    ForgetTrustedName,
    ListConnections,
    CreateConnection,
    GetConnection,
    RemoveConnection,
    ListTombstones,
    TestConnection,
    ConnectionBudgets,
    UpgradeConnection,
    PauseConnection,
    ResumeConnection,
    PauseConnections,
    ResumeConnections,
    SetConnectionSecret,
    SyncConnection,
    CreateAuthorization,
    GetAuthorization,
    RefreshConnection,
    RevokeConnection,
    GetApp,
    SetApp,
    RemoveApp,
    Land,
    LandPosted,
    LookAtLink,
    FollowLink,
    ListRecords,
    GetRecord,
    GetHistory,
    RestoreRecord,
    ListFiles,
    GetFile,
    DownloadFile,
    ListStreams,
    SetStream,
    PreviewRules,
    ListQuarantined,
    GetReceiptTrace,
    GetReceiptLogs,
    GetConnectionTrace,
    GetConnectionLogs,
    ListActions,
    RunAction,
    ListRuns,
    GetRun,
    CancelRun,
    UndoRun,
    GetRunTrace,
    GetRunLogs,
    ListHooks,
    CreateHook,
    GetHook,
    RemoveHook,
    RegisterHook,
    RotateHook,
    ListReceipts,
    SignForHook,
    GetReceipt,
    ReplayReceipt,
    ListEvents,
    GetEvent,
    TailEvents,
    ExportEvents,
    ListEventKinds,
    ListEndpoints,
    CreateEndpoint,
    GetEndpoint,
    ChangeEndpoint,
    RemoveEndpoint,
    PauseEndpoint,
    ResumeEndpoint,
    DisableEndpoint,
    RotateEndpoint,
    TestEndpoint,
    ListDeliveries,
    GetDelivery,
    RedriveDelivery,
    ListReplays,
    CreateReplay,
    GetReplay,
    CancelReplay,
    ListKeys,
    CreateKey,
    RevokeKey,
    GetOrganizationKey,
    RotateOrganizationKey,
    GetMasterKeys,
    ListSecrets,
    ListDestinations,
    CreateDestination,
    GetDestination,
    SetDestination,
    RemoveDestination,
    CheckDestination,
    ListLoads,
    CreateLoad,
    RemoveLoad,
    RetryLoad,
    ListLinks,
    CreateLink,
    GetLink,
    SetLink,
    RemoveLink,
    PauseLink,
    ResumeLink,
    RetryLink,
    GetLinkTrace,
    GetLinkLogs,
    ListConflicts,
    ResolveConflict,
    WriteRecords,
    TryStream,
    DiscoverStreams,
    SetContract,
    OfferVersion,
    ListApprovals,
    GetApproval,
    Approve,
    Decline,
    GetUpgradePolicy,
    SetUpgradePolicy,
    ListChannels,
    PublishToChannel,
    FollowChannel,
    RollBackConnection,
    AdviseInstall,
    TryInstall,
    ChangeGrant,
}

const fn route(
    method: &'static str,
    path: &'static str,
    operation: Operation,
    summary: &'static str,
) -> Route {
    Route {
        method,
        path,
        access: Access::Key,
        operation,
        summary,
        query: &[],
        takes: None,
        gives: (204, None),
    }
}

impl Route {
    const fn public(mut self) -> Self {
        self.access = Access::Public;
        self
    }
    const fn approver(mut self) -> Self {
        self.access = Access::Approver;
        self
    }
    const fn query(mut self, query: &'static [(&'static str, &'static str)]) -> Self {
        self.query = query;
        self
    }
    const fn takes(mut self, schema: &'static str) -> Self {
        self.takes = Some(schema);
        self
    }
    const fn gives(mut self, status: u16, schema: &'static str) -> Self {
        self.gives = (status, Some(schema));
        self
    }
}

/// The router: the table behind the front door.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let work = work(route.operation);
        let guarded = match route.access {
            Access::Public => work,
            // Over the answer to other methods too: without a key nobody learns that there is such a path.
            Access::Key => work.layer(from_fn_with_state(app.clone(), guard::require_key)),
            Access::Approver => work
                .layer(from_fn(guard::require_approver))
                .layer(from_fn_with_state(app.clone(), guard::require_key)),
        };
        router = router.route(route.path, guarded);
    }
    // What is in no table needs a key as well: without one, nobody learns what there is.
    let nowhere = any(|| async { Problem::new("request.not_found", "no route has this path") });
    router
        .fallback_service(
            nowhere
                .layer(from_fn_with_state(app.clone(), guard::require_key))
                .with_state(app.clone()),
        )
        .layer(from_fn_with_state(app.clone(), front::front))
        .with_state(app)
}

fn work(operation: Operation) -> MethodRouter<App> {
    match operation {
        Operation::HealthLive => get(health::live),
        Operation::HealthReady => get(health::ready),
        Operation::Metrics => get(metrics::page),
        Operation::ReceiveWebhook => any(inbound::receive),
        Operation::OpenApi => get(document::get),
        Operation::ListConnectors => get(connectors::list),
        Operation::GetConnector => get(connectors::get),
        Operation::InspectConnector => post(connectors::inspect),
        Operation::ListInstalls => get(installs::list),
        Operation::CreateInstall => post(installs::create),
        Operation::GetInstall => get(installs::get),
        Operation::RemoveInstall => delete(installs::remove),
        Operation::GetPackage => get(installs::file),
        Operation::GetTrustPolicy => get(trust::get),
        Operation::SetTrustPolicy => put(trust::set),
        Operation::ListTrustedNames => get(trust::names),
        Operation::ForgetTrustedName => delete(trust::forget),
        Operation::ListConnections => get(connections::list),
        Operation::CreateConnection => post(connections::create),
        Operation::GetConnection => get(connections::get),
        Operation::RemoveConnection => delete(connections::remove),
        Operation::ListTombstones => get(connections::removed),
        Operation::TestConnection => post(connections::test),
        Operation::ConnectionBudgets => get(connections::budgets),
        Operation::UpgradeConnection => post(upgrades::upgrade),
        Operation::PauseConnection => post(connections::pause),
        Operation::ResumeConnection => post(connections::resume),
        Operation::PauseConnections => post(connections::pause_all),
        Operation::ResumeConnections => post(connections::resume_all),
        Operation::SetConnectionSecret => put(connections::set_secret),
        Operation::SyncConnection => post(connections::sync),
        Operation::CreateAuthorization => post(authorizations::create),
        Operation::GetAuthorization => get(authorizations::get),
        Operation::RefreshConnection => post(authorizations::refresh),
        Operation::RevokeConnection => post(authorizations::revoke),
        Operation::ListLinks => get(links::list),
        Operation::CreateLink => post(links::create),
        Operation::GetLink => get(links::get),
        Operation::SetLink => put(links::set),
        Operation::RemoveLink => delete(links::remove),
        Operation::PauseLink => post(links::pause),
        Operation::ResumeLink => post(links::resume),
        Operation::RetryLink => post(links::retry),
        Operation::GetLinkTrace => get(links::trace),
        Operation::GetLinkLogs => get(links::logs),
        Operation::ListConflicts => get(links::conflicts),
        Operation::ResolveConflict => post(links::resolve),
        Operation::WriteRecords => post(writes::write),
        Operation::TryStream => post(streams::trial),
        Operation::DiscoverStreams => post(streams::discover),
        Operation::SetContract => put(streams::set_contract),
        Operation::ListDestinations => get(destinations::list),
        Operation::CreateDestination => post(destinations::create),
        Operation::GetDestination => get(destinations::get),
        Operation::SetDestination => put(destinations::set),
        Operation::RemoveDestination => delete(destinations::remove),
        Operation::CheckDestination => post(destinations::check),
        Operation::ListLoads => get(destinations::loads),
        Operation::CreateLoad => put(destinations::create_load),
        Operation::RemoveLoad => delete(destinations::remove_load),
        Operation::RetryLoad => post(destinations::retry_load),
        Operation::GetApp => get(apps::get),
        Operation::SetApp => put(apps::set),
        Operation::RemoveApp => delete(apps::remove),
        Operation::Land => get(connect::land),
        Operation::LandPosted => post(connect::posted),
        Operation::LookAtLink => get(connect::look),
        Operation::FollowLink => post(connect::follow),
        Operation::ListRecords => get(records::list),
        Operation::GetRecord => get(records::get),
        Operation::GetHistory => get(records::history),
        Operation::RestoreRecord => post(records::restore),
        Operation::ListFiles => get(files::list),
        Operation::GetFile => get(files::get),
        Operation::DownloadFile => get(files::content),
        Operation::ListStreams => get(streams::list),
        Operation::SetStream => put(streams::set),
        Operation::PreviewRules => post(streams::preview),
        Operation::ListQuarantined => get(records::quarantine),
        Operation::GetReceiptTrace => get(traces::of_receipt),
        Operation::GetReceiptLogs => get(traces::logs_of_receipt),
        Operation::GetConnectionTrace => get(traces::of_connection),
        Operation::GetConnectionLogs => get(traces::logs_of_connection),
        Operation::ListActions => get(actions::list),
        Operation::RunAction => post(actions::run),
        Operation::ListRuns => get(runs::list),
        Operation::GetRun => get(runs::get),
        Operation::CancelRun => post(runs::cancel),
        Operation::UndoRun => post(runs::undo),
        Operation::GetRunTrace => get(runs::trace),
        Operation::GetRunLogs => get(runs::logs),
        Operation::ListHooks => get(hooks::list),
        Operation::CreateHook => post(hooks::create),
        Operation::GetHook => get(hooks::get),
        Operation::RemoveHook => delete(hooks::remove),
        Operation::RegisterHook => post(hooks::register),
        Operation::RotateHook => post(hooks::rotate),
        Operation::ListReceipts => get(hooks::receipts),
        Operation::SignForHook => post(hooks::sign),
        Operation::GetReceipt => get(receipts::get),
        Operation::ReplayReceipt => post(receipts::replay),
        Operation::ListEvents => get(events::list),
        Operation::GetEvent => get(events::get),
        Operation::TailEvents => get(tail::tail),
        Operation::ExportEvents => get(events::export),
        Operation::ListEventKinds => get(events::kinds),
        Operation::ListEndpoints => get(endpoints::list),
        Operation::CreateEndpoint => post(endpoints::create),
        Operation::GetEndpoint => get(endpoints::get),
        Operation::ChangeEndpoint => patch(endpoints::change),
        Operation::RemoveEndpoint => delete(endpoints::remove),
        Operation::PauseEndpoint => post(endpoints::pause),
        Operation::ResumeEndpoint => post(endpoints::resume),
        Operation::DisableEndpoint => post(endpoints::disable),
        Operation::RotateEndpoint => post(endpoints::rotate),
        Operation::TestEndpoint => post(endpoints::test),
        Operation::ListDeliveries => get(endpoints::deliveries),
        Operation::GetDelivery => get(endpoints::delivery),
        Operation::RedriveDelivery => post(endpoints::redrive),
        Operation::ListReplays => get(replays::list),
        Operation::CreateReplay => post(replays::create),
        Operation::GetReplay => get(replays::get),
        Operation::CancelReplay => post(replays::cancel),
        Operation::ListKeys => get(keys::list),
        Operation::CreateKey => post(keys::create),
        Operation::RevokeKey => delete(keys::revoke),
        Operation::GetOrganizationKey => get(secrets::organization_key),
        Operation::RotateOrganizationKey => post(secrets::rotate),
        Operation::GetMasterKeys => get(secrets::master_keys),
        Operation::ListSecrets => get(secrets::list),
        Operation::OfferVersion => post(approvals::offer),
        Operation::ListApprovals => get(approvals::list),
        Operation::GetApproval => get(approvals::get),
        Operation::Approve => post(approvals::approve),
        Operation::Decline => post(approvals::decline),
        Operation::GetUpgradePolicy => get(approvals::policy),
        Operation::SetUpgradePolicy => put(approvals::set_policy),
        Operation::ListChannels => get(approvals::channels),
        Operation::PublishToChannel => put(approvals::publish),
        Operation::FollowChannel => put(approvals::follow),
        Operation::RollBackConnection => post(grants::roll_back),
        Operation::AdviseInstall => get(grants::advice),
        Operation::TryInstall => get(upgrades::trial),
        Operation::ChangeGrant => put(grants::change),
    }
}
