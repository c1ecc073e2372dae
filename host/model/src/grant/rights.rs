//! The effective right of an install or connection.

use std::fmt;

use serde_json::Value;

use super::watch::Watch;
use super::{Ceiling, Grant};
use crate::capability::{EgressRule, PatternError, Target, is_plain};
use crate::limits::Limits;

/// Request ∩ ceiling ∩ grant. All three are kept: a request is permitted when each of them permits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    request: Vec<EgressRule>,
    ceiling: Option<Vec<EgressRule>>,
    grant: Vec<EgressRule>,
    limits: Limits,
    storage_bytes: u64,
    scratch_bytes: u64,
    files_bytes: u64,
    file_bytes: u64,
    watch: Option<Watch>,
}

impl Rights {
    /// What remains when all three are held against each other.
    #[must_use]
    pub fn new(request: &Grant, ceiling: &Ceiling, grant: &Grant) -> Self {
        let least =
            |asked: u64, most: Option<u64>, given: u64| asked.min(most.unwrap_or(u64::MAX)).min(given);
        Self {
            request: request.egress.clone(),
            ceiling: ceiling.egress.clone(),
            grant: grant.egress.clone(),
            limits: request.limits.min(&ceiling.limits).min(&grant.limits),
            storage_bytes: least(request.storage_bytes, ceiling.storage_bytes, grant.storage_bytes),
            scratch_bytes: least(request.scratch_bytes, ceiling.scratch_bytes, grant.scratch_bytes),
            files_bytes: least(request.files_bytes, ceiling.files_bytes, grant.files_bytes),
            file_bytes: least(request.file_bytes, ceiling.file_bytes, grant.file_bytes),
            watch: None,
        }
    }

    /// The same with a place where it is noted which of the requested rules are used, and where rules can be withdrawn from all
    /// that was made of these rights, also while a call is under way.
    #[must_use]
    pub fn watched(self) -> Self {
        let watch = Some(Watch::new(self.request.len()));
        Self { watch, ..self }
    }

    /// See [`Rights::watched`].
    #[must_use]
    pub const fn watch(&self) -> Option<&Watch> {
        self.watch.as_ref()
    }

    /// Whether the request may go out. Allocates nothing when it may.
    ///
    /// # Errors
    ///
    /// When it may not: which of the three does not have it.
    pub fn permits(&self, target: &Target<'_>) -> Result<(), Denial> {
        let plain = is_plain(target.path);
        let find = |rules: &[EgressRule]| rules.iter().position(|rule| plain && rule.permits_plain(target));
        let requested = find(&self.request);
        let watch = self.watch.as_ref();
        let by = if !plain {
            DeniedBy::Path
        } else if requested.is_none() {
            DeniedBy::Request
        } else if self.ceiling.as_deref().is_some_and(|rules| find(rules).is_none()) {
            DeniedBy::Ceiling
        } else if find(&self.grant).is_none() {
            DeniedBy::Grant
        } else if watch.is_some_and(|watch| watch.withdrew(target)) {
            DeniedBy::Withdrawn
        } else {
            if let (Some(watch), Some(place)) = (watch, requested) {
                let wide = self.request.get(place).is_some_and(|rule| rule.host.is_wide());
                watch.note(place, target, wide);
            }
            return Ok(());
        };
        Err(Denial::new(by, target))
    }

    /// What one call may use: the least of the three, field by field.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Bytes of key-value storage for one connection, as it is now: what was withdrawn meanwhile is taken off.
    #[must_use]
    pub fn storage_bytes(&self) -> u64 {
        self.storage_bytes.min(self.room().0)
    }

    /// Bytes of scratch files for one call.
    #[must_use]
    pub const fn scratch_bytes(&self) -> u64 {
        self.scratch_bytes
    }

    /// Bytes of kept files for one connection, as it is now.
    #[must_use]
    pub fn files_bytes(&self) -> u64 {
        self.files_bytes.min(self.room().1)
    }

