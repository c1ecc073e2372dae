//! Whom an organization believes, and the verdict on one package.
//!
//! Four questions, in this order: is the file what was signed (bytes, manifest, name, version), may the key be used (revoked,
//! ended, from the future), may this key publish this name (the policy, else whoever came first), and is it newer than what was
//! here. A bundle is asked the same, but that an identity is only ever believed where the policy lists it. Where a file has both, both
//! must hold. A file with neither is only ever one for a name that nobody signs.

mod identity;
mod revocation;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sluice_model::Timestamp;

pub use self::revocation::Revocation;
use crate::error::Untrusted;
use crate::{
    Identity, Mark, Name, Package, Pin, PublicKey, Remembered, Signature, TrustedRoot, Version, Who,
};

/// An organization's trust policy. The default believes whoever comes first, and lets unsigned files be installed by those who
/// consent to their digest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Whether unsigned files are refused.
    #[serde(default)]
    pub require_signatures: bool,
    /// What becomes of keys that no publisher of the list has.
    #[serde(default)]
    pub unknown_keys: UnknownKeys,
    /// Who may publish what.
    #[serde(default)]
    pub publishers: Vec<Publisher>,
    /// Keys and identities that are not believed any more, also for what is installed.
    #[serde(default)]
    pub revoked: Vec<Revocation>,
    /// The least version of a name that may be installed.
    #[serde(default)]
    pub minimum: BTreeMap<Name, Version>,
}

/// What becomes of a key that is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownKeys {
    /// The first that comes with a name is believed for it, and no other after it.
    #[default]
    Pin,
    /// It is refused.
    Refuse,
}

/// A publisher: only these keys and identities, only for these names, and nobody else for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publisher {
    pub name: Name,
    #[serde(default)]
    pub keys: Vec<PublicKey>,
    /// Who signs for it without a key of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<Identity>,
    /// Names of connectors: exact, or with one `*` at the end.
    pub names: Vec<String>,
}

/// Why a policy cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy {0}")]
pub struct NoPolicy(pub String);

/// Lists of a policy have at most so many entries.
const MAX_ENTRIES: usize = 1000;

/// Who signed, as an install keeps it: with a key, an identity, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    pub publisher: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PublicKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// As the signature says; of a bundle alone, as the log does.
    pub signed: Timestamp,
    /// From when on it is not installed any more; a bundle alone does not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl Signer {
    /// Whether this is the key or the identity that signed.
    #[must_use]
    pub fn is(&self, who: &Who) -> bool {
        match who {
            Who::Key(key) => self.key == Some(*key),
            Who::Identity(identity) => self.identity.as_ref() == Some(identity),
        }
    }
}

/// Why a package is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Nobody signed it: only whoever installs it vouches for it.
    Unsigned,
    /// The policy lists its publisher.
    Listed,
    /// The same key as before.
    Pinned,
    /// The first key that comes with this name.
    First,
}

/// What is to be installed, and what is to be remembered then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub standing: Standing,
    pub signer: Option<Signer>,
    /// What is remembered of the name from now on; `None` where nothing changes.
    pub remember: Option<Remembered>,
}

