//! A vendor of two-sided records: books whose entries have revisions, are written under idempotency keys, and can be edited by
//! somebody else while we look.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use crate::played::{self, Asked, Gate};
use crate::server::Setup;

/// The name that the server finds it by.
const HOST: &str = "ledger.example";

/// Entries of one page.
const PAGE: usize = 50;

#[derive(Debug, Clone)]
struct Entry {
    rev: u64,
    seq: u64,
    members: Option<Map<String, Value>>,
}

#[derive(Debug, Default)]
struct Books {
    books: HashMap<String, BTreeMap<String, Entry>>,
    seq: u64,
    ids: u64,
    keys: HashMap<String, (u16, Value)>,
    /// Requests that came, and those that wrote.
    requests: u64,
    writes: u64,
    /// Answers that are lost after the work was done.
    lose: u64,
    /// Names that are refused.
    refuses: Option<String>,
    /// What is answered to whoever reads, whatever is asked.
    raw: Option<Vec<u8>>,
    /// What was asked of those who read, the last last.
    read: Vec<String>,
    /// How many there are, as the vendor says.
    total: Option<u64>,
    /// What else each book has, with the schemas of it.
    shelves: Vec<Value>,
}

/// The vendor; it serves until the test ends.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    address: SocketAddr,
    books: Arc<Mutex<Books>>,
    gate: Arc<Gate>,
    /// Where those wait who have read a book of that name.
    readers: Arc<(Gate, Mutex<String>)>,
}

impl Ledger {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ledger = Self {
            address: listener.local_addr().unwrap(),
            books: Arc::default(),
            gate: Arc::default(),
            readers: Arc::default(),
        };
        played::serve(listener, ledger.clone(), Self::serve);
        ledger
    }

    /// A server's setup that finds it.
    pub(crate) fn setup(&self) -> Setup {
        played::setup(HOST, self.address)
    }

    /// Somebody edits an entry, or makes one; an empty id makes one. Gives its id.
    pub(crate) fn edit(&self, book: &str, id: &str, members: &Value) -> String {
        let mut books = self.books.lock().unwrap();
        let id = if id.is_empty() {
            books.next_id()
        } else {
            id.to_owned()
        };
        books.set(book, &id, members.as_object().unwrap());
        id
    }

    pub(crate) fn remove(&self, book: &str, id: &str) {
        self.books.lock().unwrap().remove(book, id);
    }

    /// What a book says, by name: name, amount and note of each entry.
    pub(crate) fn says(&self, book: &str) -> Vec<Value> {
        let books = self.books.lock().unwrap();
        let entries = books.books.get(book).cloned().unwrap_or_default();
        let mut said: Vec<Value> = entries
            .into_values()
            .filter_map(|entry| entry.members)
            .map(|mut members| {
                members.remove("id");
                members.remove("rev");
                Value::Object(members)
            })
            .collect();
        said.sort_by_key(Value::to_string);
        said
    }

    pub(crate) fn entry(&self, book: &str, id: &str) -> Option<Value> {
        let books = self.books.lock().unwrap();
        let entry = books.books.get(book)?.get(id)?.clone();
        entry.members.map(Value::Object)
    }

    pub(crate) fn writes(&self) -> u64 {
        self.books.lock().unwrap().writes
    }

    /// Requests that came, whatever became of them.
    pub(crate) fn requests(&self) -> u64 {
        self.books.lock().unwrap().requests
    }

    /// The next answers are lost after the work was done.
    pub(crate) fn lose(&self, answers: u64) {
        self.books.lock().unwrap().lose = answers;
    }

    /// Every answer waits until this is called with `false`.
    pub(crate) fn hold(&self, shut: bool) {
        self.gate.hold(shut);
    }

    /// Who reads this book is answered with what it says by then, and only when [`Self::answer_readers`] is called.
    pub(crate) fn hold_readers(&self, book: &str) {
        book.clone_into(&mut self.readers.1.lock().unwrap());
        self.readers.0.hold(true);
    }

    pub(crate) fn answer_readers(&self) {
        self.readers.1.lock().unwrap().clear();
        self.readers.0.hold(false);
    }

    /// Readers that wait.
    pub(crate) fn readers_waiting(&self) -> u64 {
        self.readers.0.waiting()
    }

    /// Answers that wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.gate.waiting()
    }

    /// These bytes are what whoever reads gets; none: what there is.
    pub(crate) fn say(&self, raw: Option<Vec<u8>>) {
        self.books.lock().unwrap().raw = raw;
    }

    /// What the vendor says of how many there are.
    pub(crate) fn boast(&self, total: Option<u64>) {
        self.books.lock().unwrap().total = total;
    }

    /// The addresses that were read since this was asked before.
    pub(crate) fn read(&self) -> Vec<String> {
        std::mem::take(&mut self.books.lock().unwrap().read)
    }

    /// What every book has besides its entries: name and schema of each.
    pub(crate) fn shelve(&self, shelves: &[(&str, Value)]) {
        let told = |(name, schema): &(&str, Value)| json!({"name": name, "schema": schema});
        self.books.lock().unwrap().shelves = shelves.iter().map(told).collect();
    }

    /// Entries of this name are refused; none: nothing is.
    pub(crate) fn refuse(&self, name: Option<&str>) {
        self.books.lock().unwrap().refuses = name.map(str::to_owned);
    }

    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(asked) = Asked::read(&mut reader)? {
            let (status, answer, lost) = self.books.lock().unwrap().answer(&asked);
            self.gate.pass();
            let held = self.readers.1.lock().unwrap().clone();
            if asked.method == "GET" && !held.is_empty() && asked.target.starts_with(&format!("/{held}/")) {
                self.readers.0.pass();
            }
            if lost {
                return Ok(());
            }
            let raw = self.books.lock().unwrap().raw.clone();
            let text = match raw.filter(|_| asked.method == "GET") {
                Some(raw) => raw,
                None => answer.to_string().into_bytes(),
            };
            // In one piece: small ones would wait for each other's acknowledgement.
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                text.len()
            );
            (&mut &*stream).write_all(&[head.into_bytes(), text].concat())?;
        }
        Ok(())
    }
}

