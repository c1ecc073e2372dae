//! The decimal value of a JSON number, from its text: no float ever stands between.

/// Decimal digits on either side of the point that are taken for a number. PostgreSQL's `numeric` holds more (131,072 and
/// 16,383), but eight characters must not become a hundred thousand wherever they are read.
const MAX_DIGITS: i64 = 4096;

/// Sign, digits without zeros at either end, and the power of ten of the last digit. Zero has no digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// Reads a number of JSON (RFC 8259 §6); `None` for anything else and for exponents beyond all use.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, power) = match rest.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if whole.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut exponent = i64::from(power) - i64::try_from(fraction.len()).ok()?;
        while digits.last() == Some(&b'0') {
            digits.pop();
            exponent += 1;
        }
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..zeros);
        if digits.is_empty() {
            return Some(Self {
                negative: false,
                digits,
                exponent: 0,
            });
        }
        Some(Self {
            negative,
            digits,
            exponent,
        })
    }

    /// The value, where it is a whole number of 64 bits.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        if self.digits.is_empty() {
            return Some(0);
        }
        // 2^63 has 19 digits.
        let zeros = usize::try_from(self.exponent).ok().filter(|zeros| *zeros < 20)?;
        if self.digits.len() + zeros > 19 {
            return None;
        }
        let digits = self
            .digits
            .iter()
            .copied()
            .chain(std::iter::repeat_n(b'0', zeros));
        let size = digits.fold(0i128, |size, digit| size * 10 + i128::from(digit - b'0'));
        i64::try_from(if self.negative { -size } else { size }).ok()
    }
}

/// Whether a number of this text is one for `numeric` and for the numbers of `jsonb`.
pub(crate) fn is_holdable(text: &str) -> bool {
    let (mantissa, power) = match text.split_once(['e', 'E']) {
        Some((mantissa, power)) => (mantissa, power.parse::<i64>().ok()),
        None => (text, Some(0)),
    };
    let Some(power) = power.filter(|power| power.abs() <= MAX_DIGITS) else {
        return false;
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX / 2);
    digits(whole) + power <= MAX_DIGITS && digits(fraction) - power <= MAX_DIGITS
}

/// The double that stands for exactly this number: one that is written as it again.
pub(crate) fn as_double(text: &str) -> Option<f64> {
    let double: f64 = text.parse().ok().filter(|double: &f64| double.is_finite())?;
    let written = Decimal::read(&format!("{double:e}"))?;
    (Decimal::read(text)? == written).then_some(double)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(text: &str, expected: Option<i64>) {
        assert_eq!(
            Decimal::read(text).and_then(|read| read.as_i64()),
            expected,
            "{text}"
        );
    }

    #[test]
    fn whole_numbers() {
        whole("0", Some(0));
        whole("-0", Some(0));
        whole("0e999", Some(0));
        whole("-0.00", Some(0));
        whole("1.0", Some(1));
        whole("1e3", Some(1000));
        whole("1200e-2", Some(12));
        whole("9007199254740993", Some(9_007_199_254_740_993));
        whole("9223372036854775807", Some(i64::MAX));
        whole("-9223372036854775808", Some(i64::MIN));
        whole("9223372036854775808", None);
        whole("1e19", None);
        whole("1e400", None);
        whole("1e99999999999", None);
        whole("0.5", None);
        whole("\"1\"", None);
        whole("", None);
        whole("-", None);
    }

    #[test]
    fn what_a_database_can_hold() {
        for good in ["0", "1e400", "-1.5e-300", "123456789012345678901234567890.5"] {
            assert!(is_holdable(good), "{good}");
        }
        for bad in ["1e5000", "1e-5000", "0e99999999999999999999", "1E+99999"] {
            assert!(!is_holdable(bad), "{bad}");
        }
    }

    #[test]
    fn exact_doubles() {
        assert_eq!(as_double("19.99"), Some(19.99));
        assert_eq!(as_double("1e300"), Some(1e300));
        assert_eq!(as_double("9007199254740992"), Some(9_007_199_254_740_992.0));
        assert_eq!(as_double("9007199254740993"), None);
        assert_eq!(as_double("1e400"), None);
        assert_eq!(as_double("0.1000000000000000055511151231257827"), None);
        assert_eq!(as_double("1e-400"), None);
    }

    proptest! {
        #[test]
        fn every_integer_comes_back(number: i64) {
            prop_assert_eq!(Decimal::read(&number.to_string()).and_then(|read| read.as_i64()), Some(number));
        }

        #[test]
        fn every_double_is_exact(number in proptest::num::f64::NORMAL) {
            prop_assert_eq!(as_double(&format!("{number:e}")), Some(number));
        }

        #[test]
        fn nothing_panics(text in "[-+.eE0-9]{0,12}") {
            let _ = Decimal::read(&text).map(|read| read.as_i64());
            let _ = (is_holdable(&text), as_double(&text));
        }
    }
}
