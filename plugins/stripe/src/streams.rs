//! The streams, named as in `connector.toml`: each is a list, and the events that tell of changes in it.

/// A list of Stripe's, and how its changes are known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Its name, and the last part of its path.
    pub(crate) name: &'static str,
    /// The `object` of its records.
    pub(crate) object: &'static str,
    /// What else the list's query has to say.
    pub(crate) query: &'static str,
    /// The group of events that concern it (Stripe API docs, "List all events", `type`).
    pub(crate) events: &'static str,
    /// Whether an event `….deleted` means that a record is gone: a subscription that is cancelled stays.
    pub(crate) deletes: bool,
}

pub(crate) const STREAMS: [Stream; 4] = [
    Stream {
        name: "customers",
        object: "customer",
        query: "",
        events: "customer.*",
        deletes: true,
    },
    Stream {
        name: "invoices",
        object: "invoice",
        query: "",
        events: "invoice.*",
        deletes: true,
    },
    Stream {
        name: "charges",
        object: "charge",
        query: "",
        events: "charge.*",
        deletes: false,
    },
    Stream {
        name: "subscriptions",
        object: "subscription",
        // Without it cancelled ones are left out ("List subscriptions").
        query: "&status=all",
        events: "customer.subscription.*",
        deletes: false,
    },
];

pub(crate) fn named(name: &str) -> Option<&'static Stream> {
    STREAMS.iter().find(|stream| stream.name == name)
}
