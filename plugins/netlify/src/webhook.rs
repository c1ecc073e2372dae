//! Webhooks (Netlify docs, "Deploy notifications", "Payload signature"). The body is the deploy or the submission; the host has checked
//! that it is signed. The event's name is in a header, which is not signed, and is taken as far as the body is of that sort.
//!
//! A signature has no time and no number, so it stays valid for ever: the record is what Netlify answers now.

use serde::Deserialize;
use sluice_sdk::record::Text;
use sluice_sdk::{Change, Error, Event, Handled, Receipt, log, record};

use crate::{api, recent};

/// The events that `connector.toml` declares.
pub(crate) const KINDS: [&str; 7] = [
    "deploy_created",
    "deploy_building",
    "deploy_failed",
    "deploy_locked",
    "deploy_unlocked",
    "deploy_deleted",
    "submission_created",
];

#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    site_id: Text<'a>,
    #[serde(borrow, default)]
    form_id: Text<'a>,
    #[serde(borrow, default)]
    state: Text<'a>,
    #[serde(borrow, default)]
    created_at: Text<'a>,
    #[serde(borrow, default)]
    updated_at: Text<'a>,
}

pub(crate) fn handle(receipt: &Receipt) -> Result<Handled, Error> {
    let body = std::str::from_utf8(&receipt.body)
        .map_err(|error| Error::invalid_data(format!("the payload is not UTF-8: {error}")))?;
    let told: Told<'_> = serde_json::from_str(body)
        .map_err(|error| Error::invalid_data(format!("not a payload of Netlify's: {error}")))?;
    let id = told.id.as_str();
    if !api::is_id(id) {
        return Err(Error::invalid_data("the payload has no `id`"));
    }
    let is_submission = !told.form_id.as_str().is_empty();
    let mut names = receipt
        .headers
        .iter()
        .filter(|(name, _)| name == "x-netlify-event");
    let kind = names.next().map_or("", |(_, value)| value.as_str());
    let mut handled = Handled::nothing();
    if !KINDS.contains(&kind) {
        log::info("a webhook of a kind that the manifest does not have: passed over");
        return Ok(handled);
    }
    if is_submission != (kind == "submission_created") || (!is_submission && told.site_id.as_str().is_empty())
    {
        return Err(Error::invalid_data(
            "the payload is not of the event that its header names",
        ));
    }
    let (stream, path) = match is_submission {
        true => ("submissions", format!("submissions/{id}")),
        false => ("deploys", format!("deploys/{id}")),
    };
    let response = api::get(&path).send()?;
    let change = match response.status {
        404 => Change::Delete(id.to_owned()),
        _ => {
            let response = api::ok(response)?;
            let text = response.text()?;
            let head: recent::Head<'_> = response.json()?;
            recent::change(&head, text)
        }
    };
    if change.id() != id {
        return Err(Error::invalid_data("Netlify's answer is something else"));
    }
    handled.changes.push((stream.to_owned(), change));
    handled.events.push(Event {
        kind: kind.to_owned(),
        id: record::key(&[
            id,
            kind,
            some(&told.updated_at).or(some(&told.state)).unwrap_or("new"),
        ]),
        occurred: told.updated_at.timestamp().or(told.created_at.timestamp()),
        data: body.to_owned(),
    });
    Ok(handled)
}

fn some<'t>(text: &'t Text<'_>) -> Option<&'t str> {
    text.0.as_deref().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::{self, answer, receipt};

    const DEPLOY: &str = include_str!("../fixtures/deploy.json");

    fn of(kind: &str, body: &str) -> Result<Handled, Error> {
        handle(&receipt(&[("x-netlify-event", kind)], body))
    }

    #[test]
    fn the_record_is_what_netlify_answers_now() {
        testing::serve(|request| {
            assert_eq!(
                request.url(),
                "https://api.netlify.com/api/v1/deploys/5ef0000000000000000000d1"
            );
            answer(200, &[], &DEPLOY.replace("building", "ready"))
        });
        let handled = of("deploy_building", DEPLOY).unwrap();
        assert!(handled.events[0].data.contains("building"));
        let (stream, Change::Upsert(item)) = &handled.changes[0] else {
            panic!()
        };
        assert!(stream == "deploys" && item.data.contains("ready"));
        testing::serve(|_| answer(404, &[], "{}"));
        let handled = of("deploy_deleted", DEPLOY).unwrap();
        assert!(matches!(&handled.changes[0].1, Change::Delete(_)));
    }

    #[test]
    fn submissions_are_records() {
        let body = include_str!("../fixtures/submission.json");
        testing::serve(move |_| answer(200, &[], body));
        let handled = of("submission_created", body).unwrap();
        assert_eq!(
            (handled.changes[0].0.as_str(), handled.changes[0].1.id()),
            ("submissions", "5ef0000000000000000000f1")
        );
    }

    #[test]
    fn a_header_that_does_not_fit_the_body_is_refused() {
        testing::serve(|_| answer(200, &[], DEPLOY));
        assert!(of("submission_created", DEPLOY).is_err());
        assert!(of("deploy_created", include_str!("../fixtures/submission.json")).is_err());
        assert!(of("deploy_request_pending", DEPLOY).unwrap().events.is_empty());
        for body in ["", "{}", r#"{"id":"../x","site_id":"s"}"#] {
            assert!(
                matches!(of("deploy_created", body), Err(Error::InvalidData(_))),
                "{body}"
            );
        }
        testing::serve(|_| answer(200, &[], r#"{"id":"another"}"#));
        assert!(of("deploy_created", DEPLOY).is_err());
    }

    #[test]
    fn the_manifest_declares_these_kinds() {
        let manifest = sluice_model::manifest::Manifest::parse(include_str!("../connector.toml")).unwrap();
        let kinds: Vec<&str> = manifest.webhooks[0]
            .events
            .iter()
            .map(|event| event.kind.as_str())
            .collect();
        assert_eq!(kinds, KINDS);
    }
}
