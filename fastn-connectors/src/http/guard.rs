//! The guard against server-side request forgery: who may be asked.
//!
//! A name is resolved once, here, and the connection goes to the very addresses that were checked: a name that
//! changes its address between check and use (DNS rebinding) changes nothing. Addresses written in a URL never reach
//! a resolver, so they are checked with the URL.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use fastn_core::{BoxError, BoxFuture};
use ipnet::IpNet;
use reqwest::dns;
use url::{Host, Url};

use crate::http::address::{Special, embedded, special};

/// How names become addresses, for hosts with a resolver of their own.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of a host name.
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the operating system.
pub(super) struct System;

impl Resolve for System {
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|found| found.ip()).collect()) })
    }
}

/// Who may be asked, apart from public addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    /// In lower case, without the dot of the root.
    hosts: Vec<String>,
    networks: Vec<IpNet>,
    local: bool,
}

impl Guard {
    /// Allows a network, an address, or a host name with whatever addresses it has; `None` if the text is none of them.
    pub(super) fn allow(&mut self, target: &str) -> Option<()> {
        if let Ok(network) = target.parse::<IpNet>() {
            self.networks.push(network);
        } else if let Ok(address) = target.parse::<IpAddr>() {
            self.networks.push(IpNet::from(address));
        } else {
            match Host::parse(target).ok()? {
                Host::Ipv4(address) => self.networks.push(IpNet::from(IpAddr::V4(address))),
                Host::Ipv6(address) => self.networks.push(IpNet::from(IpAddr::V6(address))),
                Host::Domain(name) => self.hosts.push(canonical(&name)),
            }
        }
        Some(())
    }

    /// Allows ordinary local networks.
    pub(super) fn allow_local(&mut self) {
        self.local = true;
    }

    /// Checks what a URL itself tells: its scheme, and its address if it has no name.
    pub(super) fn check_url(&self, url: &Url) -> Result<(), Forbidden> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Forbidden(format!("{} is neither http nor https", url.scheme())));
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.check_address(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.check_address(IpAddr::V6(address)),
            Some(Host::Domain(_)) => Ok(()),
            None => Err(Forbidden("a URL without a host".to_owned())),
        }
    }

    /// Checks all addresses of a name. One that is refused refuses them all: which one is used is not ours to say.
    fn check_name(&self, name: &str, addresses: &[IpAddr]) -> Result<(), Forbidden> {
        if self.hosts.contains(&canonical(name)) {
            return Ok(());
        }
        addresses.iter().try_for_each(|address| {
            self.check_address(*address).map_err(|Forbidden(why)| Forbidden(format!("{name} is at {why}")))
        })
    }

    fn check_address(&self, address: IpAddr) -> Result<(), Forbidden> {
        let Some(what) = special(address) else { return Ok(()) };
        if (self.local && Special::is_local(what)) || self.networks.iter().any(|network| contains(network, address)) {
            return Ok(());
        }
        Err(Forbidden(format!("{address}, {what}")))
    }
}

/// Whether the network holds the address or the IPv4 address in it.
fn contains(network: &IpNet, address: IpAddr) -> bool {
    let inner = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => embedded(v6).map(IpAddr::V4),
    };
    network.contains(&address) || inner.is_some_and(|inner| network.contains(&inner))
}

fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// A target the guard refused, and why.
#[derive(Debug)]
pub(super) struct Forbidden(pub(super) String);

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Forbidden {}

/// The resolver under the HTTP client: what it gives was checked, and the client connects to nothing else.
pub(super) struct Checked {
    pub(super) guard: Guard,
    pub(super) resolver: Arc<dyn Resolve>,
}

impl dns::Resolve for Checked {
    fn resolve(&self, name: dns::Name) -> dns::Resolving {
        let found = self.resolver.resolve(name.as_str());
        let guard = self.guard.clone();
        Box::pin(async move {
            let addresses = found.await?;
            guard.check_name(name.as_str(), &addresses).map_err(|forbidden| Box::new(forbidden) as BoxError)?;
            // Port 0 stands for the URL's.
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as dns::Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(guard: &Guard, url: &str) -> bool {
        guard.check_url(&url.parse().expect("the table holds URLs")).is_ok()
    }

    #[test]
    fn addresses_in_urls_are_checked_however_they_are_written() {
        let guard = Guard::default();
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1./",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://0x7f.0.0.1/",
            "http://%31%32%37.0.0.1/",
            "http://①②⑦.0.0.1/",
            "http://0/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[0:0:0:0:0:ffff:7f00:1]:8080/",
            "https://169.254.169.254/latest/meta-data/",
            "http://[fd00:ec2::254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "ftp://1.1.1.1/",
            "file:///etc/passwd",
            "data:text/plain,x",
        ] {
            assert!(!passes(&guard, url), "{url}");
        }
        for url in ["http://1.1.1.1/", "https://[2606:4700::1111]/", "http://16843009/", "https://example.com/"] {
            assert!(passes(&guard, url), "{url}");
        }
    }

    #[test]
    fn one_refused_address_refuses_the_name() {
        let guard = Guard::default();
        let addresses =
            |texts: &[&str]| -> Vec<IpAddr> { texts.iter().map(|t| t.parse().expect("an address")).collect() };
        assert!(guard.check_name("a.test", &addresses(&["1.1.1.1", "2606:4700::1111"])).is_ok());
        assert!(guard.check_name("a.test", &addresses(&["1.1.1.1", "10.0.0.1"])).is_err());
        assert!(guard.check_name("a.test", &addresses(&["::ffff:10.0.0.1", "1.1.1.1"])).is_err());
    }

    #[test]
    fn what_is_allowed_passes_and_no_more() {
        let mut guard = Guard::default();
        for target in ["10.1.0.0/16", "127.0.0.1", "Bücher.Internal."] {
            assert!(guard.allow(target).is_some(), "{target}");
        }
        assert!(guard.allow("no host").is_none());
        assert!(passes(&guard, "http://10.1.2.3/") && passes(&guard, "http://[::ffff:10.1.2.3]/"));
        assert!(!passes(&guard, "http://10.2.0.1/") && !passes(&guard, "http://127.0.0.2/"));
        let inside = ["192.168.0.1".parse().expect("an address")];
        assert!(guard.check_name("xn--bcher-kva.internal", &inside).is_ok());
        assert!(guard.check_name("sub.xn--bcher-kva.internal", &inside).is_err());
    }

    #[test]
    fn local_networks_do_not_include_metadata() {
        let mut guard = Guard::default();
        guard.allow_local();
        assert!(passes(&guard, "http://192.168.1.1/") && passes(&guard, "http://[::1]/"));
        for url in
            ["http://169.254.169.254/", "http://[fd00:ec2::254]/", "http://100.100.100.200/", "http://224.0.0.1/"]
        {
            assert!(!passes(&guard, url), "{url}");
        }
    }
}
