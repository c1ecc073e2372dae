//! Messages of a channel ("Get Channel Messages"), in the order of their ids, which is that of their time. Discord tells bots of edits
//! and deletions only over its gateway: a pass begins a day before the newest message that is known, and full runs find the rest.

use serde::{Deserialize, Serialize};
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Connection, Error, Item, Page, ReadRequest, log};

use crate::{api, config};

/// What Discord gives at once.
const PER_PAGE: usize = 100;

/// A day: how far back a pass looks behind the newest known message.
const AGAIN_MS: u64 = 86_400_000;

/// The most channels that are read where none is named: each is a partition with a cursor of its own.
const MAX_CHANNELS: usize = 1_000;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    /// The newest message of the finished passes.
    #[serde(default)]
    newest: u64,
    /// The message that the pass under way has come to; none between passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    timestamp: Text<'a>,
    #[serde(borrow, default)]
    edited_timestamp: Text<'a>,
}

pub(crate) fn partitions(connection: &Connection) -> Result<Vec<String>, Error> {
    let config = config::read(connection)?;
    let named = config.channels()?;
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let mut ids = Vec::new();
    for guild in super::guilds::wanted(connection)? {
        ids.extend(super::channels::with_messages(&guild)?);
        if ids.len() > MAX_CHANNELS {
            return Err(Error::config(
                "there are more than 1,000 channels: name those to read",
                "/channels",
            ));
        }
    }
    Ok(ids)
}

/// Whether the messages of this channel are of the stream, as far as the configuration says.
pub(crate) fn is_wanted(connection: &Connection, channel: &str) -> Result<bool, Error> {
    let config = config::read(connection)?;
    let named = config.channels()?;
    Ok(named.is_empty() || named.iter().any(|id| id == channel))
}

/// A message as a record.
pub(crate) fn record_of(text: &str) -> Result<Item, Error> {
    let head: Head<'_> =
        serde_json::from_str(text).map_err(|error| Error::invalid_data(format!("not a message: {error}")))?;
    Ok(item(&head, text))
}

fn item(head: &Head<'_>, text: &str) -> Item {
    let edited = api::timestamp(head.edited_timestamp.as_str());
    let modified = edited.or_else(|| api::timestamp(head.timestamp.as_str()));
    record::item(head.id.as_str(), text, modified)
}

pub(crate) fn read(connection: &Connection, request: &ReadRequest) -> Result<Page, Error> {
    let channel = super::partition(request)?;
    let mut cursor: Cursor = request.cursor()?.unwrap_or_default();
    let after = cursor.at.take().unwrap_or_else(|| match cursor.newest {
        0 => 0,
        newest => api::first_id(api::made(newest).saturating_sub(AGAIN_MS)),
    });
    let response = api::get(&format!("channels/{channel}/messages"))
        .query("limit", &PER_PAGE.to_string())
        .query("after", &after.to_string())
        .send()?;
    if api::is_out_of_sight(&response) && config::read(connection)?.channels()?.is_empty() {
        log::info("a channel has nothing to read: the bot may not see it");
        return Page::at(Vec::new(), &cursor, false);
    }
    let response = response.ok().map_err(|error| error.blame_config("/channels"))?;
    let mut changes = Vec::with_capacity(PER_PAGE);
    let mut last = after;
    for element in record::each::<Head<'_>>(response.text()?) {
        let (head, text) = element?;
        last = last.max(head.id.as_str().parse().unwrap_or_default());
        changes.push(Change::Upsert(item(&head, text)));
    }
    let more = changes.len() >= PER_PAGE;
    if more && last == after {
        return Err(Error::invalid_data(
            "Discord's list leads nowhere: it is the same messages again",
        ));
    }
    match more {
        true => cursor.at = Some(last),
        false => cursor.newest = cursor.newest.max(last),
    }
    Page::at(changes, &cursor, more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    const FIRST: u64 = 1_235_000_000_000_000_000;

    fn step(config: &str, cursor: Option<String>) -> Result<Page, Error> {
        let mut request = testing::read_request("messages", cursor);
        request.partition = Some("399942396007890945".to_owned());
        read(&testing::connection(config), &request)
    }

    /// As many messages as are said, a minute apart, each page newest first as Discord gives it.
    fn serve(count: u64) {
        testing::serve(move |request| {
            let after: u64 = request.url().rsplit_once("after=").unwrap().1.parse().unwrap();
            let ids = (0..count)
                .map(|n| FIRST + n * (60_000 << 22))
                .filter(|id| *id > after);
            let mut page: Vec<String> = ids
                .take(100)
                .map(|id| format!(r#"{{"id":"{id}","channel_id":"c"}}"#))
                .collect();
            page.reverse();
            testing::answer(200, &[], &format!("[{}]", page.join(",")))
        });
    }

    #[test]
    fn a_pass_is_read_from_the_oldest_on_and_the_next_one_from_a_day_before() {
        serve(2_000);
        let (mut count, mut cursor) = (0, None);
        loop {
            let page = step("{}", cursor).unwrap();
            count += page.changes.len();
            cursor = page.cursor;
            if !page.more {
                break;
            }
        }
        assert_eq!((count, testing::requests().len()), (2_000, 21));
        let page = step("{}", cursor).unwrap();
        let again = page
            .changes
            .iter()
            .map(|change| change.id().parse::<u64>().unwrap())
            .min()
            .unwrap();
        assert_eq!((again - FIRST) / (60_000 << 22), 1_999 - 1_440);
    }

    #[test]
    fn the_documented_message_is_read() {
        testing::serve(|_| testing::answer(200, &[], include_str!("../../fixtures/messages.json")));
        let page = step("{}", None).unwrap();
        assert!(!page.more);
        let [Change::Upsert(item)] = &page.changes[..] else {
            panic!("{:?}", page.changes)
        };
        assert_eq!(
            (item.id.as_str(), item.modified),
            ("1235000000000000001", Some(1_714_557_600_123))
        );
        assert_eq!(page.cursor.as_deref(), Some(r#"{"newest":1235000000000000001}"#));
    }

    #[test]
    fn a_channel_out_of_sight_is_empty_unless_it_is_named() {
        testing::serve(|_| testing::answer(403, &[], r#"{"message":"Missing Access","code":50001}"#));
        assert!(step("{}", None).unwrap().changes.is_empty());
        let named = step(r#"{"channels":["399942396007890945"]}"#, None);
        assert!(matches!(named, Err(Error::Auth(_))));
        let nowhere: Vec<String> = (0..100).map(|_| "{}".to_owned()).collect();
        testing::serve(move |_| testing::answer(200, &[], &format!("[{}]", nowhere.join(","))));
        assert!(matches!(step("{}", None), Err(Error::InvalidData(_))));
    }
}
