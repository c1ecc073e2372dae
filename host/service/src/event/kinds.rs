//! The catalogue of kinds of events: those of the platform, with the schema of their data, and those that installed connectors say
//! they emit.

use serde_json::{Value, json};
use sluice_model::id::OrgId;

use crate::page::Page;
use crate::{Service, catalogue, install};

/// A kind of event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventKind {
    /// `sluice.run.ended`; `github.issues.*` where a connector says no more.
    pub kind: String,
    pub description: String,
    /// The connector that emits it; none for the platform.
    pub connector: Option<String>,
    /// JSON Schema (2020-12) of `data`.
    pub schema: Value,
    /// Data that fits the schema.
    pub sample: Value,
}

/// What an endpoint is tested with where nothing else is asked for.
pub const TEST_KIND: &str = "sluice.endpoint.test";

/// A kind of the platform's: its name, what it tells, the properties of its data as `name: type` words, and a sample.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// A word that ends in `?` may be null or absent.
const PLATFORM: &[Row] = &[
    (
        "sluice.connector.installed",
        "a connector was installed",
        "connector:string version:string",
        r#"{"connector":"github","version":"1.2.0"}"#,
    ),
    (
        "sluice.connector.removed",
        "an install was removed",
        "connector:string version:string",
        r#"{"connector":"github","version":"1.2.0"}"#,
    ),
    (
        "sluice.connector.granted",
        "an install's grant was changed",
        "connector:string version:string",
        r#"{"connector":"github","version":"1.2.0"}"#,
    ),
    (
        "sluice.versions.policy",
        "what of other versions needs nobody's approval was changed",
        "auto:string approval_days:integer",
        r#"{"auto":"narrower","approval_days":14}"#,
    ),
    (
        "sluice.channel.published",
        "an install was published to a channel",
        "connector:string channel:string version:string",
        r#"{"connector":"github","channel":"stable","version":"1.2.0"}"#,
    ),
    (
        "sluice.approval.asked",
        "somebody offered a version that needs an approval",
        "connector:string version:string by:string",
        r#"{"connector":"github","version":"1.3.0","by":"key_00000000000000000000000000"}"#,
    ),
    (
        "sluice.approval.approved",
        "a version was approved",
        "connector:string version:string by:string",
        r#"{"connector":"github","version":"1.3.0","by":"key_00000000000000000000000000"}"#,
    ),
    (
        "sluice.approval.declined",
        "a version was declined",
        "connector:string version:string by:string",
        r#"{"connector":"github","version":"1.3.0","by":"key_00000000000000000000000000"}"#,
    ),
    (
        "sluice.approval.expired",
        "nobody decided on a version in time",
        "connector:string version:string",
        r#"{"connector":"github","version":"1.3.0"}"#,
    ),
    (
        "sluice.connection.rolled_back",
        "a connection's move to another install was taken back",
        "connector:string from:string to:string",
        r#"{"connector":"github","from":"0.2.0","to":"0.1.0"}"#,
    ),
    (
        "sluice.connection.stayed",
        "a connection did not go over to what its channel offers",
        "install:string code:string message:string",
        r#"{"install":"ins_00000000000000000000000000","code":"connection.config","message":"the configuration breaks its schema"}"#,
    ),
    (
        "sluice.connection.follows",
        "a connection follows a channel, or none",
        "connector:string channel:string?",
        r#"{"connector":"github","channel":"stable"}"#,
    ),
    (
        "sluice.app.set",
        "the organization's app at a vendor was set",
        "connector:string scheme:string",
        r#"{"connector":"github","scheme":"oauth"}"#,
    ),
    (
        "sluice.app.removed",
        "the organization's app at a vendor was removed",
        "connector:string scheme:string",
        r#"{"connector":"github","scheme":"oauth"}"#,
    ),
    (
        "sluice.connection.created",
        "an account was connected",
        "connector:string name:string",
        r#"{"connector":"github","name":"main"}"#,
    ),
    (
        "sluice.connection.state",
        "a connection's state changed",
        "from:string to:string code:string?",
        r#"{"from":"active","to":"needs-reconnect","code":"auth.revoked"}"#,
    ),
    (
        "sluice.connection.contract",
        "it was set what becomes of streams that the account did not have before",
        "new_streams:string",
        r#"{"new_streams":"freeze"}"#,
    ),
    (
        "sluice.connection.streams",
        "the account has other streams than before, or their records look different",
        "added:array changed:array gone:array refused:array not_set:array",
        r#"{"added":["orders"],"changed":[],"gone":[],"refused":[],"not_set":[]}"#,
    ),
    (
        "sluice.connection.upgraded",
        "the connection uses another install of its connector",
        "connector:string from:string to:string",
        r#"{"connector":"github","from":"0.1.0","to":"0.2.0"}"#,
    ),
    (
        "sluice.connection.secret_set",
        "a connection's secret was set",
        "scheme:string",
        r#"{"scheme":"token"}"#,
    ),
    (
        "sluice.connection.authorizing",
        "somebody began to connect an account",
        "authorization:string scheme:string",
        r#"{"authorization":"aut_00000000000000000000000000","scheme":"oauth"}"#,
    ),
    (
        "sluice.connection.authorized",
        "an account was connected through its vendor",
        "scheme:string account:string?",
        r#"{"scheme":"oauth","account":"acme"}"#,
    ),
    (
        "sluice.connection.revoked",
        "a connection's credential was given back",
        "scheme:string",
        r#"{"scheme":"oauth"}"#,
    ),
    (
        "sluice.connection.removed",
        "a connection was removed",
        "connector:string name:string data_kept:boolean",
        r#"{"connector":"github","name":"main","data_kept":false}"#,
    ),
    (
        "sluice.connection.data_deleted",
        "the records of a removed connection were deleted",
        "connector:string name:string",
        r#"{"connector":"github","name":"main"}"#,
    ),
    (
        "sluice.run.ended",
        "a sync's run ended",
        "",
        r#"{"state":"succeeded"}"#,
    ),
    (
        "sluice.run.undone",
        "a run was taken back",
        "removed:integer restored:integer lost:integer",
        r#"{"removed":3,"restored":1,"lost":0}"#,
    ),
    (
        "sluice.hook.created",
        "an inbound address was made",
        "connection:string webhook:string",
        r#"{"connection":"cnn_00000000000000000000000000","webhook":"events"}"#,
    ),
    ("sluice.hook.removed", "an inbound address was removed", "", "{}"),
    (
        "sluice.hook.rotated",
        "an inbound address got another secret",
        "connection:string? until:string",
        r#"{"connection":"cnn_00000000000000000000000000","until":"2026-01-06T10:00:00.000Z"}"#,
    ),
    (
        "sluice.hook.registered",
        "a connector set an inbound address up at the vendor",
        "connection:string webhook:string code:string?",
        r#"{"connection":"cnn_00000000000000000000000000","webhook":"events","code":null}"#,
    ),
    (
        "sluice.hook.registration_failed",
        "an inbound address could not be set up at the vendor; a person has to act",
        "connection:string webhook:string code:string?",
        r#"{"connection":"cnn_00000000000000000000000000","webhook":"events","code":"guest.auth"}"#,
    ),
    (
        "sluice.hook.unregistered",
        "a removed address was ended at the vendor, or given up: then with a code",
        "connection:string webhook:string code:string?",
        r#"{"connection":"cnn_00000000000000000000000000","webhook":"events","code":null}"#,
    ),
    (
        "sluice.endpoint.created",
        "an endpoint was made",
        "name:string url:string kinds:array",
        r#"{"name":"crm","url":"https://crm.example.com/in","kinds":["*"]}"#,
    ),
    (
        "sluice.endpoint.changed",
        "an endpoint's settings were changed",
        "name:string url:string kinds:array",
        r#"{"name":"crm","url":"https://crm.example.com/in","kinds":["github.*"]}"#,
    ),
    (
        "sluice.endpoint.rotated",
        "an endpoint got a new signing key",
        "name:string url:string kinds:array",
        r#"{"name":"crm","url":"https://crm.example.com/in","kinds":["*"]}"#,
    ),
    (
        "sluice.endpoint.paused",
        "an endpoint was paused",
        "name:string reason:string",
        r#"{"name":"crm","reason":"owner"}"#,
    ),
    (
        "sluice.endpoint.resumed",
        "an endpoint goes on",
        "name:string reason:string",
        r#"{"name":"crm","reason":"owner"}"#,
    ),
    (
        "sluice.endpoint.failing",
        "nothing could be delivered to an endpoint for a while",
        "name:string failures:integer since:string? code:string? status:integer?",
        r#"{"name":"crm","reason":null,"failures":9,"since":"2026-01-05T10:00:00.000Z","code":"delivery.answer","status":503}"#,
    ),
    (
        "sluice.endpoint.recovered",
        "an endpoint that was failing works again",
        "name:string failures:integer since:string? code:string? status:integer?",
        r#"{"name":"crm","reason":null,"failures":0,"since":null,"code":null,"status":200}"#,
    ),
    (
        "sluice.endpoint.disabled",
        "an endpoint was switched off: by its owner, because it is gone (410), or because it failed for days",
        "name:string reason:string",
        r#"{"name":"crm","reason":"failing","failures":60,"since":"2026-01-01T10:00:00.000Z","code":"egress.timeout","status":null}"#,
    ),
    (
        "sluice.endpoint.removed",
        "an endpoint was removed",
        "name:string url:string kinds:array",
        r#"{"name":"crm","url":"https://crm.example.com/in","kinds":["*"]}"#,
    ),
    (
        TEST_KIND,
        "a test that a person sent to an endpoint; it is not kept",
        "message:string",
        r#"{"message":"Hello from Sluice. If you can read and verify this, deliveries work."}"#,
    ),
    (
        "sluice.replay.created",
        "a replay began",
        "endpoint:string what:string kinds:array after:integer last:integer cap:integer by:string",
        r#"{"endpoint":"ep_00000000000000000000000000","what":"missed","kinds":["*"],"after":10,"last":250,"cap":100000,"by":"key_00000000000000000000000000"}"#,
    ),
    (
        "sluice.replay.ended",
        "a replay ended",
        "endpoint:string what:string state:string looked:integer made:integer",
        r#"{"endpoint":"ep_00000000000000000000000000","what":"missed","state":"done","looked":240,"made":12}"#,
    ),
];

