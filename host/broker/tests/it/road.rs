use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sluice_broker::{Apply, Body, Broker, Caller, Config, Error, Heard, Held, Request, Road, Said, Way};
use sluice_model::SystemClock;
use sluice_model::capability::Scheme;
use sluice_model::limits::Limits;
use sluice_model::secret::Secret;

use crate::rig::{Keys, Names, Peer, Reply, SECRET, caller, credential, origin, rule};

/// A road that leads one way and remembers everything.
#[derive(Debug)]
struct One {
    way: Leads,
    said: Mutex<Vec<Said>>,
    heard: Mutex<Vec<Result<Heard, &'static str>>>,
}

#[derive(Debug)]
enum Leads {
    To(std::net::SocketAddr),
    Back(Heard),
}

impl Road for One {
    fn way(&self, said: &Said) -> Way {
        self.said.lock().unwrap().push(said.clone());
        match &self.way {
            Leads::To(address) => Way::Plain(*address),
            Leads::Back(heard) => Way::Canned(heard.clone()),
        }
    }

    fn heard(&self, _: &Said, heard: Result<Heard, Error>) {
        self.heard
            .lock()
            .unwrap()
            .push(heard.map_err(|error| error.code()));
    }

    fn repeats(&self) -> bool {
        false
    }
}

fn on(way: Leads, limits: Limits) -> (Arc<One>, Broker, Caller) {
    let road = Arc::new(One {
        way,
        said: Mutex::default(),
        heard: Mutex::default(),
    });
    let names = Names::new(&[]);
    let broker = Broker::on_road(
        Config::default(),
        names,
        Arc::new(SystemClock),
        Arc::clone(&road) as Arc<_>,
    )
    .unwrap();
    let own = credential(
        "token",
        Apply::Bearer,
        vec![origin(Scheme::Https, "api.test", 443)],
    );
    let keys = Keys([(String::new(), own)].into());
    let caller = caller(
        vec![rule(Scheme::Https, "api.test", 443, "/open/**")],
        limits,
        keys,
    );
    (road, broker, caller)
}

fn canned(status: u16, headers: &[(&str, &str)], body: &'static str) -> Leads {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Leads::Back(Heard {
        status,
        headers: headers.collect(),
        body: Bytes::from_static(body.as_bytes()),
    })
}

#[tokio::test]
async fn a_road_is_told_nothing_that_is_secret() {
    let peer = Peer::new(vec![Reply::Echo]).await;
    let (road, broker, caller) = on(Leads::To(peer.address), Limits::default());
    let held = Held {
        name: "pin".to_owned(),
        secret: Secret::new(b"p1n-of-the-door".to_vec()),
        origins: vec![origin(Scheme::Https, "api.test", 443)],
    };
    let token = caller.budget.placeholders().insert(held).unwrap();
    let request = Request {
        body: Body::Bytes(Bytes::from(format!("pin={token}"))),
        ..Request::new("POST", "https://api.test/open/x")
    };
    let response = broker.send(&caller, request).await.unwrap();
    assert_eq!(response.status, 200);
    let body = response.collect().await.unwrap();
    // The peer was sent both, in plain text, and repeated them.
    let sent = peer.requests().pop().unwrap();
    assert!(
        sent.contains(SECRET) && sent.contains("p1n-of-the-door"),
        "{sent}"
    );
    let said = road.said.lock().unwrap();
    assert_eq!(said[0].body.as_deref(), Some(&b"pin={{secret:pin}}"[..]));
    let heard = road.heard.lock().unwrap();
    assert_eq!(
        heard[0].as_ref().unwrap().body,
        body,
        "it hears what the caller is given"
    );
    for secret in [SECRET, "p1n-of-the-door", token.as_str()] {
        assert!(!format!("{said:?}").contains(secret), "{said:?}");
    }
    for secret in [SECRET, "p1n-of-the-door"] {
        assert!(!format!("{heard:?}").contains(secret), "{heard:?}");
    }
}

#[tokio::test]
async fn policy_comes_before_the_road_and_caps_behind_it() {
    let limits = Limits {
        response_bytes: 8,
        ..Limits::default()
    };
    let (road, broker, caller) = on(canned(200, &[], "far too much for it"), limits);
    let denied = broker
        .send(&caller, Request::new("GET", "https://other.test/open/x"))
        .await
        .unwrap_err();
    assert_eq!(denied.code(), "egress.denied");
    assert!(road.said.lock().unwrap().is_empty(), "nobody was asked");
    let answer = broker
        .send(&caller, Request::new("GET", "https://api.test/open/x"))
        .await
        .unwrap();
    assert_eq!(answer.collect().await.unwrap_err().code(), "egress.too_large");
    assert_eq!(road.heard.lock().unwrap().as_slice(), [Err("egress.too_large")]);
}

#[tokio::test]
async fn a_redirect_is_followed_under_policy_and_heard() {
    let away = canned(302, &[("location", "https://evil.test/open/")], "");
    let (road, broker, caller) = on(away, Limits::default());
    let error = broker
        .send(&caller, Request::new("GET", "https://api.test/open/x"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "egress.redirect_denied");
    assert_eq!(road.said.lock().unwrap().len(), 1);
    assert_eq!(road.heard.lock().unwrap()[0].as_ref().unwrap().status, 302);
}

#[tokio::test]
async fn nothing_goes_to_another_machine_in_plain_text() {
    let address = "192.0.2.1:80".parse().unwrap();
    let (_, broker, caller) = on(Leads::To(address), Limits::default());
    let error = broker
        .send(&caller, Request::new("GET", "https://api.test/open/x"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "egress.denied_address");
}
