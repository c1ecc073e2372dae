//! What a connector was given and never used, and the grant that has what it used.
//!
//! Deliberately absent: narrowing paths. What lies below `/repos/**` is data of the vendor's; tomorrow's is not today's.

use serde::Serialize;

use super::Grant;
use super::diff::covered;
use super::watch::{MAX_HOSTS, Used};
use crate::capability::{EgressRule, HostPattern, MethodSet};

/// What of a grant was used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Advice {
    /// Rules that no request was made under: `DELETE https://api.github.com/repos/*`.
    pub unused: Vec<String>,
    /// Rules that would be enough in the place of wider ones: fewer methods, or the hosts in the place of a wildcard.
    pub enough: Vec<String>,
    /// Rules that are used as they are.
    pub used: Vec<String>,
    /// The grant that has what was used and nothing else.
    #[serde(skip)]
    pub grant: Grant,
}

/// What the grant of these requested rules was used for. Storage and limits stay as they are.
#[must_use]
pub fn advise(request: &[EgressRule], grant: &Grant, used: &Used) -> Advice {
    let mut needed = Vec::new();
    for (place, rule) in request.iter().enumerate() {
        let methods = used.rules.get(&place).copied().unwrap_or_default();
        let methods = rule.methods.within(methods);
        if methods.is_empty() {
            continue;
        }
        let hosts = used
            .hosts
            .get(&place)
            .filter(|hosts| rule.host.is_wide() && hosts.len() < MAX_HOSTS);
        let hosts: Vec<HostPattern> = hosts
            .into_iter()
            .flatten()
            .filter_map(|host| HostPattern::parse(host).ok())
            .collect();
        let hosts = if hosts.is_empty() {
            vec![rule.host.clone()]
        } else {
            hosts
        };
        needed.extend(hosts.into_iter().map(|host| EgressRule {
            host,
            methods,
            ..rule.clone()
        }));
    }
    let mut advice = Advice {
        grant: Grant {
            egress: Vec::new(),
            ..grant.clone()
        },
        ..Advice::default()
    };
    for rule in &grant.egress {
        // What was asked for is what is used; what is granted may be less than that.
        let part = |need: &EgressRule| narrowed(rule, need);
        let parts: Vec<EgressRule> = needed.iter().filter_map(part).collect();
        if parts.is_empty() {
            advice.unused.push(rule.to_string());
        } else if covered(rule, &parts) {
            advice.used.push(rule.to_string());
            add(&mut advice.grant.egress, rule.clone());
        } else {
            for part in parts {
                let line = part.to_string();
                if !advice.enough.contains(&line) {
                    advice.enough.push(line);
                }
                add(&mut advice.grant.egress, part);
            }
        }
    }
    advice
}

/// What both permit, where one contains the other in hosts and in paths.
fn narrowed(rule: &EgressRule, need: &EgressRule) -> Option<EgressRule> {
    let methods = rule.methods.within(need.methods);
    let host = if rule.host.covers(&need.host) {
        &need.host
    } else if need.host.covers(&rule.host) {
        &rule.host
    } else {
        return None;
    };
    let path = if rule.path.covers(&need.path) {
        &need.path
    } else if need.path.covers(&rule.path) {
        &rule.path
    } else {
        return None;
    };
    (rule.scheme == need.scheme && rule.port == need.port && methods != MethodSet::EMPTY).then(|| {
        EgressRule {
            methods,
            host: host.clone(),
            path: path.clone(),
            ..rule.clone()
        }
    })
}

fn add(rules: &mut Vec<EgressRule>, rule: EgressRule) {
    if !rules.iter().any(|own| own.covers(&rule)) {
        rules.push(rule);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::capability::{PathPattern, Scheme};

    fn rule(methods: &[&str], host: &str, path: &str) -> EgressRule {
        EgressRule {
            scheme: Scheme::Https,
            host: HostPattern::parse(host).unwrap(),
            port: 443,
            methods: MethodSet::of(methods).unwrap(),
            path: PathPattern::parse(path).unwrap(),
            optional: false,
            reason: None,
        }
    }

    fn used(rules: &[(usize, &[&str], &[&str])]) -> Used {
        let mut used = Used::default();
        for (place, methods, hosts) in rules {
            used.rules.insert(*place, MethodSet::of(methods).unwrap());
            let hosts: BTreeSet<String> = hosts.iter().map(ToString::to_string).collect();
            if !hosts.is_empty() {
                used.hosts.insert(*place, hosts);
            }
        }
        used
    }

    #[test]
    fn what_was_never_used_is_named_and_left_out() {
        let request = vec![
            rule(&["GET", "POST"], "api.x.com", "/a/**"),
            rule(&["GET"], "*.cdn.x.com", "/**"),
            rule(&["DELETE"], "api.x.com", "/a/*"),
            rule(&["GET"], "api.x.com", "/user"),
        ];
        let grant = Grant {
            egress: request.clone(),
            storage_bytes: 7,
            ..Grant::default()
        };
        let seen = used(&[
            (0, &["GET"], &[]),
            (1, &["GET"], &["eu.cdn.x.com"]),
            (3, &["GET"], &[]),
        ]);
        let advice = advise(&request, &grant, &seen);
        assert_eq!(advice.unused, ["DELETE https://api.x.com/a/*"]);
        assert_eq!(
            advice.enough,
            ["GET https://api.x.com/a/**", "GET https://eu.cdn.x.com/**"]
        );
        assert_eq!(advice.used, ["GET https://api.x.com/user"]);
        assert_eq!(advice.grant.storage_bytes, 7);
        let lines: Vec<String> = advice.grant.egress.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "GET https://api.x.com/a/**",
                "GET https://eu.cdn.x.com/**",
                "GET https://api.x.com/user"
            ]
        );
        // The advice about what was advised is to leave it.
        let again = advise(&request, &advice.grant, &seen);
        assert_eq!((again.unused.len(), again.enough.len()), (0, 0));
        assert_eq!(again.grant, advice.grant);
    }

    #[test]
    fn nothing_seen_is_advice_to_give_nothing() {
        let request = vec![rule(&["GET"], "api.x.com", "/**")];
        let grant = Grant {
            egress: request.clone(),
            ..Grant::default()
        };
        let advice = advise(&request, &grant, &Used::default());
        assert_eq!((advice.unused.len(), advice.grant.egress.len()), (1, 0));
    }
}
