//! Bodies that are forms (`application/x-www-form-urlencoded`, WHATWG URL Standard), as interactions and slash commands have them.

use std::collections::BTreeMap;

use sluice_sdk::{Error, Receipt};

/// The fields by their names. A name that is there twice is refused: which of the two others went by can't be told.
pub(crate) fn fields(receipt: &Receipt) -> Result<BTreeMap<String, String>, Error> {
    let mut fields = BTreeMap::new();
    for pair in receipt.body.split(|byte| *byte == b'&') {
        if pair.is_empty() {
            continue;
        }
        let cut = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = match cut {
            Some(at) => (pair.get(..at), pair.get(at + 1..)),
            None => (Some(pair), None),
        };
        let name = plain(name.unwrap_or_default())?;
        let value = plain(value.unwrap_or_default())?;
        if fields.insert(name, value).is_some() {
            return Err(Error::invalid_data("the form has a field twice"));
        }
    }
    Ok(fields)
}

/// `a+b%21` is `a b!`.
fn plain(text: &[u8]) -> Result<String, Error> {
    let mut found = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        found.push(match byte {
            b'+' => b' ',
            b'%' => match (bytes.next().and_then(digit), bytes.next().and_then(digit)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(Error::invalid_data("the form has a `%` without two digits")),
            },
            other => other,
        });
    }
    String::from_utf8(found).map_err(|error| Error::invalid_data(format!("the form is not UTF-8: {error}")))
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_sdk::testing::receipt;

    #[test]
    fn a_form_is_read() {
        let read =
            |body: &str| fields(&receipt(&[], body)).map(|found| found.into_iter().collect::<Vec<_>>());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read("text=T%C3%BCr+%2B+1&&command=%2Fdoor&channel=&flag&a%3db=c=d").unwrap(),
            [
                pair("a=b", "c=d"),
                pair("channel", ""),
                pair("command", "/door"),
                pair("flag", ""),
                pair("text", "Tür + 1"),
            ]
        );
        assert!(read("").unwrap().is_empty());
        for bad in ["a=%", "a=%4", "a=%zz", "a=%+1", "a=%ff", "a=1&a=2", "a=1&%61=2"] {
            assert!(matches!(read(bad), Err(Error::InvalidData(_))), "{bad}");
        }
    }
}
