//! Whom an organization believes, and the verdict on one package.
//!
//! Four questions, in this order: is the file what was signed (bytes, manifest, name, version), may the key be used (revoked,
//! ended, from the future), may this key publish this name (the policy, else whoever came first), and is it newer than what was
//! here. A file without a signature is only ever one for a name that nobody signs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sluice_model::Timestamp;

use crate::error::Untrusted;
use crate::{Mark, Name, Package, Pin, PublicKey, Remembered, Signature, Version};

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
    /// Keys that are not believed any more, also for what is installed.
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

/// A publisher: only these keys, only for these names, and nobody else for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publisher {
    pub name: Name,
    pub keys: Vec<PublicKey>,
    /// Names of connectors: exact, or with one `*` at the end.
    pub names: Vec<String>,
}

/// A key that is not believed any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    pub key: PublicKey,
    pub reason: String,
}

/// Why a policy cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy {0}")]
pub struct NoPolicy(pub String);

/// Lists of a policy have at most so many entries.
const MAX_ENTRIES: usize = 1000;

/// Who signed, as an install keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    pub publisher: Name,
    pub key: PublicKey,
    pub signed: Timestamp,
    pub expires: Timestamp,
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
            if publisher.keys.is_empty() || publisher.names.is_empty() {
                return no(&format!("lists {name} without a key or a name"));
            }
            if publisher.keys.len() > MAX_ENTRIES || publisher.names.len() > MAX_ENTRIES {
                return no(&format!("lists {name} with more than 1000 keys or names"));
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
            }
        }
        if self.revoked.iter().any(|revocation| {
            revocation.reason.chars().count() > 200 || !crate::text::is_plain(&revocation.reason)
        }) {
            return no("has a reason that is longer than 200 characters or hides some");
        }
        Ok(())
    }

    /// The verdict on a package. `known` is what is remembered of its name, `others` are all names that are pinned.
    ///
    /// # Errors
    ///
    /// [`Untrusted`] with the reason.
    pub fn judge<'n>(
        &self,
        package: &Package<'_>,
        known: &Remembered,
        others: impl IntoIterator<Item = &'n Name>,
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
        let Some(signature) = package.signature() else {
            return self.judge_unsigned(&name, known);
        };
        self.verify(package, signature)?;
        signature.is_fresh(now)?;
        let standing = self.standing(signature, known, others)?;
        if !version.is_plausible() {
            return Err(Untrusted::Version(version.to_string()));
        }
        let mark = Mark {
            key: signature.key,
            version,
            content: signature.content,
            at: now,
        };
        let remember = remember(known, signature, (mark, standing), now)?;
        Ok(Verdict {
            standing,
            signer: Some(Signer {
                publisher: signature.publisher.clone(),
                key: signature.key,
                signed: signature.signed,
                expires: signature.expires,
            }),
            remember,
        })
    }

    /// Looks once more at what was installed with a signature: the bytes are those that were signed, by the one who was
    /// believed then, whose key was not revoked since. Its end is not asked for: a package does not stop working on a day.
    ///
    /// # Errors
    ///
    /// [`Untrusted`] with the reason.
    pub fn recheck(&self, package: &Package<'_>, signer: &Signer) -> Result<(), Untrusted> {
        let signature = package.signature().ok_or(Untrusted::Content)?;
        self.verify(package, signature)?;
        if signature.key != signer.key {
            return Err(Untrusted::WrongKey {
                key: signature.key,
                publisher: signer.publisher.clone(),
            });
        }
        Ok(())
    }

    /// Whose names these are: the listed publisher whose pattern fits.
    fn owner(&self, name: &Name) -> Option<&Publisher> {
        self.publishers.iter().find(|publisher| publisher.has(name))
    }

    fn verify(&self, package: &Package<'_>, signature: &Signature) -> Result<(), Untrusted> {
        signature.covers(package)?;
        match self.revoked.iter().find(|revoked| revoked.key == signature.key) {
            Some(revoked) => Err(Untrusted::Revoked {
                key: revoked.key,
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
            if pin.key != *key {
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

/// The memory after this package, if it is newer than what the key had signed before, or the same.
fn remember(
    known: &Remembered,
    signature: &Signature,
    (mark, standing): (Mark, Standing),
    now: Timestamp,
) -> Result<Option<Remembered>, Untrusted> {
    let name = &signature.name;
    if let Some(before) = known.mark(&mark.key) {
        match mark.version.precedence(&before.version) {
            std::cmp::Ordering::Less => {
                return Err(Untrusted::Rollback {
                    name: name.clone(),
                    version: mark.version.to_string(),
                    newest: before.version.to_string(),
                });
            }
            // Build metadata makes no version newer: the same version is the same bytes.
            std::cmp::Ordering::Equal if before.content != mark.content => {
                return Err(Untrusted::Changed {
                    name: name.clone(),
                    version: mark.version.to_string(),
                    before: before.content,
                });
            }
            std::cmp::Ordering::Equal => return Ok(None),
            std::cmp::Ordering::Greater => {}
        }
    }
    let mut next = known.with(mark);
    // Whom the policy listed takes the place of whoever was first, also for the time after the list.
    let other = |pin: &Pin| pin.key != signature.key || pin.publisher != signature.publisher;
    if next
        .pin
        .as_ref()
        .is_none_or(|pin| standing == Standing::Listed && other(pin))
    {
        next.pin = Some(Pin {
            publisher: signature.publisher.clone(),
            key: signature.key,
            since: now,
        });
    }
    Ok(Some(next))
}