impl Policy {
    /// Whether the policy makes sense.
    ///
    /// # Errors
    ///
    /// [`NoPolicy`] with what does not.
    pub fn check(&self) -> Result<(), NoPolicy> {
        let no = |text: &str| Err(NoPolicy(text.to_owned()));
        let lists = [self.publishers.len(), self.revoked.len(), self.minimum.len()];
        if lists.iter().any(|entries| *entries > MAX_ENTRIES) {
            return no("has a list of more than 1000 entries");
        }
        for (at, publisher) in self.publishers.iter().enumerate() {
            let name = &publisher.name;
            let signs = publisher.keys.len() + publisher.identities.len();
            if signs == 0 || publisher.names.is_empty() {
                return no(&format!(
                    "lists {name} without a key or an identity, or without a name"
                ));
            }
            if signs > MAX_ENTRIES || publisher.names.len() > MAX_ENTRIES {
                return no(&format!(
                    "lists {name} with more than 1000 keys and identities, or names"
                ));
            }
            if !publisher.identities.iter().all(Identity::is_sound) {
                return no(&format!(
                    "lists {name} with an identity whose issuer or subject is empty, longer than 1024 bytes or hides some"
                ));
            }
            if let Some(pattern) = publisher.names.iter().find(|pattern| !is_pattern(pattern)) {
                let shown = crate::text::shown(pattern);
                return no(&format!(
                    "has `{shown}`, which is neither a name nor a name with `*` at its end"
                ));
            }
            let before = self.publishers.iter().take(at);
            for other in before {
                if other.name == *name {
                    return no(&format!("lists {name} twice"));
                }
                if other.keys.iter().any(|key| publisher.keys.contains(key)) {
                    return no(&format!("gives one key to {} and {name}", other.name));
                }
                if other
                    .identities
                    .iter()
                    .any(|identity| publisher.identities.contains(identity))
                {
                    return no(&format!("gives one identity to {} and {name}", other.name));
                }
            }
        }
        if self.revoked.iter().any(|revocation| {
            revocation.reason.chars().count() > 200 || !crate::text::is_plain(&revocation.reason)
        }) {
            return no("has a reason that is longer than 200 characters or hides some");
        }
        Ok(())
    }

