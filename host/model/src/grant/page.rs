//! The permission page: what a person reads before approving an install.
//!
//! What must always hold: everything the grant permits is on it; what the publisher claims is marked as a claim; nothing
//! the publisher wrote can look like a line of the page (the manifest refuses control and direction characters).

mod text;

use serde::Serialize;

use super::{Grant, units};
use crate::auth::Apply;
use crate::capability::EgressRule;
use crate::manifest::{Action, AuthScheme, Manifest};
use crate::signature::Recipe;

/// What a presigned address is; the time is the longest that AWS Signature Version 4 allows.
const LINK: &str = "a link to one object, valid for up to 7 days";

/// The page, as data; `Display` renders it as text. The publisher's words stand in quotes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PermissionPage {
    /// The connector's id.
    pub id: String,
    /// Its name, in the publisher's words.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Requests it may make.
    pub requests: Vec<RequestLine>,
    /// Requests it asks for that are off, and can be switched on.
    pub optional: Vec<RequestLine>,
    /// Credentials that are added to its requests and that its code never sees.
    pub credentials: Vec<CredentialLine>,
    /// What vendors may send to it.
    pub hooks: Vec<HookLine>,
    /// Actions that give whoever runs them a link which works without a credential.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkLine>,
    /// The files that it may keep: `files of up to 25 MiB, together up to 1 GiB for each connection`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<String>,
    /// What it may keep and use: `memory of one call: 64 MiB`.
    pub limits: Vec<String>,
    /// What it cannot do, whatever its code tries.
    pub cannot: Vec<String>,
}

/// A kind of request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestLine {
    /// `GET, POST https://api.github.com/repos/**`.
    pub rule: String,
    /// Why, as the publisher claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// The rule without its path, and the path: what is alike in both stands once on the page.
    #[serde(skip)]
    parts: (String, String),
}

/// A credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CredentialLine {
    /// Its name in the manifest.
    pub name: String,
    /// For people.
    pub title: String,
    /// `as a bearer token`.
    pub applied: String,
    /// The only places it is sent to.
    pub origins: Vec<String>,
    /// Where the server itself asks for it, keeps it fresh and gives it back: never the connector.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<String>,
    /// What the person who connects is asked for, in the publisher's words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gives: Vec<String>,
    /// What an operator or an organization has to have from the vendor for it, in the publisher's words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub app: Vec<String>,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookLine {
    /// Its name in the manifest.
    pub name: String,
    /// The kinds of events.
    pub events: Vec<String>,
    /// Whether the host verifies who sent it.
    pub verified: bool,
    /// Whether what is verified says something about all that is sent, or about the sender alone.
    pub contents: bool,
    /// Why nothing is verified, as the publisher claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// The only addresses it may come from, as the publisher claims them; from anywhere if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
}

/// An action whose answer may be a presigned address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinkLine {
    /// Its name in the manifest.
    pub action: String,
    /// For people.
    pub title: String,
    /// `a link to one object, valid for up to 7 days`.
    pub gives: String,
}

/// Makes the page for a connector with this grant: what the grant has is what it may do; optional requests of the
/// manifest that the grant does not cover are shown as off.
#[must_use]
pub fn permission_page(manifest: &Manifest, grant: &Grant) -> PermissionPage {
    let line = |rule: &EgressRule| RequestLine {
        rule: rule.to_string(),
        claim: rule.reason.clone(),
        parts: (rule.origin_text(), rule.path.to_string()),
    };
    let granted = |rule: &EgressRule| grant.egress.iter().any(|own| own.covers(rule));
    let off = manifest
        .capabilities
        .egress
        .iter()
        .filter(|rule| rule.optional && !granted(rule));
    PermissionPage {
        id: manifest.id.clone(),
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        requests: grant.egress.iter().map(line).collect(),
        optional: off.map(line).collect(),
        credentials: manifest.auth.iter().map(credential).collect(),
        hooks: manifest.webhooks.iter().map(hook).collect(),
        links: links(manifest),
        files: files(grant),
        limits: limits(grant),
        cannot: cannot(grant),
    }
}

fn credential(scheme: &AuthScheme) -> CredentialLine {
    CredentialLine {
        name: scheme.name.clone(),
        title: scheme.title.clone(),
        applied: applied(&scheme.apply),
        origins: scheme.origins.iter().map(ToString::to_string).collect(),
        asked: scheme.asks(),
        gives: scheme.parts.iter().map(|part| part.title.clone()).collect(),
        app: scheme.app.iter().map(|part| part.title.clone()).collect(),
    }
}

