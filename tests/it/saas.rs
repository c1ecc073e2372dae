//! Connectors as they are shipped, each from one end to the other: its vendor's shapes read, its webhook entered at the vendor where it can
//! be, deliveries that the vendor signs handled into events and records, and forged ones refused. The vendors are
//! `tests/counterparts/saas`.

mod chat;
mod code;
mod mail;
mod slack;

use std::time::Duration;

use serde_json::{Value, json};

use crate::counterpart::Counterpart;
use crate::server::{Answer, Api, Place, Server, Setup, http, wait_for, within};
use crate::{github, package};

const PUBLIC: &str = "https://hooks.example.com";

struct World {
    vendors: Counterpart,
    server: Server,
    connector: &'static str,
}

impl World {
    /// A server with this connector, and its vendor at these hosts.
    fn start(connector: &'static str, hosts: &[&str]) -> Self {
        let words: Vec<&str> = hosts.iter().flat_map(|host| ["--host", host]).collect();
        let vendors = Counterpart::python("saas/main.py", &words);
        let place = |host: &&str| Place {
            host: (*host).to_owned(),
            address: vendors.address(),
            ca: vendors.authority().to_owned(),
        };
        let setup = Setup {
            places: hosts.iter().map(place).collect(),
            set: vec![("SLUICE_SERVER__PUBLIC_URL", PUBLIC.to_owned())],
            ..Setup::default()
        };
        let world = Self {
            server: Server::start(&setup),
            vendors,
            connector,
        };
        let reach = format!("http://{}", world.api().address);
        world.vendors.post("set", &json!({ "reach": reach }));
        let file = package::file(connector, &format!("plugins/{connector}"));
        github::install(&world.api(), &std::fs::read(file).expect("read the connector"));
        world
    }

    fn api(&self) -> Api {
        self.server.api()
    }

    /// Connects with a credential; gives the connection.
    fn connect(&self, auth: &str, config: &Value) -> String {
        let connection = self.draft(auth, config, Some("a made up secret"));
        self.tested(&connection);
        connection
    }

    fn draft(&self, auth: &str, config: &Value, secret: Option<&str>) -> String {
        let mut asked =
            json!({"name": self.connector, "connector": self.connector, "auth": auth, "config": config});
        if let Some(secret) = secret {
            asked["secret"] = json!(secret);
        }
        let made = self.api().post("/api/v1/connections", &asked);
        made["id"].as_str().expect("an id").to_owned()
    }

    fn tested(&self, connection: &str) -> Value {
        let path = format!("/api/v1/connections/{connection}/test");
        let tested = self.api().post(&path, &json!({}));
        assert_eq!(tested["ok"], true, "{tested}\n{}", self.server.log_tail());
        tested
    }

    /// Reads a stream; all that was read has to be this many new records.
    fn reads(&self, connection: &str, stream: &str, mode: &str, added: u64) {
        let run = github::sync(&self.api(), connection, stream, mode);
        assert_eq!(
            (&run["state"], &run["counts"]["added"]),
            (&json!("succeeded"), &json!(added)),
            "{stream}: {run}\n{}",
            self.server.log_tail()
        );
    }

    /// A hook, as the API answers it.
    fn hook(&self, connection: &str, webhook: &str, secret: Option<&str>) -> Value {
        let mut asked = json!({"connection": connection, "webhook": webhook});
        if let Some(secret) = secret {
            asked["secret"] = json!(secret);
        }
        self.api().post("/api/v1/hooks", &asked)
    }

    /// Waits until the vendor has the hook's address; gives what the vendor has.
    fn at_vendor(&self, hook: &Value) -> Value {
        let url = format!("{PUBLIC}/hooks/{}", id(hook));
        let found = within(Duration::from_secs(60), || {
            let all = self.vendors.get("registered");
            let all = all["hooks"].as_array().expect("hooks").clone();
            all.into_iter().find(|hook| hook["url"] == json!(url))
        });
        let path = format!("/api/v1/hooks/{}", id(hook));
        found.unwrap_or_else(|| panic!("not there: {}\n{}", self.api().get(&path), self.server.log_tail()))
    }

