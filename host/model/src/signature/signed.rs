//! Families 1 to 7: bytes of the request with a signature over them.

use data_encoding::HEXLOWER;

use super::fetch::{CertificateSource, Fetched, Needs};
use super::key::{self, Key};
use super::place::{Place, View};
use super::sent::{self, Sent};
use super::template::Given;
use super::{
    Algorithm, Encoding, MAX_SECRETS, Part, Proof, Request, SecretForm, SignatureError, Template,
    TimestampPlace, TimestampSource, TimestampUnit, Verified,
};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// A signature over a text that is made of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// How it is proved.
    pub proof: Proof,
    /// How the signature is written.
    pub encoding: Encoding,
    /// Where the signatures stand; more than one place where a vendor sends those of two keys apart.
    pub places: Vec<Place>,
    /// How they stand there.
    pub form: Form,
    /// What is signed.
    pub signed: Template,
    /// Where the time is, if it is signed.
    pub timestamp: Option<TimestampSource>,
    /// How the secret's text gives the key.
    pub secret: SecretForm,
    /// Where the request says the id of the key, which the secret then begins with.
    pub key_id: Option<Place>,
    /// Where the key comes from if it is not the secret.
    pub fetched: Option<FetchedKey>,
    /// A digest of the body that is itself signed.
    pub digest: Option<BodyDigest>,
    /// A token that may be seen once.
    pub one_time: Option<Place>,
    /// Values that have to be as the recipe says, such as the name of the algorithm.
    pub fixed: Vec<(Place, String)>,
}

/// How signatures stand in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// `sha256=…`, or several of them: `v1,… v1,…`. Those without the prefix are passed over.
    Values {
        /// Before each signature; may be empty.
        prefix: String,
        /// Between signatures; without one there is only one.
        separator: Option<char>,
    },
    /// `t=…,v1=…,v1=…`.
    Fields {
        /// Between fields.
        separator: char,
        /// The field with a signature; there may be several.
        signature: String,
    },
    /// `id|…&id|…`: only those with the id of our key count.
    Pairs {
        /// Between pairs.
        separator: char,
        /// Between id and signature.
        between: char,
    },
}

/// Where a key is fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchedKey {
    /// From a certificate that the request names.
    Certificate(CertificateSource),
    /// From an address that the recipe fixes.
    PublicKey(String),
}

/// Where the digest of the body stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyDigest {
    /// The place. Where it is missing, `{params}` have to be signed instead.
    pub place: Place,
    /// The hash.
    pub algorithm: Algorithm,
    /// How it is written.
    pub encoding: Encoding,
}

impl Signed {
    pub(super) fn needs(&self, view: &View<'_>) -> Result<Needs, SignatureError> {
        match &self.fetched {
            None => Ok(Needs::Nothing),
            Some(FetchedKey::Certificate(source)) => source.needs(view),
            Some(FetchedKey::PublicKey(address)) => Ok(Needs::PublicKey {
                address: address.clone(),
            }),
        }
    }

    pub(super) fn verify(
        &self,
        view: &View<'_>,
        secrets: &[Secret],
        fetched: Option<&Fetched>,
        now: Timestamp,
    ) -> Result<Verified, SignatureError> {
        for (place, wanted) in &self.fixed {
            let value = view.only(place).ok_or(SignatureError::Missing)?;
            if value != wanted.as_str() {
                return Err(SignatureError::Mismatch);
            }
        }
        let sent = sent::read(self, view)?;
        let mut time = None;
        if let Some(source) = &self.timestamp {
            let text = sent.timestamp.as_deref().unwrap_or_default();
            time = Some(source.read(text, now).ok_or(SignatureError::Timestamp)?);
        }
        let given = Given {
            timestamp: sent.timestamp.as_deref(),
            unit: self.unit(),
            secret: "",
            is_digested: self.is_digested(view)?,
        };
        let fits = match &self.fetched {
            Some(_) => self.fits_fetched(
                view,
                &given,
                secrets,
                self.fetched_key(view, fetched, now)?,
                &sent,
            )?,
            None => self.fits_own(view, &given, secrets, &sent)?,
        };
        match fits {
            true => self.verified(view, time),
            false => Err(SignatureError::Mismatch),
        }
    }

