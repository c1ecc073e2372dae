//! The rows of the table for events and where they go.

use super::table::{LIMIT, PAGED, PLACE};
use super::{Operation, Route, route};

const KIND: (&str, &str) = ("kind", "only events whose kind begins so");
const CONNECTION: (&str, &str) = ("connection", "only events about the connection with this id");
const SINCE: (&str, &str) = ("since", "only what was recorded from this time on");
const UNTIL: (&str, &str) = ("until", "only what was recorded before this time");

pub(super) const ROUTES: &[Route] = &[
    route(
        "GET",
        "/api/v1/events",
        Operation::ListEvents,
        "the event store, oldest first",
    )
    .query(&[
        PLACE,
        LIMIT,
        KIND,
        CONNECTION,
        SINCE,
        UNTIL,
        ("format", "`cloudevents` for CloudEvents 1.0"),
    ])
    .gives(200, "Events"),
    route(
        "GET",
        "/api/v1/events/{event}",
        Operation::GetEvent,
        "an event, by its number",
    )
    .gives(200, "Event"),
    route(
        "GET",
        "/api/v1/events/tail",
        Operation::TailEvents,
        "events as they come: server-sent CloudEvents; goes on behind `Last-Event-ID`",
    )
    .query(&[
        ("after", "the number after which to begin; from now on without it"),
        KIND,
        CONNECTION,
        (
            "endpoint",
            "an endpoint's id or name: only what it wants, as it would be sent",
        ),
        (
            "include",
            "`replays`: also the events of each replay that ends, of this endpoint's with `endpoint`; they have a line `replay` with \
             the event's number instead of an id",
        ),
    ])
    .gives(200, "text"),
    route(
        "GET",
        "/api/v1/events/export",
        Operation::ExportEvents,
        "all events up to now as CloudEvents, one a line",
    )
    .query(&[PLACE, KIND, CONNECTION, SINCE, UNTIL])
    .gives(200, "text"),
    route(
        "GET",
        "/api/v1/events/catalogue",
        Operation::ListEventKinds,
        "the kinds of events there can be, with schemas and samples",
    )
    .gives(200, "[EventKind]"),
    route(
        "GET",
        "/api/v1/endpoints",
        Operation::ListEndpoints,
        "where events are delivered",
    )
    .gives(200, "[Endpoint]"),
    route(
        "POST",
        "/api/v1/endpoints",
        Operation::CreateEndpoint,
        "deliver events to an address from now on",
    )
    .takes("EndpointRequest")
    .gives(201, "Endpoint"),
    route(
        "GET",
        "/api/v1/endpoints/{endpoint}",
        Operation::GetEndpoint,
        "an endpoint, by id or name",
    )
    .gives(200, "Endpoint"),
    route(
        "PATCH",
        "/api/v1/endpoints/{endpoint}",
        Operation::ChangeEndpoint,
        "change an endpoint; what is left out stays",
    )
    .takes("EndpointRequest")
    .gives(200, "Endpoint"),
    route(
        "DELETE",
        "/api/v1/endpoints/{endpoint}",
        Operation::RemoveEndpoint,
        "remove an endpoint and what is owed to it",
    ),
    route(
        "POST",
        "/api/v1/endpoints/{endpoint}/pause",
        Operation::PauseEndpoint,
        "hold deliveries back; events go on being owed",
    )
    .gives(200, "Endpoint"),
    route(
        "POST",
        "/api/v1/endpoints/{endpoint}/resume",
        Operation::ResumeEndpoint,
        "go on, or switch it on again",
    )
    .gives(200, "Endpoint"),
    route(
        "POST",
        "/api/v1/endpoints/{endpoint}/disable",
        Operation::DisableEndpoint,
        "switch it off; events are no longer owed",
    )
    .gives(200, "Endpoint"),
    route(
        "POST",
        "/api/v1/endpoints/{endpoint}/rotate",
        Operation::RotateEndpoint,
        "a new signing key; the one before goes on for a while",
    )
    .takes("EndpointRotation")
    .gives(200, "Endpoint"),
    route(
        "POST",
        "/api/v1/endpoints/{endpoint}/test",
        Operation::TestEndpoint,
        "send a sample event now",
    )
    .takes("EndpointTest")
    .gives(200, "Attempt"),
    route(
        "GET",
        "/api/v1/endpoints/{endpoint}/deliveries",
        Operation::ListDeliveries,
        "what is owed to it and what became of it, newest event first",
    )
    .query(&[
        ("state", "`waiting`, `delivered` or `dead`"),
        LIMIT,
        ("after", "`next` of the page before"),
    ])
    .gives(200, "[Delivery]"),
    route(
        "GET",
        "/api/v1/endpoints/{endpoint}/deliveries/{event}",
        Operation::GetDelivery,
        "a delivery and its tries, by the event's number",
    )
    .gives(200, "DeliveryDetail"),
    route(
        "POST",
        "/api/v1/endpoints/{endpoint}/deliveries/{event}/redrive",
        Operation::RedriveDelivery,
        "deliver one event again",
    )
    .gives(202, "Delivery"),
    route(
        "GET",
        "/api/v1/replays",
        Operation::ListReplays,
        "replays, newest first",
    )
    .query(PAGED)
    .gives(200, "[Replay]"),
    route(
        "POST",
        "/api/v1/replays",
        Operation::CreateReplay,
        "deliver events of a time again, or what was missed",
    )
    .takes("NewReplay")
    .gives(202, "Replay"),
    route(
        "GET",
        "/api/v1/replays/{replay}",
        Operation::GetReplay,
        "a replay and how far it is",
    )
    .gives(200, "Replay"),
    route(
        "POST",
        "/api/v1/replays/{replay}/cancel",
        Operation::CancelReplay,
        "end a replay; what it made due is delivered",
    )
    .gives(200, "Replay"),
];