    /// Waits until the host knows that it is there, and with which secret.
    fn registered(&self, hook: &Value) {
        let path = format!("/api/v1/hooks/{}", id(hook));
        let api = self.api();
        let found = within(Duration::from_secs(60), || {
            (api.get(&path)["registration"]["state"] == "registered").then_some(())
        });
        assert!(found.is_some(), "{}\n{}", api.get(&path), self.server.log_tail());
    }

    /// Removes the hook and waits until the vendor has none.
    fn forgets(&self, hook: &Value) {
        assert_eq!(
            self.api().delete(&format!("/api/v1/hooks/{}", id(hook))).status,
            204
        );
        wait_for("the vendor to forget it", || {
            (self.vendors.get("registered")["hooks"] == json!([])).then_some(())
        });
    }

    /// The headers that the vendor signs a body with, and the body.
    fn signed(&self, body: &str, secret: &str) -> (Vec<(String, String)>, String) {
        let asked = json!({"vendor": self.connector, "body": body, "secret": secret});
        let signed = self.vendors.post("sign", &asked);
        let headers = signed["headers"].as_object().expect("headers").iter();
        let headers = headers.map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()));
        let body = signed["body"].as_str().unwrap_or(body).to_owned();
        (headers.collect(), body)
    }

    fn deliver(&self, hook: &Value, headers: &[(String, String)], body: &str) -> Answer {
        let mut all: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        all.push(("content-type", "application/json"));
        let path = format!("/hooks/{}", id(hook));
        http::request(self.api().address, "POST", &path, &all, body.as_bytes()).expect("an answer")
    }

    /// Delivers, signed by the vendor; what is damaged in any header or in the body is refused before.
    fn takes(&self, hook: &Value, body: &str, secret: &str) -> Answer {
        let (headers, body) = self.signed(body, secret);
        for at in 0..headers.len() {
            let mut damaged = headers.clone();
            flip(&mut damaged[at].1);
            let answer = self.deliver(hook, &damaged, &body);
            assert_eq!(answer.status, 401, "{:?}", damaged[at].0);
        }
        if !headers.is_empty() {
            let answer = self.deliver(hook, &headers, &format!("{body} "));
            assert_eq!(answer.status, 401, "another body");
        }
        let answer = self.deliver(hook, &headers, &body);
        assert!(
            (200..300).contains(&answer.status),
            "{} {}\n{}",
            answer.status,
            answer.text(),
            self.server.log_tail()
        );
        answer
    }

    /// Waits until there are so many events of this kind; gives them.
    fn events(&self, kind: &str, count: usize) -> Vec<Value> {
        let path = format!("/api/v1/events?kind={}.{kind}", self.connector);
        let api = self.api();
        let found = within(Duration::from_secs(60), || {
            Some(api.feed(&path)).filter(|all| all.len() == count)
        });
        found.unwrap_or_else(|| {
            panic!(
                "not {count} of {kind}: {:?}\n{}",
                api.feed(&path),
                self.server.log_tail()
            )
        })
    }

    /// Waits until a stream holds so many records.
    fn holds(&self, connection: &str, stream: &str, count: u64) {
        let api = self.api();
        let found = within(Duration::from_secs(60), || {
            (github::held(&api, connection, stream) == count).then_some(())
        });
        assert!(
            found.is_some(),
            "{stream} holds {}\n{}",
            github::held(&api, connection, stream),
            self.server.log_tail()
        );
    }

    /// What the vendor says from now on.
    fn says(&self, method: &str, url: &str, status: u16, answer: &Value) {
        let answers = json!([{"method": method, "url": url, "status": status, "answer": answer}]);
        self.vendors.post("set", &json!({ "answers": answers }));
    }
}

fn id(value: &Value) -> &str {
    value["id"].as_str().expect("an id")
}

/// Another letter in the middle.
fn flip(text: &mut String) {
    let middle = text.len() / 2;
    let other = if &text[middle..=middle] == "1" { "2" } else { "1" };
    text.replace_range(middle..=middle, other);
}
