//! Connections that come by their credential: the real server against a certified OpenID provider, with a person in a real browser or
//! one that only sends what a browser would.
//!
//! | module | what it asks |
//! |---|---|
//! | [`journey`] | does a person in a browser connect an account, or say no, and come back where they belong? |
//! | [`flows`] | do the other ways work: a device, a machine, a service account, code, a vendor of its own mind? |
//! | [`fresh`] | is a token that ends refreshed once, however many ask, while work goes on? |
//! | [`ended`] | does a grant that is over end in one sign, and does connecting again heal it? |
//! | [`faults`] | does whatever a token endpoint answers end in a typed error, with the old tokens kept? |
//! | [`state`] | does an answer count only once, in time, and in the browser that began? |
//! | [`kills`] | is an account never lost without a sign, wherever the power is cut? |
//! | [`removal`] | does a connection end for good, with its grant given back and its records kept if they are wanted? |
//! | [`hosts`] | does a secret go to no host that a configuration was changed to? |
//! | [`google`] | does Google's own recipe connect an account, with Google's hosts where they are? |
//! | [`trello`] | does OAuth 1.0a sign with the app as it is now? |
//! | [`thief`] | can a connector with full control of its code learn a token? |
//! | [`canary`] | can a token be read anywhere? |

mod canary;
mod ended;
mod faults;
mod flows;
mod fresh;
mod google;
mod hosts;
mod journey;
mod kills;
mod removal;
mod state;
mod thief;
mod trello;

use std::process::Command;

use serde_json::{Value, json};

use crate::counterpart::{Counterpart, Judge};
use crate::github;
use crate::package;
use crate::server::{Answer, Api, Place, Server, Setup, http, wait_for};

const ISSUER: &str = "https://id.acme.example";

/// Schemes with an app, and the client that is theirs at the provider.
const APPS: [(&str, &str); 5] = [
    ("oauth", "sluice"),
    ("odd", "sluice-post"),
    ("machine", "sluice odd"),
    ("either", "sluice odd"),
    ("custom", "sluice-post"),
];

/// A provider, a server that knows it, and a person.
struct World {
    idp: Counterpart,
    person: Judge,
    server: Server,
}

/// What following a link gives to a browser.
#[derive(Debug, Clone)]
struct Followed {
    location: String,
    /// `name=value`, as the browser sends it back.
    cookie: String,
}

impl World {
    fn start() -> Self {
        Self::with(&[], Vec::new())
    }

