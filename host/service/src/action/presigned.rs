//! Presigned addresses in an action's answer: the one place where a secret leaves the server, and only for whoever ran
//! an action whose manifest says so.
//!
//! What must always hold: only the placeholders that this very call made for presigned addresses are replaced; every
//! other placeholder stays the random text that it is. The answer with the addresses in it is handed to the caller and to
//! nobody else: it is neither kept nor logged nor checked against a schema, whose complaint might quote it.

use serde_json::Value;
use sluice_model::secret::Secret;

/// Addresses in one answer; each takes up to 8 KiB in the place of a short text.
const MAX_PLACED: usize = 64;

/// Why an answer is not given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "the connector's answer has a presigned address in it, which its manifest does not say of this action"
    )]
    Undeclared,
    #[error("the connector's answer has more than {MAX_PLACED} presigned addresses in it")]
    TooMany,
}

/// Puts the addresses in the place of their placeholders in all texts of the answer; names of members are left alone.
///
/// # Errors
///
/// If there is one, and the action does not declare it; or there are too many.
pub(super) fn place(
    output: &mut Value,
    addresses: &[(String, Secret)],
    declared: bool,
) -> Result<(), Refusal> {
    if addresses.is_empty() {
        return Ok(());
    }
    let mut left = MAX_PLACED;
    walk(output, &mut |text| {
        for (placeholder, address) in addresses {
            let found = text.matches(placeholder.as_str()).count();
            if found == 0 {
                continue;
            }
            if !declared {
                return Err(Refusal::Undeclared);
            }
            left = left.checked_sub(found).ok_or(Refusal::TooMany)?;
            *text = text.replace(placeholder, &String::from_utf8_lossy(address.expose()));
        }
        Ok(())
    })
}

/// All texts of a value. Its depth is what `serde_json` reads at most.
fn walk(
    value: &mut Value,
    visit: &mut impl FnMut(&mut String) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    match value {
        Value::String(text) => visit(text),
        Value::Array(values) => values.iter_mut().try_for_each(|value| walk(value, visit)),
        Value::Object(members) => members.values_mut().try_for_each(|value| walk(value, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ADDRESS: &str = "https://b.example/k?X-Amz-Signature=0123";

    fn check(mut output: Value, declared: bool, expected: Result<Value, Refusal>) {
        let addresses = [
            ("sluice-placeholder-a".to_owned(), Secret::new(ADDRESS.into())),
            (
                "sluice-placeholder-b".to_owned(),
                Secret::new(b"https://other.example/".to_vec()),
            ),
        ];
        let placed = place(&mut output, &addresses, declared);
        assert_eq!(placed.map(|()| output), expected);
    }

    #[test]
    fn only_what_the_call_made_is_replaced() {
        check(
            json!({
                "url": "sluice-placeholder-a",
                "all": ["<sluice-placeholder-b>", 1, null, {"deep": "sluice-placeholder-a"}],
                "sluice-placeholder-a": "sluice-placeholder-c",
            }),
            true,
            Ok(json!({
                "url": ADDRESS,
                "all": ["<https://other.example/>", 1, null, {"deep": ADDRESS}],
                "sluice-placeholder-a": "sluice-placeholder-c",
            })),
        );
    }

    #[test]
    fn what_is_not_declared_is_refused_and_nothing_else_is() {
        check(
            json!({"url": "sluice-placeholder-a"}),
            false,
            Err(Refusal::Undeclared),
        );
        check(json!({"url": "none"}), false, Ok(json!({"url": "none"})));
    }

    #[test]
    fn an_answer_does_not_grow_without_end() {
        let text = "sluice-placeholder-a".repeat(MAX_PLACED);
        check(json!([text]), true, Ok(json!([ADDRESS.repeat(MAX_PLACED)])));
        check(json!([text, "sluice-placeholder-b"]), true, Err(Refusal::TooMany));
    }
}