/// How a credential goes on a request, for people.
pub(super) fn applied(apply: &Apply) -> String {
    match apply {
        Apply::Bearer => "as a bearer token".to_owned(),
        Apply::Header { name, .. } => format!("in the header `{name}`"),
        Apply::Query { name } => format!("in the query parameter `{name}`"),
        Apply::Basic { .. } => "as user and password (basic authentication)".to_owned(),
        Apply::Body { name } => format!("in the body's field `{name}`"),
        Apply::SigV4 { service, .. } => format!("as an AWS signature (version 4, service `{service}`)"),
        Apply::OAuth1 { .. } => "as an OAuth 1.0a signature".to_owned(),
        Apply::Signed(_) => "as a keyed signature over the request".to_owned(),
        Apply::ClientCertificate => "as a client certificate (mutual TLS)".to_owned(),
    }
}

fn hook(webhook: &crate::manifest::Webhook) -> HookLine {
    HookLine {
        name: webhook.name.clone(),
        events: webhook.events.iter().map(|event| event.kind.clone()).collect(),
        verified: webhook.recipe.is_signed(),
        contents: webhook.recipe.covers_body(),
        sources: webhook.sources.iter().map(ToString::to_string).collect(),
        claim: match &webhook.recipe {
            Recipe::Unsigned { reason } => Some(reason.clone()),
            _ => None,
        },
    }
}

fn links(manifest: &Manifest) -> Vec<LinkLine> {
    let presigning = manifest.actions.iter().filter(|action| action.presigns);
    let line = |action: &Action| LinkLine {
        action: action.name.clone(),
        title: action.title.clone(),
        gives: LINK.to_owned(),
    };
    presigning.map(line).collect()
}

fn files(grant: &Grant) -> Option<String> {
    let (one, all) = (units::bytes(grant.file_bytes), units::bytes(grant.files_bytes));
    let keeps = grant.file_bytes > 0 && grant.files_bytes > 0;
    keeps.then(|| format!("files of up to {one}, together up to {all} for each connection"))
}

fn limits(grant: &Grant) -> Vec<String> {
    let sizes = [
        ("storage", grant.storage_bytes),
        ("scratch files", grant.scratch_bytes),
    ];
    let all = sizes.into_iter().chain(grant.limits.named());
    all.map(|(name, number)| format!("{}: {}", units::label(name), units::amount(name, number)))
        .collect()
}

