//! What vendors ask before they send webhooks, and what they are answered, by the recipes of `docs/webhooks/vendors.md`.
//! The signed answers were computed with Python's `hmac`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what the tests share may fail like a test"
)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use sluice_model::Timestamp;
use sluice_model::manifest::{Manifest, Webhook};
use sluice_model::secret::Secret;
use sluice_model::signature::{Admitted, Answer, Request, SignatureError, Verified, admit, verify_token};

const HEAD: &str = "manifest = 1\nid = \"acme\"\nversion = \"1.0.0\"\ncontract = \"0.1\"\nname = \"Acme\"\n\
    description = \"An example.\"\ncategory = \"examples\"\nlicence = \"Apache-2.0\"\n\n[[webhooks]]\nname = \"events\"\n\
    events = [{ kind = \"*\" }]\ndedupe = \"body\"\n";
const KEY: &str = "a made up secret";

fn webhook_of(system: &str) -> Webhook {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/webhooks/vendors.md");
    let text = fs::read_to_string(page).expect("the page is there");
    let section = text
        .split("\n## ")
        .find(|section| {
            section
                .lines()
                .next()
                .unwrap()
                .split(", ")
                .any(|name| name == system)
        })
        .unwrap_or_else(|| panic!("{system} has no recipe"));
    let toml = section
        .split("```toml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let manifest =
        Manifest::parse(&format!("{HEAD}{toml}")).unwrap_or_else(|error| panic!("{system}: {error}"));
    manifest.webhooks.into_iter().next().unwrap()
}

struct Asked<'a> {
    system: &'a str,
    method: &'a str,
    query: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a str,
    secret: &'a str,
}

impl Asked<'_> {
    fn admit(&self) -> Result<Admitted, SignatureError> {
        let webhook = webhook_of(self.system);
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        let url = format!("https://hooks.example.com/hooks/hok_1?{}", self.query);
        let request = Request {
            method: self.method,
            url: &url,
            headers: &headers,
            body: self.body.as_bytes(),
        };
        let secrets = [Secret::new(self.secret.as_bytes().to_vec())];
        let secrets = if self.secret.is_empty() {
            &[][..]
        } else {
            &secrets[..]
        };
        admit(
            &webhook.challenges,
            &webhook.recipe,
            &request,
            secrets,
            None,
            Timestamp::from_millis(1_795_000_000_000),
        )
    }

    #[track_caller]
    fn answer(&self) -> Answer {
        match self.admit() {
            Ok(Admitted::Challenge(answer)) => {
                assert_eq!(answer.status, 200);
                let sniffed = ("x-content-type-options".to_owned(), "nosniff".to_owned());
                assert!(answer.headers.contains(&sniffed), "{}", self.system);
                answer
            }
            other => panic!("{}: {other:?}", self.system),
        }
    }

    #[track_caller]
    fn body(&self) -> (String, String) {
        let answer = self.answer();
        let kind = answer.headers.iter().find(|(name, _)| name == "content-type");
        (
            kind.map(|(_, kind)| kind.clone()).unwrap_or_default(),
            answer.body,
        )
    }

    #[track_caller]
    fn refused(&self, code: &str) {
        let refused = self.admit();
        assert_eq!(
            refused.map_err(SignatureError::code),
            Err(code),
            "{}",
            self.system
        );
    }
}

const GET: Asked<'static> = Asked {
    system: "",
    method: "GET",
    query: "",
    headers: &[],
    body: "",
    secret: KEY,
};
const POST: Asked<'static> = Asked {
    method: "POST",
    ..GET
};
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

fn told(kind: &str, body: &str) -> (String, String) {
    (kind.to_owned(), body.to_owned())
}

#[test]
fn what_a_query_asks_is_answered() {
    let dropbox = Asked {
        system: "Dropbox",
        query: "challenge=a%20b",
        ..GET
    };
    assert_eq!(dropbox.body(), told(TEXT, "a b"));
    let graph = Asked {
        system: "Outlook",
        query: "validationToken=Validation%3a+Testing",
        ..POST
    };
    assert_eq!(graph.body(), told(TEXT, "Validation: Testing"));
    let linkedin = Asked {
        system: "LinkedIn",
        query: "challengeCode=890e4665-4dfe-4ab1-b689-ed553bceeed0",
        ..GET
    };
    let expected = r#"{"challengeCode":"890e4665-4dfe-4ab1-b689-ed553bceeed0","challengeResponse":"e91e162a91a75380211135c459d8a99af547d9ca1bc778ebce8c2379be7191cd"}"#;
    assert_eq!(linkedin.body(), told(JSON, expected));
    let braintree = Asked {
        system: "Braintree",
        query: "bt_challenge=20f9f8ed05f77439fe955c977e4c8a53",
        secret: "public1:a made up secret",
        ..GET
    };
    assert_eq!(
        braintree.body(),
        told(TEXT, "public1|d4baaaccd0a26f955646208fde1d4869dcefd8bc")
    );
    assert_eq!(
        Asked {
            system: "Trello",
            method: "HEAD",
            ..GET
        }
        .body(),
        told("", "")
    );
    assert_eq!(
        Asked {
            system: "Mailchimp",
            ..GET
        }
        .body(),
        told("", "")
    );
}

