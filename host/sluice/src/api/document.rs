//! The OpenAPI document, made by utoipa from the table of routes and the types that are sent.

use axum::response::Response;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ComponentsBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathsBuilder, Ref, RefOr, Required,
};
use utoipa::openapi::{ResponseBuilder, Schema};

use super::body::json;
use super::routes::{Access, ROUTES, Route};
use super::{
    actions, approvals, apps, authorizations, connections, connectors, destinations, endpoints, events,
    files, grants, health, hooks, inbound, installs, keys, problem, receipts,
};
use super::{links, records, replays, runs, secrets, streams, traces, trust, upgrades, writes};

/// The document of this version.
#[must_use]
pub fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Sluice")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Connectors, connections, syncs, webhooks and events. Every error is problem+json.",
        ))
        .build();
    let mut paths = PathsBuilder::new();
    for route in ROUTES {
        let methods = if route.method == "*" { "POST" } else { route.method };
        paths = paths.path(route.path, PathItem::new(method(methods), operation(route)));
    }
    let key = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    OpenApiBuilder::new()
        .info(info)
        .paths(paths.build())
        .components(Some(schemas().security_scheme("key", key).build()))
        .build()
}

pub(super) async fn get() -> Response {
    json(&document())
}

fn schemas() -> ComponentsBuilder {
    ComponentsBuilder::new()
        .schema_from::<problem::Body<'_>>()
        .schema_from::<health::Health>()
        .schema_from::<inbound::Acknowledgement>()
        .schema_from::<connectors::ConnectorView>()
        .schema_from::<connectors::AuthView>()
        .schema_from::<connectors::PartView>()
        .schema_from::<connectors::StreamView>()
        .schema_from::<connectors::WebhookView>()
        .schema_from::<connectors::ActionView>()
        .schema_from::<connectors::PermissionsView>()
        .schema_from::<connectors::ProposalView>()
        .schema_from::<connectors::DiffView>()
        .schema_from::<connectors::PackagePartView>()
        .schema_from::<trust::IdentityView>()
        .schema_from::<trust::SignerView>()
        .schema_from::<trust::PolicyBody>()
        .schema_from::<trust::NameView>()
        .schema_from::<trust::MarkView>()
        .schema_from::<approvals::ApprovalView>()
        .schema_from::<approvals::DecisionView>()
        .schema_from::<approvals::ApprovalDetail>()
        .schema_from::<approvals::OfferedView>()
        .schema_from::<approvals::MovedView>()
        .schema_from::<approvals::StayedView>()
        .schema_from::<approvals::Consent>()
        .schema_from::<approvals::Refusal>()
        .schema_from::<approvals::PolicyBody>()
        .schema_from::<approvals::ChannelView>()
        .schema_from::<approvals::Publication>()
        .schema_from::<approvals::Following>()
        .schema_from::<grants::Change>()
        .schema_from::<grants::ChangedView>()
        .schema_from::<grants::AdviceView>()
        .schema_from::<grants::Back>()
        .schema_from::<grants::RollbackView>()
        .schema_from::<installs::InstallView>()
        .schema_from::<installs::InstallDetail>()
        .schema_from::<connections::ConnectionView>()
        .schema_from::<connections::BudgetView>()
        .schema_from::<upgrades::UpgradeRequest>()
        .schema_from::<upgrades::UpgradeView>()
        .schema_from::<upgrades::VersionView>()
        .schema_from::<upgrades::TrialView>()
        .schema_from::<upgrades::MigratedView>()
        .schema_from::<upgrades::CarriedView>()
        .schema_from::<connections::AccountView>()
        .schema_from::<connections::Reason>()
        .schema_from::<connections::Creation>()
        .schema_from::<connections::SecretChange>()
        .schema_from::<connections::CredentialView>()
        .schema_from::<connections::Filter>()
        .schema_from::<connections::RemovedView>()
        .schema_from::<connections::TombstoneView>()
        .schema_from::<authorizations::Beginning>()
        .schema_from::<authorizations::BegunView>()
        .schema_from::<authorizations::StatusView>()
        .schema_from::<apps::AppView>()
        .schema_from::<apps::AppPartView>()
        .schema_from::<apps::AppChange>()
        .schema_from::<links::LinkView>()
        .schema_from::<links::EndBody>()
        .schema_from::<links::LinkError>()
        .schema_from::<links::Creation>()
        .schema_from::<links::Change>()
        .schema_from::<links::ConflictView>()
        .schema_from::<links::Resolution>()
        .schema_from::<links::Settled>()
        .schema_from::<writes::WriteRequest>()
        .schema_from::<writes::WriteBody>()
        .schema_from::<writes::OutcomeView>()
        .schema_from::<destinations::DestinationView>()
        .schema_from::<destinations::Creation>()
        .schema_from::<destinations::Change>()
        .schema_from::<destinations::CheckView>()
        .schema_from::<destinations::LoadView>()
        .schema_from::<destinations::LoadError>()
        .schema_from::<destinations::LoadRequest>()
        .schema_from::<destinations::LoadRetry>()
        .schema_from::<connections::TestView>()
        .schema_from::<connections::StepView>()
        .schema_from::<connections::SyncRequest>()
        .schema_from::<runs::RunView>()
        .schema_from::<runs::FindingsView>()
        .schema_from::<runs::FindingView>()
        .schema_from::<runs::CountsView>()
        .schema_from::<streams::ContractBody>()
        .schema_from::<traces::ExchangeView>()
        .schema_from::<traces::LogView>()
        .schema_from::<records::RecordView>()
        .schema_from::<records::ChangeView>()
        .schema_from::<records::ChangesView>()
        .schema_from::<records::QuarantinedView>()
        .schema_from::<records::VersionView>()
        .schema_from::<records::RestoreRequest>()
        .schema_from::<files::FileView>()
        .schema_from::<files::OwnerView>()
        .schema_from::<streams::StreamView>()
        .schema_from::<streams::OptionsBody>()
        .schema_from::<streams::CadenceBody>()
        .schema_from::<streams::QuietBody>()
        .schema_from::<streams::StreamRequest>()
        .schema_from::<streams::PreviewRequest>()
        .schema_from::<streams::PreviewView>()
        .schema_from::<streams::TrialView>()
        .schema_from::<streams::DiscoveryView>()
        .schema_from::<streams::TriedView>()
        .schema_from::<streams::RefusedView>()
        .schema_from::<runs::WindowView>()
        .schema_from::<runs::UndoneView>()
        .schema_from::<actions::OfferedView>()
        .schema_from::<actions::ResultView>()
        .schema_from::<hooks::HookView>()
        .schema_from::<hooks::RegistrationView>()
        .schema_from::<hooks::Creation>()
        .schema_from::<hooks::Wish>()
        .schema_from::<hooks::Rotation>()
        .schema_from::<hooks::SignatureView>()
        .schema_from::<hooks::HeaderView>()
        .schema_from::<receipts::ReceiptView>()
        .schema_from::<receipts::ReceiptDetail>()
        .schema_from::<receipts::RequestView>()
        .schema_from::<endpoints::EndpointView>()
        .schema_from::<endpoints::Change>()
        .schema_from::<endpoints::Rotation>()
        .schema_from::<endpoints::Sample>()
        .schema_from::<endpoints::DeliveryView>()
        .schema_from::<endpoints::DeliveryDetail>()
        .schema_from::<endpoints::AttemptView>()
        .schema_from::<replays::ReplayView>()
        .schema_from::<replays::ScopeView>()
        .schema_from::<replays::Creation>()
        .schema_from::<events::KindView>()
        .schema_from::<events::EventView>()
        .schema_from::<events::EventsView>()
        .schema_from::<keys::KeyView>()
        .schema_from::<keys::Creation>()
        .schema_from::<secrets::SecretView>()
        .schema_from::<secrets::OrganizationKeyView>()
        .schema_from::<secrets::MasterKeysView>()
}

