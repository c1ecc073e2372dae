//! The configuration: the instance, which comes with the token, and the fields that an organization added itself.

use serde::Deserialize;
use sluice_sdk::{Connection, Error};

/// What is below `my.salesforce.com` is an organization's instance; a token goes nowhere else.
const BELOW: &str = ".my.salesforce.com";

/// From here on a job costs less than its queries would: each of those gives a thousand records.
const BULK_FROM: u64 = 50_000;

#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    instance: Option<String>,
    #[serde(default)]
    account_fields: Vec<String>,
    #[serde(default)]
    contact_fields: Vec<String>,
    #[serde(default)]
    bulk_from: Option<u64>,
}

pub(crate) fn read(connection: &Connection) -> Result<Config, Error> {
    connection.config()
}

impl Config {
    /// The host that the vendor named along with the token.
    pub(crate) fn instance(&self) -> Result<String, Error> {
        match &self.instance {
            Some(host) if is_instance(host) => Ok(host.clone()),
            Some(_) => Err(Error::config(
                "not a host below my.salesforce.com: the organization needs My Domain",
                "/instance",
            )),
            None => Err(Error::config(
                "not known yet: it comes with the token",
                "/instance",
            )),
        }
    }

    /// From how many records on an object is read by the Bulk API at first.
    pub(crate) fn bulk_from(&self) -> u64 {
        self.bulk_from.unwrap_or(BULK_FROM)
    }

    /// More fields of an object, by the name of their place in the configuration.
    pub(crate) fn fields(&self, place: &str) -> Result<&[String], Error> {
        let fields = match place {
            "account_fields" => &self.account_fields,
            _ => &self.contact_fields,
        };
        match fields.iter().position(|field| !is_field(field)) {
            Some(at) => Err(Error::config("not a field's API name", format!("/{place}/{at}"))),
            None => Ok(fields),
        }
    }
}

fn is_instance(host: &str) -> bool {
    let Some(labels) = host.strip_suffix(BELOW) else {
        return false;
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    labels.split('.').count() <= 2 && labels.split('.').all(label)
}

/// Whether it is a field's API name, such as `Region__c` or `Owner.Name`; nothing else becomes part of a query.
fn is_field(text: &str) -> bool {
    let word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    (1..=100).contains(&text.len()) && text.split('.').count() <= 3 && text.split('.').all(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::connection;

    #[test]
    fn a_token_goes_to_instances_only() {
        for good in [
            "doors.my.salesforce.com",
            "doors--uat.sandbox.my.salesforce.com",
            "doors-dev-ed.develop.my.salesforce.com",
        ] {
            assert!(is_instance(good), "{good}");
        }
        for bad in [
            "my.salesforce.com",
            ".my.salesforce.com",
            "evil.example",
            "evil.example/.my.salesforce.com",
            "a.b.c.my.salesforce.com",
            "doors.my.salesforce.com.evil.example",
            "doors.my.salesforce.com:8443",
            "DOORS.my.salesforce.com",
        ] {
            assert!(!is_instance(bad), "{bad}");
        }
    }

    #[test]
    fn a_field_cannot_become_anything_else() {
        for good in ["Region__c", "Owner.Name", "Parent.Owner.Alias", "acme__Tier__c"] {
            assert!(is_field(good), "{good}");
        }
        for bad in [
            "",
            "a,b",
            "Id FROM User",
            "(SELECT Id FROM Contacts)",
            "a.",
            "a.b.c.d",
            "1a",
            "a'",
        ] {
            assert!(!is_field(bad), "{bad}");
        }
        let config = read(&connection(r#"{"contact_fields":["Region__c","x y"]}"#)).unwrap();
        assert!(config.fields("account_fields").unwrap().is_empty());
        let error = config.fields("contact_fields").unwrap_err();
        assert!(
            matches!(error, Error::Config(detail) if detail.pointer.as_deref() == Some("/contact_fields/1"))
        );
    }
}
