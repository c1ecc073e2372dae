//! The members of a server ("List Guild Members"), in the order of their ids. The app needs an intent for them, so they are read where the
//! configuration wants them only.

use serde::{Deserialize, Serialize};
use sluice_sdk::record::{self, Text};
use sluice_sdk::{Change, Connection, Error, Page, ReadRequest, paging};

use crate::{api, config};

/// What Discord gives at once.
const PER_PAGE: usize = 1_000;

/// Where a pass stands; empty between passes.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    user: User<'a>,
}

#[derive(Deserialize)]
struct User<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
}

pub(crate) fn partitions(connection: &Connection) -> Result<Vec<String>, Error> {
    match config::read(connection)?.members {
        true => super::guilds::wanted(connection),
        false => Ok(Vec::new()),
    }
}

pub(crate) fn read(request: &ReadRequest) -> Result<Page, Error> {
    if request.partition.is_none() {
        // Nobody wants them.
        return Ok(Page::last(Vec::new()));
    }
    let guild = super::partition(request)?;
    let cursor: Cursor = request.cursor()?.unwrap_or_default();
    let mut asked = api::get(&format!("guilds/{guild}/members")).query("limit", &PER_PAGE.to_string());
    if let Some(after) = &cursor.after {
        asked = asked.query("after", after);
    }
    let response = asked
        .send()?
        .ok()
        .map_err(|error| error.blame_config("/guilds"))?;
    let mut changes = Vec::new();
    let mut last = String::new();
    for element in record::each::<Head<'_>>(response.text()?) {
        let (head, text) = element?;
        let user = head.user.id.as_str();
        let text = record::with_member(text, "guild_id", guild)?;
        let text = record::with_member(&text, "user_id", user)?;
        changes.push(Change::Upsert(record::item(
            record::key(&[guild, user]),
            &text,
            None,
        )));
        last = user.to_owned();
    }
    if changes.len() < PER_PAGE {
        last.clear();
    }
    let after = paging::token(&last, cursor.after.as_deref())?;
    let more = after.is_some();
    Page::at(changes, &Cursor { after }, more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing;

    #[test]
    fn members_say_which_server_they_are_of() {
        testing::serve(|request| {
            assert_eq!(
                request.url(),
                "https://discord.com/api/v10/guilds/197038439483310086/members?limit=1000"
            );
            testing::answer(200, &[], include_str!("../../fixtures/members.json"))
        });
        let mut request = testing::read_request("members", None);
        assert!(read(&request).unwrap().changes.is_empty());
        request.partition = Some("197038439483310086".to_owned());
        let page = read(&request).unwrap();
        let [Change::Upsert(item)] = &page.changes[..] else {
            panic!("{:?}", page.changes)
        };
        assert_eq!(item.id, "197038439483310086/80351110224678912");
        assert!(
            item.data
                .ends_with(r#""guild_id":"197038439483310086","user_id":"80351110224678912"}"#)
        );
        assert!(partitions(&testing::connection("{}")).unwrap().is_empty());
        let wanted = testing::connection(r#"{"members":true,"guilds":["197038439483310086"]}"#);
        assert_eq!(partitions(&wanted).unwrap(), ["197038439483310086"]);
    }
}