fn method(name: &str) -> HttpMethod {
    match name {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn operation(route: &Route) -> utoipa::openapi::path::Operation {
    let text = || {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .build()
    };
    let mut operation = OperationBuilder::new()
        .operation_id(Some(operation_id(route)))
        .summary(Some(route.summary))
        .tag(tag(route.path));
    for name in route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    {
        let at = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True);
        operation = operation.parameter(at.schema(Some(text())));
    }
    for (name, meaning) in route.query {
        let asked = ParameterBuilder::new()
            .name(*name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False);
        operation = operation.parameter(asked.description(Some(*meaning)).schema(Some(text())));
    }
    if let Some(taken) = route.takes {
        let (kind, schema) = match taken {
            "binary" => ("application/octet-stream", None),
            name => ("application/json", Some(schema(name))),
        };
        let content = ContentBuilder::new().schema(schema).build();
        operation = operation.request_body(Some(RequestBodyBuilder::new().content(kind, content).build()));
    }
    let (status, given) = route.gives;
    let mut answer = ResponseBuilder::new().description(route.summary);
    if let Some(given) = given {
        let (kind, content) = match given {
            "text" => ("text/plain", Some(RefOr::T(text().into()))),
            "binary" => ("application/wasm", None),
            "bytes" => ("application/octet-stream", None),
            name => ("application/json", Some(schema(name))),
        };
        answer = answer.content(kind, ContentBuilder::new().schema(content).build());
    }
    let problem = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    let problem = ResponseBuilder::new()
        .description("a problem")
        .content("application/problem+json", problem);
    operation = operation
        .response(status.to_string(), answer.build())
        .response("default", problem.build());
    match route.access {
        Access::Key | Access::Approver => operation
            .security(SecurityRequirement::new("key", Vec::<String>::new()))
            .build(),
        Access::Public => operation.build(),
    }
}

/// `[X]` is a page of X, `Object` any JSON.
fn schema(name: &str) -> RefOr<Schema> {
    if name == "Object" {
        return RefOr::T(ObjectBuilder::new().build().into());
    }
    let Some(item) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) else {
        return Ref::from_schema_name(name).into();
    };
    let items = ArrayBuilder::new()
        .items(RefOr::Ref(Ref::from_schema_name(item)))
        .build();
    let next = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .description(Some(
            "ask with it as `after` for the next page; absent on the last one",
        ))
        .build();
    let page = ObjectBuilder::new()
        .property("items", items)
        .property("next", next)
        .required("items")
        .build();
    RefOr::T(page.into())
}

/// `listConnections`.
pub(super) fn operation_id(route: &Route) -> String {
    let name = format!("{:?}", route.operation);
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}

/// The noun of a path.
fn tag(path: &str) -> &str {
    let path = path.strip_prefix("/api/v1").unwrap_or(path);
    path.split('/').nth(1).unwrap_or_default()
}