/// The kinds of events that an organization can have, the platform's first.
///
/// # Errors
/// If the database does not answer.
pub async fn catalogue(service: &Service, org: OrgId) -> Result<Vec<EventKind>, sluice_store::Error> {
    let mut kinds: Vec<EventKind> = PLATFORM.iter().map(platform).collect();
    let page = Page {
        after: None,
        limit: crate::page::MAX_LIMIT,
    };
    // The newest installs come last: their words win.
    let installs = match install::list(service, org, &page).await {
        Ok(found) => found.items,
        Err(install::Error::Store(error)) => return Err(error),
        Err(_) => Vec::new(),
    };
    let mut theirs = std::collections::BTreeMap::new();
    for install in installs {
        let Ok(known) = catalogue::known(service, org, install.id).await else {
            continue;
        };
        for event in known.manifest.webhooks.iter().flat_map(|webhook| &webhook.events) {
            let kind = format!("{}.{}", install.connector, event.kind);
            theirs.insert(
                kind.clone(),
                EventKind {
                    kind,
                    description: event.description.clone(),
                    connector: Some(install.connector.clone()),
                    sample: sample_of(event.schema.as_deref()),
                    schema: event
                        .schema
                        .as_deref()
                        .cloned()
                        .unwrap_or_else(|| json!({"$schema": DRAFT})),
                },
            );
        }
    }
    kinds.extend(theirs.into_values());
    Ok(kinds)
}

