//! The target of a request, and what a host allows beside public addresses.

use std::net::IpAddr;

use fastn_connectors::http::fuzzing::{allowed, special_address};
use url::{Host, Url};

pub(crate) const WORDS: &[&str] = &[
    "http://",
    "https://",
    "file://",
    "//",
    "@",
    ":",
    "[",
    "]",
    "%",
    "127.0.0.1",
    "0x7f",
    "017700000001",
    "2130706433",
    "::1",
    "::ffff:",
    "169.254.169.254",
    "localhost",
    "。",
    "①",
    "\u{ad}",
    "/16",
    "\\",
    "\t",
    "xn--",
    ".",
    "64:ff9b::",
];

/// The first line is a target that the host allows, the rest is a URL.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (allow, text) = text.split_once('\n').unwrap_or(("", text));
    let Some(plain) = allowed(None, false, text) else {
        assert!(Url::parse(text).is_err());
        return;
    };
    let url = Url::parse(text).expect("the guard could read it");
    let host = url.host().map(|host| match host {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
        Host::Domain(_) => None,
    });
    let public = host.flatten().is_none_or(|address| special_address(address).is_none());
    assert_eq!(plain, matches!(url.scheme(), "http" | "https") && host.is_some() && public, "{text:?}");
    // Neither writing it again nor another case changes the verdict.
    assert_eq!(allowed(None, false, url.as_str()), Some(plain), "{url}");
    // A name of an address is an address to whoever connects: the client must not be given one as a name.
    if let Some(Host::Domain(name)) = url.host() {
        assert!(name.parse::<IpAddr>().is_err() || !matches!(url.scheme(), "http" | "https"), "{url}");
    }
    for local in [false, true] {
        if let Some(wider) = allowed(Some(allow), local, text) {
            assert!(wider || !plain, "to allow {allow:?} forbids {text:?}");
        }
    }
}
