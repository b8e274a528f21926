//! Addresses written down in the configuration.

use crate::address::{Address, has_credentials, redacted};
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
        if has_credentials(master) {
            let context = format!(
                "master string {:?}: credentials do not belong here, but into the driver's builder",
                redacted(master)
            );
            return Err(Error::new(ErrorKind::Config, context));
        }
        let addresses: Result<Vec<_>> = master
            .split(',')
            .map(|part| Address::parse(part.trim()))
            .collect();
        let addresses = addresses.map_err(|error| {
            Error::caused_by(
                ErrorKind::Config,
                format!("master string {:?}", redacted(master)),
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

    /// Where to try now.
    pub(crate) fn candidate(&self) -> Address {
        self.addresses[self.current].clone()
    }

    /// The candidate did not work: go on to the next. True when all were tried once, and a wait is due.
    pub(crate) fn failed(&mut self) -> bool {
        self.current = (self.current + 1) % self.addresses.len();
        self.failures = (self.failures + 1) % self.addresses.len();
        self.failures == 0
    }

    /// The candidate worked: a new round begins with it.
    pub(crate) fn worked(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown_wherever_it_stands() {
        for master in [
            "master@user:secret@h:5050",
            "master@h:5050,master@user:secret@h:5050",
            "user:sec://ret@h:5050",
            "user:secret@h:5050,http://h",
        ] {
            let error = FixedAddresses::parse(master).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            let text = error.to_string();
            assert!(!text.contains("sec") && !text.contains("ret@"), "{text}");
        }
    }

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
    fn a_password_makes_any_string_one_that_is_refused_and_not_shown() {
        for (text, shown) in [
            ("master@user:secret@h:5050", "…@h:5050"),
            ("a:1,user:secret@h:5050", "…@h:5050"),
            ("a:1,http://user:sec,ret@h:5050,b", "…@h:5050,b"),
            ("user:sec://ret@h", "…@h"),
            ("http://user/sec:ret@h:5050", "http://…@h:5050"),
        ] {
            let expected = format!(
                "master string {shown:?}: credentials do not belong here, but into the driver's builder"
            );
            let error = FixedAddresses::parse(text).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let list = FixedAddresses::parse("master@a:1, master@b:2").unwrap();
        assert_eq!(list.addresses().len(), 2);
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
        ] {
            let error = FixedAddresses::parse(text).unwrap_err();
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (ErrorKind::Config, why)
            );
        }
    }
}
