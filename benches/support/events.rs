//! Events as a master of a large cluster sends them.

#![allow(dead_code, reason = "each bench takes what it needs")]

use bytes::Bytes;
use mesos_framework::proto::scheduler::{Event, event};
use mesos_framework::proto::{
    Address, Attribute, ContainerId, ContainerStatus, NetworkInfo, Offer, Resource, TaskState,
    TaskStatus, Url, network_info, resource, task_status, value,
};

pub(crate) const MASTER: &str = "6b18a7fe-0e94-4350-8a63-fd119a563240";
pub(crate) const OFFERS_PER_EVENT: usize = 10;
/// What each `uuid` begins with; the number of the update follows, in 8 bytes.
pub(crate) const MARK: [u8; 8] = [0xa1; 8];
/// Data of the last event.
pub(crate) const DONE: &[u8] = b"bench-done";

pub(crate) fn offers(number: usize) -> Event {
    let offers = (0..OFFERS_PER_EVENT).map(|at| offer(number * OFFERS_PER_EVENT + at));
    Event {
        r#type: Some(event::Type::Offers as i32),
        offers: Some(event::Offers {
            offers: offers.collect(),
        }),
        ..Event::default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn offer(number: usize) -> Offer {
    let agent = number % 500;
    let hostname = format!("node-{agent:03}.rack-{:02}.dc1.example.com", agent % 40);
    let ip = format!("10.{}.{}.17", agent % 40, agent % 250);
    let address = Address {
        hostname: Some(hostname.clone()),
        ip: Some(ip),
        port: 5051,
    };
    let allocation = || {
        Some(resource::AllocationInfo {
            role: Some("bench".into()),
        })
    };
    let first = 31_000 + agent as u64;
    let mut resources = vec![
        Resource::scalar("cpus", 4.0 + (agent % 60) as f64),
        Resource::scalar("mem", 8192.0 + 64.0 * agent as f64),
        Resource::scalar("disk", 102_400.0 + agent as f64),
        Resource::ranges("ports", [31_000..=first, first + 600..=first + 1000]),
    ];
    for resource in &mut resources {
        resource.allocation_info = allocation();
    }
    Offer {
        id: format!("{MASTER}-O{number:07}").into(),
        framework_id: format!("{MASTER}-0007").into(),
        agent_id: format!("{MASTER}-S{agent:03}").into(),
        hostname,
        url: Some(Url {
            scheme: "http".into(),
            address,
            path: Some("/slave(1)".into()),
            ..Url::default()
        }),
        resources,
        attributes: vec![
            text("rack", format!("rack-{:02}", agent % 40)),
            text("zone", format!("dc1-{}", agent % 3)),
            text("disk", "nvme".into()),
        ],
        allocation_info: allocation(),
        ..Offer::default()
    }
}

fn text(name: &str, value: String) -> Attribute {
    Attribute {
        name: name.into(),
        r#type: value::Type::Text as i32,
        text: Some(value::Text { value }),
        ..Attribute::default()
    }
}

pub(crate) fn update(number: usize) -> Event {
    let uuid = [MARK, (number as u64).to_be_bytes()].concat();
    let network = NetworkInfo {
        ip_addresses: vec![network_info::IpAddress {
            ip_address: Some("10.12.34.56".into()),
            ..network_info::IpAddress::default()
        }],
        ..NetworkInfo::default()
    };
    let container_id = ContainerId {
        value: "0d1c2a52-77d7-4bb0-9f3a-cc2e5d3e9b11".into(),
        ..ContainerId::default()
    };
    let status = TaskStatus {
        task_id: format!("bench.web.task-{number:07}-3f0a8f7e").into(),
        state: TaskState::TaskRunning as i32,
        source: Some(task_status::Source::Executor as i32),
        agent_id: Some(format!("{MASTER}-S123").into()),
        executor_id: Some("bench-executor".into()),
        timestamp: Some(1_795_347_499.950_828),
        uuid: Some(uuid.into()),
        container_status: Some(ContainerStatus {
            container_id: Some(container_id),
            network_infos: vec![network],
            ..ContainerStatus::default()
        }),
        ..TaskStatus::default()
    };
    Event {
        r#type: Some(event::Type::Update as i32),
        update: Some(event::Update { status }),
        ..Event::default()
    }
}

pub(crate) fn subscribed() -> Event {
    Event {
        r#type: Some(event::Type::Subscribed as i32),
        subscribed: Some(Box::new(event::Subscribed {
            framework_id: format!("{MASTER}-0007").into(),
            heartbeat_interval_seconds: Some(15.0),
            ..event::Subscribed::default()
        })),
        ..Event::default()
    }
}

/// The last event.
pub(crate) fn done() -> Event {
    Event {
        r#type: Some(event::Type::Message as i32),
        message: Some(event::Message {
            agent_id: format!("{MASTER}-S123").into(),
            executor_id: "bench-executor".into(),
            data: Bytes::from_static(DONE),
        }),
        ..Event::default()
    }
}
