//! Connectors as they are shipped, each with its vendor played on loopback from what the vendor documents: webhooks that the connector
//! sets up by itself, signed by the vendor's own method, verified, and handled into events and records; streams read to their end;
//! actions done once. The vendors are `tests/counterparts/shipped`, one by one, and `tests/counterparts/saas`, which plays several from
//! what each connector's documented case has.

mod amazon;
mod chat;
mod code;
mod dropbox;
mod google;
mod mail;
mod microsoft;
mod netlify;
mod paypal;
mod plaid;
mod slack;

use std::time::Duration;

use serde_json::{Value, json};

use crate::counterpart::Counterpart;
use crate::server::{Answer, Api, Place, Server, Setup, http, wait_for, within};
use crate::{github, package};

const PUBLIC: &str = "https://hooks.example.com";

struct World {
    vendor: Counterpart,
    server: Server,
    connector: &'static str,
}

impl World {
    /// A vendor and a server that takes it for the real one, with its connector installed.
    fn start(connector: &'static str) -> Self {
        let vendor = Counterpart::python("shipped/main.py", &["--vendor", connector]);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let hosts = vendor.ready["hosts"].as_array().expect("hosts");
        let mut known: Vec<(String, String)> = hosts
            .iter()
            .map(|host| (text(host), vendor.authority().to_owned()))
            .collect();
        // Who vouches for the vendor's certificates is trusted like any other authority.
        known.push((
            "authority.example".to_owned(),
            text(&vendor.ready["vendor_ca_pem"]),
        ));
        let world = Self::of(connector, vendor, known);
        let address = world.api().address.to_string();
        world.vendor.post("set", &json!({ "server": address }));
        world
    }

    /// The same with a vendor that is played at these hosts from the connector's documented case.
    fn at(connector: &'static str, hosts: &[&str]) -> Self {
        let words: Vec<&str> = hosts.iter().flat_map(|host| ["--host", host]).collect();
        let vendor = Counterpart::python("saas/main.py", &words);
        let known = hosts
            .iter()
            .map(|host| ((*host).to_owned(), vendor.authority().to_owned()));
        let known = known.collect();
        let world = Self::of(connector, vendor, known);
        let reach = format!("http://{}", world.api().address);
        world.vendor.post("set", &json!({ "reach": reach }));
        world
    }

    /// A vendor under these names, each with who vouches for it.
    fn of(connector: &'static str, vendor: Counterpart, known: Vec<(String, String)>) -> Self {
        let place = |(host, ca)| Place {
            host,
            address: vendor.address(),
            ca,
        };
        let setup = Setup {
            places: known.into_iter().map(place).collect(),
            set: vec![("SLUICE_SERVER__PUBLIC_URL", PUBLIC.to_owned())],
            ..Setup::default()
        };
        let server = Server::start(&setup);
        let file = package::file(connector, &format!("plugins/{connector}"));
        github::install(&server.api(), &std::fs::read(file).expect("read the connector"));
        Self {
            vendor,
            server,
            connector,
        }
    }

    fn api(&self) -> Api {
        self.server.api()
    }

    /// A connection that was tested; `more` is what is said beside name and connector.
    fn connect(&self, more: &Value) -> String {
        let id = self.draft(more);
        let tested = self
            .api()
            .post(&format!("/api/v1/connections/{id}/test"), &json!({}));
        assert_eq!(tested["ok"], true, "{tested}\n{}", self.server.log_tail());
        id
    }

    /// A connection that nobody has tested yet.
    fn draft(&self, more: &Value) -> String {
        let asked = json!({"name": self.connector, "connector": self.connector});
        id_of(&self.make("/api/v1/connections", asked, more))
    }

    /// A hook, as the API answers it.
    fn hook(&self, connection: &str, more: &Value) -> Value {
        self.make("/api/v1/hooks", json!({ "connection": connection }), more)
    }

    fn make(&self, path: &str, mut asked: Value, more: &Value) -> Value {
        for (name, value) in more.as_object().expect("an object") {
            asked[name] = value.clone();
        }
        let made = self.api().try_post(path, &asked);
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()
    }

