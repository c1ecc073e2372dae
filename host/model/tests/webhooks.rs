//! One signed request for each vendor: `webhooks.json` is made by `webhooks.py`, independently of the host, and
//! `vendors.json` is accepted by the vendors' own verifiers. The recipes stand in `docs/webhooks/vendors.md`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what the tests share may fail like a test"
)]

use std::fs;
use std::path::Path;

use serde_json::Value;
use sluice_model::Timestamp;
use sluice_model::manifest::{Manifest, Webhook};
use sluice_model::secret::Secret;
use sluice_model::signature::{Encoding, Fetched, Needs, Request, SignatureError, Verified};

const HEAD: &str = "manifest = 1\nid = \"acme\"\nversion = \"1.0.0\"\ncontract = \"0.1\"\nname = \"Acme\"\n\
    description = \"An example.\"\ncategory = \"examples\"\nlicence = \"Apache-2.0\"\n\n[[webhooks]]\nname = \"events\"\n\
    events = [{ kind = \"*\" }]\ndedupe = \"body\"\n";

/// The names of each heading of a page and the TOML below it.
fn recipes() -> Vec<(Vec<String>, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/webhooks/vendors.md");
    let text = fs::read_to_string(page).expect("the page is there");
    let sections = text.split("\n## ").skip(1);
    let section = |section: &str| {
        let names = section
            .lines()
            .next()
            .unwrap()
            .split(", ")
            .map(str::to_owned)
            .collect();
        let toml = section.split("```toml\n").nth(1)?.split("```").next()?;
        Some((names, toml.to_owned()))
    };
    sections.filter_map(section).collect()
}

fn webhook(toml: &str) -> Webhook {
    let manifest =
        Manifest::parse(&format!("{HEAD}{toml}")).unwrap_or_else(|error| panic!("{toml}: {error}"));
    manifest.webhooks.into_iter().next().unwrap()
}

fn webhook_of(system: &str) -> Webhook {
    let found = recipes()
        .into_iter()
        .find(|(names, _)| names.iter().any(|name| name == system));
    webhook(&found.unwrap_or_else(|| panic!("{system} has no recipe")).1)
}

/// A row of the table.
#[derive(Clone)]
struct Row {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    secrets: Vec<Secret>,
    fetched: Option<String>,
    now: u64,
}

impl Row {
    fn new(row: &Value) -> Self {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        let pair = |pair: &Value| {
            (
                pair[0].as_str().unwrap().to_owned(),
                pair[1].as_str().unwrap().to_owned(),
            )
        };
        Self {
            method: text("method"),
            url: text("url"),
            headers: row["headers"].as_array().unwrap().iter().map(pair).collect(),
            body: text("body").into_bytes(),
            secrets: vec![Secret::new(text("secret").into_bytes())],
            fetched: row["fetched"].as_str().map(str::to_owned),
            now: row["now"].as_u64().unwrap(),
        }
    }

    fn verify(&self, webhook: &Webhook) -> Result<Verified, SignatureError> {
        let request = Request {
            method: &self.method,
            url: &self.url,
            headers: &self.headers,
            body: &self.body,
        };
        let now = Timestamp::from_millis(self.now * 1000);
        let needs = webhook.recipe.needs(&request)?;
        let fetched = match (&needs, &self.fetched) {
            (Needs::Nothing, None) => None,
            (needs, Some(answer)) => Some(Fetched::read(needs, answer.as_bytes(), now, |_| true)?),
            _ => panic!("{needs:?} and nothing fetched"),
        };
        webhook
            .recipe
            .verify(&request, &self.secrets, fetched.as_ref(), now)
    }
}

fn rows() -> Vec<Value> {
    serde_json::from_str(include_str!("webhooks.json")).unwrap()
}

