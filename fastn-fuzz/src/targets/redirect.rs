//! Where a server's answer leads next.

use fastn_connectors::http::fuzzing::redirect;
use url::Url;

/// The status comes from the first byte, the URL that was asked from the first line, and `Location` from the rest.
pub(crate) fn run(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let status = [301, 302, 303, 307, 308, 300, 304, 200][usize::from(*first & 7)];
    let method = ["GET", "POST", "HEAD", "PUT"][usize::from((*first >> 3) & 3)];
    let mut lines = rest.splitn(2, |byte| *byte == b'\n');
    let asked = lines.next().and_then(|line| std::str::from_utf8(line).ok()).and_then(|text| Url::parse(text).ok());
    let asked = asked.filter(|url| matches!(url.scheme(), "http" | "https"));
    let (Some(asked), Some(location)) = (asked, lines.next()) else { return };
    let Some(Ok(Some(next))) = redirect(method, &asked, status, location) else { return };
    assert!([301, 302, 303, 307, 308].contains(&status));
    assert_eq!((next.url.username(), next.url.password()), ("", None), "credentials of the server's choice");
    assert!(asked.scheme() == "http" || next.url.scheme() == "https", "{asked} to {}", next.url);
    if next.url.origin() != asked.origin() {
        for secret in ["authorization", "cookie", "x-api-key"] {
            assert!(!next.headers.iter().any(|name| name == secret), "{secret} leaves {asked} for {}", next.url);
        }
    }
    let same = next.method == method;
    assert!(same || (next.method == "GET" && !next.has_body), "{method} became {}", next.method);
}
