//! Who is at the other end: the address that limits and logs go by.

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderMap;
use ipnet::IpNet;

/// The header in which proxies name the hops of a request, the nearest last.
pub const FORWARDED_FOR: &str = "x-forwarded-for";

/// The far end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address, or that of the first hop that nobody vouches for.
    pub address: IpAddr,
    /// Whether a trusted proxy stands between, whose word on scheme and host is believed.
    pub vouched: bool,
}

impl Client {
    /// Finds the client of a request that `peer` sent.
    ///
    /// Only a trusted peer may name another address, and the hops are read from the nearest one outwards: what lies
    /// beyond the first hop that is not trusted was written by that hop and proves nothing.
    pub fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let peer = peer.to_canonical();
        let mut client = Self {
            address: peer,
            vouched: contains(trusted, peer),
        };
        if !client.vouched {
            return client;
        }
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        for hop in hops {
            let Some(address) = parse(hop.trim()) else {
                break;
            };
            client.address = address;
            if !contains(trusted, address) {
                break;
            }
        }
        client
    }

    /// What the client is counted under: its address, or its /64 network where it has IPv6, since whoever has one
    /// such address has all of that network.
    pub fn key(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(_) => self.address,
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        }
    }

    /// Whether the client is in one of the networks.
    pub fn is_in(&self, networks: &[IpNet]) -> bool {
        contains(networks, self.address)
    }
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// An address as proxies write it: bare, or with a port.
fn parse(hop: &str) -> Option<IpAddr> {
    let parsed = hop.parse::<IpAddr>().or_else(|_| {
        hop.parse::<std::net::SocketAddr>()
            .map(|socket| socket.ip())
    });
    parsed
        .or_else(|_| hop.trim_start_matches('[').trim_end_matches(']').parse())
        .ok()
        .map(|address| address.to_canonical())
}
