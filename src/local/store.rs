//! The files of a kept work directory: what a later cluster on the same directory recovers.
//!
//! JSON with a version, each written whole beside its place and then moved there, so that a reader finds the old or the
//! new one. A process that dies leaves good files; a machine that does may not.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::agent::Checkpoint;
use super::config::Config;
use super::kept;
use super::registry::Registry;
use crate::error::{Error, ErrorKind, Result};
use crate::proto::{AgentId, AgentInfo, Resource};
use crate::resources::Resources;

/// Of the files' form. Others are refused.
const VERSION: u64 = 1;

/// Bytes that a file may have: a cluster with some 100,000 tasks. Longer ones are not its own.
const LONGEST: u64 = 512 << 20;

/// Whoever has it locked has the directory.
const LOCK: &str = "lock";

/// A work directory that nobody else uses meanwhile.
#[derive(Debug)]
pub(super) struct Store {
    directory: PathBuf,
    _lock: File,
}

/// What there was.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) registry: Registry,
    /// One for each agent; `None` for those that never registered.
    pub(super) agents: Vec<Option<Checkpoint>>,
}

impl Recovered {
    /// Of a new cluster.
    pub(super) fn nothing(config: &Config) -> Self {
        Self {
            registry: Registry::first(config),
            agents: Vec::new(),
        }
    }
}

impl Store {
    /// Takes the directory, which exists.
    pub(super) fn take(directory: &Path) -> Result<Self> {
        let path = directory.join(LOCK);
        let lock = File::create(&path).map_err(|error| broken(&path, "cannot be made", error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                directory: directory.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => {
                let directory = directory.display();
                let context = format!("work directory {directory} is in use by another cluster");
                Err(Error::new(ErrorKind::Config, context))
            }
            Err(TryLockError::Error(error)) => Err(broken(&path, "cannot be locked", error)),
        }
    }

    /// What the cluster before left behind, of the masters and of the agents that there are now.
    pub(super) fn recover(&self, config: &Config) -> Result<Recovered> {
        let registry = read(&self.registry_path())?;
        let agents = config.agents.iter().enumerate().map(|(index, own)| {
            let path = self.agent_path(index);
            let Some(content) = read(&path)? else {
                return Ok(None);
            };
            let info: AgentInfo = field(&path, &content, "info")?;
            let was = Resources::from_unchecked(&info.resources);
            let different = if was != own.resources {
                Some("resources")
            } else if info.attributes != own.attributes {
                Some("attributes")
            } else if info.hostname != own.hostname {
                Some("hostname")
            } else if info.domain != own.domain {
                Some("domain")
            } else {
                None
            };
            if let Some(what) = different {
                return Err(incompatible(index, &path, what));
            }
            let total: Option<Vec<Resource>> = field(&path, &content, "total")?;
            Ok(Some(Checkpoint {
                info,
                drain_config: optional(&path, &content, "drain_config")?,
                total: total.map_or(was, |total| Resources::from_unchecked(&total)),
                operations: optional(&path, &content, "operations")?,
                frameworks: kept::frameworks(&path, &content)?,
            }))
        });
        Ok(Recovered {
            agents: agents.collect::<Result<_>>()?,
            registry: match registry {
                Some(content) => registry_of(&self.registry_path(), &content)?,
                None => Registry::first(config),
            },
        })
    }

    pub(super) async fn write_registry(&self, registry: &Registry) -> io::Result<()> {
        // Whole: what a registry comes to hold must not be forgotten here.
        let Registry {
            agents,
            unreachable,
            gone,
            draining,
            deactivated,
            weights,
            quotas,
            machines,
            schedule,
        } = registry;
        let content = json!({
            "version": VERSION,
            "agents": agents.values().collect::<Vec<_>>(),
            "unreachable": unreachable.iter().collect::<Vec<_>>(),
            "gone": gone.iter().collect::<Vec<_>>(),
            "draining": draining.iter().collect::<Vec<_>>(),
            "deactivated": deactivated,
            "weights": weights,
            "quotas": quotas,
            "machines": machines,
            "schedule": schedule,
        });
        write(&self.registry_path(), &content).await
    }

    pub(super) async fn write_agent(&self, index: usize, agent: &Checkpoint) -> io::Result<()> {
        let content = json!({
            "version": VERSION,
            "info": agent.info,
            "drain_config": agent.drain_config,
            "total": agent.total.to_protos(),
            "operations": agent.operations,
            "frameworks": kept::written(&agent.frameworks),
        });
        write(&self.agent_path(index), &content).await
    }

    fn registry_path(&self) -> PathBuf {
        self.directory.join("master").join("registry.json")
    }

    fn agent_path(&self, index: usize) -> PathBuf {
        let agent = self.directory.join("agents").join(index.to_string());
        agent.join("work").join("meta").join("agent.json")
    }
}

fn registry_of(path: &Path, content: &Value) -> Result<Registry> {
    let agents: Vec<AgentInfo> = field(path, content, "agents")?;
    let agents = agents.into_iter().map(|info| match info.id.clone() {
        Some(id) => Ok((id, info)),
        None => Err(damaged(path, "an agent has no id")),
    });
    Ok(Registry {
        agents: agents.collect::<Result<_>>()?,
        unreachable: entries(path, content, "unreachable")?,
        gone: entries(path, content, "gone")?,
        draining: entries(path, content, "draining")?,
        deactivated: optional(path, content, "deactivated")?,
        weights: optional(path, content, "weights")?,
        quotas: optional(path, content, "quotas")?,
        machines: optional(path, content, "machines")?,
        schedule: optional(path, content, "schedule")?,
    })
}

/// What is known of some agents; nothing if the file does not say.
fn entries<T: serde::de::DeserializeOwned>(
    path: &Path,
    content: &Value,
    name: &str,
) -> Result<BTreeMap<AgentId, T>> {
    let entries: Option<Vec<(AgentId, T)>> = field(path, content, name)?;
    Ok(entries.into_iter().flatten().collect())
}

/// The content of a file of the right version; `None` if there is no file.
fn read(path: &Path) -> Result<Option<Value>> {
    let text = match std::fs::metadata(path).and_then(|about| checked(path, about.len())) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(path, "cannot be read", error)),
    };
    let content: Value = serde_json::from_slice(&text)
        .map_err(|error| broken(path, "is damaged", io::Error::other(error)))?;
    match content["version"].as_u64() {
        Some(VERSION) => Ok(Some(content)),
        Some(version) => {
            let why = format!("has version {version}, and only {VERSION} can be read");
            Err(damaged(path, &why))
        }
        None => Err(damaged(path, "is damaged: it has no version")),
    }
}

