//! The leading master, by a real ZooKeeper server.

use std::time::Duration;

use mesos_framework::proto::MasterInfo;
use mesos_framework::{
    ConnectionState, ConnectionWatch, ErrorKind, SchedulerDriver, ZooKeeperDetector,
};
use zookeeper_client::Acls;

use crate::cluster::{Agents, Cluster, Needs, OwnCluster};
use crate::detectors::{generation, until_state, until_told};
use crate::framework::{Framework, Starting, info};
use crate::masters::until_leading;
use crate::recorder::Callback;
use crate::support::SOON;
use crate::written::Written;
use crate::zookeeper::{Candidates, LONG, SHORT, ZooKeeper, master_info};

/// Several sessions of a second long.
const QUIET: Duration = Duration::from_secs(3);

const TWO_MASTERS: Needs = Needs {
    agents: Agents::None,
    standbys: 1,
    ..Needs::PLAIN
};

fn start(name: &str, url: &str, session: Duration) -> Starting {
    let detector = ZooKeeperDetector::new(url)
        .unwrap()
        .session_timeout(session);
    Starting::new(info(name), |scheduler, info| {
        SchedulerDriver::builder_with_detector(scheduler, info, detector).backoff(SOON)
    })
    .unwrap()
}

async fn until_detecting(watch: &mut ConnectionWatch) {
    until_state(watch, "detecting", |state| {
        matches!(state, ConnectionState::Detecting { .. })
    })
    .await;
}

async fn until_subscribed_with(framework: &mut Framework, address: &str) {
    framework
        .until("reregistered", |callback| {
            matches!(callback, Callback::Reregistered).then_some(())
        })
        .await;
    let (with, _) = generation(framework).expect("it is subscribed");
    assert_eq!(with, address);
    assert_eq!(framework.handle.framework_id(), Some(framework.id.clone()));
}

/// The id under which a leading master knows itself.
async fn id_of(address: &str) -> String {
    let state = until_leading(address).await;
    state["id"].as_str().unwrap().to_owned()
}

async fn leader_of(cluster: &Cluster) -> MasterInfo {
    master_info(&cluster.address(), &id_of(&cluster.address()).await)
}

async fn registered(mut starting: Starting) -> Framework {
    let id = starting.registered().await.unwrap();
    starting.into_framework(id)
}

/// A second master, for tests with no need of a real election: an address that nobody subscribes with.
const NOBODY: &str = "127.0.0.1:1";

/// A server, a cluster, and the cluster's master as the leading one.
struct Rig {
    cluster: Cluster,
    candidates: Candidates,
    leader: MasterInfo,
    znode: String,
    server: ZooKeeper,
}

impl Rig {
    /// None if there is no server here.
    async fn start() -> Option<Self> {
        let server = ZooKeeper::start().await?;
        let cluster = Cluster::start().await;
        let candidates = Candidates::new(&server).await;
        let leader = leader_of(&cluster).await;
        let znode = candidates.stand(&leader).await;
        Some(Self {
            cluster,
            candidates,
            leader,
            znode,
            server,
        })
    }

    async fn framework(&self, name: &str, session: Duration) -> Framework {
        registered(start(name, &self.server.master_string(), session)).await
    }

    async fn is_undisturbed_and_watches(&self, framework: &mut Framework) {
        let (candidates, master) = (&self.candidates, self.cluster.address());
        is_undisturbed_and_watches(framework, candidates, &master, &self.znode).await;
    }

    async fn end(self, framework: Framework) {
        drop(framework);
        self.cluster.shutdown().await;
    }
}

/// Whatever ZooKeeper went through: the subscription is still the first one, and the next leader is noticed.
async fn is_undisturbed_and_watches(
    framework: &mut Framework,
    candidates: &Candidates,
    master: &str,
    znode: &str,
) {
    assert_eq!(generation(framework), Some((master.to_owned(), 1)));
    candidates.stand(&master_info(NOBODY, "other")).await;
    candidates.withdraw(znode).await;
    let mut watch = framework.handle.watch_connection();
    let lost = format!("{NOBODY} leads, not {master}");
    until_told(&mut watch, &lost).await;
}

