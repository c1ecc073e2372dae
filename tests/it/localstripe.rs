//! Stripe, played by a server that we did not write and that knows nothing of us: its pages, its keys, its events, and the webhooks
//! that it signs and sends by itself.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::counterpart::Counterpart;
use crate::github::{self, held, sync};
use crate::package;
use crate::server::{Place, Server, Setup, http, wait_for};

/// More than two of its pages.
const CUSTOMERS: usize = 230;

fn at(address: SocketAddr, method: &str, path: &str, form: &str) -> Value {
    let headers = [
        ("authorization", "Bearer sk_test_made_up"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let answer = http::request(address, method, path, &headers, form.as_bytes());
    let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
    answer.json()
}

#[test]
fn its_lists_are_read_its_events_followed_and_its_own_webhooks_believed() {
    let stripe = Counterpart::python("localstripe/main.py", &[]);
    let plain = stripe.ready["http_port"].as_u64().expect("a port");
    let plain = SocketAddr::from(([127, 0, 0, 1], u16::try_from(plain).expect("a port")));
    let server = Server::start(&Setup {
        places: vec![Place {
            host: "api.stripe.com".to_owned(),
            address: stripe.address(),
            ca: stripe.authority().to_owned(),
        }],
        ..Setup::default()
    });
    let api = server.api();
    let file = std::fs::read(package::file("stripe", "plugins/stripe")).expect("read the connector");
    github::install(&api, &file);
    let connect = |name: &str, secret: &str| {
        let body = json!({"name": name, "connector": "stripe", "auth": "key", "secret": secret});
        let made = api.post("/api/v1/connections", &body);
        let id = made["id"].as_str().expect("an id").to_owned();
        let tested = api.post(&format!("/api/v1/connections/{id}/test"), &json!({}));
        (id, tested)
    };
    // A key that it does not take.
    let (_, refused) = connect("publishable", "pk_test_made_up");
    assert_eq!(refused["ok"], false, "{refused}");
    let (connection, tested) = connect("local", "sk_test_made_up");
    assert_eq!(tested["ok"], true, "{tested}");

    let created: Vec<String> = (0..CUSTOMERS)
        .map(|n| {
            let form = format!("email=customer{n}%40acme.example&name=Customer+{n}");
            let made = at(plain, "POST", "/v1/customers", &form);
            made["id"].as_str().expect("an id").to_owned()
        })
        .collect();
    let run = sync(&api, &connection, "customers", "incremental");
    assert_eq!(
        (&run["state"], &run["counts"]["added"]),
        (&json!("succeeded"), &json!(CUSTOMERS)),
        "{run}"
    );

    // What changed since is known by its events.
    at(
        plain,
        "POST",
        &format!("/v1/customers/{}", created[3]),
        "name=Somebody+else",
    );
    at(plain, "DELETE", &format!("/v1/customers/{}", created[5]), "");
    let run = sync(&api, &connection, "customers", "incremental");
    assert_eq!(run["state"], "succeeded", "{run}");
    assert_eq!(
        (&run["counts"]["updated"], &run["counts"]["deleted"]),
        (&json!(1), &json!(1)),
        "{run}"
    );
    assert_eq!(held(&api, &connection, "customers"), CUSTOMERS as u64 - 1);

    // It signs with its own hands, and tells of what happens by itself.
    let hook = api.post(
        "/api/v1/hooks",
        &json!({"connection": connection, "secret": "whsec_made_up_for_local"}),
    );
    let url = format!(
        "http://{}/hooks/{}",
        api.address,
        hook["id"].as_str().expect("an id")
    );
    let listening = json!({"url": url, "secret": "whsec_made_up_for_local", "events": ["customer.created"]});
    stripe.post("webhook", &listening);
    let made = at(
        plain,
        "POST",
        "/v1/customers",
        "email=new%40acme.example&name=New",
    );
    // It tells a second later, so also of some that were made before.
    let told_of = |customer: &Value| {
        let events = api.feed("/api/v1/events?kind=stripe.customer.created");
        let is_meant = |event: &&Value| event["data"]["data"]["object"]["id"] == customer["id"];
        events.iter().filter(is_meant).count()
    };
    wait_for("its webhook is handled", || (told_of(&made) == 1).then_some(()));

    // One that it signs with another secret is not kept.
    stripe.post(
        "webhook",
        &json!({"url": url, "secret": "whsec_another_one", "events": null}),
    );
    let other = at(plain, "POST", "/v1/customers", "email=other%40acme.example");
    wait_for("it is refused", || {
        let metrics = api.send("GET", "/metrics", "text/plain", b"").text();
        let refused = metrics
            .lines()
            .find(|line| line.contains("outcome=\"refused\""))?;
        refused
            .rsplit(' ')
            .next()?
            .parse::<f64>()
            .ok()
            .filter(|count| *count >= 1.0)
    });
    assert_eq!(told_of(&other), 0);
}
