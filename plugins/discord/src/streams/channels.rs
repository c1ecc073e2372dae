//! The channels of a server ("Get Guild Channels"), all in one answer: a server has at most 500.

use serde::Deserialize;
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Error, Page, ReadRequest};

use crate::api;

/// What people write in: text channels and announcements ("Channel Types").
const TEXT: [u64; 2] = [0, 5];

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(rename = "type", default)]
    kind: u64,
}

pub(crate) fn read(request: &ReadRequest) -> Result<Page, Error> {
    let guild = super::partition(request)?;
    let mut changes = Vec::new();
    list(guild, |head, text| {
        changes.push(Change::Upsert(record::item(head.id.as_str(), text, None)));
    })?;
    Ok(Page::last(changes))
}

/// The ids of those that have messages.
pub(crate) fn with_messages(guild: &str) -> Result<Vec<String>, Error> {
    let mut ids = Vec::new();
    list(guild, |head, _| {
        if TEXT.contains(&head.kind) && api::is_id(head.id.as_str()) {
            ids.push(head.id.as_str().to_owned());
        }
    })?;
    Ok(ids)
}

fn list(guild: &str, mut each: impl FnMut(&Head<'_>, &str)) -> Result<(), Error> {
    let response = api::get(&format!("guilds/{guild}/channels")).send()?;
    let response = response.ok().map_err(|error| error.blame_config("/guilds"))?;
    for element in record::each::<Head<'_>>(response.text()?) {
        let (head, text) = element?;
        each(&head, text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn a_servers_channels_are_one_answer() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../../fixtures/channels.json")));
        let mut request = testing::read_request("channels", None);
        assert!(read(&request).is_err(), "no server");
        request.partition = Some("197038439483310086".to_owned());
        let page = read(&request).unwrap();
        assert_eq!((page.changes.len(), page.more), (2, false));
        assert_eq!(
            with_messages("197038439483310086").unwrap(),
            ["399942396007890945"]
        );
        testing::serve(|_| testing::answer(404, &[], r#"{"message":"Unknown Guild","code":10004}"#));
        assert!(matches!(read(&request), Err(Error::Config(_))));
    }
}
