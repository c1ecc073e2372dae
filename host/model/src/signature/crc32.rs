//! CRC-32 as in ISO 3309 (zlib), which PayPal puts into what it signs. It tells errors, not forgeries: whoever can
//! choose a body can choose its checksum, which is why PayPal's events should be fetched again before money moves.

const POLYNOMIAL: u32 = 0xedb8_8320;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                (value >> 1) ^ POLYNOMIAL
            } else {
                value >> 1
            };
            bit += 1;
        }
        #[expect(
            clippy::indexing_slicing,
            reason = "evaluated by the compiler, within the bounds of the loop"
        )]
        {
            table[byte] = value;
        }
        byte += 1;
    }
    table
};

pub(super) fn of(bytes: &[u8]) -> u32 {
    let next = |sum: u32, byte: &u8| {
        let place = usize::from(sum.to_le_bytes()[0] ^ byte);
        (sum >> 8) ^ TABLE.get(place).copied().unwrap_or_default()
    };
    !bytes.iter().fold(u32::MAX, next)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value() {
        assert_eq!(super::of(b"123456789"), 0xcbf4_3926);
        assert_eq!(super::of(b""), 0);
    }
}
