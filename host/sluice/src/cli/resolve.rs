//! Ids may be shortened to a unique prefix; connections may be called by their names.

use serde_json::Value;

use super::client::Client;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{items, text};

/// Letters of a whole id after its prefix.
const ID_LETTERS: usize = 26;

/// The whole id of what `path` lists. Anything that does not begin like such an id is given back as it is.
pub(super) async fn id(client: &Client, path: &str, prefix: &str, given: &str) -> Result<String, Failure> {
    let Some(rest) = given.strip_prefix(prefix) else {
        return Ok(given.to_owned());
    };
    if rest.len() >= ID_LETTERS {
        return Ok(given.to_owned());
    }
    let list = client.get(path).await?;
    choose(items(&list), given)
}

fn choose(items: &[Value], given: &str) -> Result<String, Failure> {
    let mut found: Vec<_> = items
        .iter()
        .map(|item| text(item, "id"))
        .filter(|id| id.starts_with(given))
        .collect();
    match (found.pop(), found.is_empty()) {
        (Some(id), true) => Ok(id),
        (None, _) => Err(Failure::new(
            Exit::NotFound,
            format!("no id begins with `{given}`"),
        )),
        (Some(last), false) => {
            found.push(last);
            found.truncate(5);
            let hint = format!("write more of it: {}", found.join(", "));
            Err(Failure::usage(format!("several ids begin with `{given}`")).hint(hint))
        }
    }
}

/// A connection by id, prefix of an id, or name; a name that is not there is answered with those that are.
pub(super) async fn connection(client: &Client, given: &str) -> Result<Value, Failure> {
    let list = "/api/v1/connections?limit=1000";
    let id = id(client, list, "cnn_", given).await?;
    match client
        .get(&format!("/api/v1/connections/{}", super::client::segment(&id)))
        .await
    {
        Err(failure) if failure.exit == Exit::NotFound => {
            let all = client.get(list).await?;
            let names: Vec<_> = items(&all).iter().map(|item| text(item, "name")).collect();
            let near = near(given, &names);
            Err(if near.is_empty() {
                failure
            } else {
                failure.hint(format!("did you mean {}?", near.join(", ")))
            })
        }
        other => other,
    }
}

/// A connection, or one that is removed and whose records were kept, by its id or the name that it had.
pub(super) async fn holder(client: &Client, given: &str) -> Result<Value, Failure> {
    let missing = match connection(client, given).await {
        Err(failure) if failure.exit == Exit::NotFound => failure,
        other => return other,
    };
    let removed = client.get("/api/v1/tombstones?limit=1000").await?;
    let is_meant = |item: &&Value| {
        item.get("data_kept") == Some(&Value::Bool(true))
            && (text(item, "name") == given
                || (given.starts_with("cnn_") && text(item, "id").starts_with(given)))
    };
    let mut meant = items(&removed).iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(one), None) => Ok(one.clone()),
        (Some(_), Some(_)) => {
            let hint = "name it by its id: sluice connection list --removed";
            Err(Failure::usage(format!("several removed connections are meant by `{given}`")).hint(hint))
        }
        (None, _) => Err(missing),
    }
}

/// Names that differ little from what was typed.
fn near(given: &str, names: &[String]) -> Vec<String> {
    let bound = 1 + given.chars().count() / 4;
    let mut near: Vec<_> = names
        .iter()
        .filter(|name| distance(given, name) <= bound)
        .cloned()
        .collect();
    near.truncate(3);
    near
}

/// How many letters have to be changed, added or taken away (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(100).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, above) in b.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(x != *y)).min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn prefixes_are_unique_or_told() {
        let list = [json!({"id": "run_01ab"}), json!({"id": "run_01ac"})];
        assert_eq!(choose(&list, "run_01ab").unwrap(), "run_01ab");
        assert_eq!(choose(&list, "run_01").unwrap_err().exit, Exit::Usage);
        assert_eq!(choose(&list, "run_9").unwrap_err().exit, Exit::NotFound);
    }

    #[test]
    fn typos_are_near() {
        assert_eq!(
            (
                distance("work", "wrok"),
                distance("", "abc"),
                distance("abc", "abc")
            ),
            (2, 3, 0)
        );
        assert_eq!(
            near("wok", &["work".to_owned(), "production".to_owned()]),
            ["work"]
        );
    }
}
