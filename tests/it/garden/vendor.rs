//! The garden's vendor: a door with a code, beds whose plants are read and written, shelves of the account's own, hooks that end, and a
//! meadow that is better not held at once.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::played::{self, Asked};
use crate::server::Setup;

const HOST: &str = "garden.example";

/// What the app is called, and what a visitor's browser brings back.
pub(super) const CLIENT: &str = "the-gardeners-own-app";
pub(super) const CODE: &str = "mellow";

/// Plants of one page.
const PAGE: u64 = 2;
/// Bytes of the meadow: more than one piece.
pub(super) const MEADOW: usize = 300_000;

#[derive(Debug, Default)]
struct Beds {
    plants: BTreeMap<String, Value>,
    /// By the key that each was made under.
    made: HashMap<String, Value>,
    hooks: Vec<Value>,
    token: u64,
    over: bool,
    /// How often each thing was asked for, by method and the first part of its path.
    counts: HashMap<String, u64>,
    /// The addresses of plants that were read.
    read: Vec<String>,
    /// The names of the beds.
    names: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Garden {
    address: SocketAddr,
    beds: Arc<Mutex<Beds>>,
}

impl Garden {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let garden = Self {
            address: listener.local_addr().unwrap(),
            beds: Arc::default(),
        };
        played::serve(listener, garden.clone(), Self::serve);
        garden
    }

    pub(super) fn setup(&self) -> Setup {
        let mut setup = played::setup(HOST, self.address);
        setup.set = vec![(
            "SLUICE_SERVER__PUBLIC_URL",
            "https://hooks.example.com".to_owned(),
        )];
        setup
    }

    pub(super) fn count(&self, what: &str) -> u64 {
        self.beds.lock().unwrap().counts.get(what).copied().unwrap_or(0)
    }

    pub(super) fn hooks(&self) -> Vec<Value> {
        self.beds.lock().unwrap().hooks.clone()
    }

    pub(super) fn plants(&self) -> BTreeMap<String, Value> {
        self.beds.lock().unwrap().plants.clone()
    }

    /// The addresses of plants that were read since this was asked before.
    pub(super) fn read(&self) -> Vec<String> {
        std::mem::take(&mut self.beds.lock().unwrap().read)
    }

    /// These are the beds from now on.
    pub(super) fn dig(&self, beds: &[&str]) {
        self.beds.lock().unwrap().names = beds.iter().map(|bed| (*bed).to_owned()).collect();
    }

    /// No token is renewed any more.
    pub(super) fn end(&self) {
        self.beds.lock().unwrap().over = true;
    }

    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(asked) = Asked::read(&mut reader)? {
            let (status, body) = match asked.target.as_str() {
                "/meadow" => (200, "grass ".repeat(MEADOW / 6).into_bytes()),
                _ => {
                    let (status, body) = self.beds.lock().unwrap().answer(&asked);
                    (status, body.to_string().into_bytes())
                }
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            // In one piece: small ones would wait for each other's acknowledgement.
            (&mut &*stream).write_all(&[head.into_bytes(), body].concat())?;
        }
        Ok(())
    }
}

impl Beds {
    fn answer(&mut self, asked: &Asked) -> (u16, Value) {
        let (path, query) = asked.address();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let what = format!("{} {}", asked.method, parts[0]);
        *self.counts.entry(what.clone()).or_default() += 1;
        match what.as_str() {
            "POST token" => return self.tokens(&asked.json()),
            "POST revoke" => return (200, json!({"refresh": asked.json()["refresh"]})),
            _ => {}
        }
        if asked.header("authorization") != format!("Bearer access-{}", self.token) {
            return (401, json!({"message": "the door is shut"}));
        }
        match what.as_str() {
            "GET me" => (200, json!({"id": 7, "name": "mona"})),
            "GET beds" => (200, json!(self.names)),
            "GET shelves" if parts.len() == 1 => (200, json!([{"name": "seeds", "schema": schema()}])),
            "GET shelves" => (
                200,
                json!([{"id": "s1", "name": parts[1], "at": "2026-01-02T03:04:05Z"}]),
            ),
            "GET plants" => {
                self.read.push(asked.target.clone());
                (200, bed(parts[1], query))
            }
            "GET many" => (200, json!(parts[1].parse::<u64>().unwrap_or(0))),
            "GET seen" => (200, json!([asked.header("x-hashed"), asked.header("x-jws")])),
            "POST plants" | "PATCH plants" | "DELETE plants" => {
                self.write(asked, parts.get(1).copied(), query)
            }
            "POST hooks" if parts.len() == 1 => self.hook(&asked.json()),
            "POST hooks" => (200, json!({"id": parts[1], "until": now() + 3_600_000})),
            "DELETE hooks" => {
                self.hooks.retain(|hook| hook["id"] != parts[1]);
                (200, json!({}))
            }
            _ => (404, json!({"message": "there is no such path in the garden"})),
        }
    }

    fn tokens(&mut self, body: &Value) -> (u16, Value) {
        let refresh = format!("refresh-{}", self.token);
        let proves = body["code"] == CODE || (self.token > 0 && body["refresh"] == refresh);
        if body["client"] != CLIENT || !proves {
            return (403, json!({"message": "that is not the word"}));
        }
        if self.over {
            return (410, json!({"message": "over"}));
        }
        self.token += 1;
        let number = self.token;
        (
            200,
            json!({"access": format!("access-{number}"), "refresh": format!("refresh-{number}"), "life_s": 3600}),
        )
    }

    /// A hook is known by its address, and ends so soon that it has to be renewed at once.
    fn hook(&mut self, body: &Value) -> (u16, Value) {
        self.hooks.retain(|hook| hook["url"] != body["url"]);
        let mut hook = body.clone();
        hook["id"] = json!("h1");
        self.hooks.push(hook);
        (200, json!({"id": "h1", "until": now() + 7_000}))
    }

    fn write(&mut self, asked: &Asked, id: Option<&str>, query: &str) -> (u16, Value) {
        if query == "revision=stale" {
            return (409, json!({"id": id, "note": "somebody was here"}));
        }
        let key = asked.header("idempotency-key").to_owned();
        if let Some(made) = self.made.get(&key) {
            return (200, made.clone());
        }
        let id = id.map_or_else(|| format!("w{}", self.made.len() + 1), str::to_owned);
        let mut plant = self.plants.get(&id).cloned().unwrap_or_else(|| json!({}));
        for (name, value) in asked.json().as_object().into_iter().flatten() {
            plant[name] = value.clone();
        }
        plant["id"] = json!(id);
        match asked.method.as_str() {
            "DELETE" => drop(self.plants.remove(&id)),
            _ => drop(self.plants.insert(id, plant.clone())),
        }
        self.made.insert(key, plant.clone());
        (200, plant)
    }
}

fn schema() -> Value {
    json!({"type": "object", "title": "Seeds", "required": ["id"], "properties": {"id": {"type": "string"}}})
}

/// Three plants in each bed, two on a page.
fn bed(bed: &str, query: &str) -> Value {
    let after: u64 = query.trim_start_matches("after=").parse().unwrap_or(0);
    let numbers: Vec<u64> = (after + 1..=3).take(usize::try_from(PAGE).unwrap_or(1)).collect();
    let next = numbers.last().copied().unwrap_or(after);
    let plant = |number: &u64| {
        let at = format!("2026-01-0{number}T00:00:00Z");
        json!({"id": format!("{bed}-{number}"), "bed": bed, "at": at})
    };
    let plants: Vec<Value> = numbers.iter().map(plant).collect();
    json!({"plants": plants, "next": next, "more": next < 3, "total": 6})
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}
