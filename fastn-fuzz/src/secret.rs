//! Whether what is shown of a URL depends on the password in it.

/// The URL with another password of the same length and letters, if it has one where it is certain to be one.
pub(crate) fn with_another_password(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, place) = rest.split_at(end);
    let other = match (authority.split_once('@'), place.split_once('?')) {
        (Some((who, host)), _) if !host.contains('@') && !place.contains('@') => {
            let (user, password) = who.split_once(':')?;
            format!("{user}:{}@{host}{place}", another(password)?)
        }
        (None, Some((place, query))) if !query.contains(['#', '@']) && !place.contains('@') => {
            let pairs: Vec<String> = query.split('&').map(other_pair).collect();
            format!("{authority}{place}?{}", pairs.join("&"))
        }
        _ => return None,
    };
    Some(format!("{scheme}://{other}")).filter(|other| other != url)
}

fn other_pair(pair: &str) -> String {
    let password = ["password=", "pass="].iter().find_map(|name| Some((name, another(pair.strip_prefix(name)?)?)));
    password.map_or_else(|| pair.to_owned(), |(name, other)| format!("{name}{other}"))
}

/// Letters and digits stand for themselves everywhere.
fn another(password: &str) -> Option<String> {
    let plain = !password.is_empty() && password.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then(|| "x".repeat(password.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_told_from_what_is_none() {
        for (url, other) in [
            ("postgres://u:secret@h/d", Some("postgres://u:xxxxxx@h/d")),
            ("redis://:secret1@h", Some("redis://:xxxxxxx@h")),
            ("unix:///a.sock?db=1&pass=secret", Some("unix:///a.sock?db=1&pass=xxxxxx")),
            ("postgres://h/d?password=secret&schema=pass", Some("postgres://h/d?password=xxxxxx&schema=pass")),
            ("postgres://u:x@h/d", None),
            ("postgres://u@h:5432/d", None),
            ("postgres://u:a@b@h/d", None),
            ("postgres://u:%40@h/d", None),
            ("u:secret@h", None),
        ] {
            assert_eq!(with_another_password(url).as_deref(), other, "{url}");
        }
    }
}
