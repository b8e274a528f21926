//! Resources in few characters, and Mesos's own class to compare with.
//!
//! `name`, marks, `=` and a value (`1.5`, `[1-5,7-7]`, `{a,b}`); `;` between resources. Marks, in any order:
//!
//! | mark | is |
//! | --- | --- |
//! | `(web)` | a static reservation |
//! | `(+web)`, `(+web,principal)`, `(+web,principal,key:value)` | a dynamic one; several make a stack |
//! | `@web` | allocated to a role |
//! | `[MOUNT:/mnt]`, `[PATH]`, `[RAW#id]`, `[BLOCK#id]`, `[id>path]`, `[MOUNT:/mnt,id>path]` | a disk's source, a persistent volume |
//! | `!`, `*` | revocable, shared |
//! | `%provider` | of a resource provider |

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use mesos_framework::proto::offer::{Operation, operation};
use mesos_framework::proto::resource::disk_info::{self, Persistence, Source, source};
use mesos_framework::proto::resource::{
    AllocationInfo, DiskInfo, ReservationInfo, RevocableInfo, SharedInfo, reservation_info,
};
use mesos_framework::proto::{Label, Labels, Resource, Volume, value, volume};
use prost::Message as _;

pub fn resources(text: &str) -> Vec<Resource> {
    let pieces = text.split(';').filter(|piece| !piece.is_empty());
    pieces.map(resource).collect()
}

/// One of them.
pub fn resource(text: &str) -> Resource {
    let text = text.trim();
    let (kind, value) = text.rsplit_once('=').expect("there is a value");
    let marks = |own: char| "(@[!*%".contains(own);
    let end = kind.find(marks).unwrap_or(kind.len());
    let mut resource = Resource {
        name: kind[..end].to_owned(),
        ..Resource::default()
    };
    let mut rest = &kind[end..];
    while let Some(mark) = rest.chars().next() {
        rest = &rest[1..];
        let end = match mark {
            '(' => rest.find(')').unwrap(),
            '[' => rest.find(']').unwrap(),
            '!' | '*' => 0,
            _ => rest.find(marks).unwrap_or(rest.len()),
        };
        let inner = &rest[..end];
        rest = &rest[end..];
        match mark {
            '(' => resource.reservations.push(reservation(inner)),
            '[' => resource.disk = Some(Box::new(disk(inner))),
            '!' => resource.revocable = Some(RevocableInfo {}),
            '*' => resource.shared = Some(SharedInfo {}),
            '%' => resource.provider_id = Some(inner.into()),
            _ => {
                resource.allocation_info = Some(AllocationInfo {
                    role: Some(inner.into()),
                });
            }
        }
        if "([".contains(mark) {
            rest = &rest[1..];
        }
    }
    write_value(value, &mut resource);
    resource
}

fn write_value(text: &str, resource: &mut Resource) {
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').unwrap();
        let range = inner.split(',').filter(|own| !own.is_empty()).map(|own| {
            let (begin, end) = own.split_once('-').unwrap();
            value::Range {
                begin: begin.parse().unwrap(),
                end: end.parse().unwrap(),
            }
        });
        resource.r#type = value::Type::Ranges.into();
        resource.ranges = Some(value::Ranges {
            range: range.collect(),
        });
    } else if let Some(inner) = text.strip_prefix('{') {
        let inner = inner.strip_suffix('}').unwrap();
        let item = inner.split(',').filter(|own| !own.is_empty());
        resource.r#type = value::Type::Set.into();
        resource.set = Some(value::Set {
            item: item.map(str::to_owned).collect(),
        });
    } else {
        let value = text.parse().unwrap();
        resource.r#type = value::Type::Scalar.into();
        resource.scalar = Some(value::Scalar { value });
    }
}

pub fn reservation(text: &str) -> ReservationInfo {
    let (kind, text) = match text.strip_prefix('+') {
        Some(text) => (reservation_info::Type::Dynamic, text),
        None => (reservation_info::Type::Static, text),
    };
    let mut parts = text.split(',');
    let role = parts.next().map(str::to_owned);
    let principal = parts.next().filter(|own| !own.is_empty());
    let labels: Vec<Label> = parts
        .map(|own| {
            let (key, value) = own.split_once(':').unwrap();
            Label {
                key: key.into(),
                value: Some(value.into()),
            }
        })
        .collect();
    ReservationInfo {
        r#type: Some(kind.into()),
        role,
        principal: principal.map(str::to_owned),
        labels: (!labels.is_empty()).then_some(Labels { labels }),
    }
}

