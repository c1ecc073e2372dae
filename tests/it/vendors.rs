//! Every vendor's webhooks through the real server: one signed request for each row of the table, its questions, its
//! certificates and keys fetched from a stand-in with TLS, and floods of forged ones beside.

mod app;
mod bounds;
mod flood;
mod keys;
mod libraries;
mod questions;
mod table;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sluice_model::manifest::{Manifest, Webhook};

use crate::counterpart::Counterpart;
use crate::server::{Answer, Api, Place, Server, Setup, http};
use crate::{github, guests, package};

/// Where the outside reaches the server, as vendors that sign the address use it.
const PUBLIC: &str = "https://hooks.example.com";

/// Where vendors have their certificates and keys.
const HOSTS: [&str; 8] = [
    "api.sandbox.paypal.com",
    "sns.us-west-2.amazonaws.com",
    "www.googleapis.com",
    "id.example.com",
    "production.plaid.com",
    "keystore.openbanking.example.com",
    "www.coinbase.com",
    "keys.acme.example",
];

/// A connector whose webhooks are each one event, without its webhooks.
const HEAD: &str = r#"
manifest = 1
version = "0.1.0"
contract = "0.1"
name = "Vendors"
description = "Webhooks of many vendors."
category = "test"
licence = "Apache-2.0"
[links]
website = "https://vendors.example"
[[capabilities.egress]]
host = "production.plaid.com"
methods = ["POST"]
paths = ["/webhook_verification_key/get"]
reason = "asks for the key of a webhook"
[[auth]]
name = "plaid"
title = "Plaid"
scheme = "header"
header = "plaid-secret"
origins = ["https://production.plaid.com"]
[[streams]]
name = "things"
title = "Things"
primary_key = ["id"]
cursor = "none"
cursor_version = 1
modes = ["full"]
[streams.schema]
type = "object"
"#;

struct World {
    vendors: Counterpart,
    server: Server,
}

impl World {
    fn start() -> Self {
        Self::with(vec![])
    }

    fn with(set: Vec<(&'static str, String)>) -> Self {
        let words: Vec<&str> = HOSTS.iter().flat_map(|host| ["--host", host]).collect();
        let vendors = Counterpart::python("webhooks/main.py", &words);
        let mut places: Vec<Place> = HOSTS
            .iter()
            .map(|host| Place {
                host: (*host).to_owned(),
                address: vendors.address(),
                ca: vendors.authority().to_owned(),
            })
            .collect();
        places.push(Place {
            host: "authority.example".to_owned(),
            address: vendors.address(),
            ca: vendors.ready["vendor_ca_pem"]
                .as_str()
                .expect("an authority")
                .to_owned(),
        });
        let mut setup = Setup {
            places,
            set,
            ..Setup::default()
        };
        setup.set.push(("SLUICE_SERVER__PUBLIC_URL", PUBLIC.to_owned()));
        setup.set.push(("SLUICE_LOG__FILTER", "debug".to_owned()));
        Self {
            server: Server::start(&setup),
            vendors,
        }
    }

    fn api(&self) -> Api {
        self.server.api()
    }

    /// Installs a connector with these webhooks and connects it; gives the connection.
    fn connect(&self, id: &str, webhooks: &str) -> String {
        let manifest = format!(
            "{}\n{webhooks}",
            HEAD.replace("manifest = 1\n", &format!("manifest = 1\nid = \"{id}\"\n"))
        );
        Manifest::parse(&manifest).unwrap_or_else(|error| panic!("{error}\n{manifest}"));
        let api = self.api();
        github::install(
            &api,
            &package::with_manifest(&guests::component("bad_change"), &manifest),
        );
        let made = api.post(
            "/api/v1/connections",
            &json!({"name": id, "connector": id, "auth": "plaid", "secret": "a made up secret"}),
        );
        let connection = made["id"].as_str().expect("an id").to_owned();
        let tested = api.post(&format!("/api/v1/connections/{connection}/test"), &json!({}));
        // The guest reads no records; whose account it is it says.
        assert_eq!(tested["account"]["id"], "1", "{tested}");
        connection
    }

    /// A hook for a webhook of the connection, with this secret if there is one.
    fn hook(&self, connection: &str, webhook: &str, secret: Option<&str>) -> String {
        let mut asked = json!({"connection": connection, "webhook": webhook});
        if let Some(secret) = secret.filter(|secret| !secret.is_empty()) {
            asked["secret"] = json!(secret);
        }
        let made = self.api().try_post("/api/v1/hooks", &asked);
        assert_eq!(made.status, 201, "{webhook}: {}", made.text());
        made.json()["id"].as_str().expect("an id").to_owned()
    }

    fn send(&self, method: &str, target: &str, headers: &[(String, String)], body: &[u8]) -> Answer {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        http::request(self.api().address, method, target, &headers, body)
            .unwrap_or_else(|error| panic!("{method} {target}: {error}"))
    }

    fn receipts(&self, hook: &str) -> Vec<Value> {
        self.api().all(&format!("/api/v1/hooks/{hook}/receipts"))
    }

    /// Signed requests for these addresses, one for each row.
    fn signed(&self, hooks: &[String]) -> Vec<Row> {
        let urls: Vec<String> = hooks
            .iter()
            .map(|hook| format!("{PUBLIC}/hooks/{hook}"))
            .collect();
        let made = self.vendors.post("sign", &json!({"now": now_s(), "urls": urls}));
        made["rows"]
            .as_array()
            .expect("rows")
            .iter()
            .map(Row::new)
            .collect()
    }

    fn publish(&self, address: &str, text: &str) {
        self.vendors
            .post("publish", &json!({"address": address, "text": text}));
    }

    /// How often an address was asked for.
    fn asked(&self, address: &str) -> u64 {
        self.vendors.get("counts")[address].as_u64().unwrap_or_default()
    }
}

/// A signed request.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) system: String,
    method: String,
    url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) fetched: Option<String>,
    /// What of the body is signed, if not all of it.
    flips: Value,
    signed_headers: Vec<String>,
}

