//! The streams, named as in `connector.toml`: each is a list of Stripe's, and how its changes are known.

/// A list of Stripe's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Its name, and the last part of its path.
    pub(crate) name: &'static str,
    /// The `object` of its records.
    pub(crate) object: &'static str,
    /// What else the list's query has to say.
    pub(crate) query: &'static str,
    pub(crate) changes: Changes,
    /// The list within each record that Stripe shows the beginning of only.
    pub(crate) nested: Option<Nested>,
}

/// How it is known what became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changes {
    /// By events (Stripe API docs, "List all events"): one kind that may end in `*` (`type`), or up to 20 exact ones (`types`).
    Events {
        kinds: &'static [&'static str],
        /// Whether an event `….deleted` means that a record is gone: a subscription that is cancelled stays.
        deletes: bool,
    },
    /// Records are added at the front of the list, and none is taken away.
    Added,
}

/// A list within a record ("Pagination", `has_more`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nested {
    /// `lines`, at `/v1/invoices/{id}/lines`.
    Lines,
    /// `items`, at `/v1/subscription_items`.
    Items,
}

/// What is so where a stream does not say otherwise.
const PLAIN: Stream = Stream {
    name: "",
    object: "",
    query: "",
    changes: Changes::Added,
    nested: None,
};

pub(crate) const STREAMS: [Stream; 12] = [
    Stream {
        name: "customers",
        object: "customer",
        changes: Changes::Events {
            kinds: &["customer.*"],
            deletes: true,
        },
        ..PLAIN
    },
    Stream {
        name: "invoices",
        object: "invoice",
        changes: Changes::Events {
            kinds: &["invoice.*"],
            deletes: true,
        },
        nested: Some(Nested::Lines),
        ..PLAIN
    },
    Stream {
        name: "charges",
        object: "charge",
        changes: Changes::Events {
            kinds: &["charge.*"],
            deletes: false,
        },
        ..PLAIN
    },
    Stream {
        name: "subscriptions",
        object: "subscription",
        // Without it cancelled ones are left out ("List subscriptions").
        query: "&status=all",
        changes: Changes::Events {
            kinds: &["customer.subscription.*"],
            deletes: false,
        },
        nested: Some(Nested::Items),
    },
    Stream {
        name: "products",
        object: "product",
        changes: Changes::Events {
            kinds: &["product.*"],
            deletes: true,
        },
        ..PLAIN
    },
    Stream {
        name: "prices",
        object: "price",
        changes: Changes::Events {
            kinds: &["price.*"],
            deletes: true,
        },
        ..PLAIN
    },
    Stream {
        name: "payment_intents",
        object: "payment_intent",
        changes: Changes::Events {
            kinds: &["payment_intent.*"],
            deletes: false,
        },
        ..PLAIN
    },
    Stream {
        name: "refunds",
        object: "refund",
        changes: Changes::Events {
            kinds: &[
                "refund.created",
                "refund.updated",
                "refund.failed",
                "charge.refund.updated",
            ],
            deletes: false,
        },
        ..PLAIN
    },
    Stream {
        name: "disputes",
        object: "dispute",
        changes: Changes::Events {
            kinds: &["charge.dispute.*"],
            deletes: false,
        },
        ..PLAIN
    },
    Stream {
        name: "payouts",
        object: "payout",
        changes: Changes::Events {
            kinds: &["payout.*"],
            deletes: false,
        },
        ..PLAIN
    },
    Stream {
        name: "balance_transactions",
        object: "balance_transaction",
        ..PLAIN
    },
    Stream {
        name: "events",
        object: "event",
        ..PLAIN
    },
];

pub(crate) fn named(name: &str) -> Option<&'static Stream> {
    STREAMS.iter().find(|stream| stream.name == name)
}
