//! The streams, named as in `connector.toml` and as HubSpot's paths name the objects.

/// An object of the CRM.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) name: &'static str,
    /// The property that has the time of the last change: contacts have an older name for it ("Search the CRM").
    pub(crate) modified: &'static str,
    /// What its records are associated with here.
    pub(crate) associated: [&'static str; 2],
    /// Where the configuration names its properties.
    pub(crate) configured: &'static str,
}

pub(crate) const STREAMS: [Stream; 3] = [
    Stream {
        name: "contacts",
        modified: "lastmodifieddate",
        associated: ["companies", "deals"],
        configured: "contact_properties",
    },
    Stream {
        name: "companies",
        modified: "hs_lastmodifieddate",
        associated: ["contacts", "deals"],
        configured: "company_properties",
    },
    Stream {
        name: "deals",
        modified: "hs_lastmodifieddate",
        associated: ["contacts", "companies"],
        configured: "deal_properties",
    },
];

pub(crate) fn named(name: &str) -> Option<&'static Stream> {
    STREAMS.iter().find(|stream| stream.name == name)
}
