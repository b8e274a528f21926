//! Generates the v1 message types from `proto/`: the schema is compiled by `protox` (no `protoc` is needed), Rust types
//! are made by `prost-build` and their JSON form by [`json_codegen`]. Nothing is written outside `OUT_DIR`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message as _;

#[path = "src/proto/json_codegen.rs"]
mod json_codegen;

/// The nine files of the v1 API.
const FILES: [&str; 9] = [
    "mesos/v1/mesos.proto",
    "mesos/v1/scheduler/scheduler.proto",
    "mesos/v1/executor/executor.proto",
    "mesos/v1/master/master.proto",
    "mesos/v1/agent/agent.proto",
    "mesos/v1/allocator/allocator.proto",
    "mesos/v1/maintenance/maintenance.proto",
    "mesos/v1/quota/quota.proto",
    "mesos/v1/resource_provider/resource_provider.proto",
];

/// Identifiers: messages of one string, used as keys of maps.
const IDS: [&str; 8] = [
    "FrameworkID",
    "OfferID",
    "AgentID",
    "TaskID",
    "ExecutorID",
    "ResourceProviderID",
    "OperationID",
    "UUID",
];

/// Fields that are large and seldom set: in a box, they do not make every message that may hold them large. An event, a
/// call and the four resources of a common offer stay below a KiB by that, from which on each allocation makes glibc tidy up.
const RARE: [&str; 6] = [
    ".mesos.v1.Resource.disk",
    ".mesos.v1.Resource.reservation",
    ".mesos.v1.scheduler.Event.subscribed",
    ".mesos.v1.scheduler.Call.subscribe",
    ".mesos.v1.scheduler.Call.update_framework",
    ".mesos.v1.executor.Event.subscribed",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/proto/json_codegen.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    let mut descriptors = protox::compile(FILES, ["proto"])?;
    generate_types(descriptors.clone())?;
    generate_json(&descriptors, &out)?;
    // Comments and positions are for the documentation of the types only.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    Ok(())
}

fn generate_types(descriptors: prost_types::FileDescriptorSet) -> Result<(), Box<dyn Error>> {
    let mut config = prost_build::Config::new();
    config.bytes(["."]).btree_map(["."]);
    for field in RARE {
        config.boxed(field);
    }
    for id in IDS {
        config.type_attribute(format!(".mesos.v1.{id}"), "#[derive(PartialOrd, Ord)]");
    }
    config.compile_fds(descriptors)?;
    Ok(())
}

fn generate_json(
    descriptors: &prost_types::FileDescriptorSet,
    out: &Path,
) -> Result<(), Box<dyn Error>> {
    fs::write(out.join("json.rs"), json_codegen::generate(descriptors))?;
    Ok(())
}