    /// Bytes of one kept file, as it is now.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes.min(self.room().2)
    }

    fn room(&self) -> (u64, u64, u64) {
        self.watch
            .as_ref()
            .map_or((u64::MAX, u64::MAX, u64::MAX), Watch::room)
    }

    /// The rights of one connection: `${config.key}` filled in from its configuration, in all three sets.
    ///
    /// # Errors
    ///
    /// When a configured value is missing or is not a host.
    pub fn expand(&self, config: &Value) -> Result<Self, PatternError> {
        let all = |rules: &[EgressRule]| {
            rules
                .iter()
                .map(|rule| rule.expand(config))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            request: all(&self.request)?,
            ceiling: self.ceiling.as_deref().map(all).transpose()?,
            grant: all(&self.grant)?,
            watch: self.watch.as_ref().map(|watch| watch.of(config)),
            ..self.clone()
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeniedBy {
    Path,
    Request,
    Ceiling,
    Grant,
    Withdrawn,
}

/// A request that may not go out, and which grant is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    by: DeniedBy,
    missing: String,
}

impl Denial {
    /// Every code that [`Denial::code`] can give.
    pub const CODES: &[&str] = &["egress.denied"];

    fn new(by: DeniedBy, target: &Target<'_>) -> Self {
        let missing = target
            .to_string()
            .chars()
            .take(400)
            .flat_map(|c| c.escape_debug())
            .collect();
        Self { by, missing }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "egress.denied"
    }

    /// The grant that is missing, as the permission page would say it: `GET https://api.github.com/user`.
    #[must_use]
    pub fn missing(&self) -> &str {
        &self.missing
    }

    /// Who has to do what.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self.by {
            DeniedBy::Path => "send a path without `..`, empty segments, backslashes and encoded slashes or dots",
            DeniedBy::Request => "the connector's manifest does not ask for it: its author has to add it to capabilities.egress",
            DeniedBy::Ceiling => "the operator's ceiling excludes it: widen the ceiling in the server's configuration",
            DeniedBy::Grant => "the install was not given it: approve the permission for this install",
            DeniedBy::Withdrawn => "it was taken away while the call was under way",
        }.to_owned())
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            DeniedBy::Path => {
                return write!(
                    f,
                    "no grant can permit `{}`: servers read such a path in several ways",
                    self.missing
                );
            }
            DeniedBy::Request => "the connector's manifest does not ask for it",
            DeniedBy::Ceiling => "the operator's ceiling excludes it",
            DeniedBy::Grant => "the install's grant does not have it",
            DeniedBy::Withdrawn => "it was withdrawn from the install",
        };
        write!(f, "missing grant: `{}`: {by}", self.missing)
    }
}

impl std::error::Error for Denial {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::{HostPattern, MethodSet, PathPattern, Scheme};

    fn rule(host: &str, path: &str) -> EgressRule {
        EgressRule {
            scheme: Scheme::Https,
            host: HostPattern::parse(host).unwrap(),
            port: 443,
            methods: MethodSet::of(&["GET"]).unwrap(),
            path: PathPattern::parse(path).unwrap(),
            optional: false,
            reason: None,
        }
    }

    fn grant(rules: &[(&str, &str)]) -> Grant {
        let egress = rules.iter().map(|(host, path)| rule(host, path)).collect();
        Grant {
            egress,
            storage_bytes: 100,
            scratch_bytes: 100,
            ..Grant::default()
        }
    }

