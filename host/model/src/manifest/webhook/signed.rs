//! `scheme = "hmac"`, `"ed25519"`, `"ecdsa-p256"` and `"rsa"`: signatures over bytes of the request.

use std::time::Duration;

use super::super::ManifestError;
use super::super::source::{Node, Table};
use super::place::{self, field, header, visible};
use crate::signature::{
    AddressPattern, Algorithm, BodyDigest, CertificateSource, Encoding, FetchedKey, Form, KeyEncoding, Part,
    Place, Proof, Recipe, RsaHash, SecretForm, Signed, Template, TimestampPlace, TimestampSource,
    TimestampUnit,
};

/// The longest tolerance: what is older has to be told from a replay by its delivery id alone. A day, because PayPal's
/// and Mailgun's repeated deliveries keep their first time.
const MAX_TOLERANCE_S: u64 = 86_400;
/// The most headers with signatures.
const MAX_HEADERS: usize = 4;
/// The most fixed values, patterns and names.
const MAX_FIXED: usize = 8;

/// Every key of such a recipe.
pub(super) const KEYS: [&str; 23] = [
    "scheme",
    "algorithm",
    "encoding",
    "header",
    "headers",
    "query",
    "form",
    "pointer",
    "prefix",
    "signed",
    "timestamp",
    "signature_field",
    "separator",
    "list_separator",
    "pair_separator",
    "tolerance_s",
    "secret_prefix",
    "secret_encoding",
    "key_id",
    "key",
    "digest",
    "one_time",
    "fixed",
];

pub(super) const ENCODINGS: [(&str, Encoding); 3] = [
    ("hex", Encoding::Hex),
    ("base64", Encoding::Base64),
    ("base64url", Encoding::Base64Url),
];

pub(super) const HASHES: [(&str, Algorithm); 3] = [
    ("sha256", Algorithm::HmacSha256),
    ("sha512", Algorithm::HmacSha512),
    ("sha1", Algorithm::HmacSha1),
];

pub(super) fn read(node: &Node<'_>) -> Result<Recipe, ManifestError> {
    let table = node.table(&KEYS)?;
    let proof = proof(&table)?;
    let signed = match table.get("signed") {
        None => Template::body(),
        Some(node) => Template::parse(node.raw(1024)?).map_err(|error| node.error(error.to_string()))?,
    };
    let timestamp = timestamp(&table, &signed)?;
    let form = form(&table, timestamp.as_ref())?;
    let has_pairs = matches!(form, Form::Pairs { .. });
    let key_id = table.get("key_id").map(|node| place::read(&node)).transpose()?;
    let fetched = table.get("key").map(|node| fetched(&node)).transpose()?;
    let has_secret = signed.parts().contains(&Part::Secret);
    if fetched.is_some() && !matches!(proof, Proof::Rsa(_)) {
        return Err(table.error("key", "goes with the scheme `rsa`"));
    }
    if has_secret && fetched.is_none() {
        return Err(table.error(
            "signed",
            "has `{secret}` in it: that is for an id, where the key is fetched",
        ));
    }
    if fetched.is_some() && !has_secret && signed != Template::body() {
        let message = "has no `{secret}` in it: the vendor's key signs for all its customers";
        return Err(table.error("signed", message));
    }
    let places = places(&table, node)?;
    if places.len() > 1
        && matches!(timestamp.as_ref().map(|time| &time.place), Some(place) if is_inside(place))
    {
        return Err(table.error("timestamp", "stands in one header: there are several"));
    }
    let recipe = Signed {
        proof,
        encoding: table.need("encoding")?.choice(&ENCODINGS)?,
        places,
        form,
        signed,
        timestamp,
        secret: secret(&table, has_pairs || key_id.is_some())?,
        key_id,
        fetched,
        digest: table.get("digest").map(|node| digest(&node)).transpose()?,
        one_time: table.get("one_time").map(|node| place::read(&node)).transpose()?,
        fixed: table
            .each("fixed", MAX_FIXED)?
            .iter()
            .map(fixed)
            .collect::<Result<_, _>>()?,
    };
    Ok(Recipe::Signed(Box::new(recipe)))
}

