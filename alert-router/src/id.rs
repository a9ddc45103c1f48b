//! Ids as people type them: 32 hex digits.

/// The bytes of an id; `None` if `text` is none.
#[must_use]
pub fn read(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

/// An id as people see it.
#[must_use]
pub fn show(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_thirty_two_hex_digits_and_nothing_else() {
        let id: [u8; 16] = std::array::from_fn(|n| u8::try_from(n * 17).unwrap());
        assert_eq!(read(&show(&id)), Some(id));
        for bad in [
            "",
            "00",
            &"g".repeat(32),
            &"+f".repeat(16),
            &"支".repeat(11),
            &"0".repeat(33),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