    /// The verdict on a package. `known` is what is remembered of its name, `others` are all names that are pinned, `root` is what
    /// bundles are verified against.
    ///
    /// # Errors
    ///
    /// [`Untrusted`] with the reason.
    pub fn judge<'n>(
        &self,
        package: &Package<'_>,
        known: &Remembered,
        others: impl IntoIterator<Item = &'n Name>,
        root: Option<&TrustedRoot>,
        now: Timestamp,
    ) -> Result<Verdict, Untrusted> {
        let manifest = package.manifest();
        let name: Name = manifest
            .id
            .parse()
            .map_err(|_| Untrusted::Name(crate::text::shown(&manifest.id)))?;
        let version: Version = manifest
            .version
            .parse()
            .map_err(|_| Untrusted::Version(crate::text::shown(&manifest.version)))?;
        self.allows_version(&name, &version)?;
        let (signer, standing) = match (package.signature(), package.bundle()) {
            (None, None) => return self.judge_unsigned(&name, known),
            (Some(signature), bundle) => {
                self.verify(package, signature)?;
                signature.is_fresh(now)?;
                let standing = self.standing(signature, known, others)?;
                let identity = match bundle {
                    Some(bundle) => {
                        let found = self.judge_bundle(package, bundle, &name, root)?;
                        Some(found.signed_for(&signature.publisher)?)
                    }
                    None => None,
                };
                let signer = Signer {
                    publisher: signature.publisher.clone(),
                    key: Some(signature.key),
                    identity,
                    signed: signature.signed,
                    expires: Some(signature.expires),
                };
                (signer, standing)
            }
            (None, Some(bundle)) => {
                let found = self.judge_bundle(package, bundle, &name, root)?;
                (found.signer(), Standing::Listed)
            }
        };
        if !version.is_plausible() {
            return Err(Untrusted::Version(version.to_string()));
        }
        let remember = remember(known, package, (&name, &version), (&signer, standing), now)?;
        Ok(Verdict {
            standing,
            signer: Some(signer),
            remember,
        })
    }

    /// Looks once more at what was installed with a signature: the bytes are those that were signed, by the one who was
    /// believed then, whose key was not revoked since. Its end is not asked for: a package does not stop working on a day.
    ///
    /// # Errors
    ///
    /// [`Untrusted`] with the reason.
    pub fn recheck(
        &self,
        package: &Package<'_>,
        signer: &Signer,
        root: Option<&TrustedRoot>,
    ) -> Result<(), Untrusted> {
        if signer.key.is_none() && signer.identity.is_none() {
            return Err(Untrusted::Content);
        }
        if let Some(key) = signer.key {
            let signature = package.signature().ok_or(Untrusted::Content)?;
            self.verify(package, signature)?;
            if signature.key != key {
                return Err(Untrusted::WrongKey {
                    key: signature.key,
                    publisher: signer.publisher.clone(),
                });
            }
        }
        if let Some(identity) = &signer.identity {
            let bundle = package.bundle().ok_or(Untrusted::Content)?;
            let found = self.verify_bundle(package, bundle, root)?.identity;
            if found != *identity {
                return Err(Untrusted::WrongIdentity {
                    identity: found,
                    publisher: signer.publisher.clone(),
                });
            }
        }
        Ok(())
    }

    /// Whose names these are: the listed publisher whose pattern fits.
    fn owner(&self, name: &Name) -> Option<&Publisher> {
        self.publishers.iter().find(|publisher| publisher.has(name))
    }

    fn verify(&self, package: &Package<'_>, signature: &Signature) -> Result<(), Untrusted> {
        signature.covers(package)?;
        self.is_not_revoked(&Who::Key(signature.key))
    }

    /// Whether this key or identity is still believed at all.
    ///
    /// # Errors
    ///
    /// [`Untrusted::Revoked`].
    pub fn is_not_revoked(&self, who: &Who) -> Result<(), Untrusted> {
        match self.revoked.iter().find(|revoked| revoked.who == *who) {
            Some(revoked) => Err(Untrusted::Revoked {
                who: revoked.who.clone(),
                reason: revoked.reason.clone(),
            }),
            None => Ok(()),
        }
    }

    fn allows_version(&self, name: &Name, version: &Version) -> Result<(), Untrusted> {
        match self.minimum.get(name) {
            Some(least) if version.precedence(least).is_lt() => Err(Untrusted::BelowMinimum {
                name: name.clone(),
                version: version.to_string(),
                least: least.to_string(),
            }),
            _ => Ok(()),
        }
    }

    fn judge_unsigned(&self, name: &Name, known: &Remembered) -> Result<Verdict, Untrusted> {
        let signed_by = self
            .owner(name)
            .map(|publisher| &publisher.name)
            .or(known.pin.as_ref().map(|pin| &pin.publisher));
        if let Some(publisher) = signed_by {
            return Err(Untrusted::Stripped {
                name: name.clone(),
                publisher: publisher.clone(),
            });
        }
        if self.require_signatures {
            return Err(Untrusted::SignatureRequired(name.clone()));
        }
        Ok(Verdict {
            standing: Standing::Unsigned,
            signer: None,
            remember: None,
        })
    }

    /// Why the signer may publish this name.
    fn standing<'n>(
        &self,
        signature: &Signature,
        known: &Remembered,
        others: impl IntoIterator<Item = &'n Name>,
    ) -> Result<Standing, Untrusted> {
        let Signature {
            publisher, name, key, ..
        } = signature;
        let by_key = self.publishers.iter().find(|listed| listed.keys.contains(key));
        let by_name = self.publishers.iter().find(|listed| listed.name == *publisher);
        if let Some(owner) = self.owner(name)
            && owner.name != *publisher
            && !by_key.is_some_and(|listed| listed.has(name))
        {
            return Err(Untrusted::WrongPublisher {
                name: name.clone(),
                expected: owner.name.clone(),
                found: publisher.clone(),
            });
        }
        if let Some(listed) = by_key.or(by_name) {
            if listed.name != *publisher || !listed.keys.contains(key) {
                return Err(Untrusted::WrongKey {
                    key: *key,
                    publisher: publisher.clone(),
                });
            }
            if !listed.has(name) {
                return Err(Untrusted::NotAllowed {
                    publisher: publisher.clone(),
                    name: name.clone(),
                });
            }
            return Ok(Standing::Listed);
        }
        if self.unknown_keys == UnknownKeys::Refuse {
            return Err(Untrusted::UnknownKey(*key));
        }
        if let Some(pin) = &known.pin {
            if pin.publisher != *publisher {
                return Err(Untrusted::WrongPublisher {
                    name: name.clone(),
                    expected: pin.publisher.clone(),
                    found: publisher.clone(),
                });
            }
            if pin.who != Who::Key(*key) {
                return Err(Untrusted::WrongKey {
                    key: *key,
                    publisher: publisher.clone(),
                });
            }
            return Ok(Standing::Pinned);
        }
        let listed = self
            .publishers
            .iter()
            .flat_map(|listed| &listed.names)
            .filter_map(|pattern| pattern.parse::<Name>().ok())
            .find(|listed| listed.looks_like(name));
        let alike = others
            .into_iter()
            .find(|other| *other != name && other.looks_like(name))
            .cloned()
            .or(listed);
        match alike {
            Some(other) => Err(Untrusted::LooksAlike {
                name: name.clone(),
                other,
            }),
            None => Ok(Standing::First),
        }
    }
}