/// A kind and sample data of it as JSON text; of a kind that is in no catalogue, an empty object.
pub(crate) async fn sample(service: &Service, org: OrgId, kind: &str) -> (String, String) {
    let known = catalogue(service, org).await.unwrap_or_default();
    let found = known.into_iter().find(|known| known.kind == kind);
    let data = found.map_or_else(|| json!({}), |found| found.sample);
    (kind.to_owned(), data.to_string())
}

/// The first example that a schema gives.
fn sample_of(schema: Option<&Value>) -> Value {
    let example = schema.and_then(|schema| schema.get("examples")?.get(0));
    example.cloned().unwrap_or_else(|| json!({}))
}

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

fn platform((kind, description, properties, sample): &Row) -> EventKind {
    let mut required = Vec::new();
    let mut of = serde_json::Map::new();
    for word in properties.split(' ') {
        let Some((name, form)) = word.split_once(':') else {
            continue;
        };
        match form.strip_suffix('?') {
            Some(form) => of.insert(name.to_owned(), json!({"type": [form, "null"]})),
            None => {
                required.push(name);
                of.insert(name.to_owned(), json!({"type": form}))
            }
        };
    }
    EventKind {
        kind: (*kind).to_owned(),
        description: (*description).to_owned(),
        connector: None,
        schema: json!({"$schema": DRAFT, "type": "object", "properties": of, "required": required}),
        sample: serde_json::from_str(sample).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_fits_its_schema() {
        for row in PLATFORM {
            let kind = platform(row);
            let validator = jsonschema::validator_for(&kind.schema).unwrap();
            assert!(kind.sample.is_object(), "{}", kind.kind);
            if let Err(error) = validator.validate(&kind.sample) {
                panic!("{}: {error}", kind.kind);
            };
        }
    }
}
