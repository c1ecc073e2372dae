//! Connectors as they are shipped, each with its vendor played on loopback from what the vendor documents: webhooks that the connector
//! sets up by itself, signed by the vendor's own method, verified, and handled into events and records; streams read to their end;
//! actions done once.

mod amazon;
mod dropbox;
mod google;
mod microsoft;
mod netlify;
mod paypal;
mod plaid;

use std::time::Duration;

use serde_json::{Value, json};

use crate::counterpart::Counterpart;
use crate::server::{Answer, Api, Place, Server, Setup, http, wait_for, within};
use crate::{github, package};

const PUBLIC: &str = "https://hooks.example.com";

struct World {
    vendor: Counterpart,
    server: Server,
}

impl World {
    /// A vendor and a server that takes it for the real one, with its connector installed.
    fn start(connector: &str) -> Self {
        let vendor = Counterpart::python("shipped/main.py", &["--vendor", connector]);
        let place = |host: &str, ca: &str| Place {
            host: host.to_owned(),
            address: vendor.address(),
            ca: ca.to_owned(),
        };
        let hosts = vendor.ready["hosts"].as_array().expect("hosts");
        let mut places: Vec<Place> = hosts
            .iter()
            .map(|host| place(host.as_str().expect("a host"), vendor.authority()))
            .collect();
        // Who vouches for the vendor's certificates is trusted like any other authority.
        places.push(place(
            "authority.example",
            vendor.ready["vendor_ca_pem"].as_str().expect("an authority"),
        ));
        let setup = Setup {
            places,
            set: vec![("SLUICE_SERVER__PUBLIC_URL", PUBLIC.to_owned())],
            ..Setup::default()
        };
        let server = Server::start(&setup);
        let file = package::file(connector, &format!("plugins/{connector}"));
        github::install(&server.api(), &std::fs::read(file).expect("read the connector"));
        let address = server.api().address.to_string();
        vendor.post("set", &json!({ "server": address }));
        Self { vendor, server }
    }

    fn api(&self) -> Api {
        self.server.api()
    }

    /// A connection that was tested; `more` is what is said beside name and connector.
    fn connect(&self, connector: &str, more: Value) -> String {
        let mut asked = json!({"name": connector, "connector": connector});
        for (name, value) in more.as_object().expect("an object") {
            asked[name] = value.clone();
        }
        let made = self.api().try_post("/api/v1/connections", &asked);
        assert_eq!(made.status, 201, "{}", made.text());
        let id = made.json()["id"].as_str().expect("an id").to_owned();
        let tested = self
            .api()
            .post(&format!("/api/v1/connections/{id}/test"), &json!({}));
        assert_eq!(tested["ok"], true, "{tested}\n{}", self.server.log_tail());
        id
    }

    /// A hook that its connector has set up at the vendor.
    fn registered(&self, connection: &str, more: Value) -> String {
        let mut asked = json!({ "connection": connection });
        for (name, value) in more.as_object().expect("an object") {
            asked[name] = value.clone();
        }
        let made = self.api().try_post("/api/v1/hooks", &asked);
        assert_eq!(made.status, 201, "{}", made.text());
        let hook = made.json()["id"].as_str().expect("an id").to_owned();
        self.when(&hook, "registered");
        hook
    }

    /// The hook when its registration stands so.
    fn when(&self, hook: &str, state: &str) -> Value {
        let (api, path) = (self.api(), format!("/api/v1/hooks/{hook}"));
        let found = within(Duration::from_secs(60), || {
            Some(api.get(&path)).filter(|hook| hook["registration"]["state"] == state)
        });
        found.unwrap_or_else(|| panic!("not {state}: {}\n{}", api.get(&path), self.server.log_tail()))
    }