    fn fits_own(
        &self,
        view: &View<'_>,
        given: &Given<'_>,
        secrets: &[Secret],
        sent: &Sent,
    ) -> Result<bool, SignatureError> {
        let key_id = match &self.key_id {
            None => None,
            Some(place) => Some(view.only(place).ok_or(SignatureError::Missing)?),
        };
        let keys = self.keys(secrets, key_id.as_deref())?;
        let filled;
        let message = if matches!(self.signed.parts(), [Part::Body]) {
            view.request.body
        } else {
            filled = self.signed.fill(view, given).ok_or(SignatureError::Missing)?;
            filled.as_slice()
        };
        // One tag for each key, not one for each pair: the body is hashed at most MAX_SECRETS times.
        Ok(keys.iter().fold(false, |fits, (id, key)| {
            let of_key = sent
                .signatures
                .iter()
                .filter(|(of, _)| of.as_deref().is_none_or(|of| of == *id));
            fits | key.fits(message, of_key.map(|(_, signature)| signature.as_slice()))
        }))
    }

    /// The key is the vendor's for all its customers. What makes the webhook ours is the secret that is signed, and each
    /// makes another text.
    fn fits_fetched(
        &self,
        view: &View<'_>,
        given: &Given<'_>,
        secrets: &[Secret],
        key: Key,
        sent: &Sent,
    ) -> Result<bool, SignatureError> {
        let fits = |secret: &str| {
            let given = Given { secret, ..*given };
            let signed = self.signed.fill(view, &given).ok_or(SignatureError::Missing)?;
            let signatures = sent.signatures.iter().map(|(_, signature)| signature.as_slice());
            Ok(key.fits(&signed, signatures))
        };
        if !self.signed.has_secret() {
            return fits("");
        }
        let texts = secrets.iter().take(MAX_SECRETS).map(Secret::expose);
        let mut texts = texts
            .filter_map(|text| std::str::from_utf8(text).ok())
            .filter(|text| !text.is_empty());
        let first = texts.next().ok_or(SignatureError::Secret)?;
        for secret in std::iter::once(first).chain(texts) {
            if fits(secret)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fetched_key(
        &self,
        view: &View<'_>,
        fetched: Option<&Fetched>,
        now: Timestamp,
    ) -> Result<Key, SignatureError> {
        let needs = self.needs(view)?;
        let key = fetched.and_then(|fetched| fetched.rsa(&needs, now));
        match (self.proof, key) {
            (Proof::Rsa(hash), Some(key)) => Ok(Key::Public(hash.algorithm(), key.to_vec())),
            _ => Err(SignatureError::Material),
        }
    }

    /// The keys of the first secrets, each with its id; those with another id than the request's are not among them.
    fn keys<'s>(
        &self,
        secrets: &'s [Secret],
        wanted: Option<&str>,
    ) -> Result<Vec<(&'s str, Key)>, SignatureError> {
        let key = |secret: &'s Secret| {
            let (id, _) = self.secret.halves(secret)?;
            Some((id, self.proof.key(&self.secret, secret)?))
        };
        let mut keys: Vec<_> = secrets.iter().take(MAX_SECRETS).filter_map(key).collect();
        if keys.is_empty() {
            return Err(SignatureError::Secret);
        }
        keys.retain(|(id, _)| wanted.is_none_or(|wanted| wanted == *id));
        match keys.is_empty() {
            true => Err(SignatureError::Mismatch),
            false => Ok(keys),
        }
    }

    /// Whether a digest vouches for the body; an error if it does not fit, or nothing else vouches for it.
    fn is_digested(&self, view: &View<'_>) -> Result<bool, SignatureError> {
        let Some(digest) = &self.digest else {
            return Ok(false);
        };
        match view.only(&digest.place) {
            Some(text) => {
                let expected = digest.algorithm.digest(view.request.body);
                let given = digest.encoding.decode(&text).unwrap_or_default();
                match key::is_same(expected.as_ref(), &given) {
                    true => Ok(true),
                    false => Err(SignatureError::Body),
                }
            }
            None if self.signed.covers_body() => Ok(false),
            None => Err(SignatureError::Missing),
        }
    }

