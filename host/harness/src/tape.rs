//! A cassette that is played: the road on which a connector finds the vendor as it was recorded, and nobody else.
//!
//! A request is told by its method, its address and its body. The same request, asked again, gets what was recorded for that time, and
//! the last of it from then on. A request that was not recorded gets no answer, and is noted with the recorded one that is nearest.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use sluice_broker::{Error, Heard, Road, Said, Way};
use url::Url;

use crate::cassette::{Body, Cassette, Exchange, Request};

/// Requests without an answer that are told; more are counted.
const MAX_MISSES: usize = 20;
/// Requests that are heard of one call.
const MAX_HEARD: usize = 1000;

/// A request that was not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// `GET https://…`
    pub asked: String,
    /// The recorded request that is nearest, and how it differs.
    pub nearest: Option<(String, String)>,
}

/// A cassette that is played.
#[derive(Debug)]
pub(crate) struct Tape {
    exchanges: Vec<Exchange>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How often each request was asked, by the first exchange that has it.
    asked: HashMap<usize, usize>,
    played: Vec<bool>,
    misses: Vec<Miss>,
    missed: usize,
    fault: Option<Heard>,
    faults: usize,
    /// What is asked while somebody listens. What was not recorded is no miss then: it is asked on purpose.
    listening: Option<Vec<Said>>,
}

/// How far a tape was played.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mark(HashMap<usize, usize>);

impl Tape {
    pub(crate) fn new(cassette: Cassette) -> Self {
        let state = State {
            played: vec![false; cassette.exchanges.len()],
            ..State::default()
        };
        Self {
            exchanges: cassette.exchanges,
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it was played.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.state().asked.clone())
    }

    /// Goes back to where it was.
    pub(crate) fn rewind(&self, mark: &Mark) {
        self.state().asked.clone_from(&mark.0);
    }

    /// From now on everything is answered with this, until it is taken back. Says how many requests were answered so.
    pub(crate) fn fault(&self, fault: Option<Heard>) -> usize {
        let mut state = self.state();
        state.fault = fault;
        std::mem::take(&mut state.faults)
    }

    /// From now on what is asked is heard, and a request that was not recorded is no miss.
    pub(crate) fn listen(&self) {
        self.state().listening = Some(Vec::new());
    }

    /// What was asked meanwhile; nobody listens any more.
    pub(crate) fn heard_so_far(&self) -> Vec<Said> {
        self.state().listening.take().unwrap_or_default()
    }

    /// What was asked and not recorded since the last time, and how many there were.
    pub(crate) fn misses(&self) -> (Vec<Miss>, usize) {
        let mut state = self.state();
        (
            std::mem::take(&mut state.misses),
            std::mem::take(&mut state.missed),
        )
    }

    /// Requests that were recorded and never asked.
    pub(crate) fn unplayed(&self) -> Vec<String> {
        let state = self.state();
        let unplayed = self
            .exchanges
            .iter()
            .zip(&state.played)
            .filter(|(_, played)| !**played);
        unplayed.map(|(exchange, _)| line(&exchange.request)).collect()
    }

    fn find(&self, said: &Said) -> Vec<usize> {
        let numbered = self.exchanges.iter().enumerate();
        let same = numbered.filter(|(_, exchange)| is_same(&exchange.request, said));
        same.map(|(number, _)| number).collect()
    }
}

impl Road for Tape {
    fn way(&self, said: &Said) -> Way {
        let mut state = self.state();
        let is_heard = match &mut state.listening {
            Some(heard) if heard.len() < MAX_HEARD => {
                heard.push(said.clone());
                true
            }
            listening => listening.is_some(),
        };
        if let Some(fault) = state.fault.clone() {
            state.faults += 1;
            return Way::Canned(fault);
        }
        let found = self.find(said);
        let Some(first) = found.first().copied() else {
            state.missed += usize::from(!is_heard);
            if !is_heard && state.misses.len() < MAX_MISSES {
                let miss = miss(&self.exchanges, said);
                if !state.misses.contains(&miss) {
                    state.misses.push(miss);
                }
            }
            return Way::Failed(Error::Unreachable {
                host: host(&said.url),
                reason: "the cassette has no such request".to_owned(),
            });
        };
        let times = state.asked.entry(first).or_default();
        let chosen = found.get(*times).or(found.last()).copied().unwrap_or(first);
        *times += 1;
        if let Some(played) = state.played.get_mut(chosen) {
            *played = true;
        }
        match self.exchanges.get(chosen) {
            Some(exchange) => replay(exchange, &said.url),
            None => Way::Failed(failure("egress.unreachable", &said.url)),
        }
    }