#[test]
fn every_vendor_is_verified_and_nobody_else() {
    for given in rows() {
        let system = given["system"].as_str().unwrap();
        let (webhook, row) = (webhook_of(system), Row::new(&given));
        let verified = row
            .verify(&webhook)
            .unwrap_or_else(|error| panic!("{system}: {}", error.code()));
        assert_eq!(verified.id.as_deref(), given["id"].as_str(), "{system}");
        assert_eq!(
            verified.one_time.as_deref(),
            given["one_time"].as_str(),
            "{system}"
        );

        another_key_is_refused(system, &given, &row, &webhook);
        another_time_is_refused(system, &given, &row, &webhook);
        another_body_is_refused(system, &given, &row, &webhook);
        other_headers_are_refused(system, &given, &row, &webhook);
        another_url_is_refused(system, &given, &row, &webhook);
    }
}

fn another_key_is_refused(system: &str, given: &Value, row: &Row, webhook: &Webhook) {
    let Some(code) = given["other_code"].as_str() else {
        return;
    };
    let other = Secret::new(given["other"].as_str().unwrap().as_bytes().to_vec());
    let refused = Row {
        secrets: vec![other.clone()],
        ..row.clone()
    }
    .verify(webhook);
    assert_eq!(
        refused.map_err(SignatureError::code),
        Err(code),
        "{system} with another secret"
    );
    let both = Row {
        secrets: vec![other, row.secrets[0].clone()],
        ..row.clone()
    };
    assert!(
        both.verify(webhook).is_ok(),
        "{system} while the secret is rotated"
    );
    for secrets in [vec![], vec![Secret::new(Vec::new())]] {
        let refused = Row {
            secrets,
            ..row.clone()
        }
        .verify(webhook);
        assert_eq!(refused, Err(SignatureError::Secret), "{system} without a secret");
    }
    // The secret of a hook of another kind: a public key, an id, a text in another form.
    for text in [
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        ":",
        "*",
        "whsec_",
        "whsec_*",
        "x:y",
    ] {
        let secrets = vec![Secret::new(text.as_bytes().to_vec())];
        assert!(
            Row {
                secrets,
                ..row.clone()
            }
            .verify(webhook)
            .is_err(),
            "{system} with {text}"
        );
    }
}

fn another_time_is_refused(system: &str, given: &Value, row: &Row, webhook: &Webhook) {
    match given["stale"].as_u64() {
        Some(stale) => {
            let late = Row {
                now: row.now + stale,
                ..row.clone()
            };
            assert_eq!(
                late.verify(webhook),
                Err(SignatureError::Timestamp),
                "{system} late"
            );
            let early = Row {
                now: row.now - 86_400,
                ..row.clone()
            };
            assert_eq!(
                early.verify(webhook),
                Err(SignatureError::Timestamp),
                "{system} early"
            );
            let nearly = Row {
                now: row.now + stale - 1,
                ..row.clone()
            };
            assert!(
                given["system"] == "Amazon SNS" || nearly.verify(webhook).is_ok(),
                "{system} in time"
            );
        }
        None => {
            let late = Row {
                now: row.now + 86_400,
                ..row.clone()
            };
            assert!(
                late.verify(webhook).is_ok(),
                "{system} has no time that is signed"
            );
        }
    }
}

fn another_body_is_refused(system: &str, given: &Value, row: &Row, webhook: &Webhook) {
    let texts: Vec<Vec<u8>> = match given["flips"].as_array() {
        None => vec![row.body.clone()],
        Some(texts) => texts
            .iter()
            .map(|text| text.as_str().unwrap().as_bytes().to_vec())
            .collect(),
    };
    assert_eq!(
        webhook.recipe.covers_body(),
        given["flips"].is_string() || covers_fields(system),
        "{system}"
    );
    for text in texts {
        let at = row
            .body
            .windows(text.len().max(1))
            .position(|window| window == text)
            .unwrap_or_default();
        for place in at..at + text.len() {
            let mut other = row.clone();
            other.body[place] ^= 1;
            assert!(
                other.verify(webhook).is_err(),
                "{system}: byte {place} of the body"
            );
        }
    }
    if given["flips"].is_string() && !row.body.is_empty() {
        for body in [&b""[..], b"{}", b"\0"] {
            let other = Row {
                body: body.to_vec(),
                ..row.clone()
            };
            assert!(other.verify(webhook).is_err(), "{system} with another body");
        }
    }
}