    fn target(path: &str) -> Target<'_> {
        Target {
            scheme: Scheme::Https,
            host: "api.x.com",
            port: 443,
            method: "GET",
            path,
        }
    }

    #[test]
    fn each_of_the_three_has_a_veto() {
        let all = grant(&[("*.x.com", "/**")]);
        let none = grant(&[]);
        let open = Ceiling::default();
        let shut = Ceiling {
            egress: Some(Vec::new()),
            ..Ceiling::default()
        };
        let denied = |request: &Grant, ceiling: &Ceiling, grant: &Grant| {
            Rights::new(request, ceiling, grant)
                .permits(&target("/a"))
                .map_err(|denial| denial.to_string())
        };
        assert_eq!(denied(&all, &open, &all), Ok(()));
        let words = "missing grant: `GET https://api.x.com/a`: ";
        assert_eq!(
            denied(&none, &shut, &none),
            Err(format!("{words}the connector's manifest does not ask for it"))
        );
        assert_eq!(
            denied(&all, &shut, &none),
            Err(format!("{words}the operator's ceiling excludes it"))
        );
        assert_eq!(
            denied(&all, &open, &none),
            Err(format!("{words}the install's grant does not have it"))
        );
    }

    #[test]
    fn the_sets_are_intersected_exactly() {
        let rights = Rights::new(
            &grant(&[("*.x.com", "/a/**"), ("api.x.com", "/b")]),
            &Ceiling {
                egress: Some(grant(&[("api.x.com", "/**")]).egress),
                ..Ceiling::default()
            },
            &grant(&[("api.x.com", "/*/c"), ("api.x.com", "/b")]),
        );
        for (path, permitted) in [
            ("/a/c", true),
            ("/b", true),
            ("/a/d", false),
            ("/b/c", false),
            ("/a/../b", false),
        ] {
            assert_eq!(rights.permits(&target(path)).is_ok(), permitted, "{path}");
        }
        let denial = rights.permits(&target("/a/../b")).unwrap_err();
        assert!(denial.to_string().starts_with("no grant can permit"), "{denial}");
        assert!(denial.hint().is_some());
        assert!(Denial::CODES.contains(&denial.code()));
    }

    #[test]
    fn limits_are_the_least_of_the_three() {
        let mut request = grant(&[]);
        request.limits.memory_bytes = 3;
        let mut given = grant(&[]);
        given.limits.host_calls = 2;
        given.storage_bytes = 50;
        (request.files_bytes, request.file_bytes) = (1000, 100);
        (given.files_bytes, given.file_bytes) = (500, 100);
        let ceiling = Ceiling {
            scratch_bytes: Some(1),
            file_bytes: Some(5),
            limits: Limits {
                http_requests: 1,
                ..Limits::HARD_MAX
            },
            ..Ceiling::default()
        };
        let rights = Rights::new(&request, &ceiling, &given);
        let limits = rights.limits();
        assert_eq!(
            (limits.memory_bytes, limits.host_calls, limits.http_requests),
            (3, 2, 1)
        );
        assert_eq!((rights.storage_bytes(), rights.scratch_bytes()), (50, 1));
        assert_eq!((rights.files_bytes(), rights.file_bytes()), (500, 5));
    }

    #[test]
    fn placeholders_are_filled_in_everywhere() {
        let all = grant(&[("${config.host}", "/**")]);
        let ceiling = Ceiling {
            egress: Some(grant(&[("*.x.com", "/**")]).egress),
            ..Ceiling::default()
        };
        let rights = Rights::new(&all, &ceiling, &all);
        assert!(rights.permits(&target("/a")).is_err());
        let expand = |host: &str| rights.expand(&serde_json::json!({ "host": host }));
        assert!(expand("api.x.com").unwrap().permits(&target("/a")).is_ok());
        // The ceiling still holds for what the configuration names.
        assert!(
            expand("evil.net")
                .unwrap()
                .permits(&Target {
                    host: "evil.net",
                    ..target("/a")
                })
                .is_err()
        );
        assert!(rights.expand(&serde_json::json!({})).is_err());
    }

    #[test]
    fn what_is_withdrawn_is_gone_for_calls_under_way() {
        let all = grant(&[("${config.host}", "/**"), ("*.x.com", "/**")]);
        let rights = Rights::new(&all, &Ceiling::default(), &all).watched();
        // As a call has them that began before.
        let of_call = rights
            .expand(&serde_json::json!({ "host": "self.example" }))
            .unwrap();
        let own = Target {
            host: "self.example",
            ..target("/a")
        };
        assert!(of_call.permits(&own).is_ok() && of_call.permits(&target("/b")).is_ok());
        rights
            .watch()
            .unwrap()
            .withdraw(&grant(&[("${config.host}", "/a"), ("api.x.com", "/a")]));
        assert!(of_call.permits(&own).is_ok() && of_call.permits(&target("/a")).is_ok());
        let denial = of_call.permits(&target("/b")).unwrap_err();
        assert!(
            denial.to_string().ends_with("it was withdrawn from the install"),
            "{denial}"
        );
        // What is withdrawn a second time does not come back.
        rights.watch().unwrap().withdraw(&all);
        assert!(of_call.permits(&target("/b")).is_err());
    }

    #[test]
    fn room_that_is_withdrawn_is_gone_for_calls_under_way() {
        let mut all = grant(&[]);
        (all.storage_bytes, all.files_bytes, all.file_bytes) = (100, 1000, 50);
        let rights = Rights::new(&all, &Ceiling::default(), &all).watched();
        let of_call = rights.expand(&serde_json::json!({})).unwrap();
        let room = || {
            (
                of_call.storage_bytes(),
                of_call.files_bytes(),
                of_call.file_bytes(),
            )
        };
        assert_eq!(room(), (100, 1000, 50));
        let mut left = all.clone();
        left.storage_bytes = 0;
        rights.watch().unwrap().withdraw(&left);
        assert_eq!(room(), (0, 1000, 50));
        (left.files_bytes, left.file_bytes) = (0, 0);
        rights.watch().unwrap().withdraw(&left);
        rights.watch().unwrap().withdraw(&all);
        assert_eq!(room(), (0, 0, 0));
    }

    #[test]
    fn what_is_used_is_noted_by_the_requested_rule() {
        let all = grant(&[("*.x.com", "/a/**"), ("api.x.com", "/b"), ("api.x.com", "/c")]);
        let rights = Rights::new(&all, &Ceiling::default(), &all).watched();
        let of_call = rights.expand(&serde_json::json!({})).unwrap();
        for path in ["/a/1", "/a/2", "/c", "/d"] {
            let _ = of_call.permits(&target(path));
        }
        let watch = rights.watch().unwrap();
        let used = watch.take();
        let get = MethodSet::of(&["GET"]).unwrap();
        assert_eq!(used.rules, [(0, get), (2, get)].into());
        assert_eq!(
            used.hosts.get(&0).unwrap().iter().collect::<Vec<_>>(),
            ["api.x.com"]
        );
        assert!(watch.take().is_empty(), "what was taken is not new again");
        let _ = of_call.permits(&target("/b"));
        assert_eq!(watch.take().rules, [(1, get)].into());
    }

    #[test]
    fn a_denial_shows_no_control_characters() {
        let nothing = Rights::new(&Grant::default(), &Ceiling::default(), &Grant::default());
        let denial = nothing.permits(&target("/a\u{1b}[31m\u{202e}\n")).unwrap_err();
        assert!(
            !denial.to_string().chars().any(crate::manifest::words::is_hidden),
            "{denial}"
        );
    }
}
