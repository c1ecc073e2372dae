//! A vendor that repeats what it was sent, in every form that servers write things in.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use serde_json::json;

/// It listens as long as the process lives.
#[derive(Debug)]
pub(super) struct Echo {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind a port");
        let echo = Self {
            address: listener.local_addr().expect("its address"),
            heard: Arc::default(),
        };
        let heard = Arc::clone(&echo.heard);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heard = Arc::clone(&heard);
                thread::spawn(move || serve(stream, &heard));
            }
        });
        echo
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of the requests.
    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A credential as servers would write it.
pub(super) fn forms(credential: &str) -> Vec<String> {
    let percent: String = credential
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    vec![
        credential.to_owned(),
        credential.replace('/', "\\/"),
        percent,
        BASE64.encode(credential.as_bytes()),
        BASE64URL_NOPAD.encode(credential.as_bytes()),
        HEXLOWER.encode(credential.as_bytes()),
    ]
}

fn serve(stream: TcpStream, heard: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    loop {
        let (mut head, mut line) = (String::new(), String::new());
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            head.push_str(&std::mem::take(&mut line));
        }
        if head.is_empty() {
            return;
        }
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let sent = head
            .lines()
            .find_map(|line| line.split_once("Bearer ").or_else(|| line.split_once("bearer ")));
        let credential = sent.map_or("", |(_, credential)| credential.trim()).to_owned();
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(head);
        answer(&stream, &target, &credential);
    }
}

fn answer(mut stream: &TcpStream, target: &str, credential: &str) {
    let said = forms(credential).join(" | ");
    let (body, link) = if target == "/me" {
        (
            json!({"id": 7, "name": format!("mona {said}"), "token": credential}),
            String::new(),
        )
    } else if target.contains("page=2") {
        (json!([{"id": 2, "title": said}]), String::new())
    } else {
        let next = "<https://api.todo.example/lists/home/tasks?per_page=100&page=2>; rel=\"next\"";
        (json!([{"id": 1, "title": said}]), format!("link: {next}\r\n"))
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nset-cookie: id=session-of-the-day\r\nx-seen: {credential}\r\n\
         {link}content-length: {}\r\n\r\n",
        body.len()
    );
    drop(
        stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body.as_bytes())),
    );
}