/// Recipes that sign everything that a body of theirs can mean, but not each of its bytes.
fn covers_fields(system: &str) -> bool {
    ["Braintree", "Amazon SNS", "OIDC"].contains(&system)
}

fn other_headers_are_refused(system: &str, given: &Value, row: &Row, webhook: &Webhook) {
    for place in 0..row.headers.len() {
        let name = row.headers[place].0.clone();
        if name == "content-type" && !["Braintree", "Mailgun (routes)"].contains(&system) {
            continue;
        }
        let mut twice = row.clone();
        twice.headers.push(row.headers[place].clone());
        assert!(twice.verify(webhook).is_err(), "{system} with {name} twice");
        let mut without = row.clone();
        without.headers.remove(place);
        let is_spare = system == "Box" && name == "box-signature-secondary";
        assert_eq!(
            without.verify(webhook).is_ok(),
            is_spare,
            "{system} without {name}"
        );
        if !given["signed_headers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|signed| *signed == name)
        {
            continue;
        }
        for at in 0..row.headers[place].1.len() {
            let mut other = row.clone();
            let mut value = other.headers[place].1.clone().into_bytes();
            value[at] ^= 1;
            other.headers[place].1 = String::from_utf8(value).unwrap();
            // What has to be fetched then is not there: the address is another one.
            let other = Row {
                fetched: other.fetched.clone(),
                ..other
            };
            assert!(
                verify_again(&other, row, webhook).is_err(),
                "{system}: byte {at} of {name}"
            );
        }
    }
}

/// With what was fetched for the genuine request.
fn verify_again(other: &Row, genuine: &Row, webhook: &Webhook) -> Result<Verified, SignatureError> {
    let request = |row: &'_ Row| -> Result<Option<Fetched>, SignatureError> {
        let request = Request {
            method: &row.method,
            url: &row.url,
            headers: &row.headers,
            body: &row.body,
        };
        let needs = webhook.recipe.needs(&request)?;
        let now = Timestamp::from_millis(row.now * 1000);
        let answer = genuine.fetched.as_deref().unwrap_or_default();
        match needs {
            Needs::Nothing => Ok(None),
            needs => Fetched::read(&needs, answer.as_bytes(), now, |_| true).map(Some),
        }
    };
    let fetched = request(genuine)?;
    let request = Request {
        method: &other.method,
        url: &other.url,
        headers: &other.headers,
        body: &other.body,
    };
    let now = Timestamp::from_millis(other.now * 1000);
    webhook
        .recipe
        .verify(&request, &other.secrets, fetched.as_ref(), now)
}

fn another_url_is_refused(system: &str, given: &Value, row: &Row, webhook: &Webhook) {
    let is_signed = given["signs_url"].as_bool().unwrap();
    let path = row.url.find("/hooks/").unwrap();
    let mut urls = vec![
        String::new(),
        format!("{}&more=1", row.url),
        row.url.replace("https", "http"),
    ];
    for at in path..row.url.len() {
        let mut url = row.url.clone().into_bytes();
        url[at] ^= 1;
        urls.push(String::from_utf8(url).unwrap());
    }
    for url in urls {
        // Atlassian signs the path and the query, Authy no query.
        let unsigned = (system == "Jira (Connect)" && url.starts_with("http:"))
            || (system == "Twilio Authy" && url.contains('?'));
        // An order that Plivo and Atlassian sort away.
        let other = Row {
            url: url.clone(),
            ..row.clone()
        };
        let refused = other.verify(webhook).is_err();
        let expected = is_signed
            && !(unsigned || url.contains("&more=1") && !url.contains('?') && system == "Twilio Authy");
        if expected || !is_signed {
            assert_eq!(refused, expected, "{system} at {url:?}");
        }
    }
}