    /// A delivery as the vendor signs it.
    fn sign(&self, asked: &Value) -> Delivery {
        let made = self.vendor.post("sign", asked);
        let headers = made["headers"].as_object().expect("headers").iter();
        Delivery {
            headers: headers
                .map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()))
                .collect(),
            query: made["query"].as_str().unwrap_or_default().to_owned(),
            body: made["body"].as_str().expect("a body").as_bytes().to_vec(),
        }
    }

    fn send(&self, hook: &str, delivery: &Delivery) -> Answer {
        let pairs = delivery.headers.iter();
        let headers: Vec<(&str, &str)> = pairs.map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let path = format!("/hooks/{hook}{}", delivery.query);
        http::request(self.api().address, "POST", &path, &headers, &delivery.body).expect("an answer")
    }

    /// Sends it; it is taken, whether it is new or not.
    fn deliver(&self, hook: &str, delivery: &Delivery) -> Answer {
        let answer = self.send(hook, delivery);
        assert!((200..300).contains(&answer.status), "{}", answer.text());
        answer
    }

    /// What is forged in any way is refused and leaves nothing.
    fn refuses(&self, hook: &str, delivery: &Delivery) {
        let before = self.receipts(hook).len();
        let answer = self.send(hook, delivery);
        assert_eq!(answer.status, 401, "{}", answer.text());
        assert_eq!(self.receipts(hook).len(), before);
    }

    fn receipts(&self, hook: &str) -> Vec<Value> {
        self.api().all(&format!("/api/v1/hooks/{hook}/receipts"))
    }

    /// The events of a kind when there are so many.
    fn events(&self, kind: &str, count: usize) -> Vec<Value> {
        let (api, path) = (self.api(), format!("/api/v1/events?kind={kind}"));
        let found = within(Duration::from_secs(60), || {
            Some(api.feed(&path)).filter(|events| events.len() >= count)
        });
        let found = found.unwrap_or_else(|| {
            let all = api.feed("/api/v1/events");
            panic!("no {kind}: {all:?}\n{}", self.server.log_tail())
        });
        assert_eq!(found.len(), count, "{found:?}");
        found
    }

    /// The newest version of every record of a stream, when there are so many.
    fn records(&self, connection: &str, stream: &str, count: usize) -> Vec<Value> {
        let path = format!("/api/v1/connections/{connection}/records?stream={stream}&latest=true");
        let api = self.api();
        wait_for(&format!("{count} of {stream}"), || {
            Some(api.all(&path)).filter(|records| records.len() == count)
        })
    }

    /// Reads a stream to its end.
    fn sync(&self, connection: &str, stream: &str, mode: &str) -> Value {
        let run = github::sync(&self.api(), connection, stream, mode);
        assert_eq!(run["state"], "succeeded", "{run}");
        run["counts"].clone()
    }

    fn act(&self, connection: &str, action: &str, input: &Value) -> Value {
        let path = format!("/api/v1/connections/{connection}/actions/{action}");
        let acted = self.api().try_post(&path, input);
        assert_eq!(acted.status, 200, "{action}: {}", acted.text());
        acted.json()["output"].clone()
    }

    fn seen(&self) -> Value {
        self.vendor.get("seen")
    }

    /// Removed here, it is ended there.
    fn unregister(&self, hook: &str) {
        assert_eq!(self.api().delete(&format!("/api/v1/hooks/{hook}")).status, 204);
        self.events("sluice.hook.unregistered", 1);
    }
}

fn id_of(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

/// A signed request.
#[derive(Debug, Clone)]
struct Delivery {
    headers: Vec<(String, String)>,
    query: String,
    body: Vec<u8>,
}

impl Delivery {
    /// The same with a part of the body changed, which has to be there.
    fn altered(&self, from: &str, to: &str) -> Self {
        let body = String::from_utf8(self.body.clone()).expect("text");
        assert!(body.contains(from), "{body} has no {from}");
        Self {
            body: body.replacen(from, to, 1).into_bytes(),
            ..self.clone()
        }
    }

    /// The same with another value of a header.
    fn with_header(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        let found = other.headers.iter_mut().find(|(known, _)| known == name);
        value.clone_into(&mut found.expect("the header").1);
        other
    }
}
