//! IP addresses: public or not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fastn_connectors::http::fuzzing::special_address;

pub(crate) const WORDS: &[&str] =
    &["\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}", "\u{7f}\u{0}\u{0}\u{1}", "\n\u{0}\u{0}\u{1}"];

pub(crate) fn run(bytes: &[u8]) {
    if let Some(octets) = bytes.first_chunk::<4>() {
        let v4 = Ipv4Addr::from(*octets);
        let what = special_address(IpAddr::V4(v4));
        // The standard library's own tables, as far as they go.
        let never = v4.is_private()
            || v4.is_loopback()
            || v4.is_link_local()
            || v4.is_broadcast()
            || v4.is_documentation()
            || v4.is_unspecified()
            || v4.is_multicast();
        assert!(!never || what.is_some(), "{v4} is not public");
        // However it is wrapped, it stays what it is.
        let [a, b, c, d] = *octets;
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        for wrapped in [
            v4.to_ipv6_mapped(),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
        ] {
            assert_eq!(special_address(IpAddr::V6(wrapped)), what, "{wrapped}");
        }
        assert!(special_address(IpAddr::V6(v4.to_ipv6_compatible())).is_some());
    }
    if let Some(octets) = bytes.first_chunk::<16>() {
        let v6 = Ipv6Addr::from(*octets);
        let what = special_address(IpAddr::V6(v6));
        let never = v6.is_loopback()
            || v6.is_unspecified()
            || v6.is_multicast()
            || v6.is_unique_local()
            || v6.is_unicast_link_local();
        assert!(!never || what.is_some(), "{v6} is not public");
        let inner = v6.to_ipv4_mapped().map(|v4| special_address(IpAddr::V4(v4)));
        assert!(inner.is_none_or(|inner| inner == what), "{v6}");
    }
}