fn row_of(system: &str) -> Row {
    let given = rows().into_iter().find(|row| row["system"] == system);
    Row::new(&given.unwrap_or_else(|| panic!("{system} has no row")))
}

fn request(row: &Row) -> Request<'_> {
    Request {
        method: &row.method,
        url: &row.url,
        headers: &row.headers,
        body: &row.body,
    }
}

/// Certificates and keys count only if they are what the recipe asked for, from where it asked.
#[test]
fn what_was_fetched_is_checked() {
    for system in ["PayPal", "Amazon SNS"] {
        let (webhook, row) = (webhook_of(system), row_of(system));
        let now = Timestamp::from_millis(row.now * 1000);
        let needs = webhook.recipe.needs(&request(&row)).unwrap();
        let answer = row.fetched.clone().unwrap().into_bytes();
        let read = |needs: &Needs, answer: &[u8], now| Fetched::read(needs, answer, now, |_| true);
        let genuine = read(&needs, &answer, now).unwrap();
        let verify =
            |fetched: Option<&Fetched>| webhook.recipe.verify(&request(&row), &row.secrets, fetched, now);
        assert!(verify(Some(&genuine)).is_ok(), "{system}");
        assert_eq!(
            verify(None),
            Err(SignatureError::Material),
            "{system}: nothing fetched"
        );
        // The chain leads nowhere, the certificate is of another time, of another host, or none.
        let untrusted = Fetched::read(&needs, &answer, now, |chain| chain.is_empty());
        assert_eq!(untrusted, Err(SignatureError::Material), "{system}");
        for time in [0, 4_000_000_000_000] {
            let refused = read(&needs, &answer, Timestamp::from_millis(time));
            assert_eq!(refused, Err(SignatureError::Material), "{system}");
        }
        let Needs::Certificate { address, .. } = &needs else {
            panic!("{system}: {needs:?}")
        };
        let of = |address: &str, name: &str| Needs::Certificate {
            address: address.to_owned(),
            names: vec![name.to_owned()],
        };
        let refused = read(&of(address, "evil.example"), &answer, now);
        assert_eq!(refused, Err(SignatureError::Material), "{system}");
        for text in [
            &b""[..],
            b"{}",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        ] {
            assert_eq!(read(&needs, text, now), Err(SignatureError::Material), "{system}");
        }
        // It is genuine, but was fetched for another address.
        let name = match system {
            "PayPal" => "messageverificationcerts.sandbox.paypal.com",
            _ => "sns.amazonaws.com",
        };
        let elsewhere = read(&of("https://evil.example/c.pem", name), &answer, now).unwrap();
        assert_eq!(
            verify(Some(&elsewhere)),
            Err(SignatureError::Material),
            "{system}"
        );
        let until = genuine.until().unwrap();
        assert!(until > now && until < Timestamp::from_millis(4_000_000_000_000));
    }
}

#[test]
fn a_certificate_from_elsewhere_is_not_asked_for() {
    let (webhook, genuine) = (webhook_of("PayPal"), row_of("PayPal"));
    for address in [
        "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1",
        "https://evil.example/v1/notifications/certs/CERT-1",
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/../../open-redirect",
        "https://api.paypal.com/v1/notifications/certs/a/b",
        "https://user@api.paypal.com/v1/notifications/certs/CERT-1",
    ] {
        let mut row = genuine.clone();
        for (name, value) in &mut row.headers {
            if name == "paypal-cert-url" {
                address.clone_into(value);
            }
        }
        assert_eq!(
            webhook.recipe.needs(&request(&row)),
            Err(SignatureError::Address),
            "{address}"
        );
    }
    let (webhook, genuine) = (webhook_of("Amazon SNS"), row_of("Amazon SNS"));
    let body = String::from_utf8(genuine.body.clone()).unwrap();
    for host in [
        "sns.s3.amazonaws.com",
        "sns.us-west-2.amazonaws.com.evil.example",
        "evil.example",
    ] {
        let body = body
            .replace("sns.us-west-2.amazonaws.com/", &format!("{host}/"))
            .into_bytes();
        let row = Row {
            body,
            ..genuine.clone()
        };
        assert_eq!(
            webhook.recipe.needs(&request(&row)),
            Err(SignatureError::Address),
            "{host}"
        );
    }
}

