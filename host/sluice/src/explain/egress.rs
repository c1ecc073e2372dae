//! The road out and secrets: SLU-2xxx.

use super::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        2001,
        "egress.denied",
        403,
        "a request is not permitted",
        "The connector asked for a host, port, method or path that its request, the operator's ceiling or the install's grant does not have. Names that are not permitted are not even resolved.",
        "the message says which of the three is missing and who can change it",
    ),
    entry(
        2002,
        "egress.denied_address",
        403,
        "a name leads to a private address",
        "The name is permitted, but it resolves to an address that is not public: loopback, private, link-local, metadata. Such addresses are refused unless the operator opened them.",
        "if it is meant, open it: broker.open = [\"10.1.2.0/24:443\"]",
    ),
    entry(
        2003,
        "egress.denied_self",
        403,
        "a connector asked for this server itself",
        "The server's own listeners are refused even where their range is open, so that no connector can speak to the API.",
        "",
    ),
    entry(
        2004,
        "egress.redirect_denied",
        403,
        "a redirect leads where the grant does not",
        "Redirects are checked hop by hop like every request, and this one leads to a place that is not permitted.",
        "if the vendor really answers from there, the connector has to ask for that host",
    ),
    entry(
        2005,
        "secret.origin_mismatch",
        403,
        "a secret was meant for another origin",
        "A secret is bound to the origins that its scheme names, and is sent nowhere else.",
        "reconnect if the vendor's address has changed: sluice connection reconnect",
    ),
    entry(
        2006,
        "secret.missing",
        422,
        "the connection has no such credential",
        "The connector named a credential that this connection does not have.",
        "sluice connection reconnect NAME",
    ),
    entry(
        2007,
        "secret.unavailable",
        500,
        "the credential cannot be read",
        "The database has it, but it could not be read or opened.",
        "look at the server's log",
    ),
    entry(
        2008,
        "egress.rate_limited",
        429,
        "a rate limit is reached",
        "The pace or the daily quota of the connection or of its app, or the one that the vendor stated in its answers, is used up \
         for now.",
        "",
    )
    .passes(),
    entry(
        2009,
        "egress.circuit_open",
        503,
        "the vendor failed repeatedly and is left alone",
        "After several failures in a row nothing is sent to that host for a while, so that it can recover.",
        "",
    )
    .passes(),
    entry(
        2010,
        "egress.timeout",
        504,
        "the vendor did not answer in time",
        "The whole exchange, with retries and redirects, has a time limit.",
        "",
    )
    .passes(),
    entry(
        2011,
        "egress.dns",
        502,
        "the vendor's name cannot be resolved",
        "DNS has no usable address for the name, or does not answer.",
        "check the host in the connection's configuration, and this machine's DNS",
    )
    .passes(),
    entry(
        2012,
        "egress.unreachable",
        502,
        "the vendor cannot be reached",
        "No connection came about, or it was reset before an answer came.",
        "check the network between this machine and the vendor",
    )
    .passes(),
    entry(
        2013,
        "egress.tls",
        502,
        "the vendor's certificate is not acceptable",
        "The certificate does not belong to the name, has expired, or is signed by an unknown authority.",
        "a private authority can be added: broker.extra_ca_files",
    ),
    entry(
        2014,
        "egress.protocol",
        502,
        "the vendor's answer is not HTTP",
        "The answer breaks the rules of HTTP so that it cannot be trusted.",
        "",
    )
    .passes(),
    entry(
        2015,
        "egress.bad_request",
        422,
        "a request is malformed",
        "The connector built a request with a URL, method or header that is not allowed; Host, Authorization and Content-Length are the host's.",
        "tell the connector's author",
    ),
    entry(
        2016,
        "egress.budget",
        429,
        "the call made too many requests",
        "One call may make a limited number of requests, and have a limited number of them under way.",
        "the connector can ask for a higher http_requests in its manifest",
    ),
    entry(
        2017,
        "egress.too_large",
        502,
        "the vendor's answer is too large",
        "The head or the body, after decompression, is over its limit.",
        "the connector can ask for smaller pages, or for a higher response_bytes",
    ),
    entry(
        2018,
        "egress.truncated",
        502,
        "the vendor's answer was cut off",
        "The body ended before its stated length, or its compression ended early.",
        "",
    )
    .passes(),
];