    fn verified(&self, view: &View<'_>, time: Option<Timestamp>) -> Result<Verified, SignatureError> {
        let one_time = match &self.one_time {
            None => None,
            Some(place) => Some(view.only(place).ok_or(SignatureError::Missing)?.into_owned()),
        };
        let id = self.signed.parts().iter().find_map(|part| match part {
            Part::Value(place @ Place::Header(_)) => view.only(place),
            _ => None,
        });
        Ok(Verified {
            id: id.map(std::borrow::Cow::into_owned),
            time,
            one_time,
        })
    }

    fn unit(&self) -> TimestampUnit {
        let source = self.timestamp.as_ref();
        source.map_or(TimestampUnit::Seconds, |source| source.unit)
    }

    pub(super) fn covers_body(&self) -> bool {
        self.signed.covers_body()
            || self.digest.is_some()
            || matches!(
                (self.places.as_slice(), self.signed.parts()),
                // The signed field is all that such a body carries.
                ([Place::Form(_)], [Part::Value(Place::Form(_))])
            )
    }

    /// The headers that the vendor would add to this request; nothing where we have no key to sign with, or signatures
    /// stand elsewhere than in headers.
    pub(super) fn sign(
        &self,
        request: &Request<'_>,
        secret: &Secret,
        now: Timestamp,
    ) -> Option<Vec<(String, String)>> {
        let key = self.proof.key(&self.secret, secret)?;
        let [Place::Header(header), ..] = self.places.as_slice() else {
            return None;
        };
        let (id, _) = self.secret.halves(secret)?;
        let stamp = self.timestamp.as_ref().map(|source| source.unit.write(now));
        let digest = Algorithm::HmacSha256.digest(request.body);
        let nonce = format!(
            "msg_{:x}{}",
            now.as_millis(),
            HEXLOWER.encode(digest.as_ref().split_at(8).0)
        );
        let mut headers = request.headers.to_vec();
        let mut added = Vec::new();
        for (place, value) in &self.fixed {
            if let Place::Header(name) = place {
                added.push((name.clone(), value.clone()));
            }
        }
        if let Some(Place::Header(name)) = &self.key_id {
            added.push((name.clone(), id.to_owned()));
        }
        let mut fields = String::new();
        match (self.timestamp.as_ref().map(|source| &source.place), &stamp) {
            (Some(TimestampPlace::At(Place::Header(name))), Some(stamp)) => {
                added.push((name.clone(), stamp.clone()));
            }
            // The body has its own time or it does not.
            (Some(TimestampPlace::At(_)), _) => {}
            (Some(TimestampPlace::Field(name)), Some(stamp)) => fields = format!("{name}={stamp}"),
            (Some(TimestampPlace::First), Some(stamp)) => fields.clone_from(stamp),
            _ => {}
        }
        for part in self.signed.parts() {
            if let Part::Value(Place::Header(name)) = part {
                added.push((name.clone(), nonce.clone()));
            }
        }
        headers.extend(added.iter().cloned());
        let view = View::new(&Request {
            headers: &headers,
            ..*request
        });
        let given = Given {
            timestamp: stamp.as_deref(),
            unit: self.unit(),
            secret: id,
            is_digested: self.is_digested(&view).ok()?,
        };
        let signed = self.signed.fill(&view, &given)?;
        let signature = self.encoding.encode(&key.sign(&signed)?);
        let value = match &self.form {
            Form::Values {
                prefix,
                separator: Some(separator),
            } if !fields.is_empty() => {
                format!("{fields}{separator}{prefix}{signature}")
            }
            Form::Values { prefix, .. } => format!("{prefix}{signature}"),
            Form::Fields {
                separator,
                signature: name,
            } if !fields.is_empty() => {
                format!("{fields}{separator}{name}={signature}")
            }
            Form::Fields { signature: name, .. } => format!("{name}={signature}"),
            Form::Pairs { between, .. } => format!("{id}{between}{signature}"),
        };
        added.push((header.clone(), value));
        Some(added)
    }
}
