//! Which tables there are, what their rows are, and what they are called in the file.

/// A table, by what its rows are and what their key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// name → format, check values
    Meta,
    /// org → Org
    Orgs,
    /// name → org
    OrgNames,
    /// org, version → wrapped key
    OrgKeys,
    /// org, version → how often this key has sealed
    OrgKeyUses,
    /// org, key → ApiKey
    ApiKeys,
    /// hash → org, key
    ApiKeyHashes,
    /// org, install → Install
    Installs,
    /// org, digest → bytes
    Components,
    /// org, install, connection → nothing
    InstallUses,
    /// org → Kept: the trust policy
    TrustPolicies,
    /// org, mark, name of a connector or place of an index → Kept
    TrustMarks,
    /// org, connection → Connection
    Connections,
    /// org, connector, name → connection
    ConnectionNames,
    /// org, connection → what it was and when it went
    Tombstones,
    /// org, connection, link or zeros → nothing; a removal that is under way
    Removals,
    /// org, owner, field → version, origins, sealed
    Secrets,
    /// org, time, connection → nothing
    DueCredentials,
    /// org, connection → the time under which it stands in DueCredentials
    CredentialTimes,
    /// org, time, connection → nothing
    DueSchedules,
    /// org, connection → the time under which it stands in DueSchedules
    ScheduleTimes,
    /// org, authorization → Authorization, sealed
    Authorizations,
    /// org, run → Run
    Runs,
    /// org, connection, run → nothing
    RunsByConnection,
    /// org, connection, stream → run
    ActiveRuns,
    /// org, time, run → nothing
    DueRuns,
    /// org, slot → how many runs have one
    TakenSlots,
    /// org, slot, time, run → nothing; waits for one
    ParkedRuns,
    /// org, connection, stream → cursor and counts
    Streams,
    /// org, connection, stream, id → Record
    Records,
    /// org, connection, stream, number → op, time, id
    Feed,
    /// org, connection → the feed's last number
    FeedNumbers,
    /// org, connection, stream, id → Quarantined
    Quarantine,
    /// org, connection, stream, mark, partition → cursor
    Cursors,
    /// org, connection, stream → StreamSettings
    StreamSettings,
    /// org, connection → AccountStreams
    AccountStreams,
    /// org, connection → the number of that list
    AccountStreamsNumbers,
    /// org, connection, stream, id → Record; of a generation under way
    Staged,
    /// org, connection, stream, number → digests of ids; of a generation under way
    Seen,
    /// org, connection, stream, number of the version after → version
    History,
    /// org, connection, key → version, value
    Storage,
    /// org, connection → bytes in use, last version
    StorageUse,
    /// org, owner, number → Exchange
    Exchanges,
    /// org, owner, number → LogLine
    Logs,
    /// org, hook → Hook
    Hooks,
    /// hook → org
    HookOrgs,
    /// org, connection, hook → nothing
    HooksByConnection,
    /// org, receipt → Receipt
    Receipts,
    /// org, receipt → Request
    Requests,
    /// org, time, hook → nothing
    DueChores,
    /// org, hook → AppHook
    AppHooks,
    /// org, app's hook, connection → hook
    HooksOfApp,
    /// org, connector, account, connection → nothing
    Accounts,
    /// org, hook, hash of the order's key, receipt → nothing; while it is owed
    Queues,
    /// org, hook, receipt → nothing
    ReceiptsByHook,
    /// org, hook, hash of the key → receipt
    Dedupe,
    /// org → the last receipt whose dedupe key was forgotten
    Swept,
    /// org, time, receipt → nothing
    DueReceipts,
    /// org, number → Event
    Events,
    /// org → the last number
    EventNumbers,
    /// org, destination → Destination
    Destinations,
    /// org, load → Load
    Loads,
    /// org, connection, load → nothing
    LoadsByConnection,
    /// org, time, load → nothing
    DueLoads,
    /// org, link → Link
    Links,
    /// org, connection, link → nothing
    LinksByConnection,
    /// org, time, link → nothing
    DueLinks,
    /// org, link, number → Pair
    LinkPairs,
    /// org, link, side, id → number
    LinkSides,
    /// org, link, why, number → nothing
    LinkOpen,
    /// org, endpoint → Endpoint
    Endpoints,
    /// org, endpoint → EndpointState
    EndpointStates,
    /// org, endpoint → nothing; what of it is still to be deleted
    EndpointRemovals,
    /// org, endpoint → nothing; is to be looked at when there are new events
    IdleEndpoints,
    /// org → nothing; has new events for its endpoints
    News,
    /// org, time, endpoint → nothing
    DueEndpoints,
    /// org, endpoint → the time under which it stands in DueEndpoints
    EndpointTimes,
    /// org, endpoint, event's number → Delivery
    Deliveries,
    /// org, endpoint, time, event's number → nothing
    DueDeliveries,
    /// org, endpoint, event's number → nothing
    DeadDeliveries,
    /// org, endpoint, event's number, number → Attempt
    Attempts,
    /// org, replay → Replay
    Replays,
    /// org, time, replay → nothing
    DueReplays,
    /// org, approval → Approval
    Approvals,
    /// org, name → Kept
    VersionSettings,
    /// org, connection, number → Move
    Moves,
    /// org, connection, number, mark, name → a cursor or a value of before
    MovedRows,
    /// org, connection, key → KeptFile
    Files,
    /// org, file → connection, key
    FileIds,
    /// org, connection → bytes that count, files
    FileUse,
    /// org, blob → file; its bytes are to go from the disk
    FilesGone,
    /// org, install, day → Usage
    Usage,
}

