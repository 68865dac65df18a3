//! Bytes that are nearly what a parser expects.

use crate::chance::Chance;

/// Longer than this no input grows.
const LONGEST: usize = 1 << 16;

/// Heads of CBOR items (RFC 8949, section 3) that promise much: long texts and arrays, tags, and what has no end.
const HEADS: [&[u8]; 9] = [
    &[0x9f],
    &[0x5f],
    &[0xff],
    &[0xf6],
    &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x7a, 0xff, 0xff, 0xff, 0xff],
    &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x3b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
];

/// Numbers at the edges of types, as they are written in texts.
const NUMBERS: [&str; 10] =
    ["0", "-1", "1", "4294967295", "4294967296", "18446744073709551615", "1e999", "1.5", "18446744073709", "00"];

/// Changes `bytes` in one to four ways. `others` lends parts, `words` are what the parser knows.
pub fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], words: &[&str], chance: &mut Chance) {
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len() + 1);
        let span = at..(at + 1 + chance.below(16)).min(bytes.len()).max(at);
        match chance.below(12) {
            0 => flip(bytes, at, chance),
            1 => set(bytes, at, chance.next().to_le_bytes()[0]),
            2 => set(bytes, at, [0, 1, 0x7f, 0x80, 0xff, b'"', b'[', b'@'][chance.below(8)]),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(span)),
            5 => {
                let copy = bytes[span].to_vec();
                insert(bytes, at, &copy.repeat(1 + chance.below(4)));
            }
            6 => insert(bytes, at, HEADS[chance.below(HEADS.len())]),
            7 | 8 if !words.is_empty() => insert(bytes, at, words[chance.below(words.len())].as_bytes()),
            9 => number(bytes, at, chance),
            10 => deepen(bytes, at, chance),
            _ => splice(bytes, at, others, chance),
        }
    }
    bytes.truncate(LONGEST);
}

fn flip(bytes: &mut [u8], at: usize, chance: &mut Chance) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << chance.below(8);
    }
}

fn set(bytes: &mut [u8], at: usize, to: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = to;
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, what: &[u8]) {
    drop(bytes.splice(at..at, what.iter().copied()));
}

/// Another number in the place of the next one.
fn number(bytes: &mut Vec<u8>, at: usize, chance: &mut Chance) {
    let Some(first) = bytes[at..].iter().position(u8::is_ascii_digit).map(|more| at + more) else { return };
    let len = bytes[first..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    drop(bytes.splice(first..first + len, NUMBERS[chance.below(NUMBERS.len())].bytes()));
}

/// Brackets, or heads of arrays, one in the other.
fn deepen(bytes: &mut Vec<u8>, at: usize, chance: &mut Chance) {
    let depth = 1 << chance.below(13);
    let open = [b'[', b'{', 0x81, 0x9f, 0xc1][chance.below(5)];
    insert(bytes, at, &vec![open; depth]);
    if open == b'[' && chance.below(2) == 0 {
        insert(bytes, at + depth, &vec![b']'; depth]);
    }
}

/// The end of another input behind the beginning of this one, or a part of it in the middle.
fn splice(bytes: &mut Vec<u8>, at: usize, others: &[Vec<u8>], chance: &mut Chance) {
    let Some(other) = others.get(chance.below(others.len())) else { return };
    let from = chance.below(other.len() + 1);
    if chance.below(2) == 0 {
        bytes.truncate(at);
        bytes.extend_from_slice(&other[from..]);
    } else {
        let to = (from + 1 + chance.below(64)).min(other.len());
        insert(bytes, at, &other[from..to.max(from)]);
    }
}