    /// A hook that its connector has set up at the vendor.
    fn registered(&self, connection: &str, more: &Value) -> String {
        let hook = id_of(&self.hook(connection, more));
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

    /// Waits until the vendor has the hook's address; gives what the vendor has.
    fn at_vendor(&self, hook: &Value) -> Value {
        let hook = id_of(hook);
        let url = format!("{PUBLIC}/hooks/{hook}");
        let found = within(Duration::from_secs(60), || {
            let all = self.vendor.get("registered");
            let all = all["hooks"].as_array().expect("hooks").clone();
            all.into_iter().find(|hook| hook["url"] == json!(url))
        });
        let path = format!("/api/v1/hooks/{hook}");
        found.unwrap_or_else(|| panic!("not there: {}\n{}", self.api().get(&path), self.server.log_tail()))
    }

    /// What the vendor says from now on.
    fn says(&self, method: &str, url: &str, status: u16, answer: &Value) {
        let answers = json!([{"method": method, "url": url, "status": status, "answer": answer}]);
        self.vendor.post("set", &json!({ "answers": answers }));
    }

    /// A delivery as the vendor signs it.
    fn sign(&self, asked: &Value) -> Delivery {
        let made = self.vendor.post("sign", asked);
        let headers = made["headers"].as_object().expect("headers").iter();
        let body = made["body"].as_str().or(asked["body"].as_str());
        Delivery {
            headers: headers
                .map(|(name, value)| (name.clone(), value.as_str().expect("text").to_owned()))
                .collect(),
            query: made["query"].as_str().unwrap_or_default().to_owned(),
            body: body.expect("a body").as_bytes().to_vec(),
        }
    }

    /// JSON as the vendor signs it with this secret.
    fn signed(&self, body: &str, secret: &str) -> Delivery {
        let asked = json!({"vendor": self.connector, "body": body, "secret": secret});
        self.sign(&asked).json()
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
        let (status, log) = (answer.status, self.server.log_tail());
        assert!((200..300).contains(&status), "{status} {}\n{log}", answer.text());
        answer
    }

    /// Delivers, signed by the vendor; what is damaged in any header or in the body is refused before.
    fn takes(&self, hook: &Value, body: &str, secret: &str) -> Answer {
        let (hook, signed) = (id_of(hook), self.signed(body, secret));
        let vouches = |(name, _): &&(String, String)| name != "content-type";
        for (name, value) in signed.headers.iter().filter(vouches) {
            self.refuses(&hook, &signed.with_header(name, &flipped(value)));
            let mut longer = signed.clone();
            longer.body.push(b' ');
            self.refuses(&hook, &longer);
        }
        self.deliver(&hook, &signed)
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
        assert_eq!(run["state"], "succeeded", "{run}\n{}", self.server.log_tail());
        run["counts"].clone()
    }

    /// Reads a stream; all that was read has to be this many new records.
    fn reads(&self, connection: &str, stream: &str, mode: &str, added: u64) {
        let counts = self.sync(connection, stream, mode);
        assert_eq!(counts["added"], added, "{stream}: {counts}");
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
        self.remove(hook);
        self.events("sluice.hook.unregistered", 1);
    }

    /// The same at a vendor that says itself what it has.
    fn forgets(&self, hook: &Value) {
        self.remove(&id_of(hook));
        wait_for("the vendor to forget it", || {
            (self.vendor.get("registered")["hooks"] == json!([])).then_some(())
        });
    }

    fn remove(&self, hook: &str) {
        assert_eq!(self.api().delete(&format!("/api/v1/hooks/{hook}")).status, 204);
    }
}

fn id_of(value: &Value) -> String {
    value["id"].as_str().expect("an id").to_owned()
}

/// Another letter in the middle.
fn flipped(text: &str) -> String {
    let middle = text.len() / 2;
    let other = if &text[middle..=middle] == "1" { "2" } else { "1" };
    let mut text = text.to_owned();
    text.replace_range(middle..=middle, other);
    text
}

/// A signed request.
#[derive(Debug, Clone)]
struct Delivery {
    headers: Vec<(String, String)>,
    query: String,
    body: Vec<u8>,
}

impl Delivery {
    /// JSON that nobody has signed, with these headers.
    fn of(headers: &[(&str, &str)], body: &str) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let bare = Self {
            headers: headers.iter().map(owned).collect(),
            query: String::new(),
            body: body.as_bytes().to_vec(),
        };
        bare.json()
    }

    fn json(mut self) -> Self {
        let kind = ("content-type".to_owned(), "application/json".to_owned());
        self.headers.push(kind);
        self
    }

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
