//! What the host itself asks to come by a credential, as rules that policy can be made of.

use serde_json::Value;

use super::{Address, Fill, FillFrom, OAuth1, OAuth2, Obtain};
use crate::capability::{EgressRule, MethodSet, PathPattern, PatternError};
use crate::manifest::AuthScheme;

impl AuthScheme {
    /// Exactly the requests that the host makes for this scheme: tokens asked for, refreshed, exchanged and revoked, the
    /// account's metadata. With an `issuer`, any path of its origin by GET and POST, since its metadata names the rest;
    /// what it names on other hosts is not asked. The authorize address is not among them: only the browser opens it.
    ///
    /// An address that takes a property which the token's answer or the redirect will fill in is left out until the
    /// configuration has it: ask again then.
    ///
    /// # Errors
    ///
    /// When the configuration lacks another value, or has one that is no host, label or segment.
    pub fn reach(&self, config: &Value) -> Result<Vec<EgressRule>, PatternError> {
        let (asked, issuer, fill): (_, _, &[Fill]) = match &self.obtain {
            Obtain::Given | Obtain::Custom => return Ok(Vec::new()),
            Obtain::OAuth1(oauth) => (of_oauth1(oauth), None, &[]),
            Obtain::OAuth2(oauth) => (of_oauth2(oauth), oauth.issuer.as_ref(), &oauth.fill),
        };
        let is_later = |address: &Address| {
            let filled_later = |key: &str| fill.iter().any(|fill| fill.config == key && !fill.is_metadata());
            address
                .config_keys()
                .any(|key| config.get(key).is_none() && filled_later(key))
        };
        let mut rules = Vec::new();
        if let Some(issuer) = issuer.filter(|issuer| !is_later(issuer)) {
            let mut rule = issuer.rule(config, methods(&["GET", "POST"]))?;
            rule.path = PathPattern::parse("/**")?;
            rules.push(rule);
        }
        for (address, method) in asked {
            if is_later(address) {
                continue;
            }
            let rule = address.rule(config, methods(&[method]))?;
            if !rules.iter().any(|known: &EgressRule| known.covers(&rule)) {
                rules.push(rule);
            }
        }
        Ok(rules)
    }

    /// The addresses of [`reach`](Self::reach) as the manifest writes them, for people.
    #[must_use]
    pub fn asks(&self) -> Vec<String> {
        let (asked, issuer) = match &self.obtain {
            Obtain::Given | Obtain::Custom => return Vec::new(),
            Obtain::OAuth1(oauth) => (of_oauth1(oauth), None),
            Obtain::OAuth2(oauth) => (of_oauth2(oauth), oauth.issuer.as_ref()),
        };
        let issuer = issuer.map(|issuer| format!("{issuer} and what is below its host"));
        let mut lines: Vec<String> = issuer.into_iter().collect();
        for (address, _) in asked {
            let line = address.to_string();
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }
}

impl Fill {
    const fn is_metadata(&self) -> bool {
        matches!(self.from, FillFrom::Metadata)
    }
}

fn of_oauth1(oauth: &OAuth1) -> Vec<(&Address, &'static str)> {
    vec![(&oauth.request_url, "POST"), (&oauth.access_url, "POST")]
}

fn of_oauth2(oauth: &OAuth2) -> Vec<(&Address, &'static str)> {
    let posted = [&oauth.token_url, &oauth.device_url, &oauth.revoke_url];
    let posted = posted.into_iter().flatten().map(|address| (address, "POST"));
    let got = [
        oauth.keys_url.as_ref(),
        oauth.exchange.as_ref().map(|exchange| &exchange.url),
        oauth.metadata.as_ref().map(|metadata| &metadata.url),
    ];
    posted
        .chain(got.into_iter().flatten().map(|address| (address, "GET")))
        .collect()
}

fn methods(names: &[&str]) -> MethodSet {
    MethodSet::of(names).unwrap_or(MethodSet::EMPTY)
}