impl Publisher {
    /// Whether the name is one of theirs.
    fn has(&self, name: &Name) -> bool {
        self.names.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(stem) => name.as_str().starts_with(stem),
            None => name.as_str() == pattern,
        })
    }
}

/// A name, or the beginning of names and `*`.
fn is_pattern(pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        // As if one more letter stood there: the stem of some name, or nothing.
        Some(stem) => stem.is_empty() || format!("{stem}aa").parse::<Name>().is_ok(),
        None => pattern.parse::<Name>().is_ok(),
    }
}

/// The memory after this package, if it is newer than what its key and identity had signed before, or the same.
fn remember(
    known: &Remembered,
    package: &Package<'_>,
    (name, version): (&Name, &Version),
    (signer, standing): (&Signer, Standing),
    now: Timestamp,
) -> Result<Option<Remembered>, Untrusted> {
    let key = signer.key.map(Who::Key);
    let identity = signer.identity.clone().map(Who::Identity);
    let mut next: Option<Remembered> = None;
    for who in [&key, &identity].into_iter().flatten() {
        let before = next.as_ref().unwrap_or(known);
        let mark = Mark {
            who: who.clone(),
            version: version.clone(),
            content: package.content_digest(),
            at: now,
        };
        if is_new(before, name, &mark)? {
            next = Some(before.with(mark));
        }
    }
    let (Some(mut next), Some(who)) = (next, key.or(identity)) else {
        return Ok(None);
    };
    // Whom the policy listed takes the place of whoever was first, also for the time after the list.
    let other = |pin: &Pin| pin.who != who || pin.publisher != signer.publisher;
    if next
        .pin
        .as_ref()
        .is_none_or(|pin| standing == Standing::Listed && other(pin))
    {
        next.pin = Some(Pin {
            publisher: signer.publisher.clone(),
            who,
            since: now,
        });
    }
    Ok(Some(next))
}

/// Whether this is further than the same key or identity had come; not, where it is what was here before.
fn is_new(known: &Remembered, name: &Name, mark: &Mark) -> Result<bool, Untrusted> {
    let Some(before) = known.mark(&mark.who) else {
        return Ok(true);
    };
    match mark.version.precedence(&before.version) {
        std::cmp::Ordering::Less => Err(Untrusted::Rollback {
            name: name.clone(),
            version: mark.version.to_string(),
            newest: before.version.to_string(),
        }),
        // Build metadata makes no version newer: the same version is the same bytes.
        std::cmp::Ordering::Equal if before.content != mark.content => Err(Untrusted::Changed {
            name: name.clone(),
            version: mark.version.to_string(),
            before: before.content,
        }),
        std::cmp::Ordering::Equal => Ok(false),
        std::cmp::Ordering::Greater => Ok(true),
    }
}