/// All of a file that is not too long.
fn checked(path: &Path, length: u64) -> io::Result<Vec<u8>> {
    if length > LONGEST {
        let why = format!("{length} bytes are more than {LONGEST}");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    std::fs::read(path)
}

pub(super) fn field<T: serde::de::DeserializeOwned>(
    path: &Path,
    content: &Value,
    name: &str,
) -> Result<T> {
    let value = content.get(name).cloned().unwrap_or_default();
    serde_json::from_value(value).map_err(|error| {
        let why = format!("is damaged in '{name}'");
        broken(path, &why, io::Error::other(error))
    })
}

/// Nothing if the file does not say: it was written by an older version.
pub(super) fn optional<T>(path: &Path, content: &Value, name: &str) -> Result<T>
where
    T: serde::de::DeserializeOwned + Default,
{
    field::<Option<T>>(path, content, name).map(Option::unwrap_or_default)
}

async fn write(path: &Path, content: &Value) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    let new = path.with_extension("new");
    tokio::fs::write(&new, format!("{content:#}\n")).await?;
    tokio::fs::rename(&new, path).await
}

/// Mesos's agents refuse to start then, too (`--reconfiguration_policy=equal`, `src/slave/slave.cpp`).
fn incompatible(index: usize, path: &Path, what: &str) -> Error {
    let context = format!(
        "{what} of agent {index} of a local cluster differ from those it has in {}; remove that file to have a new agent",
        path.display()
    );
    Error::new(ErrorKind::Config, context)
}

fn damaged(path: &Path, why: &str) -> Error {
    let context = format!("file {} of the work directory {why}", path.display());
    Error::new(ErrorKind::Config, context)
}

fn broken(path: &Path, why: &str, error: io::Error) -> Error {
    let context = format!("file {} of the work directory {why}", path.display());
    Error::caused_by(ErrorKind::Config, context, error)
}
