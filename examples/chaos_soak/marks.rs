//! The folder in which executors leave their marks: a file for each task that began, and for each executor that met faults.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesos_framework::proto::TaskId;

use crate::proxy::Left;

/// What a mark's name ends with, if a task began a second time.
const TWICE: &str = ".twice";

/// What the name of an executor's report begins with; no task's does.
const REPORT: &str = "executor-";

/// Is there when the faults are over.
const CALM: &str = "calm";

/// A folder that is removed at the end.
#[derive(Debug)]
pub struct Marks {
    folder: PathBuf,
}

/// All that was marked.
#[derive(Debug, Default)]
pub struct Marked {
    pub began: BTreeSet<TaskId>,
    pub twice: BTreeSet<TaskId>,
    pub reports: Vec<Report>,
}

/// What an executor's proxy did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    pub faults: u64,
    pub left_calls: Left,
}

impl Marks {
    pub fn new(seed: u64) -> io::Result<Self> {
        let name = format!("soak-{}-{seed}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Executors' proxies do no more harm.
    pub fn calm(&self) -> io::Result<()> {
        std::fs::write(self.folder.join(CALM), "")
    }

    pub fn read(&self) -> io::Result<Marked> {
        let mut marked = Marked::default();
        for mark in std::fs::read_dir(&self.folder)? {
            let mark = mark?;
            let name = mark.file_name().to_string_lossy().into_owned();
            if name == CALM {
                continue;
            }
            if name.starts_with(REPORT) {
                marked.reports.push(Report::read(&mark.path())?);
                continue;
            }
            match name.strip_suffix(TWICE) {
                Some(id) => marked.twice.insert(id.into()),
                None => marked.began.insert(name.into()),
            };
        }
        Ok(marked)
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("{} is left behind: {error}", self.folder.display());
        }
    }
}

pub fn is_calm(folder: &Path) -> bool {
    folder.join(CALM).exists()
}

pub fn note_twice(folder: &Path, task_id: &TaskId) {
    if let Err(error) = std::fs::write(folder.join(format!("{task_id}{TWICE}")), "") {
        eprintln!("{task_id} began twice, which cannot be marked: {error}");
    }
}

impl Report {
    /// In the place of an earlier one of this process.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let name = format!("{REPORT}{}", std::process::id());
        let left = self.left_calls;
        let milliseconds = left.after_at_most.as_millis();
        let text = format!("{} {} {milliseconds} .", self.faults, left.count);
        std::fs::write(folder.join(name), text)
    }

    /// What was being written when its executor was killed counts as nothing.
    fn read(path: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let numbers = text.strip_suffix(" .").unwrap_or_default().split(' ');
        let numbers: Vec<u64> = numbers.filter_map(|own| own.parse().ok()).collect();
        Ok(match numbers[..] {
            [faults, count, milliseconds] => Self {
                faults,
                left_calls: Left {
                    count,
                    after_at_most: Duration::from_millis(milliseconds),
                },
            },
            _ => Self::default(),
        })
    }
}