    fn heard(&self, _: &Said, _: Result<Heard, Error>) {}

    fn repeats(&self) -> bool {
        // What was recorded is what came of the last try.
        false
    }
}

fn replay(exchange: &Exchange, url: &str) -> Way {
    match &exchange.response {
        Some(response) => Way::Canned(Heard {
            status: response.status,
            headers: response.headers.clone(),
            body: response.body.bytes().unwrap_or_default(),
        }),
        None => {
            let code = exchange.failure.as_deref().unwrap_or("egress.unreachable");
            Way::Failed(failure(code, url))
        }
    }
}

fn failure(code: &str, url: &str) -> Error {
    let (host, reason) = (host(url), "as it was recorded".to_owned());
    match code {
        "egress.timeout" => Error::Timeout {
            limit: Duration::from_secs(30),
        },
        "egress.tls" => Error::Tls { host, reason },
        "egress.protocol" => Error::Protocol { host, reason },
        "egress.truncated" => Error::Truncated { host },
        _ => Error::Unreachable { host, reason },
    }
}

fn is_same(recorded: &Request, said: &Said) -> bool {
    recorded.method == said.method && recorded.url == said.url && fits(&recorded.body, said)
}

/// Whether the bodies say the same. One that is not known fits any.
fn fits(recorded: &Body, said: &Said) -> bool {
    let (Some(recorded), Some(said)) = (recorded.bytes(), said.body.as_ref()) else {
        return true;
    };
    if recorded == *said {
        return true;
    }
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    matches!((json(&recorded), json(said)), (Some(one), Some(other)) if one == other)
}

fn host(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    parsed
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default()
}

fn line(request: &Request) -> String {
    format!("{} {}", request.method, request.url)
}

/// The nearest of what was recorded: the same method, host and beginning of the path count most.
fn miss(exchanges: &[Exchange], said: &Said) -> Miss {
    let near = exchanges
        .iter()
        .map(|exchange| (nearness(&exchange.request, said), &exchange.request));
    let best = near.max_by_key(|(nearness, _)| *nearness);
    let nearest = best
        .filter(|(nearness, _)| *nearness > 0)
        .map(|(_, request)| (line(request), difference(request, said)));
    Miss {
        asked: format!("{} {}", said.method, said.url),
        nearest,
    }
}

fn nearness(recorded: &Request, said: &Said) -> usize {
    let (Ok(one), Ok(other)) = (Url::parse(&recorded.url), Url::parse(&said.url)) else {
        return 0;
    };
    if one.host_str() != other.host_str() {
        return 0;
    }
    let segments = |url: &Url| -> Vec<String> {
        url.path_segments()
            .into_iter()
            .flatten()
            .map(str::to_owned)
            .collect()
    };
    let (one_path, other_path) = (segments(&one), segments(&other));
    let alike = one_path
        .iter()
        .zip(&other_path)
        .take_while(|(one, other)| one == other)
        .count();
    let queries = one
        .query_pairs()
        .filter(|pair| other.query_pairs().any(|other| other == *pair))
        .count();
    1 + usize::from(recorded.method == said.method) * 2
        + alike * 4
        + usize::from(one_path == other_path) * 8
        // The same parameters with another value are nearer than more of them.
        + usize::from(names(&one) == names(&other)) * 3
        + queries
}

/// The names of an address's parameters.
fn names(url: &Url) -> BTreeSet<String> {
    url.query_pairs().map(|(name, _)| name.into_owned()).collect()
}

