//! The canary: the one secret of the suite, and the search for it in everything that a call leaves behind, in every form
//! in which a server, a log or a serializer would write it (THREATS, SCAN).

use std::fmt::{self, Write as _};
use std::sync::{Mutex, OnceLock};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

/// Has characters that each encoding writes differently.
pub(super) const SECRET: &str = "canary/7f3a+9c51=e2b8\"4d06\\0915~aa<&>";

/// How the secret is written in `text`, if it is.
pub(super) fn found(text: &[u8]) -> Option<&'static str> {
    static FORMS: OnceLock<Vec<(&str, Vec<u8>)>> = OnceLock::new();
    FORMS
        .get_or_init(forms)
        .iter()
        .find(|(_, form)| text.windows(form.len()).any(|window| window == form.as_slice()))
        .map(|(name, _)| *name)
}

fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let secret = SECRET.as_bytes();
    let mut forms: Vec<(&'static str, Vec<u8>)> = vec![
        ("plain", secret.to_vec()),
        ("part", b"7f3a+9c51".to_vec()),
        ("hex", HEXLOWER.encode(secret).into()),
        ("hex", HEXUPPER.encode(secret).into()),
        (
            "percent",
            secret
                .iter()
                .map(|byte| format!("%{byte:02X}"))
                .collect::<String>()
                .into(),
        ),
        ("percent", percent(secret, "-._~").into()),
        ("percent", percent(secret, "-._~/").into()),
        (
            "json",
            serde_json::to_string(SECRET).unwrap().trim_matches('"').into(),
        ),
        (
            "json",
            secret
                .iter()
                .map(|byte| format!("\\u{byte:04x}"))
                .collect::<String>()
                .into(),
        ),
        ("debug", format!("{SECRET:?}").trim_matches('"').into()),
        ("bytes", format!("{secret:?}").trim_matches(['[', ']']).into()),
    ];
    // Inside of a longer text, base64 starts at one of three places; what the neighbours decide is cut off.
    for shift in 0..3 {
        let shifted = [vec![b'x'; shift], secret.to_vec()].concat();
        for (name, text) in [
            ("base64", BASE64.encode(&shifted)),
            ("base64url", BASE64URL_NOPAD.encode(&shifted)),
        ] {
            let whole = shifted.len() / 3 * 4;
            forms.push((name, text.as_bytes()[4..whole].to_vec()));
        }
    }
    forms
}

fn percent(bytes: &[u8], kept: &str) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(byte) {
            out.push(char::from(*byte));
        } else {
            write!(out, "%{byte:02X}").unwrap();
        }
        out
    })
}

/// What the host itself logged while it had the secret, searched as it is written.
#[derive(Debug, Default)]
pub(super) struct Host {
    leaks: Mutex<Vec<String>>,
}

impl Host {
    /// Listens to everything the process traces, once. Where another module of the binary listens already, the search
    /// of the host's own log is left to it.
    pub(super) fn listen() -> &'static Self {
        static HOST: OnceLock<&'static Host> = OnceLock::new();
        HOST.get_or_init(|| {
            let host: &'static Host = Box::leak(Box::default());
            let _ = tracing::subscriber::set_global_default(Listener(host));
            host
        })
    }

    pub(super) fn leaks(&self) -> Vec<String> {
        self.leaks.lock().unwrap().clone()
    }

    fn hear(&self, text: &str) {
        if let Some(form) = found(text.as_bytes()) {
            self.leaks
                .lock()
                .unwrap()
                .push(format!("the host's log has the canary as {form}"));
        }
    }
}

struct Listener(&'static Host);

struct Words(String);

impl tracing::field::Visit for Words {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        let _ = write!(self.0, " {}={value}", field.name());
    }
}

impl tracing::Subscriber for Listener {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let mut words = Words(String::new());
        span.record(&mut words);
        self.0.hear(&words.0);
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        let mut words = Words(String::new());
        values.record(&mut words);
        self.0.hear(&words.0);
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        self.0.hear(&words.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn the_search_finds_every_form() {
    let base64 = BASE64.encode(format!("{{\"k\":\"{SECRET}\"}}").as_bytes());
    let basic = BASE64.encode(format!("user:{SECRET}").as_bytes());
    for text in [
        SECRET.to_owned(),
        base64,
        basic,
        format!("{SECRET:?}"),
        serde_json::json!({ "a": SECRET }).to_string(),
    ] {
        assert!(found(text.as_bytes()).is_some(), "{text}");
    }
    assert!(found(format!("{:?}", format!("x{SECRET}").as_bytes()).as_bytes()).is_some());
    assert_eq!(found(b"canary"), None);
}
