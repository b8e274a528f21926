//! Master strings.

#[cfg(feature = "zookeeper")]
use super::ZooKeeperDetector;
use super::{FixedAddresses, MasterDetector, file};
use crate::error::{Error, ErrorKind, Result};

/// Files that name files are followed so far.
const MAX_FILES: usize = 8;

/// Where to look for a peer.
pub(crate) enum Masters {
    /// In the configuration.
    Fixed(FixedAddresses),
    /// A detector says it.
    Detected(Box<dyn MasterDetector>),
}

impl Masters {
    /// Parses a master string: addresses with commas between, `file:///path`, or `zk://…/path`.
    pub(crate) fn parse(master: &str) -> Result<Self> {
        Self::parse_file(master.trim(), MAX_FILES)
    }

    fn parse_file(master: &str, files: usize) -> Result<Self> {
        if let Some(path) = master.strip_prefix("file://") {
            if files == 0 {
                let context = format!("master {master}: the {MAX_FILES}th file that names a file");
                return Err(Error::new(ErrorKind::Config, context));
            }
            let content = file::read(path)?;
            if content == "local" {
                let context = format!("master {master}: a file cannot say \"local\"");
                return Err(Error::new(ErrorKind::Config, context));
            }
            return Self::parse_file(&content, files - 1).map_err(|error| {
                let context = format!("master {master}");
                Error::caused_by(ErrorKind::Config, context, error)
            });
        }
        if master.starts_with("zk://") {
            return zookeeper(master);
        }
        FixedAddresses::parse(master).map(Self::Fixed)
    }
}

#[cfg(feature = "zookeeper")]
fn zookeeper(master: &str) -> Result<Masters> {
    let detector = ZooKeeperDetector::new(master)?;
    Ok(Masters::Detected(Box::new(detector)))
}

#[cfg(not(feature = "zookeeper"))]
fn zookeeper(_: &str) -> Result<Masters> {
    let context = "master zk://… needs the feature `zookeeper` of mesos-framework";
    Err(Error::new(ErrorKind::Config, context))
}

#[cfg(test)]
mod tests {
    mod hostile;

    use std::path::PathBuf;

    use super::*;

    /// A folder of its own, gone at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("mesos-framework-masters-{}", uuid::Uuid::new_v4());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).unwrap();
            Self(path)
        }

        /// The master string of a file.
        fn write(&self, name: &str, content: &str) -> String {
            std::fs::write(self.0.join(name), content).unwrap();
            self.string_of(name)
        }

        fn string_of(&self, name: &str) -> String {
            format!("file://{}", self.0.join(name).display())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn refusal(master: &str) -> String {
        match Masters::parse(master) {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Config);
                error.to_string()
            }
            Ok(_) => panic!("{master} is taken"),
        }
    }

    #[test]
    fn a_file_holds_any_other_master_string() {
        let folder = Folder::new();
        let list = folder.write("list", " a:1,b:2\n");
        let files = folder.write("files", &list);
        for master in [list, files] {
            let Ok(Masters::Fixed(found)) = Masters::parse(&master) else {
                panic!("{master} is no list");
            };
            let found: Vec<_> = found.addresses().iter().map(ToString::to_string).collect();
            assert_eq!(found, ["a:1", "b:2"]);
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let folder = Folder::new();
        let missing = folder.string_of("missing");
        assert!(refusal(&missing).starts_with(&format!("master {missing}: cannot be read: ")));
        let empty = folder.write("empty", "\n");
        assert_eq!(
            refusal(&empty),
            format!("master {empty}: master string is empty")
        );
        let long = folder.write("long", &"a".repeat(70_000));
        assert_eq!(
            refusal(&long),
            format!("master {long}: more than 65536 bytes")
        );
        let local = folder.write("local", "local");
        assert_eq!(
            refusal(&local),
            format!("master {local}: a file cannot say \"local\"")
        );
        assert_eq!(
            refusal("file://here"),
            "master file://here: expected file:// and an absolute path"
        );
    }

    #[test]
    fn a_file_that_names_itself_is_refused() {
        let folder = Folder::new();
        let own = folder.string_of("own");
        folder.write("own", &own);
        let last = format!("master {own}: the 8th file that names a file");
        assert!(refusal(&own).ends_with(&last));
    }

    /// Also where a file says it.
    fn is_refused_without_being_shown(wrong: &str) {
        let folder = Folder::new();
        for master in [wrong.to_owned(), folder.write("wrong", wrong)] {
            let told = refusal(&master);
            assert!(!told.contains("sec") && !told.contains("ret"), "{told}");
        }
    }

    #[test]
    fn passwords_stay_out_of_what_is_told() {
        for wrong in [
            "http://user:secret@h:5050",
            "user:secret@h:5050",
            "master@user:secret@h:5050",
            "user:sec://ret@h:5050",
            "a:1,http://user:sec,ret@h:5050,b",
            "zk:/user:secret@h:2181/mesos",
            "ZK://user:secret@h:2181/mesos",
        ] {
            is_refused_without_being_shown(wrong);
        }
    }

    /// By the parser of the feature, or by whoever says that it is missing.
    #[test]
    fn passwords_of_zookeeper_stay_out_of_what_is_told() {
        for wrong in [
            "zk://user:secret@h:2181",
            "zk://user:sec@ret@h:2181/",
            "zk://user:sec/ret@h:2181//",
            "zk://user:sec,ret@:2181/mesos",
            "zk://secret@h:2181/mesos",
        ] {
            is_refused_without_being_shown(wrong);
        }
    }
}
