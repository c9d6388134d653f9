//! Networks whose hosts are trusted.

use std::net::IpAddr;

use super::OptionsError;

/// A set of networks, and perhaps the peers at Unix sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Networks {
    networks: Vec<(IpAddr, u8)>,
    /// Whether peers at Unix sockets are trusted too.
    pub(crate) unix: bool,
}

impl Networks {
    /// Reads networks such as `10.0.0.0/8`, single addresses and `unix`.
    pub(super) fn new(
        option: &'static str,
        texts: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, OptionsError> {
        let mut networks = Self::default();
        for text in texts {
            let text = text.into();
            if text == "unix" {
                networks.unix = true;
                continue;
            }
            let allowed = "an address, a network such as 10.0.0.0/8, or unix";
            let network = parse(&text).ok_or_else(|| OptionsError::text(option, &text, allowed));
            networks.networks.push(network?);
        }
        Ok(networks)
    }

    /// Tells whether the address is in one of the networks.
    #[cfg_attr(
        not(any(feature = "tokio", feature = "blocking")),
        expect(dead_code, reason = "for servers")
    )]
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let mut networks = self.networks.iter();
        networks.any(|(network, length)| is_within(address, *network, *length))
    }
}

/// Reads a network such as `10.0.0.0/8`, or a single address.
pub(super) fn parse(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let Some(length) = length else {
        return Some((address, most));
    };
    let is_number = length.len() <= 3 && length.bytes().all(|octet| octet.is_ascii_digit());
    let length = is_number.then(|| length.parse().ok())??;
    (length <= most).then_some((address, length))
}

/// Tells whether an address has the first bits of a network.
pub(super) fn is_within(address: IpAddr, network: IpAddr, length: u8) -> bool {
    let differing = match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(two)) => (one.to_bits() ^ two.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(two)) => (one.to_bits() ^ two.to_bits()).leading_zeros(),
        _ => return false,
    };
    differing >= u32::from(length)
}

#[cfg(test)]
mod tests {
    use super::Networks;

    #[test]
    fn networks_contain_what_has_their_prefix() {
        for (network, ip, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.0", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("::1", "::1", true),
            ("::/0", "::1", true),
        ] {
            let networks = Networks::new("test", [network]).unwrap();
            let found = networks.contain(ip.parse().unwrap());
            assert_eq!(found, expected, "{network} {ip}");
        }
        for bad in [
            "",
            "x",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0/8",
        ] {
            assert!(Networks::new("test", [bad]).is_err(), "{bad}");
        }
        let unix = Networks::new("test", ["unix"]).unwrap();
        assert!(unix.unix && !unix.contain("127.0.0.1".parse().unwrap()));
    }
}