impl Row {
    pub(crate) fn new(row: &Value) -> Self {
        let text = |name: &str| row[name].as_str().expect(name).to_owned();
        let pair = |pair: &Value| {
            let part = |at: usize| pair[at].as_str().expect("a text").to_owned();
            (part(0), part(1))
        };
        Self {
            system: text("system"),
            method: text("method"),
            url: text("url"),
            headers: row["headers"]
                .as_array()
                .expect("headers")
                .iter()
                .map(pair)
                .collect(),
            body: text("body").into_bytes(),
            fetched: row["fetched"].as_str().map(str::to_owned),
            flips: row["flips"].clone(),
            signed_headers: row["signed_headers"]
                .as_array()
                .expect("names")
                .iter()
                .map(|name| name.as_str().expect("a name").to_owned())
                .collect(),
        }
    }

    /// Path and query at this hook.
    fn target(&self, hook: &str) -> String {
        let query = self.url.split_once('?').map(|(_, query)| format!("?{query}"));
        format!("/hooks/{hook}{}", query.unwrap_or_default())
    }

    /// The same with one bit of what is signed changed.
    fn flipped(&self) -> Self {
        let mut other = self.clone();
        let first = self
            .flips
            .as_array()
            .map(|texts| texts.first().and_then(Value::as_str));
        let place = match first {
            _ if self.body.is_empty() => None,
            None => Some(self.body.len() / 2),
            Some(None) => None,
            Some(Some(text)) => self
                .body
                .windows(text.len())
                .position(|window| window == text.as_bytes()),
        };
        if let Some(place) = place {
            other.body[place] ^= 1;
            return other;
        }
        let name = self.signed_headers.first().expect("a header that is signed");
        let header = other
            .headers
            .iter_mut()
            .find(|(other, _)| other == name)
            .expect("the header");
        let middle = header.1.len() / 2;
        let flipped = if &header.1[middle..=middle] == "A" {
            "B"
        } else {
            "A"
        };
        header.1.replace_range(middle..=middle, flipped);
        other
    }
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock")
        .as_secs()
}

/// The recipe of a vendor, as the page has it.
pub(crate) fn recipe(system: &str) -> String {
    let page = include_str!("../../docs/webhooks/vendors.md");
    let section = page.split("\n## ").skip(1).find(|section| {
        section
            .lines()
            .next()
            .unwrap_or_default()
            .split(", ")
            .any(|name| name == system)
    });
    let section = section.unwrap_or_else(|| panic!("{system} has no recipe"));
    let toml = section.split("```toml\n").nth(1).expect("TOML");
    toml.split("```").next().expect("its end").to_owned()
}

/// A webhook of a manifest.
fn webhook(name: &str, recipe: &str) -> String {
    format!(
        "\n[[webhooks]]\nname = \"{name}\"\nevents = [{{ kind = \"thing.*\" }}]\ndedupe = \"body\"\n{recipe}\n"
    )
}

fn read(name: &str, recipe: &str) -> Webhook {
    let manifest = HEAD.replace("manifest = 1\n", "manifest = 1\nid = \"one\"\n");
    let manifest = Manifest::parse(&format!("{manifest}{}", webhook(name, recipe)));
    manifest.expect("a manifest").webhooks.remove(0)
}

/// What a stranger may compare: everything of an answer but its id and date.
fn comparable(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let kept = |(name, _): &&(String, String)| name != "date" && name != "x-request-id";
    let headers = answer.headers.iter().filter(kept).cloned().collect();
    let mut body = answer.json();
    body["request_id"] = Value::Null;
    (answer.status, headers, body)
}