fn cannot(grant: &Grant) -> Vec<String> {
    let elsewhere = if grant.egress.is_empty() {
        "reach any host".to_owned()
    } else {
        "reach any other host, method or path than those above".to_owned()
    };
    vec![
        "see a credential: the host adds it after the request has left the connector's code".to_owned(),
        elsewhere,
        "reach private, loopback, link-local or metadata addresses, or this server itself, unless the operator opened them"
            .to_owned(),
        if grant.scratch_bytes == 0 {
            "read or write files, or see the environment or the machine's processes".to_owned()
        } else {
            "read or write files other than its own scratch files, or see the environment or the machine's processes"
                .to_owned()
        },
        "see the data of other connections, connectors or organizations".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(grant: impl Fn(&Manifest) -> Grant) -> PermissionPage {
        let manifest = Manifest::parse(include_str!("../../tests/connector.toml")).unwrap();
        permission_page(&manifest, &grant(&manifest))
    }

    #[test]
    fn the_page_says_what_is_permitted_and_what_is_not() {
        let page = page(|manifest| manifest.capabilities.without_optional()).to_string();
        for line in [
            "Acme (acme 1.2.0)\n",
            "\nMAY\n  send     GET https://api.acme.example\n             /user\n             /repos/**\n           the publisher says: \"reads repositories\"\n",
            "  send     GET https://${config.host}/**\n",
            "  use      \"Personal access token\", added as a bearer token and never seen by its code, only to https://api.acme.example\n",
            "  receive  webhook `events` (issues.*), signature verified by the host\n",
            "  receive  webhook `open` (ping), NOT VERIFIED: anybody can send it\n           the publisher says: \"the vendor signs nothing\"\n",
            "  use up   storage for each connection: 1 MiB\n",
            "  use up   memory of one call: 32 MiB\n",
            "\nOPTIONAL, off until you switch it on\n  send     DELETE https://api.acme.example/repos/*\n           the publisher says: \"deletes what you delete\"\n",
            "\nCANNOT\n  see a credential",
            "  see the data of other connections",
        ] {
            assert!(page.contains(line), "{line:?} is missing in:\n{page}");
        }
        assert!(!page.split("OPTIONAL").next().unwrap().contains("DELETE"));
    }

    #[test]
    fn the_page_says_how_credentials_are_come_by() {
        let manifest = Manifest::parse(include_str!("../../tests/auth.toml")).unwrap();
        let page = permission_page(&manifest, &manifest.capabilities).to_string();
        for line in [
            "  use      \"AWS keys\", added as an AWS signature (version 4, service `s3`) and never seen by its code, only to https://api.acme.example\n           whoever connects gives \"Access key ID\", \"Secret access key\", \"Session token\"\n",
            "           its app needs \"Client ID\", \"Client secret\"; the server itself asks https://login.acme.example/${config.tenant}/token, https://login.acme.example/device, https://login.acme.example/revoke, https://graph.acme.example/access_token, https://${config.instance}/metadata?v=1\n",
            "           whoever connects gives \"Key file\"; the server itself asks https://oauth2.acme.example/token\n",
            "the server itself asks https://id.acme.example/tenant and what is below its host, https://id.acme.example/token, https://keys.acme.example/jwks\n",
        ] {
            assert!(page.contains(line), "{line:?} is missing in:\n{page}");
        }
        assert!(!page.contains("oauth/authorize"), "only the browser goes there");
    }

    #[test]
    fn the_page_says_what_a_verified_sender_does_not_prove() {
        let text = include_str!("../../tests/connector.toml").replace(
            "signature = \"none\"\nreason = \"the vendor signs nothing\"",
            "sources = [\"192.0.2.0/24\", \"2001:db8::/32\"]\nsignature = { scheme = \"basic\" }",
        );
        let manifest = Manifest::parse(&text).unwrap();
        let page = permission_page(&manifest, &manifest.capabilities).to_string();
        let line = "  receive  webhook `open` (ping), sender verified by the host, but not what it sends\n           \
                    only from 192.0.2.0/24, 2001:db8::/32\n";
        assert!(page.contains(line), "{page}");
    }

    #[test]
    fn the_page_says_who_gets_a_link() {
        let manifest = Manifest::parse(include_str!("../../tests/auth.toml")).unwrap();
        let page = permission_page(&manifest, &manifest.capabilities);
        let line =
            "\n  give     whoever runs \"Share a report\" a link to one object, valid for up to 7 days\n";
        assert!(page.to_string().contains(line), "{page}");
        let json = serde_json::to_value(&page).unwrap();
        assert_eq!(json["links"][0]["action"], "share");
        assert_eq!(json["links"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn the_page_says_what_files_are_kept() {
        let keeping = page(|manifest| Grant {
            file_bytes: 25 << 20,
            files_bytes: 1 << 30,
            ..manifest.capabilities.clone()
        });
        let line = "  keep     files of up to 25 MiB, together up to 1 GiB for each connection\n";
        assert!(keeping.to_string().contains(line), "{keeping}");
        let plain = page(|manifest| manifest.capabilities.clone());
        assert!(plain.files.is_none() && !plain.to_string().contains("  keep "));
    }

    #[test]
    fn what_was_switched_on_is_not_off() {
        let page = page(|manifest| manifest.capabilities.clone());
        assert_eq!((page.requests.len(), page.optional.len()), (4, 0));
    }

    #[test]
    fn nothing_granted_is_said_too() {
        let page = page(|_| Grant::default());
        assert!(page.to_string().contains("send no requests at all"));
        assert!(page.cannot.contains(&"reach any host".to_owned()));
    }

    #[test]
    fn the_page_is_data() {
        let json = serde_json::to_value(page(|manifest| manifest.capabilities.clone())).unwrap();
        assert_eq!(json["requests"][0]["rule"], "GET https://api.acme.example/user");
        assert_eq!(json["credentials"][0]["origins"][0], "https://api.acme.example");
        assert_eq!(json["hooks"][3]["verified"], false);
        assert_eq!(json["hooks"][0]["contents"], true);
    }
}
