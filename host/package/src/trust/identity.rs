//! Bundles before a policy: who signed is verified against the operator's root, and believed only where a publisher that the name is
//! of lists exactly that identity. No identity is believed for having come first: anybody can have one.

use super::{Policy, Publisher, Signer};
use crate::error::Untrusted;
use crate::root::Verified;
use crate::{Bundle, Identity, Name, Package, TrustedRoot, Who};

/// A verified identity, and the publisher that lists it for this name.
pub(super) struct Believed<'p> {
    found: Verified,
    publisher: &'p Publisher,
}

impl Believed<'_> {
    /// Who signed, where that is all there is.
    pub(super) fn signer(self) -> Signer {
        Signer {
            publisher: self.publisher.name.clone(),
            key: None,
            identity: Some(self.found.identity),
            signed: self.found.signed,
            expires: None,
        }
    }

    /// The identity, if it is this publisher's, who has signed with a key as well.
    pub(super) fn signed_for(self, publisher: &Name) -> Result<Identity, Untrusted> {
        if self.publisher.name == *publisher {
            return Ok(self.found.identity);
        }
        Err(Untrusted::WrongIdentity {
            identity: self.found.identity,
            publisher: publisher.clone(),
        })
    }
}

impl Policy {
    /// Why the identity may publish this name.
    pub(super) fn judge_bundle(
        &self,
        package: &Package<'_>,
        bundle: &Bundle,
        name: &Name,
        root: Option<&TrustedRoot>,
    ) -> Result<Believed<'_>, Untrusted> {
        let found = self.verify_bundle(package, bundle, root)?;
        let listed = self
            .publishers
            .iter()
            .find(|publisher| publisher.identities.contains(&found.identity));
        match (listed, self.owner(name)) {
            (Some(publisher), _) if publisher.has(name) => Ok(Believed { found, publisher }),
            (Some(publisher), None) => Err(Untrusted::NotAllowed {
                publisher: publisher.name.clone(),
                name: name.clone(),
            }),
            (_, Some(owner)) => Err(Untrusted::WrongIdentity {
                identity: found.identity,
                publisher: owner.name.clone(),
            }),
            (None, None) => Err(Untrusted::UnknownIdentity(found.identity)),
        }
    }

    /// Who signed, if all that a bundle says is true and whoever it was is still believed at all.
    pub(super) fn verify_bundle(
        &self,
        package: &Package<'_>,
        bundle: &Bundle,
        root: Option<&TrustedRoot>,
    ) -> Result<Verified, Untrusted> {
        let root = root.ok_or_else(|| Untrusted::NoRoot(bundle.claims().clone()))?;
        let found = root.verify(package, bundle)?;
        self.is_not_revoked(&Who::Identity(found.identity.clone()))?;
        Ok(found)
    }
}