fn disk(text: &str) -> DiskInfo {
    let mut disk = DiskInfo::default();
    for part in text.split(',') {
        if let Some((id, path)) = part.split_once('>') {
            disk.persistence = Some(Persistence {
                id: id.into(),
                principal: None,
            });
            disk.volume = Some(Volume {
                container_path: path.into(),
                mode: volume::Mode::Rw.into(),
                ..Volume::default()
            });
        } else {
            disk.source = Some(source_of(part));
        }
    }
    disk
}

fn source_of(text: &str) -> Source {
    let (kind, root) = text.split_once(':').unwrap_or((text, ""));
    let (kind, id) = kind.split_once('#').unwrap_or((kind, ""));
    let root = (!root.is_empty()).then(|| root.to_owned());
    let kind = source::Type::from_str_name(kind).unwrap();
    let mut source = Source {
        r#type: kind.into(),
        id: (!id.is_empty()).then(|| id.to_owned()),
        ..Source::default()
    };
    match kind {
        source::Type::Mount => source.mount = Some(disk_info::source::Mount { root }),
        source::Type::Path => source.path = Some(disk_info::source::Path { root }),
        _ => {}
    }
    source
}

/// `RESERVE cpus(+web)=1`; `GROW volume; addition`; `SHRINK volume; megabytes`.
pub fn operation(text: &str) -> Operation {
    let (kind, rest) = text.split_once(' ').unwrap();
    let kind = match kind {
        "GROW" => operation::Type::GrowVolume,
        "SHRINK" => operation::Type::ShrinkVolume,
        kind => operation::Type::from_str_name(kind).unwrap(),
    };
    let mut operation = Operation {
        r#type: Some(kind.into()),
        ..Operation::default()
    };
    match kind {
        operation::Type::Reserve => {
            operation.reserve = Some(operation::Reserve {
                resources: resources(rest),
                ..operation::Reserve::default()
            });
        }
        operation::Type::Unreserve => {
            let resources = resources(rest);
            operation.unreserve = Some(operation::Unreserve { resources });
        }
        operation::Type::Create => {
            let volumes = resources(rest);
            operation.create = Some(operation::Create { volumes });
        }
        operation::Type::Destroy => {
            let volumes = resources(rest);
            operation.destroy = Some(operation::Destroy { volumes });
        }
        operation::Type::GrowVolume => {
            let (volume, addition) = rest.split_once(';').unwrap();
            operation.grow_volume = Some(operation::GrowVolume {
                volume: resource(volume),
                addition: resource(addition),
            });
        }
        operation::Type::ShrinkVolume => {
            let (volume, subtract) = rest.split_once(';').unwrap();
            let value = subtract.trim().parse().unwrap();
            operation.shrink_volume = Some(operation::ShrinkVolume {
                volume: resource(volume),
                subtract: value::Scalar { value },
            });
        }
        other => panic!("no notation for {other:?}"),
    }
    operation
}

/// Mesos's class `Resources` in a process of its own: the program `mesos-resources` of the kit.
pub struct Oracle {
    process: Child,
    questions: ChildStdin,
    answers: ChildStdout,
}

/// What a question is about.
pub enum Argument<'a> {
    List(&'a [Resource]),
    Bytes(Vec<u8>),
}

impl Oracle {
    /// None, after saying so, without a kit.
    pub fn start() -> Option<Self> {
        let Some(kit) = std::env::var_os("MESOS_KIT") else {
            println!("MESOS_KIT is not set: not compared with Mesos's own class");
            return None;
        };
        let mut process = Command::new(PathBuf::from(kit).join("mesos-resources"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the kit is up to date: run tests/mesos/setup.py");
        Some(Self {
            questions: process.stdin.take().unwrap(),
            answers: process.stdout.take().unwrap(),
            process,
        })
    }

    /// What Mesos answers: a text, or why not.
    pub fn ask(&mut self, question: char, arguments: &[Argument]) -> Result<String, String> {
        let mut bytes = question.to_string().into_bytes();
        for argument in arguments {
            match argument {
                Argument::List(list) => {
                    bytes.extend(u32::try_from(list.len()).unwrap().to_le_bytes());
                    list.iter()
                        .for_each(|own| put(&own.encode_to_vec(), &mut bytes));
                }
                Argument::Bytes(own) => put(own, &mut bytes),
            }
        }
        self.questions.write_all(&bytes).unwrap();
        self.questions.flush().unwrap();
        let mut head = [0; 5];
        self.answers.read_exact(&mut head).expect("Mesos answers");
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        let mut text = vec![0; length as usize];
        self.answers.read_exact(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        if head[0] == 0 { Ok(text) } else { Err(text) }
    }
}

fn put(bytes: &[u8], into: &mut Vec<u8>) {
    into.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
    into.extend(bytes);
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