/// The token's own word about its algorithm counts for nothing, and a key set has to have its key.
#[test]
fn algorithms_of_tokens_are_not_confused() {
    let encode = |text: &str| Encoding::Base64Url.encode(text.as_bytes());
    for system in ["Google Cloud Storage", "Plaid", "MessageBird", "Open Banking"] {
        let (webhook, genuine) = (webhook_of(system), row_of(system));
        let place = genuine
            .headers
            .iter()
            .position(|(_, value)| value.contains('.'))
            .unwrap();
        let token = genuine.headers[place].1.clone();
        let (prefix, token) = token
            .rsplit_once(' ')
            .map_or(("", token.as_str()), |(prefix, token)| (prefix, token));
        let mut parts = token.splitn(2, '.');
        let (head, rest) = (parts.next().unwrap(), parts.next().unwrap());
        let head = String::from_utf8(Encoding::Base64Url.decode(head).unwrap()).unwrap();
        let own = ["HS256", "RS256", "PS256", "ES256"]
            .into_iter()
            .find(|own| head.contains(own))
            .unwrap();
        for alg in ["none", "None", "HS256", "RS256", "PS256", "ES256", "hs256", ""] {
            let mut row = genuine.clone();
            let changed = format!("{}.{rest}", encode(&head.replace(own, alg)));
            row.headers[place].1 = format!("{prefix} {changed}").trim().to_owned();
            assert_eq!(row.verify(&webhook).is_ok(), alg == own, "{system} {alg}");
            row.headers[place].1 = format!("{prefix} {}.", changed.rsplit_once('.').unwrap().0)
                .trim()
                .to_owned();
            assert!(
                row.verify(&webhook).is_err(),
                "{system} {alg} without a signature"
            );
        }
        for extension in [
            r#""crit":["b64"],"b64":false,"#,
            r#""b64":false,"#,
            r#""crit":[],"#,
        ] {
            let mut row = genuine.clone();
            let head = head.replacen('{', &format!("{{{extension}"), 1);
            row.headers[place].1 = format!("{prefix} {}.{rest}", encode(&head)).trim().to_owned();
            assert!(row.verify(&webhook).is_err(), "{system} {extension}");
        }
    }
    let (webhook, row) = (webhook_of("Google Cloud Storage"), row_of("Google Cloud Storage"));
    let keys = row.fetched.clone().unwrap();
    let needs = webhook.recipe.needs(&request(&row)).unwrap();
    let now = Timestamp::from_millis(row.now * 1000);
    let rotated = Fetched::read(&needs, keys.replace("k-1", "k-2").as_bytes(), now, |_| true).unwrap();
    assert!(!rotated.has_key(&needs));
    let refused = webhook
        .recipe
        .verify(&request(&row), &row.secrets, Some(&rotated), now);
    assert_eq!(refused, Err(SignatureError::Mismatch));
    let (webhook, mut row) = (webhook_of("Plaid"), row_of("Plaid"));
    row.fetched = row.fetched.map(|keys| keys.replace("null", "1"));
    assert_eq!(
        row.verify(&webhook),
        Err(SignatureError::Mismatch),
        "an expired key"
    );
}

mod webhooks {
    mod coverage;
}
