//! The routes of where records go: destinations, links, writes and trials.

use super::table::PAGED;
use super::{Operation, Route, route};

pub(super) const ROUTES: &[Route] = &[
    route(
        "GET",
        "/api/v1/destinations",
        Operation::ListDestinations,
        "the places that records are loaded into",
    )
    .query(PAGED)
    .gives(200, "[Destination]"),
    route(
        "POST",
        "/api/v1/destinations",
        Operation::CreateDestination,
        "add a place to load records into",
    )
    .takes("NewDestination")
    .gives(201, "Destination"),
    route(
        "GET",
        "/api/v1/destinations/{destination}",
        Operation::GetDestination,
        "a destination, by id or name",
    )
    .gives(200, "Destination"),
    route(
        "PUT",
        "/api/v1/destinations/{destination}",
        Operation::SetDestination,
        "set its settings, and what is given of its secret, anew",
    )
    .takes("DestinationChange")
    .gives(200, "Destination"),
    route(
        "DELETE",
        "/api/v1/destinations/{destination}",
        Operation::RemoveDestination,
        "remove a destination that nothing is loaded into",
    ),
    route(
        "POST",
        "/api/v1/destinations/{destination}/test",
        Operation::CheckDestination,
        "whether it is reached and may be written to",
    )
    .gives(200, "DestinationCheck"),
    route(
        "GET",
        "/api/v1/destinations/{destination}/loads",
        Operation::ListLoads,
        "what is loaded into it, and how that is doing",
    )
    .gives(200, "[Load]"),
    route(
        "PUT",
        "/api/v1/destinations/{destination}/loads/{connection}",
        Operation::CreateLoad,
        "load a connection's records into it",
    )
    .takes("LoadRequest")
    .gives(201, "Load"),
    route(
        "DELETE",
        "/api/v1/destinations/{destination}/loads/{connection}",
        Operation::RemoveLoad,
        "load them no more; what was delivered stays",
    ),
    route(
        "POST",
        "/api/v1/destinations/{destination}/loads/{connection}/retry",
        Operation::RetryLoad,
        "try a load again now",
    )
    .takes("LoadRetry")
    .gives(200, "Load"),
    route(
        "GET",
        "/api/v1/links",
        Operation::ListLinks,
        "streams that are kept saying the same",
    )
    .query(&[("connection", "only those of this connection")])
    .gives(200, "[Link]"),
    route("POST", "/api/v1/links", Operation::CreateLink, "link two streams")
        .takes("NewLink")
        .gives(201, "Link"),
    route(
        "GET",
        "/api/v1/links/{link}",
        Operation::GetLink,
        "a link, by id or name",
    )
    .gives(200, "Link"),
    route(
        "PUT",
        "/api/v1/links/{link}",
        Operation::SetLink,
        "set its settings anew; every record is looked at again",
    )
    .takes("LinkChange")
    .gives(200, "Link"),
    route(
        "DELETE",
        "/api/v1/links/{link}",
        Operation::RemoveLink,
        "remove a link; no record is touched",
    ),
    route(
        "POST",
        "/api/v1/links/{link}/pause",
        Operation::PauseLink,
        "hold a link up",
    )
    .gives(200, "Link"),
    route(
        "POST",
        "/api/v1/links/{link}/resume",
        Operation::ResumeLink,
        "let a link go on",
    )
    .gives(200, "Link"),
    route(
        "POST",
        "/api/v1/links/{link}/retry",
        Operation::RetryLink,
        "try a link again now",
    )
    .gives(200, "Link"),
    route(
        "GET",
        "/api/v1/connections/{connection}/trace",
        Operation::GetConnectionTrace,
        "the last requests that were part of no run, receipt or link: actions, writes, hooks; redacted",
    )
    .query(PAGED)
    .gives(200, "[Exchange]"),
    route(
        "GET",
        "/api/v1/connections/{connection}/logs",
        Operation::GetConnectionLogs,
        "what was written at them, and how each ended",
    )
    .query(PAGED)
    .gives(200, "[LogLine]"),
    route(
        "GET",
        "/api/v1/receipts/{receipt}/trace",
        Operation::GetReceiptTrace,
        "the requests of its handling, redacted",
    )
    .query(PAGED)
    .gives(200, "[Exchange]"),
    route(
        "GET",
        "/api/v1/receipts/{receipt}/logs",
        Operation::GetReceiptLogs,
        "what the connector wrote while it handled it",
    )
    .query(PAGED)
    .gives(200, "[LogLine]"),
    route(
        "GET",
        "/api/v1/links/{link}/trace",
        Operation::GetLinkTrace,
        "the last requests of its writes, redacted",
    )
    .query(PAGED)
    .gives(200, "[Exchange]"),
    route(
        "GET",
        "/api/v1/links/{link}/logs",
        Operation::GetLinkLogs,
        "what the connectors wrote at its last writes",
    )
    .query(PAGED)
    .gives(200, "[LogLine]"),
    route(
        "GET",
        "/api/v1/links/{link}/conflicts",
        Operation::ListConflicts,
        "records that wait for a person",
    )
    .query(PAGED)
    .gives(200, "[Conflict]"),
    route(
        "POST",
        "/api/v1/links/{link}/conflicts/{number}",
        Operation::ResolveConflict,
        "say whose word counts",
    )
    .takes("ConflictResolution")
    .gives(200, "Settled"),
    route(
        "POST",
        "/api/v1/connections/{connection}/streams/{stream}/writes",
        Operation::WriteRecords,
        "write records at the vendor; each has its own outcome",
    )
    .takes("WriteRequest")
    .gives(200, "[WriteOutcome]"),
    route(
        "POST",
        "/api/v1/connections/{connection}/streams/{stream}/trial",
        Operation::TryStream,
        "read the first records and show what would become of them; nothing is kept",
    )
    .query(&[("limit", "1 to 100 records; 10 without it")])
    .gives(200, "Trial"),
    route(
        "POST",
        "/api/v1/connections/{connection}/discovery",
        Operation::DiscoverStreams,
        "ask the connector which streams the account has",
    )
    .query(&[(
        "accept",
        "true takes new ones whatever the connection's contract says",
    )])
    .gives(200, "Discovery"),
    route(
        "PUT",
        "/api/v1/connections/{connection}/contract",
        Operation::SetContract,
        "set what becomes of streams that the account did not have before",
    )
    .takes("StreamContract")
    .gives(200, "StreamContract"),
];
