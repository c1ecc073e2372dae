//! The rows of the table.

use super::{Operation, Route, route};

pub(super) const LIMIT: (&str, &str) = ("limit", "1 to 1000; 100 without it");
const AFTER: (&str, &str) = ("after", "`next` of the page before");
pub(super) const PLACE: (&str, &str) = ("after", "the number after which to read; 0 without it");
pub(super) const PAGED: &[(&str, &str)] = &[LIMIT, AFTER];
const FROM: (&str, &str) = (
    "from",
    "where the package is, instead of a body: an https address, `oci://…` or `index+https://…#NAME@VERSION`",
);
const FILE_DIGEST: (&str, &str) = (
    "component",
    "the digest that the whole file must have, with `from`",
);

pub(super) const ROUTES: &[Route] = &[
    route(
        "GET",
        "/health/live",
        Operation::HealthLive,
        "whether the process is alive",
    )
    .public()
    .gives(200, "Health"),
    route(
        "GET",
        "/health/ready",
        Operation::HealthReady,
        "whether it can be sent work",
    )
    .public()
    .gives(200, "Health"),
    route(
        "*",
        "/hooks/{hook}",
        Operation::ReceiveWebhook,
        "where a vendor delivers; answered after it is on disk",
    )
    .public()
    .takes("binary")
    .gives(200, "Acknowledgement"),
    route(
        "GET",
        "/connect/callback",
        Operation::Land,
        "where a vendor sends the browser back to",
    )
    .public()
    .gives(200, "text"),
    route(
        "POST",
        "/connect/callback",
        Operation::LandPosted,
        "the same for vendors that send a form",
    )
    .public()
    .takes("binary")
    .gives(303, "text"),
    route(
        "GET",
        "/connect/{link}",
        Operation::LookAtLink,
        "the page of a link to connect an account",
    )
    .public()
    .gives(200, "text"),
    route(
        "POST",
        "/connect/{link}",
        Operation::FollowLink,
        "goes on to the vendor; a link does so once",
    )
    .public()
    .gives(303, "text"),
    route("GET", "/metrics", Operation::Metrics, "counters for Prometheus").gives(200, "text"),
    route("GET", "/api/v1/openapi.json", Operation::OpenApi, "this document").gives(200, "Object"),
    route(
        "GET",
        "/api/v1/connectors",
        Operation::ListConnectors,
        "the newest installed version of each connector",
    )
    .gives(200, "[Connector]"),
    route(
        "GET",
        "/api/v1/connectors/{connector}",
        Operation::GetConnector,
        "a connector and its permissions",
    )
    .gives(200, "InstallDetail"),
    route(
        "POST",
        "/api/v1/connectors/inspect",
        Operation::InspectConnector,
        "what installing a file would permit, and whose it is",
    )
    .query(&[FROM, FILE_DIGEST])
    .takes("binary")
    .gives(200, "Proposal"),
    route("GET", "/api/v1/installs", Operation::ListInstalls, "the installs")
        .query(PAGED)
        .gives(200, "[Install]"),
    route(
        "POST",
        "/api/v1/installs",
        Operation::CreateInstall,
        "install a file whose permissions were approved",
    )
    .approver()
    .query(&[
        ("accept", "the digest of the approved manifest, `sha256:…`"),
        FROM,
        FILE_DIGEST,
    ])
    .takes("binary")
    .gives(201, "Install"),
    route(
        "GET",
        "/api/v1/installs/{install}",
        Operation::GetInstall,
        "an install",
    )
    .gives(200, "InstallDetail"),
    route(
        "DELETE",
        "/api/v1/installs/{install}",
        Operation::RemoveInstall,
        "remove an install that nothing uses",
    )
    .approver(),
    route(
        "GET",
        "/api/v1/installs/{install}/package",
        Operation::GetPackage,
        "the file of an install, as it came",
    )
    .gives(200, "binary"),
    route(
        "GET",
        "/api/v1/trust",
        Operation::GetTrustPolicy,
        "whom the organization believes about packages",
    )
    .gives(200, "TrustPolicy"),
    route(
        "PUT",
        "/api/v1/trust",
        Operation::SetTrustPolicy,
        "change it; revoked keys are not believed from the next call on",
    )
    .approver()
    .takes("TrustPolicy")
    .gives(200, "TrustPolicy"),
    route(
        "GET",
        "/api/v1/trust/names",
        Operation::ListTrustedNames,
        "what is remembered of connectors' names: first keys and newest versions",
    )
    .query(PAGED)
    .gives(200, "[TrustedName]"),
    route(
        "DELETE",
        "/api/v1/trust/names/{name}",
        Operation::ForgetTrustedName,
        "forget a name: the next package of it is the first",
    )
    .approver(),
    route(
        "GET",
        "/api/v1/connections",
        Operation::ListConnections,
        "the connections",
    )
    .query(PAGED)
    .gives(200, "[Connection]"),
    route(
        "POST",
        "/api/v1/connections",
        Operation::CreateConnection,
        "connect an account",
    )
    .takes("NewConnection")
    .gives(201, "Connection"),
    route(
        "GET",
        "/api/v1/connections/{connection}",
        Operation::GetConnection,
        "a connection, by id or name",
    )
    .gives(200, "Connection"),
    route(
        "DELETE",
        "/api/v1/connections/{connection}",
        Operation::RemoveConnection,
        "remove it and what it holds; by the id of a removed one, what was kept of it",
    )
    .query(&[("keep_data", "`true`: its records stay readable under its id")])
    .gives(200, "RemovedConnection"),
    route(
        "GET",
        "/api/v1/tombstones",
        Operation::ListTombstones,
        "the connections that were removed",
    )
    .query(PAGED)
    .gives(200, "[Tombstone]"),
    route(
        "POST",
        "/api/v1/connections/{connection}/test",
        Operation::TestConnection,
        "ask the vendor whose account it is",
    )
    .gives(200, "TestReport"),
    route(
        "GET",
        "/api/v1/connections/{connection}/budgets",
        Operation::ConnectionBudgets,
        "what is known of the vendor's budgets that its requests are counted in",
    )
    .gives(200, "[Budget]"),
    route(
        "POST",
        "/api/v1/connections/{connection}/upgrade",
        Operation::UpgradeConnection,
        "use another install of its connector, or say what that would mean",
    )
    .takes("UpgradeRequest")
    .gives(200, "Upgrade"),
    route(
        "POST",
        "/api/v1/connections/{connection}/pause",
        Operation::PauseConnection,
        "stop background work",
    )
    .gives(200, "Connection"),
    route(
        "POST",
        "/api/v1/connections/{connection}/resume",
        Operation::ResumeConnection,
        "let background work go on",
    )
    .gives(200, "Connection"),
    route(
        "POST",
        "/api/v1/connections/pause",
        Operation::PauseConnections,
        "stop the background work of many; answers the ids of those that were serving",
    )
    .takes("ConnectionFilter")
    .gives(200, "Object"),
    route(
        "POST",
        "/api/v1/connections/resume",
        Operation::ResumeConnections,
        "let the background work of many go on; answers the ids of those that were paused",
    )
    .takes("ConnectionFilter")
    .gives(200, "Object"),
    route(
        "PUT",
        "/api/v1/connections/{connection}/secret",
        Operation::SetConnectionSecret,
        "set the secret anew",
    )
    .takes("NewSecret"),
    route(
        "POST",
        "/api/v1/connections/{connection}/authorizations",
        Operation::CreateAuthorization,
        "come by its credential: with a link, a code, or at once",
    )
    .takes("NewAuthorization")
    .gives(201, "BegunAuthorization"),
    route(
        "GET",
        "/api/v1/connections/{connection}/authorizations/{authorization}",
        Operation::GetAuthorization,
        "how an authorization stands",
    )
    .gives(200, "Authorization"),
    route(
        "POST",
        "/api/v1/connections/{connection}/refresh",
        Operation::RefreshConnection,
        "refresh its token now",
    )
    .gives(200, "Connection"),
    route(
        "POST",
        "/api/v1/connections/{connection}/revoke",
        Operation::RevokeConnection,
        "give its grant back to the vendor and forget its credential",
    )
    .gives(200, "Object"),
    route(
        "GET",
        "/api/v1/apps/{connector}/{auth}",
        Operation::GetApp,
        "the app of a connector's auth scheme, without its secrets",
    )
    .gives(200, "App"),
    route(
        "PUT",
        "/api/v1/apps/{connector}/{auth}",
        Operation::SetApp,
        "set parts of the app",
    )
    .takes("NewApp")
    .gives(200, "App"),
    route(
        "DELETE",
        "/api/v1/apps/{connector}/{auth}",
        Operation::RemoveApp,
        "forget the organization's app",
    ),
    route(
        "POST",
        "/api/v1/connections/{connection}/sync",
        Operation::SyncConnection,
        "queue a run for each stream",
    )
    .takes("SyncRequest")
    .gives(202, "[Run]"),
    route(
        "GET",
        "/api/v1/connections/{connection}/records",
        Operation::ListRecords,
        "the change feed, or the records now",
    )
    .query(&[
        ("stream", "only this stream; needed with `latest`"),
        PLACE,
        LIMIT,
        (
            "latest",
            "`true`: the records as they are now, in pages, instead of the feed",
        ),
    ])
    .gives(200, "Changes"),
    route(
        "GET",
        "/api/v1/connections/{connection}/records/{stream}/{record}",
        Operation::GetRecord,
        "one record",
    )
    .gives(200, "Record"),
    route(
        "GET",
        "/api/v1/connections/{connection}/records/{stream}/{record}/history",
        Operation::GetHistory,
        "what the record was, the latest first",
    )
    .query(&[LIMIT])
    .gives(200, "[Version]"),
    route(
        "POST",
        "/api/v1/connections/{connection}/records/{stream}/{record}/restore",
        Operation::RestoreRecord,
        "make it again what it was",
    )
    .takes("Restore")
    .gives(200, "[Version]"),
    route(
        "GET",
        "/api/v1/connections/{connection}/files",
        Operation::ListFiles,
        "the files that it keeps, by their keys",
    )
    .query(PAGED)
    .gives(200, "[File]"),
    route("GET", "/api/v1/files/{file}", Operation::GetFile, "one file").gives(200, "File"),
    route(
        "GET",
        "/api/v1/files/{file}/content",
        Operation::DownloadFile,
        "its bytes, or with `Range` a part of them",
    )
    .gives(200, "bytes"),
    route(
        "GET",
        "/api/v1/connections/{connection}/streams",
        Operation::ListStreams,
        "the streams: what each holds, how it is doing and what is set about it",
    )
    .gives(200, "[Stream]"),
    route(
        "PUT",
        "/api/v1/connections/{connection}/streams/{stream}",
        Operation::SetStream,
        "set when a stream is read and what is kept of it",
    )
    .takes("StreamRequest")
    .gives(200, "Stream"),
    route(
        "POST",
        "/api/v1/connections/{connection}/streams/{stream}/preview",
        Operation::PreviewRules,
        "what rules would make of records; nothing is kept",
    )
    .takes("PreviewRequest")
    .gives(200, "[Preview]"),
    route(
        "GET",
        "/api/v1/connections/{connection}/quarantine",
        Operation::ListQuarantined,
        "records that were refused",
    )
    .query(&[("stream", "of which stream"), LIMIT, AFTER])
    .gives(200, "[Quarantined]"),
    route(
        "GET",
        "/api/v1/connections/{connection}/actions",
        Operation::ListActions,
        "what it can do at the vendor; the connector is asked for what only the account has",
    )
    .gives(200, "[OfferedAction]"),
    route(
        "POST",
        "/api/v1/connections/{connection}/actions/{action}",
        Operation::RunAction,
        "perform an action",
    )
    .takes("Object")
    .gives(200, "ActionResult"),
    route(
        "GET",
        "/api/v1/runs",
        Operation::ListRuns,
        "the runs, newest first",
    )
    .query(&[("connection", "only this connection's"), LIMIT, AFTER])
    .gives(200, "[Run]"),
    route("GET", "/api/v1/runs/{run}", Operation::GetRun, "a run").gives(200, "Run"),
    route(
        "POST",
        "/api/v1/runs/{run}/cancel",
        Operation::CancelRun,
        "end a run; what was committed stays",
    )
    .gives(200, "Run"),
    route(
        "POST",
        "/api/v1/runs/{run}/undo",
        Operation::UndoRun,
        "take an ended run back: its records and its cursors",
    )
    .gives(200, "Undone"),
    route(
        "GET",
        "/api/v1/runs/{run}/trace",
        Operation::GetRunTrace,
        "its requests, redacted",
    )
    .query(PAGED)
    .gives(200, "[Exchange]"),
    route(
        "GET",
        "/api/v1/runs/{run}/logs",
        Operation::GetRunLogs,
        "what the connector wrote",
    )
    .query(PAGED)
    .gives(200, "[LogLine]"),
    route(
        "GET",
        "/api/v1/hooks",
        Operation::ListHooks,
        "the webhook addresses",
    )
    .query(&[("connection", "only this connection's")])
    .gives(200, "[Hook]"),
    route(
        "POST",
        "/api/v1/hooks",
        Operation::CreateHook,
        "make a webhook address",
    )
    .takes("NewHook")
    .gives(201, "Hook"),
    route(
        "GET",
        "/api/v1/hooks/{hook}",
        Operation::GetHook,
        "a webhook address",
    )
    .gives(200, "Hook"),
    route(
        "DELETE",
        "/api/v1/hooks/{hook}",
        Operation::RemoveHook,
        "remove an address; its receipts stay",
    ),
    route(
        "POST",
        "/api/v1/hooks/{hook}/register",
        Operation::RegisterHook,
        "have the connector set the address up at the vendor, once more",
    )
    .takes("HookRegister")
    .gives(202, "Hook"),
    route(
        "POST",
        "/api/v1/hooks/{hook}/rotate",
        Operation::RotateHook,
        "give the address another secret; the one before is valid beside it for a while",
    )
    .takes("HookRotation")
    .gives(200, "Hook"),
    route(
        "GET",
        "/api/v1/hooks/{hook}/receipts",
        Operation::ListReceipts,
        "what came in, newest first",
    )
    .query(PAGED)
    .gives(200, "[Receipt]"),
    route(
        "POST",
        "/api/v1/hooks/{hook}/sign",
        Operation::SignForHook,
        "the headers the vendor would send with this body",
    )
    .query(&[("kind", "with the headers of an event of this kind")])
    .takes("binary")
    .gives(200, "Signature"),
    route(
        "GET",
        "/api/v1/receipts/{receipt}",
        Operation::GetReceipt,
        "a receipt and its request",
    )
    .gives(200, "ReceiptDetail"),
    route(
        "POST",
        "/api/v1/receipts/{receipt}/replay",
        Operation::ReplayReceipt,
        "have it handled again",
    )
    .gives(202, "Receipt"),
    route("GET", "/api/v1/keys", Operation::ListKeys, "the API keys").gives(200, "[ApiKey]"),
    route(
        "POST",
        "/api/v1/keys",
        Operation::CreateKey,
        "make an API key; it is shown once",
    )
    .approver()
    .takes("NewApiKey")
    .gives(201, "ApiKey"),
    route(
        "DELETE",
        "/api/v1/keys/{key}",
        Operation::RevokeKey,
        "end an API key",
    )
    .approver(),
    route(
        "GET",
        "/api/v1/keys/organization",
        Operation::GetOrganizationKey,
        "the key that secrets are sealed under: its version and uses",
    )
    .gives(200, "OrganizationKey"),
    route(
        "POST",
        "/api/v1/keys/organization/rotate",
        Operation::RotateOrganizationKey,
        "seal every secret anew under a new version of the key",
    )
    .gives(200, "OrganizationKey"),
    route(
        "GET",
        "/api/v1/keys/master",
        Operation::GetMasterKeys,
        "whether previous master keys are still needed",
    )
    .gives(200, "MasterKeys"),
    route(
        "GET",
        "/api/v1/secrets",
        Operation::ListSecrets,
        "the secrets, without their values",
    )
    .query(&[
        ("connection", "only those that this connection uses"),
        LIMIT,
        AFTER,
    ])
    .gives(200, "[Secret]"),
];
