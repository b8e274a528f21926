//! What masters write into ZooKeeper.

use prost::Message as _;

use crate::detector::LeadingMaster;
use crate::detector::leader::short;
use crate::error::{Error, ErrorKind, Result};
use crate::proto::{MasterInfo, from_json};

/// Longest content that is read, in bytes: a MasterInfo has a few hundred.
pub(super) const MAX_CONTENT: usize = 64 * 1024;

/// How a master tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `json.info_…`, since Mesos 0.24.
    Json,
    /// `info_…`, before.
    Protobuf,
}

/// The znode of the leading master among the children of the election's: that with the lowest sequence number, whatever
/// its label. `None` if there is no candidate.
///
/// Source: `src/zookeeper/group.cpp` and `src/zookeeper/detector.cpp`, Apache Mesos 1.11.0.
pub(super) fn leader(children: &[String]) -> Option<&str> {
    let candidates = children.iter().filter_map(|name| {
        let number = name.rsplit('_').next()?;
        let digits = number.strip_prefix('-').unwrap_or(number);
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        // ZooKeeper counts in 32 bits, and goes on below zero.
        Some((number.parse::<i32>().ok().filter(|_| is_number)?, name))
    });
    candidates.min().map(|(_, name)| name.as_str())
}

/// The form of a candidate's znode.
///
/// Source: `src/master/detector/zookeeper.cpp`, Apache Mesos 1.11.0.
pub(super) fn form(name: &str) -> Result<Form> {
    match name.rsplit_once('_').map(|(label, _)| label) {
        Some("json.info") => Ok(Form::Json),
        Some("info") => Ok(Form::Protobuf),
        _ => Err(Error::new(
            ErrorKind::Protocol,
            format!("{} is neither json.info_… nor info_…", describe(name)),
        )),
    }
}

/// The master that the content of its znode tells of.
pub(super) fn master(name: &str, content: &[u8], over_https: bool) -> Result<LeadingMaster> {
    let wrong = |error: Box<dyn std::error::Error + Send + Sync>| {
        let context = format!("{} tells of no master", describe(name));
        Error::caused_by(ErrorKind::Protocol, context, error)
    };
    check_length(name, content.len())?;
    let info: MasterInfo = match form(name)? {
        Form::Json => from_json(content).map_err(|error| wrong(error.into()))?,
        Form::Protobuf => MasterInfo::decode(content).map_err(|error| wrong(error.into()))?,
    };
    let leader = match over_https {
        true => LeadingMaster::from_info_over_https(&info),
        false => LeadingMaster::from_info(&info),
    };
    leader.map_err(|error| wrong(error.into()))
}

pub(super) fn check_length(name: &str, length: usize) -> Result<()> {
    match length <= MAX_CONTENT {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Protocol,
            format!("{} holds {length} bytes", describe(name)),
        )),
    }
}

fn describe(name: &str) -> String {
    format!("znode {:?} of the leading master", short(name))
}

#[cfg(test)]
mod tests {
    mod hostile;

    use super::*;

    fn leader_of(children: &[&str]) -> Option<String> {
        let children: Vec<_> = children.iter().map(|name| (*name).to_owned()).collect();
        leader(&children).map(ToOwned::to_owned)
    }

    #[test]
    fn the_lowest_number_of_all_labels_leads() {
        for (children, expected) in [
            (&[][..], None),
            (&["log_replicas", "info", "json.info_", "x_1y"], None),
            (
                &[
                    "json.info_0000000012",
                    "json.info_0000000009",
                    "log_replicas",
                ],
                Some("json.info_0000000009"),
            ),
            (
                &["json.info_0000000003", "info_0000000002"],
                Some("info_0000000002"),
            ),
            (&["0000000001", "json.info_0000000002"], Some("0000000001")),
            (
                &[
                    "json.info_2147483647",
                    "json.info_-2147483648",
                    "json.info_-",
                ],
                Some("json.info_-2147483648"),
            ),
            (&["json.info_2147483648", "json.info_+1"], None),
        ] {
            assert_eq!(leader_of(children).as_deref(), expected);
        }
    }

    #[test]
    fn an_unknown_label_is_an_error() {
        for name in ["0000000001", "xml.info_0000000001"] {
            let error = form(name).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("znode {name:?} of the leading master is neither json.info_… nor info_…")
            );
        }
    }

    #[test]
    fn both_forms_are_read() {
        // As a master of 1.11.0 writes it, with a capability of which this crate may know nothing.
        let json = br#"{"address":{"hostname":"localhost","ip":"127.0.0.1","port":5051},
            "capabilities":[{"type":"AGENT_UPDATE"},{"type":"LATER"}],"hostname":"localhost","id":"b3f0-1",
            "ip":16777343,"pid":"master@127.0.0.1:5051","port":5051,"version":"1.11.0"}"#;
        let expected = LeadingMaster::new("127.0.0.1:5051").unwrap().id("b3f0-1");
        assert_eq!(master("json.info_0", json, false).unwrap(), expected);
        let info = MasterInfo {
            id: "b3f0-1".into(),
            ip: 16_777_343,
            port: 5051,
            ..MasterInfo::default()
        };
        let content = info.encode_to_vec();
        assert_eq!(master("info_0", &content, false).unwrap(), expected);
        let named = master("json.info_0", json, true).unwrap();
        assert_eq!(named.address(), "https://localhost:5051");
    }

    #[test]
    fn malformed_contents_are_errors_that_name_the_znode() {
        let long = vec![b' '; MAX_CONTENT + 1];
        for (name, content, why) in [
            ("json.info_1", &b"{"[..], "tells of no master: EOF while"),
            (
                "json.info_1",
                b"{}",
                "tells of no master: missing required field",
            ),
            ("json.info_1", b"\xff", "tells of no master: "),
            (
                "info_1",
                b"\xff\xff",
                "tells of no master: failed to decode",
            ),
            ("info_1", b"", "tells of no master: master \"\" cannot be"),
            ("info_1", &long, "holds 65537 bytes"),
        ] {
            let error = master(name, content, false).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
            let expected = format!("znode {name:?} of the leading master {why}");
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }
}
