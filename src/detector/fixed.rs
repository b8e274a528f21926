//! Addresses written down in the configuration.

use super::Detector;
use crate::address::Address;
use crate::error::{Error, ErrorKind, Result};

/// One address or several, tried one after another.
#[derive(Clone, Debug)]
pub(crate) struct FixedAddresses {
    /// Never empty.
    addresses: Vec<Address>,
    current: usize,
    failures: usize,
}

impl FixedAddresses {
    pub(crate) fn one(address: Address) -> Self {
        Self {
            addresses: vec![address],
            current: 0,
            failures: 0,
        }
    }

    /// Parses a master string: one address, or several with commas between.
    pub(crate) fn parse(master: &str) -> Result<Self> {
        if master.trim().is_empty() {
            return Err(Error::new(ErrorKind::Config, "master string is empty"));
        }
        for (scheme, hint) in [
            ("zk://", "ZooKeeper detection"),
            ("file://", "a master named by a file"),
        ] {
            if master.trim_start().starts_with(scheme) {
                let context = format!("master {scheme}…: {hint} is not supported by this version");
                return Err(Error::new(ErrorKind::Config, context));
            }
        }
        let addresses: Result<Vec<_>> = master
            .split(',')
            .map(|part| Address::parse(part.trim()))
            .collect();
        let addresses = addresses.map_err(|error| {
            Error::caused_by(
                ErrorKind::Config,
                format!("master string {master:?}"),
                error,
            )
        })?;
        Ok(Self {
            addresses,
            current: 0,
            failures: 0,
        })
    }

    pub(crate) fn addresses(&self) -> &[Address] {
        &self.addresses
    }
}

impl Detector for FixedAddresses {
    fn candidate(&self) -> Address {
        self.addresses[self.current].clone()
    }

    fn failed(&mut self) -> bool {
        self.current = (self.current + 1) % self.addresses.len();
        self.failures = (self.failures + 1) % self.addresses.len();
        self.failures == 0
    }

    fn worked(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_gone_through_before_waiting() {
        let mut list = FixedAddresses::parse("a:1, b:2,http://c").unwrap();
        let mut tried = Vec::new();
        for _ in 0..4 {
            tried.push((list.candidate().to_string(), list.failed()));
        }
        let expected = [
            ("a:1", false),
            ("b:2", false),
            ("c:5050", true),
            ("a:1", false),
        ];
        assert_eq!(
            tried,
            expected.map(|(address, wait)| (address.to_owned(), wait))
        );
    }

    #[test]
    fn nonsense_names_the_part_that_is_wrong() {
        for (text, why) in [
            ("", "master string is empty"),
            (
                "a:1,b",
                "master string \"a:1,b\": address \"b\": expected host:port",
            ),
            (
                "a:1,,b:2",
                "master string \"a:1,,b:2\": address \"\": expected host:port",
            ),
            (
                "zk://me:secret@h:2181/mesos",
                "master zk://…: ZooKeeper detection is not supported by this version",
            ),
        ] {
            let error = FixedAddresses::parse(text).unwrap_err();
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (ErrorKind::Config, why)
            );
        }
    }
}
