//! Events: entries of an organization's append-only, ordered event store.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::id::{EventId, OrgId};

/// An event that is to be appended. The store numbers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Ours.
    pub id: EventId,
    /// What happened, e.g. `github.issues.opened` or `sluice.run.failed`.
    pub kind: String,
    /// What it is about: a connection, a run, an install; an id's text.
    pub subject: String,
    /// The vendor's id of the event where there is one: the same for a redelivery.
    pub source_id: Option<String>,
    /// When it happened, where it is told.
    pub occurred: Option<Timestamp>,
    /// JSON text.
    pub data: String,
}

/// An event in the shape of CloudEvents 1.0 (JSON event format): what endpoints are sent and what a tail shows.
#[derive(Debug, Clone, Copy)]
pub struct CloudEvent<'a> {
    /// Whose it is; becomes `source`, `urn:sluice:org_…`.
    pub org: OrgId,
    /// Becomes `id`.
    pub id: EventId,
    /// Its number; becomes `sequence` of the Sequence extension, which sorts as text does.
    pub seq: u64,
    /// Becomes `type`.
    pub kind: &'a str,
    /// Becomes `subject`, if it is not empty.
    pub subject: &'a str,
    /// Becomes `sourceid`, an extension of ours.
    pub source_id: Option<&'a str>,
    /// When it happened, or was recorded where nothing else is known; becomes `time`.
    pub time: Timestamp,
    /// Becomes `recordedtime` of the Recorded Time extension.
    pub recorded: Timestamp,
    /// JSON text; becomes `data`, to the byte.
    pub data: &'a str,
}

/// `application/cloudevents+json`: the media type of the JSON event format.
pub const CLOUD_EVENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

#[derive(Serialize)]
struct Attributes<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    time: String,
    recordedtime: String,
    sequence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sourceid: Option<&'a str>,
    datacontenttype: &'static str,
}

impl CloudEvent<'_> {
    /// The JSON text. Data that is empty is left out.
    #[must_use]
    pub fn text(&self) -> String {
        let attributes = Attributes {
            specversion: "1.0",
            id: self.id.to_string(),
            source: format!("urn:sluice:{}", self.org),
            r#type: self.kind,
            subject: self.subject,
            time: self.time.to_string(),
            recordedtime: self.recorded.to_string(),
            sequence: format!("{:020}", self.seq),
            sourceid: self.source_id.filter(|id| !id.is_empty()),
            datacontenttype: "application/json",
        };
        // Texts always have a JSON form.
        let mut text = serde_json::to_string(&attributes).unwrap_or_default();
        if !self.data.trim().is_empty() && text.pop().is_some() {
            text.push_str(",\"data\":");
            text.push_str(self.data);
            text.push('}');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn always_json_with_the_data_as_it_was(kind: String, subject: String, source_id: Option<String>, number: i64) {
            let data = format!("{{\"n\":{number}.10}}");
            let event = CloudEvent {
                org: OrgId::from_bytes([1; 16]),
                id: EventId::from_bytes([2; 16]),
                seq: 7,
                kind: &kind,
                subject: &subject,
                source_id: source_id.as_deref(),
                time: Timestamp::from_millis(1),
                recorded: Timestamp::from_millis(2),
                data: &data,
            };
            let text = event.text();
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read["type"].as_str(), Some(kind.as_str()));
            prop_assert_eq!(read["specversion"].as_str(), Some("1.0"));
            prop_assert_eq!(read["sequence"].as_str(), Some("00000000000000000007"));
            let end = format!("\"data\":{data}}}");
            prop_assert!(text.ends_with(&end));
        }
    }
}
