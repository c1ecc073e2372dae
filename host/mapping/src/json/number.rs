//! Numbers as they are written, compared by value without ever becoming a float.

use std::cmp::Ordering;

/// Whether a text is a JSON number (RFC 8259 §6).
pub(crate) fn is_number(text: &str) -> bool {
    super::kind(text) == super::Kind::Number && super::check(text) == Ok(text)
}

/// Whether a JSON number is written as an integer.
pub(crate) fn is_integer(number: &str) -> bool {
    !number.contains(['.', 'e', 'E'])
}

/// The order of two JSON numbers, exact for any count of digits. `-0` equals `0`.
pub(crate) fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (Decimal::of(left), Decimal::of(right));
    match (left.sign(), right.sign()) {
        (1, 1) => left.magnitude(&right),
        (-1, -1) => right.magnitude(&left),
        (left, right) => left.cmp(&right),
    }
}

/// `0.DIGITS × 10^point`; no digits is zero.
struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    point: i64,
}

impl<'a> Decimal<'a> {
    fn of(text: &'a str) -> Self {
        let negative = text.starts_with('-');
        let text = text.trim_start_matches('-');
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        // An exponent of more digits than an i64 has is beyond any other; which way is all that matters.
        let exponent: i64 =
            exponent
                .trim_start_matches('+')
                .parse()
                .unwrap_or(if exponent.starts_with('-') {
                    i64::MIN / 4
                } else {
                    i64::MAX / 4
                });
        let exponent = exponent.clamp(i64::MIN / 4, i64::MAX / 4);
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX / 4);
        if whole.is_empty() {
            let digits = fraction.trim_start_matches('0');
            let point = exponent - length(fraction) + length(digits);
            return Self {
                negative,
                whole: "",
                fraction: digits,
                point,
            };
        }
        Self {
            negative,
            whole,
            fraction,
            point: exponent + length(whole),
        }
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.bytes().chain(self.fraction.bytes())
    }

    fn sign(&self) -> i8 {
        match (self.digits().all(|digit| digit == b'0'), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        let longest = (self.whole.len() + self.fraction.len()).max(other.whole.len() + other.fraction.len());
        let left = self.digits().chain(std::iter::repeat(b'0')).take(longest);
        let right = other.digits().chain(std::iter::repeat(b'0')).take(longest);
        self.point.cmp(&other.point).then_with(|| left.cmp(right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value() {
        for (left, right, expected) in [
            ("1", "1.0", Ordering::Equal),
            ("1.10", "1.1", Ordering::Equal),
            ("-0", "0.0e7", Ordering::Equal),
            ("100", "1e2", Ordering::Equal),
            ("0.001", "1e-3", Ordering::Equal),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("-5", "3", Ordering::Less),
            ("-5", "-3", Ordering::Less),
            ("1e400", "9e399", Ordering::Greater),
            ("1e99999999999999999999", "1e400", Ordering::Greater),
            ("1e-99999999999999999999", "1e-400", Ordering::Less),
            ("10", "9", Ordering::Greater),
            ("0.05", "0.5", Ordering::Less),
        ] {
            assert_eq!(compare(left, right), expected, "{left} {right}");
            assert_eq!(compare(right, left), expected.reverse(), "{right} {left}");
        }
    }
}
