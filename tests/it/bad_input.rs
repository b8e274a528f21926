//! What peers and configurations may get wrong, and what the library says to it.

use mesos_framework::proto::FrameworkInfo;
use mesos_framework::{ErrorKind, SchedulerDriver};

use crate::peer::{Peer, error, within};
use crate::recorder::{Callback, recorder};

fn framework() -> FrameworkInfo {
    FrameworkInfo {
        name: "bad-input".into(),
        failover_timeout: Some(60.0),
        ..FrameworkInfo::default()
    }
}

#[tokio::test]
async fn an_error_event_ends_the_driver_with_its_words() {
    let mut peer = Peer::bind().await;
    let (scheduler, mut recording) = recorder();
    let mut driver = SchedulerDriver::builder(scheduler, framework(), peer.address())
        .build()
        .unwrap();
    driver.start().unwrap();
    let stream = peer.subscribed("f-1").await;
    assert!(matches!(recording.next().await, Callback::Registered(id) if id.value == "f-1"));
    stream.send(&error("Framework failed over")).await;
    let ended = within("the driver's end", driver.join()).await.unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::ErrorEvent);
    assert_eq!(
        ended.to_string(),
        format!("master {} says: Framework failed over", peer.address())
    );
    assert!(
        matches!(recording.next().await, Callback::Error(error) if error.kind() == ErrorKind::ErrorEvent)
    );
}
