//! The framework's id in a real ZooKeeper.

use mesos_framework::{ErrorKind, FrameworkIdStore, ZooKeeperFrameworkIdStore};
use zookeeper_client::{Acls, CreateMode};

use crate::cluster::Cluster;
use crate::framework::{Framework, info};
use crate::zookeeper::{LONG, ZooKeeper};

const ZNODE: &str = "/frameworks/of/test";

fn store(server: &ZooKeeper, credential: &str) -> ZooKeeperFrameworkIdStore {
    let url = format!("zk://{credential}{}{ZNODE}", server.address());
    ZooKeeperFrameworkIdStore::new(&url).unwrap()
}

#[tokio::test]
async fn an_id_in_zookeeper_is_taken_up_by_the_next_driver() {
    let Some(server) = ZooKeeper::start().await else {
        return;
    };
    let cluster = Cluster::start().await;
    let info = info("in-zookeeper");
    let address = cluster.address();
    let register = || {
        Framework::register_with(&address, info.clone(), |builder| {
            builder.framework_id_store(store(&server, ""))
        })
    };
    let mut first = register().await;
    first.handle.stop_for_failover();
    first.driver.join().await.unwrap();
    let client = server.client(LONG).await;
    let (content, stat) = client.get_data(ZNODE).await.unwrap();
    assert_eq!(content, first.id.value.as_bytes());
    assert_eq!(stat.ephemeral_owner, 0);
    let second = register().await;
    assert_eq!(second.id, first.id);
    second.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_id_in_zookeeper_is_replaced_forgotten_and_outlives_the_server() {
    let Some(mut server) = ZooKeeper::start().await else {
        return;
    };
    let store = store(&server, "");
    assert_eq!(store.load().await.unwrap(), None);
    store.forget().await.unwrap();
    for id in ["f-1", "f-2"] {
        store.store(&id.into()).await.unwrap();
        assert_eq!(store.load().await.unwrap(), Some(id.into()));
    }
    server.restart().await;
    assert_eq!(store.load().await.unwrap(), Some("f-2".into()));
    store.forget().await.unwrap();
    assert_eq!(store.load().await.unwrap(), None);
    store.store(&"f-3".into()).await.unwrap();
    assert_eq!(store.load().await.unwrap(), Some("f-3".into()));
}

#[tokio::test]
async fn only_its_owner_changes_an_id_that_has_one() {
    let Some(server) = ZooKeeper::start().await else {
        return;
    };
    let owner = store(&server, "me:p@ss,word@");
    owner.store(&"f-1".into()).await.unwrap();
    owner.store(&"f-2".into()).await.unwrap();
    let other = store(&server, "");
    assert_eq!(other.load().await.unwrap(), Some("f-2".into()));
    let error = other.store(&"f-3".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains("not authorized"), "{error}");
    assert!(!format!("{owner:?}").contains("word"));
    owner.forget().await.unwrap();
    assert_eq!(other.load().await.unwrap(), None);
}

#[tokio::test]
async fn a_corrupt_id_in_zookeeper_is_told_with_its_place() {
    let Some(server) = ZooKeeper::start().await else {
        return;
    };
    let client = server.client(LONG).await;
    let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
    for path in ["/frameworks", "/frameworks/of", ZNODE] {
        client.create(path, b"", &options).await.unwrap();
    }
    let place = format!("zk://{}{ZNODE}", server.address());
    let long = vec![b'a'; 300];
    for (content, why) in [
        (&b""[..], "it is empty"),
        (b"a\n", "it holds characters that no id has"),
        (&long, "it is too long for an id"),
    ] {
        client.set_data(ZNODE, content, None).await.unwrap();
        let error = store(&server, "").load().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        let expected = format!("framework id in {place} is corrupt: {why}");
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_store_without_its_server_fails_within_a_bound() {
    let Some(mut server) = ZooKeeper::start().await else {
        return;
    };
    server.kill();
    let loaded = tokio::time::timeout(LONG, store(&server, "").load()).await;
    let error = loaded.expect("it gives up").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}
