//! Topics and subscriptions of SNS ("ListTopics", "ListSubscriptions"), and the subscription of a hook ("Subscribe", "Unsubscribe").
//!
//! A subscription is known by topic and address: subscribing the same again gives the one that is there ("Subscribe"). SNS asks the
//! address to confirm it, which the host does. The hook's secret, the topic's ARN, is there before this is called: SNS asks at once.

use serde::Deserialize;
use serde_json::json;
use sluice_sdk::walk::Walk;
use sluice_sdk::{Change, Error, Item, Page, ReadRequest, Registration, record};

use crate::api;
use crate::config::Config;

/// Pages that are looked through for a subscription of which only the address is known, of a hundred each.
const MOST_PAGES: usize = 100;

/// `<X><Result><List><member>…</member></List><NextToken/></Result></X>`, whatever X is.
#[derive(Deserialize)]
struct Topics {
    #[serde(rename = "ListTopicsResult")]
    result: TopicsResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TopicsResult {
    topics: Members<Topic>,
    #[serde(default)]
    next_token: String,
}

#[derive(Deserialize)]
struct Members<T> {
    #[serde(default = "Vec::new")]
    member: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Topic {
    topic_arn: String,
}

#[derive(Deserialize)]
struct Subscriptions {
    #[serde(alias = "ListSubscriptionsResult", alias = "ListSubscriptionsByTopicResult")]
    result: SubscriptionsResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SubscriptionsResult {
    subscriptions: Members<Subscription>,
    #[serde(default)]
    next_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Subscription {
    #[serde(default)]
    topic_arn: String,
    #[serde(default)]
    protocol: String,
    #[serde(default)]
    endpoint: String,
    #[serde(default)]
    subscription_arn: String,
    #[serde(default)]
    owner: String,
}

pub(crate) fn list(config: &Config, request: &ReadRequest) -> Result<Page, Error> {
    let walk = Walk::begin(request, 0)?;
    let token = walk.token().map(|token| ("NextToken", token));
    let parameters: Vec<(&str, &str)> = token.into_iter().collect();
    if request.stream_name == "topics" {
        let response = api::topics(config, "ListTopics", &parameters)?;
        let Topics { result } = api::xml(&response)?;
        let change = |topic: &Topic| {
            Ok(Change::Upsert(Item {
                id: topic.topic_arn.clone(),
                data: record::text(&json!({
                    "TopicArn": topic.topic_arn, "Name": topic.topic_arn.rsplit(':').next(),
                }))?,
                modified: None,
            }))
        };
        let changes = result
            .topics
            .member
            .iter()
            .map(change)
            .collect::<Result<_, Error>>()?;
        return walk.page(changes, &result.next_token);
    }
    let response = api::topics(config, "ListSubscriptions", &parameters)?;
    let Subscriptions { result } = api::xml(&response)?;
    let change = |of: &Subscription| {
        Ok(Change::Upsert(Item {
            id: record::key(&[&of.topic_arn, &of.protocol, &of.endpoint]),
            data: record::text(&json!({
                "TopicArn": of.topic_arn, "Protocol": of.protocol, "Endpoint": of.endpoint,
                "SubscriptionArn": of.subscription_arn, "Owner": of.owner,
            }))?,
            modified: None,
        }))
    };
    let members = result.subscriptions.member.iter();
    let changes = members.map(change).collect::<Result<_, Error>>()?;
    walk.page(changes, &result.next_token)
}

/// What is kept of a registration: `url` alone of a try of which nothing else is known.
#[derive(Deserialize)]
struct State {
    url: Option<String>,
}

pub(crate) fn subscribe(config: &Config, url: &str) -> Result<Registration, Error> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "SubscribeResult")]
        result: Made,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Made {
        subscription_arn: String,
    }
    let asked = [
        ("TopicArn", config.topic()?),
        ("Protocol", "https"),
        ("Endpoint", url),
        ("ReturnSubscriptionArn", "true"),
    ];
    // Without a key for SNS, or a right on the topic, a person subscribes.
    let response = api::topics(config, "Subscribe", &asked).map_err(|error| match error {
        Error::Auth(detail) | Error::Config(detail) if detail.pointer.is_none() => {
            Error::unsupported(detail.message)
        }
        other => other,
    })?;
    let Answer { result } = api::xml(&response)?;
    if !is_arn(&result.subscription_arn) {
        return Err(Error::invalid_data("the answer of SNS names no subscription"));
    }
    Ok(Registration {
        id: result.subscription_arn,
        expires: None,
        state: "{}".to_owned(),
    })
}

pub(crate) fn unsubscribe(config: &Config, registration: &Registration) -> Result<(), Error> {
    let state: State = record::input(&registration.state)?;
    let Some(url) = state.url else {
        return end(config, &registration.id);
    };
    let mut token = String::new();
    for _ in 0..MOST_PAGES {
        let mut asked = vec![("TopicArn", config.topic()?)];
        if !token.is_empty() {
            asked.push(("NextToken", &token));
        }
        let response = api::topics(config, "ListSubscriptionsByTopic", &asked)?;
        let Subscriptions { result } = api::xml(&response)?;
        for found in result.subscriptions.member.iter().filter(|of| of.endpoint == url) {
            end(config, &found.subscription_arn)?;
        }
        if result.next_token.is_empty() || result.next_token == token {
            return Ok(());
        }
        token = result.next_token;
    }
    Ok(())
}

/// One that nobody confirmed has no name and ends by itself in two days.
fn end(config: &Config, arn: &str) -> Result<(), Error> {
    if !is_arn(arn) {
        return Ok(());
    }
    match api::topics(config, "Unsubscribe", &[("SubscriptionArn", arn)]) {
        Err(Error::InvalidData(detail)) if detail.message.contains(": NotFound:") => Ok(()),
        other => other.map(drop),
    }
}

fn is_arn(text: &str) -> bool {
    text.starts_with("arn:aws") && text.len() <= 600 && text.contains(":sns:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::connection;
    use sluice_sdk::testing::{self, answer};

    const URL: &str = "https://hooks.example.com/hooks/hok_1";

    fn config() -> Config {
        crate::config::of(&connection()).unwrap()
    }

    fn forms() -> Vec<String> {
        let requests = testing::requests();
        let form = |request: &sluice_sdk::http::Request| {
            let text = String::from_utf8(request.content().unwrap().to_vec()).unwrap();
            text.replace("&Version=2010-03-31", "")
        };
        requests.iter().map(form).collect()
    }

    #[test]
    fn a_hook_is_subscribed_and_ended() {
        testing::serve(|request| {
            let form = std::str::from_utf8(request.content().unwrap()).unwrap();
            match form.contains("Action=Subscribe&") {
                true => answer(200, &[], include_str!("../fixtures/subscribe.xml")),
                false => answer(
                    200,
                    &[],
                    "<UnsubscribeResponse><ResponseMetadata/></UnsubscribeResponse>",
                ),
            }
        });
        let made = subscribe(&config(), URL).unwrap();
        assert_eq!(
            made.id,
            "arn:aws:sns:eu-west-1:123456789012:mail:be21be02-b0e0-4bc1-8b4b-2f0f7ad0a1d2"
        );
        unsubscribe(&config(), &made).unwrap();
        assert_eq!(
            forms(),
            [
                "Action=Subscribe&TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A123456789012%3Amail&Protocol=https\
                 &Endpoint=https%3A%2F%2Fhooks.example.com%2Fhooks%2Fhok_1&ReturnSubscriptionArn=true",
                "Action=Unsubscribe&SubscriptionArn=arn%3Aaws%3Asns%3Aeu-west-1%3A123456789012%3Amail%3A\
                 be21be02-b0e0-4bc1-8b4b-2f0f7ad0a1d2",
            ]
        );
    }

    #[test]
    fn one_whose_name_is_lost_is_found_by_its_address() {
        testing::serve(|request| {
            let form = std::str::from_utf8(request.content().unwrap()).unwrap();
            match form.contains("ListSubscriptionsByTopic") {
                true => answer(
                    200,
                    &[],
                    &include_str!("../fixtures/subscriptions.xml")
                        .replace("ListSubscriptionsResult", "ListSubscriptionsByTopicResult"),
                ),
                false => answer(
                    404,
                    &[],
                    "<ErrorResponse><Error><Code>NotFound</Code><Message>gone</Message></Error></ErrorResponse>",
                ),
            }
        });
        let lost = Registration {
            id: String::new(),
            expires: None,
            state: json!({"url": URL}).to_string(),
        };
        unsubscribe(&config(), &lost).unwrap();
        assert!(forms()[1].contains("Unsubscribe"), "{:?}", forms());
    }

    #[test]
    fn lists_are_read_and_what_is_none_is_refused() {
        let step = |stream: &str| list(&config(), &testing::read_request(stream, None));
        testing::serve(|_| answer(200, &[], include_str!("../fixtures/topics.xml")));
        let page = step("topics").unwrap();
        assert_eq!(page.changes[0].id(), "arn:aws:sns:eu-west-1:123456789012:mail");
        assert!(page.more);
        testing::serve(|_| answer(200, &[], include_str!("../fixtures/subscriptions.xml")));
        let page = step("subscriptions").unwrap();
        assert_eq!((page.changes.len(), page.more), (2, false));
        testing::serve(|_| {
            answer(
                200,
                &[],
                "<ListTopicsResponse><ListTopicsResult><Topics/></ListTopicsResult></ListTopicsResponse>",
            )
        });
        assert!(step("topics").unwrap().changes.is_empty());
        for body in ["", "<html>", "<ListTopicsResponse/>", "{}"] {
            testing::serve(move |_| answer(200, &[], body));
            assert!(matches!(step("topics"), Err(Error::InvalidData(_))), "{body}");
        }
    }

    #[test]
    fn what_the_key_may_not_do_is_a_persons() {
        testing::serve(|_| {
            answer(
                403,
                &[],
                "<ErrorResponse><Error><Code>AuthorizationError</Code></Error></ErrorResponse>",
            )
        });
        assert!(matches!(subscribe(&config(), URL), Err(Error::Unsupported(_))));
        testing::serve(|_| answer(503, &[], ""));
        assert!(matches!(subscribe(&config(), URL), Err(Error::Transient(_))));
    }
}