fn proof(table: &Table<'_>) -> Result<Proof, ManifestError> {
    let schemes = ["hmac", "ed25519", "ecdsa-p256", "rsa"].map(|name| (name, name));
    let scheme = table.need("scheme")?.choice(&schemes)?;
    let algorithm = || table.need("algorithm");
    Ok(match scheme {
        "hmac" => {
            let mut words = HASHES.map(|(name, hash)| (name, Proof::Hmac(hash))).to_vec();
            words.push(("sha256-keyed", Proof::KeyedSha256));
            algorithm()?.choice(&words)?
        }
        "rsa" => Proof::Rsa(algorithm()?.choice(&[("sha256", RsaHash::Sha256), ("sha1", RsaHash::Sha1)])?),
        other => {
            if let Some(node) = table.get("algorithm") {
                return Err(node.error(format!("does not go with `{other}`, which has one")));
            }
            if other == "ed25519" {
                Proof::Ed25519
            } else {
                Proof::EcdsaP256
            }
        }
    })
}

fn places(table: &Table<'_>, node: &Node<'_>) -> Result<Vec<Place>, ManifestError> {
    let Some(list) = table.get("headers") else {
        let named = ["header", "query", "form", "pointer"]
            .iter()
            .any(|key| table.get(key).is_some());
        if !named {
            return Err(table.error("header", "is missing"));
        }
        return Ok(vec![place::of(table, node)?]);
    };
    if ["header", "query", "form", "pointer"]
        .iter()
        .any(|key| table.get(key).is_some())
    {
        return Err(list.error("does not go with another place"));
    }
    let names = list.some(MAX_HEADERS)?;
    names.iter().map(|node| header(node).map(Place::Header)).collect()
}

fn form(table: &Table<'_>, timestamp: Option<&TimestampSource>) -> Result<Form, ManifestError> {
    let time = timestamp.map(|source| &source.place);
    let without = |keys: &[&str], with: &str| match keys.iter().find_map(|key| table.get(key)) {
        Some(node) => Err(node.error(format!("does not go with `{with}`"))),
        None => Ok(()),
    };
    if let Some(name) = table.get("signature_field") {
        without(&["prefix", "list_separator", "pair_separator"], "signature_field")?;
        let separator = table.get("separator").map_or(Ok(','), |node| character(&node))?;
        return Ok(Form::Fields {
            separator,
            signature: field(&name)?,
        });
    }
    if let Some(node) = table.get("separator") {
        return Err(node.error("goes with `signature_field`; between several values stands `list_separator`"));
    }
    if matches!(time, Some(TimestampPlace::Field(_))) {
        return Err(table.error(
            "signature_field",
            "is missing: the timestamp is a field of the same header",
        ));
    }
    let list = table
        .get("list_separator")
        .map(|node| character(&node))
        .transpose()?;
    if let Some(between) = table.get("pair_separator") {
        without(&["prefix"], "pair_separator")?;
        let between = character(&between)?;
        let separator =
            list.ok_or_else(|| table.error("list_separator", "is missing: it stands between pairs"))?;
        return Ok(Form::Pairs { separator, between });
    }
    if time == Some(&TimestampPlace::First) && list.is_none() {
        return Err(table.error(
            "list_separator",
            "is missing: the timestamp is the first of a list",
        ));
    }
    Ok(Form::Values {
        prefix: table
            .get("prefix")
            .map_or(Ok(String::new()), |node| visible(&node))?,
        separator: list,
    })
}

fn timestamp(table: &Table<'_>, signed: &Template) -> Result<Option<TimestampSource>, ManifestError> {
    let tolerance = table.whole_or("tolerance_s", 300, 1..MAX_TOLERANCE_S)?;
    let Some(node) = table.get("timestamp") else {
        if signed.has_timestamp() {
            return Err(table.error("timestamp", "is missing: `signed` has `{timestamp}` in it"));
        }
        return match table.get("tolerance_s") {
            Some(node) => Err(node.error("needs a `timestamp`")),
            None => Ok(None),
        };
    };
    let mut keys = vec!["field", "first", "unit"];
    keys.extend(place::KEYS);
    let own = node.table(&keys)?;
    let units = [
        ("s", TimestampUnit::Seconds),
        ("ms", TimestampUnit::Millis),
        ("rfc3339", TimestampUnit::Rfc3339),
    ];
    let unit = own
        .get("unit")
        .map_or(Ok(TimestampUnit::Seconds), |node| node.choice(&units))?;
    let others = place::KEYS.iter().filter(|key| own.get(key).is_some()).count();
    let place = match (own.get("field"), own.get("first"), others) {
        (None, None, 1) => TimestampPlace::At(place::of(&own, &node)?),
        (Some(name), None, 0) => TimestampPlace::Field(field(&name)?),
        (None, Some(flag), 0) if flag.flag()? => TimestampPlace::First,
        _ => {
            return Err(node.error(
                "has to have either `header`, `field`, `first = true`, or one of `query`, `form` and `pointer`",
            ));
        }
    };
    // What stands in a signed body is signed with it.
    let is_in_body = matches!(&place, TimestampPlace::At(place) if place.is_in_body());
    let is_signed = signed.has_timestamp() || (is_in_body && signed.parts().contains(&Part::Body));
    if !is_signed {
        return Err(table.error(
            "signed",
            "has no `{timestamp}` in it: an unsigned time proves nothing",
        ));
    }
    Ok(Some(TimestampSource {
        place,
        unit,
        tolerance: Duration::from_secs(tolerance),
    }))
}

