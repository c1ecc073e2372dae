//! The streams, named as in `connector.toml`: each is an object and the standard fields that are asked for (Object
//! Reference, "Account", "Contact"). Fields that an organization added come from the configuration.

/// An object.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) name: &'static str,
    pub(crate) object: &'static str,
    /// Where the configuration has more of them.
    pub(crate) more_fields: &'static str,
    pub(crate) fields: &'static [&'static str],
    /// Fields that Salesforce makes out of others and nobody writes.
    pub(crate) made: &'static [&'static str],
}

pub(crate) const STREAMS: [Stream; 2] = [
    Stream {
        name: "accounts",
        object: "Account",
        more_fields: "account_fields",
        fields: &[
            "Id",
            "IsDeleted",
            "SystemModstamp",
            "CreatedDate",
            "LastModifiedDate",
            "Name",
            "Type",
            "ParentId",
            "OwnerId",
            "Industry",
            "AnnualRevenue",
            "NumberOfEmployees",
            "AccountNumber",
            "Phone",
            "Website",
            "Description",
            "BillingStreet",
            "BillingCity",
            "BillingState",
            "BillingPostalCode",
            "BillingCountry",
            "ShippingStreet",
            "ShippingCity",
            "ShippingState",
            "ShippingPostalCode",
            "ShippingCountry",
        ],
        made: &[],
    },
    Stream {
        name: "contacts",
        object: "Contact",
        more_fields: "contact_fields",
        fields: &[
            "Id",
            "IsDeleted",
            "SystemModstamp",
            "CreatedDate",
            "LastModifiedDate",
            "AccountId",
            "OwnerId",
            "FirstName",
            "LastName",
            "Name",
            "Salutation",
            "Title",
            "Department",
            "Email",
            "Phone",
            "MobilePhone",
            "LeadSource",
            "Description",
            "MailingStreet",
            "MailingCity",
            "MailingState",
            "MailingPostalCode",
            "MailingCountry",
        ],
        made: &["Name"],
    },
];

pub(crate) fn named(name: &str) -> Option<&'static Stream> {
    STREAMS.iter().find(|stream| stream.name == name)
}
