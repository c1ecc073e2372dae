//! What changes beside requests and limits: where credentials go and how they are come by, what is received, what is written
//! to the vendor, who is given links.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{GrantDiff, Verdict};
use crate::auth::{OAuth2, Obtain};
use crate::capability::HostPattern;
use crate::grant::page;
use crate::manifest::{Action, AuthScheme, Manifest, OriginPattern, RegisteredSecret, Webhook, WriteKind};
use crate::signature::Recipe;

impl GrantDiff {
    /// Adds what changes between the manifests, whatever is granted of them.
    pub(super) fn of_manifests(&mut self, old: &Manifest, new: &Manifest) {
        self.of_places(old, new);
        for scheme in &new.auth {
            match old.auth(&scheme.name) {
                Some(before) => self.of_scheme(before, scheme),
                None => {
                    let lines = scheme.origins.iter().map(|origin| goes_to(scheme, origin));
                    self.new.extend(lines.chain(asks(scheme)).chain(scopes(scheme)));
                }
            }
        }
        for scheme in old.auth.iter().filter(|scheme| new.auth(&scheme.name).is_none()) {
            self.gone(format_args!("the credential `{}`", scheme.name));
        }
        for webhook in &new.webhooks {
            match old.webhook(&webhook.name) {
                Some(before) => self.of_webhook(before, webhook),
                None => self.new.push(format!("webhook `{}`", webhook.name)),
            }
        }
        for webhook in old
            .webhooks
            .iter()
            .filter(|webhook| new.webhook(&webhook.name).is_none())
        {
            self.gone(format_args!("webhook `{}`", webhook.name));
        }
        self.compare(&writes(old), &writes(new));
        self.compare(&links(old), &links(new));
    }

    /// A host from the configuration is as wide as what the configuration may say.
    fn of_places(&mut self, old: &Manifest, new: &Manifest) {
        for key in places(new).intersection(&places(old)) {
            if constraint(old, key) != constraint(new, key) {
                self.wider
                    .push(format!("`${{config.{key}}}` may be set otherwise"));
            }
        }
    }

    fn of_scheme(&mut self, old: &AuthScheme, new: &AuthScheme) {
        let name = &new.name;
        if old.apply != new.apply {
            let how = page::applied(&new.apply);
            self.wider.push(format!("`{name}` is added otherwise: {how}"));
        }
        if !come_by_alike(&old.obtain, &new.obtain) {
            self.wider.push(format!("`{name}` is come by otherwise"));
        }
        self.of_origins(&old.origins, &new.origins, |origin| goes_to(new, origin));
        self.compare(&asks(old), &asks(new));
        self.compare(&scopes(old), &scopes(new));
        let known: Vec<String> = scopes(old).into_iter().chain(optional_scopes(old)).collect();
        let unknown = optional_scopes(new);
        let unknown = unknown.into_iter().filter(|line| !known.contains(line));
        self.optional.extend(unknown);
    }

    fn of_origins(
        &mut self,
        old: &[OriginPattern],
        new: &[OriginPattern],
        line: impl Fn(&OriginPattern) -> String,
    ) {
        for origin in new {
            let covered = old.iter().any(|before| before.covers(origin));
            let covers = old.iter().any(|before| origin.covers(before));
            let verdict = match (covered, covers) {
                (true, true) => Verdict::Same,
                (true, false) => Verdict::Narrower,
                (false, true) => Verdict::Wider,
                (false, false) => Verdict::New,
            };
            self.add(verdict, line(origin));
        }
        let lost = |origin: &&OriginPattern| {
            let beside = |after: &OriginPattern| after.covers(origin) || origin.covers(after);
            !new.iter().any(beside)
        };
        for origin in old.iter().filter(lost) {
            self.gone(line(origin));
        }
    }

    fn of_webhook(&mut self, old: &Webhook, new: &Webhook) {
        let name = &new.name;
        let lines = |webhook: &Webhook| -> Vec<String> {
            let kinds = webhook.events.iter();
            kinds
                .map(|event| format!("webhook `{name}` receives {}", event.kind))
                .collect()
        };
        let within = |kind: &str| old.events.iter().any(|event| kind_covers(&event.kind, kind));
        for event in &new.events {
            let known = within(&event.kind);
            let verdict = if known { Verdict::Same } else { Verdict::New };
            self.add(verdict, format!("webhook `{name}` receives {}", event.kind));
        }
        for line in lines(old).iter().filter(|line| !lines(new).contains(line)) {
            self.gone(line);
        }
        match (&old.recipe, &new.recipe) {
            (before, after) if before == after => {}
            (Recipe::Unsigned { .. }, Recipe::Unsigned { .. }) => {}
            (Recipe::Unsigned { .. }, _) => self.narrower.push(format!("webhook `{name}` is verified now")),
            (_, Recipe::Unsigned { .. }) => self
                .wider
                .push(format!("webhook `{name}` is NOT VERIFIED any more")),
            _ => self.wider.push(format!("webhook `{name}` is verified otherwise")),
        }
        if old.challenges != new.challenges {
            self.wider.push(format!(
                "webhook `{name}` answers the vendor's questions otherwise"
            ));
        }
        if new.reply && !old.reply {
            self.new
                .push(format!("webhook `{name}` is answered by the connector's code"));
        }
        self.of_sources(old, new);
        let sent = |webhook: &Webhook| match webhook.registration.as_ref().map(|of| &of.secret) {
            Some(RegisteredSecret::Sent(origins)) => origins.clone(),
            _ => Vec::new(),
        };
        self.of_origins(&sent(old), &sent(new), |origin| {
            format!("the secret of webhook `{name}` goes to {origin}")
        });
    }