#[test]
fn a_verify_token_has_to_be_the_hooks() {
    let token = verify_token(&Secret::new(KEY.as_bytes().to_vec())).unwrap();
    assert_eq!(token, "5802e04e304d34d2429ac7969a9a9b20");
    let query = format!("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}");
    assert_eq!(
        Asked {
            system: "Facebook",
            query: &query,
            ..GET
        }
        .body(),
        told(TEXT, "1158201444")
    );
    for query in [
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=a+made+up+secret",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=",
    ] {
        Asked {
            system: "Facebook",
            query,
            ..GET
        }
        .refused("webhook.signature");
    }
    Asked {
        system: "Facebook",
        query: "hub.mode=subscribe&hub.challenge=1",
        ..GET
    }
    .refused("webhook.signature_missing");
    Asked {
        system: "Facebook",
        query: &query,
        secret: "",
        ..GET
    }
    .refused("webhook.signature");
    assert_eq!(verify_token(&Secret::new(Vec::new())), None);
}

#[test]
fn what_has_to_be_verified_is_verified_first() {
    let slack = Asked {
        system: "Slack",
        headers: &[
            ("x-slack-request-timestamp", "1795000000"),
            (
                "x-slack-signature",
                "v0=7b191cc8a6b77ad11bc082b2d6c1d8306ade8f43db12667dcd94e3d0070a0dac",
            ),
        ],
        body: r#"{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV"}"#,
        ..POST
    };
    assert_eq!(slack.body(), told(TEXT, "3eZbrw1aBm2rZgRNFdxV"));
    Asked {
        headers: &[],
        ..slack
    }
    .refused("webhook.signature_missing");
    Asked {
        secret: "other",
        ..slack
    }
    .refused("webhook.signature");
    // W12: what would be a script in a page is plain text that nobody sniffs, and only because it was signed.
    let script = Asked {
        headers: &[
            ("x-slack-request-timestamp", "1795000000"),
            (
                "x-slack-signature",
                "v0=4639ccbfd0f64ae21246a47e0d3ad6d0fd825c50a378e4ac5d6e08b6952ff335",
            ),
        ],
        body: r#"{"token":"fjdk","challenge":"<script>alert(1)</script>","type":"url_verification"}"#,
        ..slack
    };
    assert_eq!(script.body(), told(TEXT, "<script>alert(1)</script>"));
    Asked {
        headers: &[],
        ..script
    }
    .refused("webhook.signature_missing");

    let zoom = Asked {
        system: "Zoom",
        headers: &[
            ("x-zm-request-timestamp", "1795000000"),
            (
                "x-zm-signature",
                "v0=fb3d131487caf4966958deb87dafaa8288fce242340f906b744e6503bdfc4eb5",
            ),
        ],
        body: r#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}"#,
        ..POST
    };
    let expected = r#"{"encryptedToken":"46cfb00386ee6008509ac97045ce5604ce3b4120cc806f3463fe4b24becbc4b5","plainToken":"qgg8vlvZRS6UYooatFL8Aw"}"#;
    assert_eq!(zoom.body(), told(JSON, expected));
    Asked { headers: &[], ..zoom }.refused("webhook.signature_missing");

    let okta = Asked {
        system: "Okta",
        headers: &[("authorization", KEY), ("x-okta-verification-challenge", "ch-1")],
        ..GET
    };
    assert_eq!(okta.body(), told(JSON, r#"{"verification":"ch-1"}"#));
    Asked {
        headers: &[("x-okta-verification-challenge", "ch-1")],
        ..okta
    }
    .refused("webhook.signature_missing");
    Asked {
        system: "Discord",
        body: r#"{"type":1}"#,
        secret: "00",
        ..POST
    }
    .refused("webhook.signature_missing");
    Asked {
        system: "Amazon SNS",
        body: r#"{"Type":"SubscriptionConfirmation"}"#,
        ..POST
    }
    .refused("webhook.signature_missing");
}

#[test]
fn a_secret_is_learned_once() {
    let learns = |answer: &Answer, expected: Option<&str>| {
        assert_eq!(
            answer.keep,
            expected.map(|text| Secret::new(text.as_bytes().to_vec()))
        );
    };
    let echoed = (
        "x-hook-secret".to_owned(),
        "b537207f20cbfa02357cf448134da559".to_owned(),
    );
    let asana = Asked {
        system: "Asana",
        headers: &[("x-hook-secret", "b537207f20cbfa02357cf448134da559")],
        secret: "",
        ..POST
    };
    let answer = asana.answer();
    assert!(answer.headers.contains(&echoed) && answer.body.is_empty());
    learns(&answer, Some(&echoed.1));
    // Repeated, because the first answer was lost: the same answer, and nothing new to keep.
    learns(
        &Asked {
            secret: &echoed.1,
            ..asana
        }
        .answer(),
        None,
    );
    // Another secret is not learned, whoever says it.
    Asked { secret: KEY, ..asana }.refused("webhook.signature_missing");

    let notion = Asked {
        system: "Notion",
        body: r#"{"verification_token":"made_up_token"}"#,
        secret: "",
        ..POST
    };
    learns(&notion.answer(), Some("made_up_token"));
    Asked {
        secret: KEY,
        ..notion
    }
    .refused("webhook.signature_missing");

    let monday = Asked {
        system: "Monday",
        body: r#"{"challenge":"c1"}"#,
        ..POST
    };
    assert_eq!(monday.body(), told(JSON, r#"{"challenge":"c1"}"#));
    Asked {
        body: r#"{"challenge":1,"challenge":2}"#,
        ..monday
    }
    .refused("webhook.signature_missing");
}

/// Whoever may have texts signed with the hook's secret could sign webhooks: only words that are no webhook are signed.
#[test]
fn a_challenge_is_no_oracle() {
    for value in [
        "%7B%22a%22%3A1%7D",
        "a%3Db",
        "a.b",
        "a%20b",
        "a%2Bb",
        "%C3%A4",
        &"a".repeat(129),
    ] {
        let query = format!("challengeCode={value}");
        let refused = Asked {
            system: "LinkedIn",
            query: &query,
            ..GET
        }
        .admit();
        assert!(refused.is_err(), "{value}");
        let query = format!("bt_challenge={value}");
        let refused = Asked {
            system: "Braintree",
            query: &query,
            secret: "p:k",
            ..GET
        }
        .admit();
        assert!(refused.is_err(), "{value}");
    }
    // Header injection and answers without an end.
    for query in [
        "challenge=a%0d%0ab",
        "challenge=",
        "challenge=a&challenge=b",
        &format!("challenge={}", "a".repeat(2049)),
    ] {
        assert!(
            Asked {
                system: "Dropbox",
                query,
                ..GET
            }
            .admit()
            .is_err(),
            "{query}"
        );
    }
    // Placeholders in what is answered stay what they are.
    let dropbox = Asked {
        system: "Dropbox",
        query: "challenge=%7Bsignature%7D%7Bvalue%7D",
        ..GET
    };
    assert_eq!(dropbox.body(), told(TEXT, "{signature}{value}"));
}

#[test]
fn everything_else_is_a_webhook() {
    let unsigned = Asked {
        system: "Mailchimp",
        body: "type=subscribe",
        ..POST
    }
    .admit();
    assert_eq!(unsigned, Ok(Admitted::Webhook(Verified::default())));
    let gitlab = Asked {
        system: "GitLab",
        headers: &[("x-gitlab-token", KEY)],
        ..POST
    };
    assert_eq!(gitlab.admit(), Ok(Admitted::Webhook(Verified::default())));
    Asked {
        system: "Facebook",
        query: "hub.challenge=1",
        ..GET
    }
    .refused("webhook.signature_missing");
    Asked {
        system: "Dropbox",
        query: "challenge=1",
        ..POST
    }
    .refused("webhook.signature_missing");
}

proptest! {
    /// Whatever is asked, an answer is plain text or JSON of what the recipe names, and no header has a line break.
    #[test]
    fn answers_are_harmless(
        system in prop::sample::select(vec!["Dropbox", "Outlook", "LinkedIn", "Asana", "Notion", "Monday", "Facebook", "Trello"]),
        method in prop::sample::select(vec!["GET", "POST", "HEAD"]),
        name in prop::sample::select(vec!["challenge", "validationToken", "challengeCode", "hub.challenge"]),
        value in "[ -~%0-9]{0,40}",
        body in "[{}\":a-z]{0,40}|\\{\"(challenge|verification_token)\":\"[ -!#-\\[\\]-~]{0,20}\"\\}",
    ) {
        let query = format!("{name}={value}");
        let headers = [("x-hook-secret", value.as_str())];
        let asked = Asked { system, method, query: &query, headers: &headers, body: &body, secret: "" };
        if let Ok(Admitted::Challenge(answer)) = asked.admit() {
            let kind = answer.headers.iter().find(|(name, _)| name == "content-type").map(|(_, kind)| kind.as_str());
            prop_assert!(matches!(kind, None | Some(TEXT | JSON)));
            prop_assert!(kind.is_some() || answer.body.is_empty());
            prop_assert!(answer.headers.iter().all(|(_, value)| !value.contains(['\r', '\n'])));
            if kind == Some(JSON) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&answer.body).is_ok());
            }
        }
    }
}