impl Books {
    fn next_id(&mut self) -> String {
        self.ids += 1;
        format!("e{}", self.ids)
    }

    fn set(&mut self, book: &str, id: &str, members: &Map<String, Value>) {
        self.seq += 1;
        let seq = self.seq;
        let entries = self.books.entry(book.to_owned()).or_default();
        let entry = entries.entry(id.to_owned()).or_insert(Entry {
            rev: 0,
            seq,
            members: None,
        });
        entry.rev += 1;
        entry.seq = seq;
        let own = entry.members.get_or_insert_with(Map::new);
        own.extend(members.clone());
        own.insert("id".to_owned(), json!(id));
        own.insert("rev".to_owned(), json!(entry.rev));
    }

    fn remove(&mut self, book: &str, id: &str) {
        self.seq += 1;
        let seq = self.seq;
        let entries = self.books.entry(book.to_owned()).or_default();
        if let Some(entry) = entries.get_mut(id) {
            entry.rev += 1;
            entry.seq = seq;
            entry.members = None;
        }
    }

    fn row(&self, book: &str, id: &str) -> Value {
        let entry = self.books.get(book).and_then(|entries| entries.get(id));
        let Some(entry) = entry else {
            return json!({"id": id, "deleted": true, "modified": 0, "data": null});
        };
        json!({"id": id, "deleted": entry.members.is_none(), "modified": entry.seq * 1000, "data": entry.members})
    }

    fn answer(&mut self, asked: &Asked) -> (u16, Value, bool) {
        self.requests += 1;
        let (path, query) = asked.address();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        if parts.get(1) == Some(&"shelves") {
            return (200, json!(self.shelves), false);
        }
        // What is on a shelf is kept as a book of its own.
        let book = match parts.get(1) {
            Some(&shelf) if shelf != "entries" => format!("{}/{shelf}", parts[0]),
            _ => parts[0].to_owned(),
        };
        let book = book.as_str();
        if asked.method == "GET" {
            self.read.push(asked.target.clone());
            let after: u64 = query.trim_start_matches("after=").parse().unwrap_or(0);
            let entries = self.books.get(book).cloned().unwrap_or_default();
            let mut changed: Vec<_> = entries
                .into_iter()
                .filter(|(_, entry)| entry.seq > after)
                .collect();
            changed.sort_by_key(|(_, entry)| entry.seq);
            let more = changed.len() > PAGE;
            changed.truncate(PAGE);
            let next = changed.last().map_or(after, |(_, entry)| entry.seq);
            let rows: Vec<Value> = changed.iter().map(|(id, _)| self.row(book, id)).collect();
            return (
                200,
                json!({"rows": rows, "next": next, "more": more, "total": self.total}),
                false,
            );
        }
        let lost = self.lose > 0;
        self.lose -= u64::from(lost);
        let key = asked.header("idempotency-key").to_owned();
        if let Some((status, answer)) = self.keys.get(&key) {
            return (*status, answer.clone(), lost);
        }
        let body = asked.json();
        let members = body.as_object().cloned().unwrap_or_default();
        let name = members.get("name").and_then(Value::as_str);
        if name.is_some() && name == self.refuses.as_deref() {
            return (422, json!({"message": "this name is not taken"}), false);
        }
        let id = match parts.get(2) {
            Some(id) => (*id).to_owned(),
            None => self.next_id(),
        };
        if let Some(wanted) = asked.headers.get("if-match") {
            let known = self.books.get(book).and_then(|entries| entries.get(&id));
            if known.is_none_or(|known| known.rev.to_string() != *wanted) {
                return (412, self.row(book, &id), false);
            }
        }
        self.writes += 1;
        match asked.method.as_str() {
            "DELETE" => self.remove(book, &id),
            _ => self.set(book, &id, &members),
        }
        let answer = (200, self.row(book, &id));
        self.keys.insert(key, answer.clone());
        (answer.0, answer.1, lost)
    }
}