    /// No source at all means any.
    fn of_sources(&mut self, old: &Webhook, new: &Webhook) {
        if old.sources == new.sources {
            return;
        }
        let name = &new.name;
        if new.sources.is_empty() {
            self.wider
                .push(format!("webhook `{name}` may come from anywhere"));
            return;
        }
        for source in &new.sources {
            let known = old.sources.is_empty() || old.sources.iter().any(|before| before.covers(source));
            let verdict = if known { Verdict::Narrower } else { Verdict::Wider };
            self.add(verdict, format!("webhook `{name}` may come from {source}"));
        }
    }
}

fn goes_to(scheme: &AuthScheme, origin: &OriginPattern) -> String {
    format!("`{}` goes to {origin}", scheme.name)
}

fn asks(scheme: &AuthScheme) -> Vec<String> {
    let asked = scheme.asks().into_iter();
    asked
        .map(|at| format!("the server asks {at} for `{}`", scheme.name))
        .collect()
}

fn scopes(scheme: &AuthScheme) -> Vec<String> {
    let Obtain::OAuth2(oauth) = &scheme.obtain else {
        return Vec::new();
    };
    lines_of_scopes(scheme, &oauth.scopes)
}

fn optional_scopes(scheme: &AuthScheme) -> Vec<String> {
    let Obtain::OAuth2(oauth) = &scheme.obtain else {
        return Vec::new();
    };
    lines_of_scopes(scheme, &oauth.optional_scopes)
}

fn lines_of_scopes(scheme: &AuthScheme, scopes: &[String]) -> Vec<String> {
    let of = |scope: &String| format!("`{}` asks the vendor for the scope {scope}", scheme.name);
    scopes.iter().map(of).collect()
}

/// Whether, but for scopes and addresses, which have lines of their own, tokens are asked for in the same way.
fn come_by_alike(old: &Obtain, new: &Obtain) -> bool {
    let (Obtain::OAuth2(old), Obtain::OAuth2(new)) = (old, new) else {
        return old == new;
    };
    let alike = OAuth2 {
        issuer: old.issuer.clone(),
        authorize_url: old.authorize_url.clone(),
        token_url: old.token_url.clone(),
        device_url: old.device_url.clone(),
        revoke_url: old.revoke_url.clone(),
        keys_url: old.keys_url.clone(),
        scopes: old.scopes.clone(),
        optional_scopes: old.optional_scopes.clone(),
        // When a token is renewed is no right.
        refresh_margin_s: old.refresh_margin_s,
        idle_refresh_s: old.idle_refresh_s,
        ..(**new).clone()
    };
    // The browser's address is asked by nobody here, and yet it is where the person is sent.
    **old == alike && old.authorize_url == new.authorize_url
}

/// `issues.*` has `issues.opened`.
fn kind_covers(kind: &str, other: &str) -> bool {
    kind == other
        || kind == "*"
        || kind
            .strip_suffix('*')
            .is_some_and(|start| other.starts_with(start))
}

fn writes(manifest: &Manifest) -> Vec<String> {
    let word = |kind: WriteKind| match kind {
        WriteKind::Create => "creates",
        WriteKind::Update => "updates",
        WriteKind::Delete => "deletes",
    };
    let listed = manifest.streams.iter().flat_map(|stream| {
        let kinds = stream.writes.iter();
        kinds.map(move |kind| {
            format!(
                "{} records of stream `{}` at the vendor",
                word(*kind),
                stream.name
            )
        })
    });
    let discovered = manifest.discovered.iter().flat_map(|like| &like.writes);
    let discovered = discovered.map(|kind| format!("{} records of the account's own streams", word(*kind)));
    listed.chain(discovered).collect()
}

fn links(manifest: &Manifest) -> Vec<String> {
    let presigning = manifest.actions.iter().filter(|action| action.presigns);
    let line = |action: &Action| format!("action `{}` gives links away", action.name);
    presigning.map(line).collect()
}

/// The properties of the configuration that name a host.
fn places(manifest: &Manifest) -> BTreeSet<&str> {
    let egress = manifest.capabilities.egress.iter().map(|rule| &rule.host);
    let origins = manifest.auth.iter().flat_map(|scheme| &scheme.origins);
    egress
        .chain(origins.map(|origin| &origin.host))
        .filter_map(|host| match host {
            HostPattern::Config(key) => Some(key.as_str()),
            _ => None,
        })
        .collect()
}

/// What the configuration's schema demands of a property, without the words for people.
fn constraint(manifest: &Manifest, key: &str) -> Option<Value> {
    let mut property = manifest.config_schema.get("properties")?.get(key)?.clone();
    if let Some(property) = property.as_object_mut() {
        for word in ["title", "description", "examples", "default"] {
            property.remove(word);
        }
    }
    Some(property)
}
