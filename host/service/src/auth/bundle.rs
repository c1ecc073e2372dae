//! What is sealed for one credential: its parts by name.

use std::collections::BTreeMap;

use sluice_model::auth::SECRET;
use sluice_model::secret::Secret;
use zeroize::Zeroizing;

/// The access token of a flow.
pub(super) const ACCESS: &str = "access_token";
/// What brings the next access token.
pub(super) const REFRESH: &str = "refresh_token";
/// The refresh token before the present one.
pub(super) const PREVIOUS: &str = "previous_refresh_token";

/// The parts of one credential. Wiped when dropped; printed without values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bundle(BTreeMap<String, Secret>);

/// The first byte of a sealed bundle. A secret of one part that an earlier version kept cannot begin with it: control
/// characters were refused.
const MARK: u8 = 1;

impl Bundle {
    pub(crate) fn one(secret: Secret) -> Self {
        Self(BTreeMap::from([(SECRET.to_owned(), secret)]))
    }

    /// What [`Bundle::write`] wrote, or a single secret's bytes.
    pub(crate) fn read(sealed: &Secret) -> Option<Self> {
        match sealed.expose().split_first() {
            Some((&MARK, json)) => {
                let texts: BTreeMap<String, String> = serde_json::from_slice(json).ok()?;
                let parts = texts
                    .into_iter()
                    .map(|(name, text)| (name, Secret::new(text.into_bytes())));
                Some(Self(parts.collect()))
            }
            _ => Some(Self::one(sealed.clone())),
        }
    }

    pub(crate) fn write(&self) -> Secret {
        let texts: BTreeMap<&str, &str> = self
            .0
            .iter()
            .filter_map(|(name, secret)| Some((name.as_str(), std::str::from_utf8(secret.expose()).ok()?)))
            .collect();
        // Sized before it is filled, so that no half-grown copy stays behind in freed memory.
        let size: usize = texts
            .iter()
            .map(|(name, text)| name.len() + 2 * text.len() + 8)
            .sum();
        let mut bytes = Vec::with_capacity(size + 8);
        bytes.push(MARK);
        if serde_json::to_writer(&mut bytes, &texts).is_err() {
            bytes.truncate(1);
            bytes.extend_from_slice(b"{}");
        }
        Secret::new(bytes)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<Zeroizing<String>> {
        let text = std::str::from_utf8(self.0.get(name)?.expose()).ok()?;
        Some(Zeroizing::new(text.to_owned()))
    }

    pub(crate) fn set(&mut self, name: impl Into<String>, secret: Secret) {
        self.0.insert(name.into(), secret);
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Secret> {
        self.0.remove(name)
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, secret)| (name.as_str(), secret))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, Secret)> for Bundle {
    fn from_iter<I: IntoIterator<Item = (String, Secret)>>(parts: I) -> Self {
        Self(parts.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn comes_back_as_it_was(parts in proptest::collection::btree_map("[a-z_]{1,12}", ".{0,40}", 0..6)) {
            let bundle: Bundle = parts
                .into_iter()
                .map(|(name, text)| (name, Secret::new(text.into_bytes())))
                .collect();
            prop_assert_eq!(Bundle::read(&bundle.write()), Some(bundle));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = Bundle::read(&Secret::new(bytes));
        }
    }

    #[test]
    fn a_single_secret_of_before_is_the_part_with_that_name() {
        let bundle = Bundle::read(&Secret::new(b"t0ken".to_vec())).unwrap();
        assert_eq!(bundle.get(SECRET).unwrap().expose(), b"t0ken");
        assert!(!format!("{bundle:?}").contains("t0ken"));
    }
}
