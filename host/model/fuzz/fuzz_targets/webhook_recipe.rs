//! The number of a vendor's recipe, then lines of headers, an empty line and the body: never a panic, nothing that was
//! not signed verifies, nothing is fetched from elsewhere than the vendor's, and no answer is more than text or JSON.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sluice_model::Timestamp;
use sluice_model::manifest::{Manifest, Webhook};
use sluice_model::secret::Secret;
use sluice_model::signature::{Admitted, Fetched, Needs, Request, admit};

const PAGE: &str = include_str!("../../../../docs/webhooks/vendors.md");
const HEAD: &str = "manifest = 1\nid = \"acme\"\nversion = \"1.0.0\"\ncontract = \"0.1\"\nname = \"Acme\"\n\
    description = \"An example.\"\ncategory = \"examples\"\nlicence = \"Apache-2.0\"\n\n[[webhooks]]\nname = \"events\"\n\
    events = [{ kind = \"*\" }]\ndedupe = \"body\"\n";

fn webhooks() -> &'static [Webhook] {
    static ALL: OnceLock<Vec<Webhook>> = OnceLock::new();
    ALL.get_or_init(|| {
        let blocks = PAGE.split("```toml\n").skip(1);
        let read = |block: &str| {
            let toml = block.split("```").next().unwrap_or_default();
            Manifest::parse(&format!("{HEAD}{toml}"))
                .expect("a test reads them all")
                .webhooks
                .remove(0)
        };
        blocks.map(read).collect()
    })
}

fuzz_target!(|given: (u8, &str, &str, &[u8])| {
    let (number, query, head, body) = given;
    let webhooks = webhooks();
    let webhook = &webhooks[usize::from(number) % webhooks.len()];
    let headers: Vec<_> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let url = format!("https://hooks.example.com/hooks/hok_1?{query}");
    let request = Request {
        method: if body.is_empty() { "GET" } else { "POST" },
        url: &url,
        headers: &headers,
        body,
    };
    let now = Timestamp::from_millis(1_795_000_000_000);
    let secrets = [Secret::new(b"id:a secret that the fuzzer cannot guess".to_vec())];
    let needs = webhook.recipe.needs(&request);
    if let Ok(Needs::Certificate { address, .. }) = &needs {
        let host = address
            .strip_prefix("https://")
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_default();
        assert!(
            host.ends_with(".paypal.com")
                || host.ends_with(".amazonaws.com")
                || host.ends_with(".amazonaws.com.cn")
        );
    }
    let fetched = needs
        .ok()
        .and_then(|needs| Fetched::read(&needs, body, now, |_| true).ok());
    if webhook.recipe.is_signed() {
        assert!(
            webhook
                .recipe
                .verify(&request, &secrets, fetched.as_ref(), now)
                .is_err()
        );
    }
    for secrets in [&secrets[..], &[]] {
        if let Ok(Admitted::Challenge(answer)) =
            admit(&webhook.challenges, &webhook.recipe, &request, secrets, None, now)
        {
            assert!(
                answer
                    .headers
                    .iter()
                    .all(|(_, value)| !value.contains(['\r', '\n']))
            );
            let is_json = answer
                .headers
                .iter()
                .any(|(_, value)| value == "application/json");
            let is_text = answer
                .headers
                .iter()
                .any(|(_, value)| value.starts_with("text/plain"));
            assert!(answer.body.is_empty() || is_json || is_text);
        }
    }
});