#[tokio::test]
async fn another_leader_takes_the_framework_over_with_its_id() {
    let Some(server) = ZooKeeper::start().await else {
        return;
    };
    let Some(mut cluster) = OwnCluster::start(TWO_MASTERS).await else {
        return;
    };
    let masters = cluster.addresses();
    let candidates = Candidates::new(&server).await;
    let leader = master_info(&masters[0], &id_of(&masters[0]).await);
    let first = candidates.stand(&leader).await;
    // The standby's, whose id nobody needs.
    candidates.stand(&master_info(&masters[1], "standby")).await;

    let mut framework = Framework::register(&server.master_string(), info("taken-over")).await;
    assert_eq!(generation(&framework), Some((masters[0].clone(), 1)));
    // The old leader ends, and its znode with its session.
    cluster.elect(1);
    candidates.withdraw(&first).await;
    until_subscribed_with(&mut framework, &masters[1]).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn nobody_leading_is_waited_for_also_without_the_path() {
    let Some(server) = ZooKeeper::start().await else {
        return;
    };
    let cluster = Cluster::start().await;
    // One of the servers does not answer.
    let url = server.master_string().replace("zk://", "zk://127.0.0.1:1,");
    let starting = start("early", &url, LONG);
    let mut watch = starting.driver.handle().watch_connection();
    until_detecting(&mut watch).await;
    let candidates = Candidates::new(&server).await;
    candidates.keep_log().await;
    let leader = leader_of(&cluster).await;
    candidates.stand(&leader).await;
    registered(starting).await.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_lowest_number_leads_whatever_its_label() {
    let Some(server) = ZooKeeper::start().await else {
        return;
    };
    let cluster = Cluster::start().await;
    let candidates = Candidates::new(&server).await;
    let leader = leader_of(&cluster).await;
    let old = candidates.stand_as_of_old(&leader).await;
    candidates.stand(&master_info(NOBODY, "other")).await;
    let framework = Framework::register(&server.master_string(), info("old-form")).await;
    let mut watch = framework.handle.watch_connection();
    candidates.withdraw(&old).await;
    let lost = format!("{NOBODY} leads, not {}", cluster.address());
    until_told(&mut watch, &lost).await;
    drop(framework);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_server_restarted_within_the_session_goes_unnoticed() {
    let Some(mut rig) = Rig::start().await else {
        return;
    };
    let mut framework = rig.framework("restarted", LONG).await;
    let mut watch = framework.handle.watch_connection();

    rig.server.kill();
    let lost = until_told(&mut watch, "connection to").await;
    assert_eq!(lost.kind(), ErrorKind::Disconnected);
    rig.server.restart().await;
    rig.is_undisturbed_and_watches(&mut framework).await;
    let last = framework.handle.connection().last_error.unwrap();
    assert!(!last.to_string().contains("session"), "{last}");
    rig.end(framework).await;
}

#[tokio::test]
async fn an_expired_session_is_followed_by_another() {
    let Some(mut rig) = Rig::start().await else {
        return;
    };
    let mut framework = rig.framework("expired", SHORT).await;
    let mut watch = framework.handle.watch_connection();

    rig.server.kill();
    until_told(&mut watch, "cannot be reached").await;
    rig.server.restart().await;
    rig.is_undisturbed_and_watches(&mut framework).await;
    rig.end(framework).await;
}

#[tokio::test]
async fn a_server_that_answers_nothing_is_left_and_tried_again() {
    let Some(rig) = Rig::start().await else {
        return;
    };
    let mut framework = rig.framework("frozen", SHORT).await;
    let mut watch = framework.handle.watch_connection();

    rig.server.signal("STOP");
    until_told(&mut watch, "cannot be reached").await;
    rig.server.signal("CONT");
    rig.is_undisturbed_and_watches(&mut framework).await;
    rig.end(framework).await;
}

#[tokio::test]
async fn a_malformed_znode_is_told_and_does_not_disturb_a_subscription() {
    let Some(server) = ZooKeeper::start().await else {
        return;
    };
    let cluster = Cluster::start().await;
    let candidates = Candidates::new(&server).await;
    let bad = candidates.write("json.info_", b"{\"id\": 5").await;
    let starting = start("malformed", &server.master_string(), LONG);
    let mut watch = starting.driver.handle().watch_connection();
    let error = until_told(&mut watch, "tells of no master").await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let name = bad.rsplit('/').next().unwrap();
    assert!(error.to_string().contains(name), "{error}");

    let leader = leader_of(&cluster).await;
    let good = candidates.stand(&leader).await;
    candidates.withdraw(&bad).await;
    let mut framework = registered(starting).await;

    let mut standing = good;
    for (label, content, why) in [
        ("xml.info_", &b"<id/>"[..], "neither json.info_"),
        ("info_", &[0xff; 9], "failed to decode"),
        ("json.info_", &[b' '; 100_000], "holds 100000 bytes"),
    ] {
        let bad = candidates.write(label, content).await;
        let next = candidates.stand(&leader).await;
        // Now the bad one leads.
        candidates.withdraw(&standing).await;
        let error = until_told(&mut watch, why).await;
        assert_eq!(error.kind(), ErrorKind::Protocol);
        candidates.withdraw(&bad).await;
        standing = next;
    }
    is_undisturbed_and_watches(&mut framework, &candidates, &cluster.address(), &standing).await;
    drop(framework);
    cluster.shutdown().await;
}

#[tokio::test]
async fn znodes_may_want_a_password_which_is_never_told() {
    const CREDENTIAL: &str = "mesos:p@ss,word";
    let written = Written::default();
    let _guard = written.log_everything();
    let Some(server) = ZooKeeper::start().await else {
        return;
    };
    let cluster = Cluster::start().await;
    let client = server.client_as(LONG, Some(CREDENTIAL)).await;
    let candidates = Candidates::of(client, Acls::creator_all()).await;
    let leader = leader_of(&cluster).await;
    let znode = candidates.stand(&leader).await;
    let url = |credential: &str| {
        let at = format!("zk://{credential}@");
        server.master_string().replace("zk://", &at)
    };

    let stranger = start("stranger", &url("mesos:gue55ed"), LONG);
    let mut watch = stranger.driver.handle().watch_connection();
    let error = until_told(&mut watch, "not authorized").await;
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let connection = stranger.driver.handle().connection();
    written.add(&format!(
        "{error} {error:?} {connection:?} {:?}",
        stranger.driver
    ));
    drop(stranger);

    let starting = start("authorized", &url(CREDENTIAL), LONG);
    let mut framework = registered(starting).await;
    is_undisturbed_and_watches(&mut framework, &candidates, &cluster.address(), &znode).await;
    let detector = ZooKeeperDetector::new(&url(CREDENTIAL)).unwrap();
    let shown = format!("{detector:?}");
    assert!(shown.contains(&server.master_string()), "{shown}");
    written.add(&shown);
    let text = written.text();
    for sign in [
        "zookeeper_client",
        "session with ZooKeeper",
        "leading master detected",
    ] {
        assert!(text.contains(sign), "{sign} is missing");
    }
    written.is_clean_of(&["gue55ed", "p@ss", "ss,word"]);
    drop(framework);
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_same_leader_with_another_session_is_not_subscribed_with_again() {
    let Some(mut rig) = Rig::start().await else {
        return;
    };
    let mut framework = Framework::register(&rig.server.master_string(), info("same")).await;
    // Nobody leads for a while.
    rig.candidates.withdraw(&rig.znode).await;
    rig.znode = rig.candidates.stand(&rig.leader).await;
    let is_quiet =
        framework.is_without(QUIET, |callback| matches!(callback, Callback::Disconnected));
    assert!(is_quiet.await);
    rig.is_undisturbed_and_watches(&mut framework).await;
    rig.end(framework).await;
}

#[tokio::test]
async fn sessions_end_with_their_drivers() {
    let Some(rig) = Rig::start().await else {
        return;
    };
    let framework = Framework::register(&rig.server.master_string(), info("ends")).await;
    let during = sessions(&rig.server).await;
    framework.teardown().await;
    let ended = async {
        while sessions(&rig.server).await >= during {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LONG / 2, ended)
        .await
        .expect("the session is closed, and did not expire");
    rig.cluster.shutdown().await;
}

/// How many connections the server has, by its command `srvr`.
async fn sessions(server: &ZooKeeper) -> u64 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let mut stream = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    stream.write_all(b"srvr").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Connections: "));
    line.expect("it says how many").parse().unwrap()
}