fn difference(recorded: &Request, said: &Said) -> String {
    if recorded.method != said.method {
        return format!(
            "the method is {}, and {} was recorded",
            said.method, recorded.method
        );
    }
    let (Ok(one), Ok(other)) = (Url::parse(&recorded.url), Url::parse(&said.url)) else {
        return "the address is another".to_owned();
    };
    if one.path() != other.path() {
        return format!("the path is {}, and {} was recorded", other.path(), one.path());
    }
    let value = |url: &Url, name: &str| {
        let mut pairs = url.query_pairs();
        pairs
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.into_owned())
    };
    let names = one
        .query_pairs()
        .chain(other.query_pairs())
        .map(|(name, _)| name.into_owned());
    for name in names {
        let (recorded, asked) = (value(&one, &name), value(&other, &name));
        if recorded != asked {
            let told = |value: Option<String>| {
                value.map_or_else(|| "nothing".to_owned(), |value| format!("`{value}`"))
            };
            return format!("`{name}` is {}, and {} was recorded", told(asked), told(recorded));
        }
    }
    if recorded.url != said.url {
        return "the query is written in another way".to_owned();
    }
    "the body is another".to_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sluice_model::Timestamp;

    use super::*;

    fn said(method: &str, url: &str, body: &str) -> Said {
        Said {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Some(Bytes::copy_from_slice(body.as_bytes())),
        }
    }

    fn tape(exchanges: &[(&str, &str, &str, &str)]) -> Tape {
        let heard = |body: &str| Heard {
            status: 200,
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        let exchanges = exchanges
            .iter()
            .map(|(method, url, body, answer)| Exchange::of(&said(method, url, body), Ok(heard(answer))));
        Tape::new(Cassette::new(Timestamp::default(), exchanges.collect()))
    }

    fn body(way: Way) -> String {
        match way {
            Way::Canned(heard) => String::from_utf8(heard.body.to_vec()).unwrap(),
            way => format!("{way:?}"),
        }
    }

    #[test]
    fn the_same_request_gets_its_answers_in_order_and_after_a_rewind_again() {
        let url = "https://a.example/x";
        let tape = tape(&[
            ("GET", url, "", "1"),
            ("GET", "https://a.example/y", "", "y"),
            ("GET", url, "", "2"),
        ]);
        let ask = || body(tape.way(&said("GET", url, "")));
        assert_eq!(ask(), "1");
        let mark = tape.mark();
        assert_eq!([ask(), ask()], ["2", "2"]);
        tape.rewind(&mark);
        assert_eq!(ask(), "2");
        tape.rewind(&Mark::default());
        assert_eq!(ask(), "1");
        assert_eq!(tape.unplayed(), ["GET https://a.example/y"]);
    }

    #[test]
    fn bodies_are_compared_by_what_they_say() {
        let tape = tape(&[("POST", "https://a.example/q", r#"{"a":1,"b":2}"#, "one")]);
        let ask = |body_: &str| body(tape.way(&said("POST", "https://a.example/q", body_)));
        assert_eq!(ask(r#"{"b": 2, "a": 1}"#), "one");
        assert!(ask(r#"{"a":2,"b":2}"#).contains("no such request"));
        let (misses, missed) = tape.misses();
        assert_eq!(
            (missed, misses[0].nearest.as_ref().unwrap().1.as_str()),
            (1, "the body is another")
        );
    }

    #[test]
    fn what_was_not_recorded_is_told_with_the_nearest() {
        let tape = tape(&[
            ("GET", "https://a.example/lists/home/tasks?page=1", "", ""),
            ("GET", "https://a.example/lists/home/tasks?page=2", "", ""),
            ("POST", "https://a.example/lists", "", ""),
            ("GET", "https://b.example/", "", ""),
        ]);
        let check = |method: &str, url: &str, nearest: Option<(&str, &str)>| {
            let way = tape.way(&said(method, url, ""));
            assert!(matches!(way, Way::Failed(_)), "{url}");
            let (misses, _) = tape.misses();
            let expected = nearest.map(|(one, other)| (one.to_owned(), other.to_owned()));
            assert_eq!(misses[0].nearest, expected, "{url}");
        };
        check(
            "GET",
            "https://a.example/lists/home/tasks?page=3",
            Some((
                "GET https://a.example/lists/home/tasks?page=2",
                "`page` is `3`, and `2` was recorded",
            )),
        );
        check(
            "DELETE",
            "https://a.example/lists",
            Some((
                "POST https://a.example/lists",
                "the method is DELETE, and POST was recorded",
            )),
        );
        check("GET", "https://c.example/", None);
    }
}
