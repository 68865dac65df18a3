//! What was probably meant.

/// The name that looks most like the one that is not there, as advice; `None` if none looks like it.
pub(crate) fn meant<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Longer ones are no names, and the comparison costs the product of both lengths.
    if word.len() > 64 {
        return None;
    }
    let near = |name: &&str| name.len() <= 64;
    let distance = |name: &'a str| (strsim::damerau_levenshtein(word, name), name);
    let (far, name) = names.into_iter().filter(near).take(500).map(distance).min()?;
    (far <= word.chars().count().max(3) / 3).then(|| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_suggested_if_little_is_wrong_with_the_one_that_was_written() {
        let names = ["switch", "transform", "task"];
        let meant = |word| meant(word, names);
        assert_eq!(meant("swtich").as_deref(), Some("did you mean `switch`?"));
        assert_eq!(meant("tranform").as_deref(), Some("did you mean `transform`?"));
        assert_eq!(meant("approve"), None);
        assert_eq!(meant(&"switch".repeat(1_000)), None);
    }
}
