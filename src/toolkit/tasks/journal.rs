//! The form of a journal of changes: bytes, and no I/O.
//!
//! A line that names the form, and then records, each of the changes that were stored together: the length of its content,
//! the content's checksum, the checksum of these two (32 bits each, the lowest byte first), and the content.
//!
//! A record is written at once, and brought to the disk before the next. So one that is not whole, and that no whole one follows,
//! was being written when the machine or the process ended, and what it holds was never confirmed to anybody. Any other is
//! damage.

use std::collections::BTreeMap;

use prost::Message as _;

use super::record::Stored;
use super::{TaskChange, TrackedTask};
use crate::proto::TaskId;

/// The first bytes of a journal.
pub(super) const FORM: &[u8] = b"mesos-framework tasks 1\n";

/// Bytes before the content of a record.
const HEAD: usize = 12;

#[derive(Clone, PartialEq, prost::Message)]
struct Record {
    #[prost(message, repeated, tag = "1")]
    changes: Vec<Change>,
}

/// One of the two.
#[derive(Clone, PartialEq, prost::Message)]
struct Change {
    #[prost(message, optional, tag = "1")]
    put: Option<Stored>,
    #[prost(message, optional, tag = "2")]
    forget: Option<TaskId>,
}

/// What is in a journal.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Content {
    pub(super) tasks: BTreeMap<TaskId, TrackedTask>,
    /// Length of the journal up to its last whole record, in bytes.
    pub(super) whole: usize,
}

/// Why a journal cannot be read.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Damage {
    #[error("it is no journal of tasks")]
    Form,
    #[error("record at byte {0} is damaged")]
    Record(usize),
    #[error("record at byte {0} is not understood")]
    Content(usize),
}

/// A record of these changes.
pub(super) fn record<'a>(changes: impl IntoIterator<Item = &'a TaskChange>) -> Vec<u8> {
    let changes = changes.into_iter().map(|change| match change {
        TaskChange::Put(task) => Change {
            put: Some(Stored::of(task)),
            forget: None,
        },
        TaskChange::Forget(task_id) => Change {
            put: None,
            forget: Some(task_id.clone()),
        },
    });
    framed(&Record {
        changes: changes.collect(),
    })
}

fn framed(record: &Record) -> Vec<u8> {
    let content = record.encode_to_vec();
    // A record is made of one call's tasks, far from 4 GiB.
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEAD + content.len());
    bytes.extend(length.to_le_bytes());
    bytes.extend(checksum(&content).to_le_bytes());
    bytes.extend(checksum(&bytes).to_le_bytes());
    bytes.extend(content);
    bytes
}

/// A whole journal of these tasks, each in a record of its own.
pub(super) fn journal<'a>(tasks: impl IntoIterator<Item = &'a TrackedTask>) -> Vec<u8> {
    let mut bytes = FORM.to_vec();
    for task in tasks {
        let put = Some(Stored::of(task));
        let changes = vec![Change { put, forget: None }];
        bytes.extend(framed(&Record { changes }));
    }
    bytes
}

/// Reads a journal; an empty one is a journal of nothing.
pub(super) fn read(bytes: &[u8]) -> Result<Content, Damage> {
    let mut content = Content::default();
    if bytes.is_empty() {
        return Ok(content);
    }
    if !bytes.starts_with(FORM) {
        return Err(Damage::Form);
    }
    content.whole = FORM.len();
    while content.whole < bytes.len() {
        let at = content.whole;
        let Some(record) = whole(&bytes[at..]) else {
            let mut behind = at + 1..bytes.len();
            let is_damage = behind.any(|later| whole(&bytes[later..]).is_some());
            return if is_damage {
                Err(Damage::Record(at))
            } else {
                Ok(content)
            };
        };
        let changes = Record::decode(record)
            .map_err(|_| Damage::Content(at))?
            .changes;
        for change in changes {
            apply(&mut content.tasks, change).ok_or(Damage::Content(at))?;
        }
        content.whole += HEAD + record.len();
    }
    Ok(content)
}

fn apply(tasks: &mut BTreeMap<TaskId, TrackedTask>, change: Change) -> Option<()> {
    match (change.put, change.forget) {
        (Some(stored), None) => {
            let task = stored.into_task().ok()?;
            tasks.insert(task.task_id.clone(), task);
        }
        (None, Some(task_id)) => {
            tasks.remove(&task_id);
        }
        _ => return None,
    }
    Some(())
}

