//! How a value shows that it is ours, of this key, and how old it is.
//!
//! A byte for the format, 16 bytes that prove the rest, 8 bytes for the time by Redis's clock at which the store was yet to
//! be asked, in microseconds, and the answer. The proof is a hash under a key that follows from what only the database knows
//! (BLAKE3, keyed), over the name of the value as well: what somebody else puts there, moves there or damages is not ours.

const FORMAT: u8 = 1;

/// How many bytes come before the answer.
const HEAD: usize = 25;

/// A value to be kept.
pub(super) fn seal(secret: &[u8; 32], key: &str, asked_at: i64, answer: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEAD + answer.len());
    value.push(FORMAT);
    value.extend_from_slice(&proof(secret, key, &asked_at.to_be_bytes(), answer));
    value.extend_from_slice(&asked_at.to_be_bytes());
    value.extend_from_slice(answer);
    value
}

/// The time and the answer in a value; `None` if it is not ours.
pub(super) fn open<'v>(secret: &[u8; 32], key: &str, value: &'v [u8]) -> Option<(i64, &'v [u8])> {
    let (&FORMAT, rest) = value.split_first()? else { return None };
    let (found, rest) = rest.split_first_chunk::<16>()?;
    let (asked_at, answer) = rest.split_first_chunk::<8>()?;
    (proof(secret, key, asked_at, answer) == *found).then(|| (i64::from_be_bytes(*asked_at), answer))
}

fn proof(secret: &[u8; 32], key: &str, asked_at: &[u8; 8], answer: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_keyed(secret);
    hasher.update(&(key.len() as u64).to_be_bytes()).update(key.as_bytes()).update(asked_at).update(answer);
    let mut proof = [0; 16];
    hasher.finalize_xof().fill(&mut proof);
    proof
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    #[test]
    fn what_was_sealed_opens_with_its_key_alone() {
        for answer in [&b""[..], b"an answer"] {
            let value = seal(&SECRET, "key", -5, answer);
            assert_eq!(open(&SECRET, "key", &value), Some((-5, answer)));
            assert_eq!(open(&SECRET, "yek", &value), None);
            assert_eq!(open(&[8; 32], "key", &value), None);
        }
    }

    #[test]
    fn no_bit_of_a_value_can_be_changed_and_no_byte_be_missing() {
        let value = seal(&SECRET, "key", 1_700_000_000_000_000, b"an answer");
        for at in 0..value.len() {
            assert_eq!(open(&SECRET, "key", &value[..at]), None, "{at} bytes");
            for bit in 0..8 {
                let mut damaged = value.clone();
                damaged[at] ^= 1 << bit;
                assert_eq!(open(&SECRET, "key", &damaged), None, "bit {bit} of byte {at}");
            }
        }
        let longer = [&value[..], b"x"].concat();
        assert_eq!(open(&SECRET, "key", &longer), None);
    }
}
