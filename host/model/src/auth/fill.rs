//! What a vendor tells along with a token and the connection's configuration then says: an instance's host, a data
//! centre, a company's id.

/// One value that goes into the configuration. It has to pass the property's schema, like a person's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// The property.
    pub config: String,
    /// Where the value is told.
    pub from: FillFrom,
    /// Where in that answer (RFC 6901).
    pub pointer: String,
    /// What of it is taken.
    pub take: Take,
}

/// Which answer tells a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FillFrom {
    /// The token endpoint's.
    Token,
    /// The metadata endpoint's.
    Metadata,
    /// The query of the vendor's redirect; the pointer is `/name`.
    Callback,
}

/// What of a value is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// All of it.
    Text,
    /// The host of an address.
    Host,
}