/// The content of the record that the bytes begin with, if it is whole.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let (length, check) = (number(&head[..4]) as usize, number(&head[4..8]));
    // Before the content is looked at, for it may be asked for at every byte.
    if checksum(&head[..8]) != number(&head[8..]) {
        return None;
    }
    let content = rest.get(..length)?;
    (checksum(content) == check).then_some(content)
}

fn number(bytes: &[u8]) -> u32 {
    let bytes = bytes.iter().rev();
    bytes.fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// CRC-32 as of IEEE 802.3.
fn checksum(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let (mut value, mut bit) = (byte as u32, 0);
            while bit < 8 {
                let is_odd = value & 1 == 1;
                value >>= 1;
                if is_odd {
                    value ^= POLYNOMIAL;
                }
                bit += 1;
            }
            table[byte] = value;
            byte += 1;
        }
        table
    };
    let step = |value: u32, byte: &u8| {
        let index = (value ^ u32::from(*byte)) & 0xff;
        value >> 8 ^ TABLE[index as usize]
    };
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::proto::TaskState;

    fn put(id: &str, state: TaskState) -> TaskChange {
        let at = SystemTime::UNIX_EPOCH;
        TaskChange::Put(TrackedTask::adopted(id.into(), None, state, at))
    }

    fn sample() -> (Vec<u8>, Vec<usize>) {
        let records = [
            record(&[
                put("a", TaskState::TaskRunning),
                put("b", TaskState::TaskRunning),
            ]),
            record(&[
                put("a", TaskState::TaskFinished),
                TaskChange::Forget("b".into()),
            ]),
            record(&[put("c", TaskState::TaskRunning)]),
        ];
        let mut bytes = FORM.to_vec();
        let mut ends = vec![bytes.len()];
        for record in records {
            bytes.extend(record);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn ids(content: &Content) -> Vec<&str> {
        content.tasks.keys().map(|id| id.value.as_str()).collect()
    }

    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(checksum(b""), 0);
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn changes_are_read_in_their_order() {
        let (bytes, ends) = sample();
        let content = read(&bytes).unwrap();
        assert_eq!(ids(&content), ["a", "c"]);
        assert_eq!(content.tasks[&"a".into()].state, TaskState::TaskFinished);
        assert_eq!(Some(&content.whole), ends.last());
        let again = read(&journal(content.tasks.values())).unwrap();
        assert_eq!(again.tasks, content.tasks);
        assert_eq!(read(b"").unwrap(), Content::default());
    }

    #[test]
    fn a_journal_that_ends_anywhere_is_whole_up_to_its_last_whole_record() {
        let (bytes, ends) = sample();
        for length in ends[0]..=bytes.len() {
            let whole = ends.iter().rev().find(|end| **end <= length);
            let cut = read(&bytes[..length]).unwrap();
            assert_eq!(Some(&cut.whole), whole, "{length} bytes");
        }
    }

    #[test]
    fn a_last_record_of_which_any_part_is_missing_is_as_if_it_were_not_there() {
        let (bytes, ends) = sample();
        let without = read(&bytes[..ends[2]]).unwrap();
        // A file may have got its length before its content, and any part of that before another.
        for from in ends[2]..bytes.len() {
            for to in from + 1..=bytes.len() {
                let mut blank = bytes.clone();
                blank[from..to].fill(0);
                // Some bytes are zeros by themselves.
                if blank != bytes {
                    assert_eq!(read(&blank).as_ref(), Ok(&without), "{from} to {to}");
                }
            }
        }
    }

    #[test]
    fn damage_before_the_last_record_is_told_wherever_it_is() {
        let (bytes, ends) = sample();
        for at in 0..ends[2] {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let record = ends.iter().rev().find(|end| **end <= at);
                let expected = record.map_or(Damage::Form, |begin| Damage::Record(*begin));
                assert_eq!(read(&damaged), Err(expected), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn what_a_later_version_wrote_is_not_taken_for_damage() {
        let mut bytes = FORM.to_vec();
        bytes.extend(framed(&Record {
            changes: vec![Change::default()],
        }));
        assert_eq!(read(&bytes), Err(Damage::Content(FORM.len())));
        assert_eq!(read(b"mesos-framework tasks 2\n"), Err(Damage::Form));
    }
}