/// How many there are.
pub(crate) const TABLES: usize = Table::Usage as usize + 1;

/// Tables whose keys begin with the organization.
pub(crate) const OF_ORG: [Table; 87] = [
    Table::OrgKeyUses,
    Table::ApiKeys,
    Table::Installs,
    Table::Components,
    Table::InstallUses,
    Table::TrustPolicies,
    Table::TrustMarks,
    Table::Connections,
    Table::ConnectionNames,
    Table::Tombstones,
    Table::Secrets,
    Table::DueCredentials,
    Table::CredentialTimes,
    Table::DueSchedules,
    Table::ScheduleTimes,
    Table::Authorizations,
    Table::Runs,
    Table::RunsByConnection,
    Table::ActiveRuns,
    Table::DueRuns,
    Table::TakenSlots,
    Table::ParkedRuns,
    Table::Streams,
    Table::Records,
    Table::Feed,
    Table::FeedNumbers,
    Table::Quarantine,
    Table::Cursors,
    Table::StreamSettings,
    Table::AccountStreams,
    Table::AccountStreamsNumbers,
    Table::Staged,
    Table::Seen,
    Table::History,
    Table::Storage,
    Table::StorageUse,
    Table::Exchanges,
    Table::Logs,
    Table::Hooks,
    Table::HooksByConnection,
    Table::DueChores,
    Table::AppHooks,
    Table::HooksOfApp,
    Table::Accounts,
    Table::Queues,
    Table::Receipts,
    Table::Requests,
    Table::ReceiptsByHook,
    Table::Dedupe,
    Table::Swept,
    Table::DueReceipts,
    Table::Events,
    Table::EventNumbers,
    Table::Endpoints,
    Table::EndpointStates,
    Table::EndpointRemovals,
    Table::IdleEndpoints,
    Table::News,
    Table::DueEndpoints,
    Table::EndpointTimes,
    Table::Deliveries,
    Table::DueDeliveries,
    Table::DeadDeliveries,
    Table::Attempts,
    Table::Replays,
    Table::DueReplays,
    Table::OrgKeys,
    Table::Removals,
    Table::Destinations,
    Table::Loads,
    Table::LoadsByConnection,
    Table::DueLoads,
    Table::Links,
    Table::LinksByConnection,
    Table::DueLinks,
    Table::LinkPairs,
    Table::LinkSides,
    Table::LinkOpen,
    Table::Approvals,
    Table::VersionSettings,
    Table::Moves,
    Table::MovedRows,
    Table::Files,
    Table::FileIds,
    Table::FileUse,
    Table::FilesGone,
    Table::Usage,
];

