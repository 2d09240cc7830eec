//! Networks from which something may be used: an address, or the first bits of one, as in `10.0.0.0/8`.

use super::{Code, Error, Result};
use core::net::{IpAddr, SocketAddr};
use std::fmt;

/// A network: all addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    address: IpAddr,
    bits: u8,
}

impl Cidr {
    /// Reads `ADDRESS/BITS`, or an address alone.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let bad = || Error::new(Code::InvalidData, "a network is an address, or an address and a number of bits, such as \"10.0.0.0/8\"");
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|digit| digit.is_ascii_digit()) => bits.parse().map_err(|_| bad())?,
            Some(_) => return Err(bad()),
        };
        if bits > most { Err(bad()) } else { Ok(Cidr { address, bits }) }
    }

    /// Whether an address, as a host writes it, with a port or without, lies in the network. What is no address lies in none.
    pub(crate) fn holds(&self, remote: &str) -> bool {
        let address = remote.parse::<IpAddr>().ok().or_else(|| remote.parse::<SocketAddr>().ok().map(|remote| remote.ip()));
        address.is_some_and(|address| self.includes(&Cidr { address, bits: if address.is_ipv4() { 32 } else { 128 } }))
    }

    /// What lies in both: one of the two, or nothing.
    pub(crate) fn common_with(self, other: Self) -> Option<Self> {
        if self.includes(&other) {
            return Some(other);
        }
        other.includes(&self).then_some(self)
    }

    fn includes(&self, other: &Self) -> bool {
        let ((is_v4, first, bits), (other_is_v4, other_first, other_bits)) = (self.beginning(), other.beginning());
        is_v4 == other_is_v4 && bits <= other_bits && same_bits(first, other_first, bits)
    }

    /// Whether the network is one of version 4, and how many first bits its addresses share. An address of version 4 in the clothes of version 6
    /// is the same address.
    fn beginning(&self) -> (bool, u128, u8) {
        match self.address.to_canonical() {
            IpAddr::V4(address) => {
                let bits = if self.address.is_ipv4() { self.bits } else { self.bits.saturating_sub(96) };
                (true, u128::from(address.to_bits()) << 96, bits)
            }
            IpAddr::V6(address) => (false, address.to_bits(), self.bits),
        }
    }
}

/// The networks whose addresses lie in one of each of both lists, each in its one spelling and in none of the others; `None` where there are none.
/// An empty list is one that bounds nothing.
pub(crate) fn common(one: &[String], other: &[String]) -> Result<Option<Vec<String>>> {
    if one.is_empty() || other.is_empty() {
        return Ok(Some([one, other].concat()));
    }
    let parse = |networks: &[String]| networks.iter().map(|network| Cidr::parse(network)).collect::<Result<Vec<_>>>();
    let (one, other) = (parse(one)?, parse(other)?);
    let mut common: Vec<Cidr> = Vec::new();
    for shared in one.iter().flat_map(|network| other.iter().filter_map(|other| network.common_with(*other))) {
        if !common.iter().any(|network| network.includes(&shared)) {
            common.retain(|network| !shared.includes(network));
            common.push(shared);
        }
    }
    Ok((!common.is_empty()).then(|| common.iter().map(Cidr::to_string).collect()))
}

fn same_bits(one: u128, other: u128, bits: u8) -> bool {
    // A shift by all bits is none of the language's.
    let different = (one ^ other).checked_shr(128 - u32::from(bits)).unwrap_or_default();
    different == 0
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_lies_in_the_networks_whose_bits_it_begins_with() {
        for (network, remote, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.1.2.3", "10.1.2.3:4711", true),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "[2001:db8:1::1]:80", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("::ffff:10.0.0.0/104", "10.1.1.1", true),
            ("10.0.0.0/8", "", false),
            ("10.0.0.0/8", "localhost", false),
        ] {
            assert_eq!(Cidr::parse(network).expect(network).holds(remote), expected, "{network} {remote}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "::/129", "10.0.0.0/8/8", "example.org", "10.0.0.0/-1"] {
            assert_eq!(Cidr::parse(text).expect_err(text).code(), Code::InvalidData);
        }
    }

    #[test]
    fn two_bonds_hold_together() {
        let texts = |networks: &[&str]| networks.iter().map(|network| (*network).to_owned()).collect::<Vec<_>>();
        for (one, other, expected) in [
            (&[][..], &[][..], Some(&[][..])),
            (&["10.0.0.0/8"], &[], Some(&["10.0.0.0/8"])),
            (&[], &["10.0.0.0/8"], Some(&["10.0.0.0/8"])),
            (&["10.0.0.0/8"], &["10.1.0.0/16", "192.168.0.0/16"], Some(&["10.1.0.0/16"])),
            (&["10.1.0.0/16", "10.1.2.0/24"], &["0.0.0.0/0"], Some(&["10.1.0.0/16"])),
            (&["10.1.2.3/32", "10.0.0.0/8"], &["10.0.0.0/9", "::/0"], Some(&["10.0.0.0/9"])),
            (&["::ffff:10.0.0.0/104"], &["10.1.0.0/16"], Some(&["10.1.0.0/16"])),
            (&["2001:db8::/32"], &["2001:db8:1::/48"], Some(&["2001:db8:1::/48"])),
            (&["10.0.0.0/8"], &["11.0.0.0/8"], None),
            (&["10.0.0.0/8"], &["2001:db8::/32"], None),
        ] {
            let found = common(&texts(one), &texts(other)).expect("networks");
            assert_eq!(found, expected.map(texts), "{one:?} {other:?}");
        }
    }
}
