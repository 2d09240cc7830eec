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
        // An address of version 4 in the clothes of version 6 is the same address.
        match (self.address.to_canonical(), address.map(|address| address.to_canonical())) {
            (IpAddr::V4(network), Some(IpAddr::V4(address))) => {
                let bits = if self.address.is_ipv4() { self.bits } else { self.bits.saturating_sub(96) };
                same_bits(u128::from(network.to_bits()) << 96, u128::from(address.to_bits()) << 96, bits)
            }
            (IpAddr::V6(network), Some(IpAddr::V6(address))) => same_bits(network.to_bits(), address.to_bits(), self.bits),
            _ => false,
        }
    }
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
}