impl Table {
    /// The table with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let first = [
            Self::Meta,
            Self::Orgs,
            Self::OrgNames,
            Self::ApiKeyHashes,
            Self::HookOrgs,
        ];
        let mut all = first.into_iter().chain(OF_ORG);
        all.find(|table| table.name() == name)
    }

    /// The name in the file and in errors.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Orgs => "orgs",
            Self::OrgNames => "org_names",
            Self::OrgKeys => "org_keys",
            Self::OrgKeyUses => "org_key_uses",
            Self::ApiKeys => "api_keys",
            Self::ApiKeyHashes => "api_key_hashes",
            Self::Installs => "installs",
            Self::Components => "components",
            Self::InstallUses => "install_uses",
            Self::TrustPolicies => "trust_policies",
            Self::TrustMarks => "trust_marks",
            Self::Connections => "connections",
            Self::ConnectionNames => "connection_names",
            Self::Tombstones => "tombstones",
            Self::Removals => "removals",
            Self::Destinations => "destinations",
            Self::Loads => "loads",
            Self::LoadsByConnection => "loads_by_connection",
            Self::DueLoads => "due_loads",
            Self::Links => "links",
            Self::LinksByConnection => "links_by_connection",
            Self::DueLinks => "due_links",
            Self::LinkPairs => "link_pairs",
            Self::LinkSides => "link_sides",
            Self::LinkOpen => "link_open",
            Self::Secrets => "secrets",
            Self::DueCredentials => "due_credentials",
            Self::CredentialTimes => "credential_times",
            Self::DueSchedules => "due_schedules",
            Self::ScheduleTimes => "schedule_times",
            Self::Authorizations => "authorizations",
            Self::Runs => "runs",
            Self::RunsByConnection => "runs_by_connection",
            Self::ActiveRuns => "active_runs",
            Self::DueRuns => "due_runs",
            Self::TakenSlots => "taken_slots",
            Self::ParkedRuns => "parked_runs",
            Self::Streams => "streams",
            Self::Records => "records",
            Self::Feed => "feed",
            Self::FeedNumbers => "feed_numbers",
            Self::Quarantine => "quarantine",
            Self::Cursors => "cursors",
            Self::StreamSettings => "stream_settings",
            Self::AccountStreams => "account_streams",
            Self::AccountStreamsNumbers => "account_streams_numbers",
            Self::Staged => "staged",
            Self::Seen => "seen",
            Self::History => "history",
            Self::Storage => "storage",
            Self::StorageUse => "storage_use",
            Self::Exchanges => "exchanges",
            Self::Logs => "logs",
            Self::Hooks => "hooks",
            Self::HookOrgs => "hook_orgs",
            Self::HooksByConnection => "hooks_by_connection",
            Self::DueChores => "due_chores",
            Self::AppHooks => "app_hooks",
            Self::HooksOfApp => "hooks_of_app",
            Self::Accounts => "accounts",
            Self::Queues => "queues",
            Self::Receipts => "receipts",
            Self::Requests => "requests",
            Self::ReceiptsByHook => "receipts_by_hook",
            Self::Dedupe => "dedupe",
            Self::Swept => "swept",
            Self::DueReceipts => "due_receipts",
            Self::Events => "events",
            Self::EventNumbers => "event_numbers",
            Self::Endpoints => "endpoints",
            Self::EndpointStates => "endpoint_states",
            Self::EndpointRemovals => "endpoint_removals",
            Self::IdleEndpoints => "idle_endpoints",
            Self::News => "news",
            Self::DueEndpoints => "due_endpoints",
            Self::EndpointTimes => "endpoint_times",
            Self::Deliveries => "deliveries",
            Self::DueDeliveries => "due_deliveries",
            Self::DeadDeliveries => "dead_deliveries",
            Self::Attempts => "attempts",
            Self::Replays => "replays",
            Self::DueReplays => "due_replays",
            Self::Approvals => "approvals",
            Self::VersionSettings => "version_settings",
            Self::Moves => "moves",
            Self::MovedRows => "moved_rows",
            Self::Files => "files",
            Self::FileIds => "file_ids",
            Self::FileUse => "file_use",
            Self::FilesGone => "files_gone",
            Self::Usage => "usage",
        }
    }
}