fn is_inside(place: &TimestampPlace) -> bool {
    !matches!(place, TimestampPlace::At(_))
}

/// `secret_prefix` and `secret_encoding`.
pub(super) fn secret(table: &Table<'_>, has_id: bool) -> Result<SecretForm, ManifestError> {
    let mut words = vec![("plain", KeyEncoding::Plain), ("sha1", KeyEncoding::Sha1)];
    words.extend(ENCODINGS.map(|(name, encoding)| (name, KeyEncoding::Written(encoding))));
    Ok(SecretForm {
        has_id,
        prefix: table
            .get("secret_prefix")
            .map(|node| visible(&node))
            .transpose()?,
        encoding: table
            .get("secret_encoding")
            .map_or(Ok(KeyEncoding::Plain), |node| node.choice(&words))?,
    })
}

fn fetched(node: &Node<'_>) -> Result<FetchedKey, ManifestError> {
    let table = node.table(&["certificate", "allowed", "names", "url"])?;
    let Some(certificate) = table.get("certificate") else {
        let url = table.need("url")?;
        return address(&url).map(FetchedKey::PublicKey);
    };
    if let Some(url) = table.get("url") {
        return Err(url.error("does not go with `certificate`, whose address the request says"));
    }
    let names = table.need("names")?.some(MAX_FIXED)?;
    let name = |node: &Node<'_>| {
        let text = node.raw(253)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        if text.contains('.') && text.bytes().all(plain) {
            Ok(text.to_owned())
        } else {
            Err(node.error("is not a host's name in lower case"))
        }
    };
    Ok(FetchedKey::Certificate(CertificateSource {
        address: place::read(&certificate)?,
        allowed: patterns(&table.need("allowed")?)?,
        names: names.iter().map(name).collect::<Result<_, _>>()?,
    }))
}

/// A list of patterns of addresses.
pub(super) fn patterns(node: &Node<'_>) -> Result<Vec<AddressPattern>, ManifestError> {
    let texts = node.some(MAX_FIXED)?;
    let pattern =
        |node: &Node<'_>| AddressPattern::parse(node.raw(256)?).map_err(|reason| node.error(reason));
    texts.iter().map(pattern).collect()
}

/// An address that is fixed but for `{kid}` as a segment of its path.
pub(super) fn address(node: &Node<'_>) -> Result<String, ManifestError> {
    let text = node.raw(512)?;
    let plain = AddressPattern::parse(&text.replace("{kid}", "kid"));
    match plain {
        Ok(_) if !text.contains(['*', '?']) && !text.contains("{region}") => Ok(text.to_owned()),
        Ok(_) => Err(node.error("is not one address")),
        Err(reason) => Err(node.error(reason)),
    }
}

fn digest(node: &Node<'_>) -> Result<BodyDigest, ManifestError> {
    let mut keys = vec!["algorithm", "encoding"];
    keys.extend(place::KEYS);
    let table = node.table(&keys)?;
    Ok(BodyDigest {
        place: place::of(&table, node)?,
        algorithm: table.need("algorithm")?.choice(&HASHES)?,
        encoding: table.need("encoding")?.choice(&ENCODINGS)?,
    })
}

fn fixed(node: &Node<'_>) -> Result<(Place, String), ManifestError> {
    let mut keys = vec!["value"];
    keys.extend(place::KEYS);
    let table = node.table(&keys)?;
    Ok((place::of(&table, node)?, visible(&table.need("value")?)?))
}

fn character(node: &Node<'_>) -> Result<char, ManifestError> {
    let mut letters = node.raw(4)?.chars();
    let separator = letters
        .next()
        .filter(|c| (c.is_ascii_punctuation() && *c != '=') || *c == ' ');
    match (separator, letters.next()) {
        (Some(separator), None) => Ok(separator),
        _ => Err(node.error("is not one character: a space or a punctuation mark other than `=`")),
    }
}