    /// `words` for the provider, `set` for the server.
    fn with(words: &[&str], set: Vec<(&'static str, String)>) -> Self {
        let mut all = vec!["--issuer", ISSUER, "--host", "other.acme.example"];
        all.extend_from_slice(words);
        let idp = Counterpart::node("oidc/main.mjs", &all);
        let place = |host: &str| Place {
            host: host.to_owned(),
            address: idp.address(),
            ca: idp.authority().to_owned(),
        };
        let setup = Setup {
            places: vec![place("id.acme.example"), place("other.acme.example")],
            set,
            ..Setup::default()
        };
        let server = Server::start(&setup);
        let at = format!("id.acme.example={}", idp.address());
        let ca = idp.ready["ca_file"].as_str().expect("a file").to_owned();
        let person = Judge::node("browser/walk.mjs", &["--at", &at, "--ca", &ca]);
        let world = Self { idp, person, server };
        github::install(&world.api(), package::acme());
        world.register();
        world
    }

    /// As at a vendor: our callback is registered there, and what the app got is kept here.
    fn register(&self) {
        for (scheme, client) in APPS {
            let app = &self.idp.ready["clients"][client];
            let parts = json!({"client_id": app["client_id"], "client_secret": app["client_secret"]});
            let path = format!("/api/v1/apps/acme/{scheme}");
            let kept = self.api().put(&path, &json!({"parts": parts}));
            self.idp.post(
                "client",
                &json!({"client_id": client, "redirect_uris": [kept["callback_url"]]}),
            );
        }
    }

    fn api(&self) -> Api {
        self.server.api()
    }

    /// SIGKILL and a start on the same data; the address is another one then.
    fn restart(&mut self) {
        self.server.restart();
        self.register();
    }

    fn draft(&self, name: &str, auth: &str) -> String {
        let body = json!({"name": name, "connector": "acme", "config": {}, "auth": auth});
        let created = self.api().try_post("/api/v1/connections", &body);
        assert_eq!(created.status, 201, "{}", created.text());
        created.json()["id"].as_str().expect("an id").to_owned()
    }

    fn try_begin(&self, connection: &str, body: &Value) -> Answer {
        let path = format!("/api/v1/connections/{connection}/authorizations");
        self.api().try_post(&path, body)
    }

    fn begin(&self, connection: &str, body: &Value) -> Value {
        let begun = self.try_begin(connection, body);
        assert_eq!(begun.status, 201, "{}", begun.text());
        begun.json()
    }

    /// Presses the button behind a link.
    fn try_follow(&self, link: &Value) -> Answer {
        let path = path_of(link["url"].as_str().expect("a link"));
        let kind = ("content-type", "application/x-www-form-urlencoded");
        http::request(self.api().address, "POST", &path, &[kind], b"").expect("follow the link")
    }

    fn follow(&self, link: &Value) -> Followed {
        let answer = self.try_follow(link);
        assert_eq!(answer.status, 303, "{}", answer.text());
        let cookie = answer.header("set-cookie").expect("a cookie");
        Followed {
            location: answer.header("location").expect("a location").to_owned(),
            cookie: cookie.split(';').next().unwrap_or_default().to_owned(),
        }
    }

    /// What a person does at the vendor; gives where the browser is sent.
    fn answers(&self, location: &str, user: &str, allow: bool) -> String {
        let told = self
            .person
            .ask(&json!({"url": location, "user": user, "allow": allow}));
        told["location"]
            .as_str()
            .unwrap_or_else(|| panic!("the person is stuck: {told}"))
            .to_owned()
    }

    /// The way back, as a browser with this cookie takes it.
    fn land(&self, callback: &str, cookie: &str) -> Answer {
        let path = path_of(callback);
        http::request(self.api().address, "GET", &path, &[("cookie", cookie)], b"").expect("come back")
    }

    /// A link followed to its end.
    fn journey(&self, connection: &str, user: &str, body: &Value) -> Answer {
        let followed = self.follow(&self.begin(connection, body));
        let callback = self.answers(&followed.location, user, true);
        self.land(&callback, &followed.cookie)
    }

    /// A connection with a person's account.
    fn connected(&self, name: &str, user: &str) -> String {
        self.connected_by(name, "oauth", user)
    }

    fn connected_by(&self, name: &str, auth: &str, user: &str) -> String {
        let connection = self.draft(name, auth);
        let landed = self.journey(&connection, user, &json!({}));
        assert_eq!(title(&landed), "Connected", "{}", landed.text());
        let shown = self.show(&connection);
        assert_eq!(shown["state"], "active", "{shown}");
        assert_eq!(shown["account"]["id"], user, "{shown}");
        connection
    }

    fn show(&self, connection: &str) -> Value {
        self.api().get(&format!("/api/v1/connections/{connection}"))
    }

    fn version(&self, connection: &str) -> u64 {
        let shown = self.show(connection);
        shown["credential"]["version"].as_u64().unwrap_or_default()
    }

    /// How an authorization stands.
    fn status(&self, connection: &str, begun: &Value) -> Value {
        let id = begun["id"].as_str().expect("an id");
        self.api()
            .get(&format!("/api/v1/connections/{connection}/authorizations/{id}"))
    }

    fn act(&self, connection: &str, action: &str, input: &Value) -> Answer {
        let path = format!("/api/v1/connections/{connection}/actions/{action}");
        self.api().try_post(&path, input)
    }

    /// An action that goes well; gives what it gave.
    fn acts(&self, connection: &str, action: &str, input: &Value) -> Value {
        let acted = self.act(connection, action, input);
        assert_eq!(acted.status, 200, "{action}: {}", acted.text());
        acted.json()["output"].clone()
    }

    fn whoami(&self, connection: &str) -> String {
        let me = self.acts(connection, "whoami", &json!({}));
        me["id"].as_str().expect("an id").to_owned()
    }

    fn try_refresh(&self, connection: &str) -> Answer {
        let path = format!("/api/v1/connections/{connection}/refresh");
        self.api().try_post(&path, &json!({}))
    }

    /// A refresh that goes well, as soon as the vendor is asked again after a failure.
    fn refreshes(&self, connection: &str) {
        wait_for("a refresh that goes well", || {
            (self.try_refresh(connection).status == 200).then_some(())
        });
    }

    fn fault(&self, fault: &Value) {
        self.idp.post("fault", fault);
    }

    /// How often the connection was said to have come to this state.
    fn told(&self, connection: &str, state: &str) -> usize {
        let events = self.api().feed("/api/v1/events?kind=sluice.connection.state");
        events
            .iter()
            .filter(|event| event["subject"] == connection && event["data"]["to"] == state)
            .count()
    }
}

/// Path and query of an address.
fn path_of(url: &str) -> String {
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    let at = after.find('/').expect("an address with a path");
    after[at..].to_owned()
}

/// The address with a parameter changed, or without it.
fn with_param(url: &str, name: &str, value: Option<&str>) -> String {
    let (base, query) = url.split_once('?').expect("a query");
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|pair| pair.split('=').next() != Some(name))
        .map(str::to_owned)
        .collect();
    pairs.extend(value.map(|value| format!("{name}={value}")));
    format!("{base}?{}", pairs.join("&"))
}

fn param(url: &str, name: &str) -> String {
    let (_, query) = url.split_once('?').expect("a query");
    let found = query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        (found == name).then_some(value)
    });
    found
        .unwrap_or_else(|| panic!("{url} has no `{name}`"))
        .to_owned()
}

fn title(answer: &Answer) -> String {
    let text = answer.text();
    let title = text
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split_once("</title>"));
    title.map_or_else(String::new, |(title, _)| title.to_owned())
}

/// The stable code on a page of ours.
fn code_on(answer: &Answer) -> String {
    let text = answer.text();
    let code = text
        .split_once("<code>")
        .and_then(|(_, rest)| rest.split_once("</code>"));
    code.map_or_else(String::new, |(code, _)| code.to_owned())
}

/// A key pair as a vendor's console makes it: the private key (PKCS 8) and the public one (SPKI), in PEM.
fn key_pair() -> (String, String) {
    let script = "const {privateKey,publicKey}=require('node:crypto').generateKeyPairSync('rsa',{modulusLength:2048});\
        console.log(JSON.stringify([privateKey.export({type:'pkcs8',format:'pem'}),publicKey.export({type:'spki',format:'pem'})]))";
    let made = Command::new("node")
        .args(["-e", script])
        .output()
        .expect("run node");
    serde_json::from_slice(&made.stdout).expect("two keys")
}
