//! Signed text: a title, named values, a key, and an Ed25519 signature (RFC 8032) over all lines before it. There is one way
//! to write a given content, so whatever byte changes, it no longer reads.
//!
//! ```text
//! sluice package signature 1
//! publisher acme
//! …
//! key ed25519:…
//! signature …
//! ```

use data_encoding::BASE64;
use ring::signature::{ED25519, UnparsedPublicKey};

use crate::error::Untrusted;
use crate::{PublicKey, SigningKey};

/// Writes and signs.
pub(crate) fn write(title: &str, fields: &[(&str, String)], key: &SigningKey) -> String {
    let mut text = format!("{title}\n");
    for (name, value) in fields {
        text.push_str(&format!("{name} {value}\n"));
    }
    text.push_str(&format!("key {}\n", key.public()));
    let signature = BASE64.encode(&key.sign(text.as_bytes()));
    text.push_str(&format!("signature {signature}\n"));
    text
}

/// Reads values in the order of their names, and verifies them against the key that is named among them. Whose key it is, is
/// not known here.
pub(crate) fn read<'a, const N: usize>(
    title: &str,
    names: [&str; N],
    text: &'a str,
) -> Result<([&'a str; N], PublicKey), Untrusted> {
    let unreadable = |reason: &str| Untrusted::Unreadable(reason.to_owned());
    let mut rest = text;
    let mut line = |name: &str| -> Result<&'a str, Untrusted> {
        let (line, after) = rest
            .split_once('\n')
            .ok_or_else(|| Untrusted::Unreadable(format!("it ends before `{name}`")))?;
        rest = after;
        Ok(line)
    };
    if line("title")? != title {
        return Err(unreadable("it is of another kind or version"));
    }
    let mut value = |name: &str| -> Result<&'a str, Untrusted> {
        let value = line(name)?
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(' '));
        value
            .filter(|value| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or_else(|| Untrusted::Unreadable(format!("it has no `{name}` where that belongs")))
    };
    let mut values = [""; N];
    for (to, name) in values.iter_mut().zip(names) {
        *to = value(name)?;
    }
    let key: PublicKey = value("key")?
        .parse()
        .map_err(|_| unreadable("its key is not an Ed25519 key"))?;
    let signature = BASE64
        .decode(value("signature")?.as_bytes())
        .map_err(|_| unreadable("its signature is not Base64"))?;
    if !rest.is_empty() {
        return Err(unreadable("something follows it"));
    }
    let signed = text
        .find("\nsignature ")
        .and_then(|at| text.get(..=at))
        .ok_or_else(|| unreadable("it has no signature"))?;
    UnparsedPublicKey::new(&ED25519, key.as_bytes())
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| Untrusted::Forged(key))?;
    Ok((values, key))
}

/// A time in whole seconds, written as numbers are.
pub(crate) fn seconds(name: &str, text: &str) -> Result<sluice_model::Timestamp, Untrusted> {
    let parsed = text
        .parse::<u64>()
        .ok()
        .filter(|seconds| seconds.to_string() == text && *seconds < LATEST_S);
    parsed
        .map(|seconds| sluice_model::Timestamp::from_millis(seconds * 1000))
        .ok_or_else(|| Untrusted::Unreadable(format!("its `{name}` is not a time")))
}

/// The year 9999: no time of day is later.
const LATEST_S: u64 = 253_402_300_800;
