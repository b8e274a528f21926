//! A ZooKeeper server of one test's own, and masters' znodes on it.
//!
//! `MESOS_ZOOKEEPER` names the server's jar, `/usr/share/java/zookeeper.jar` of Debian's package `zookeeper`, whose
//! manifest names all others; `java` is looked for on the path. Unset: the tests are skipped.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mesos_framework::proto::MasterInfo;
use prost::Message as _;
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions};

const JAR: &str = "MESOS_ZOOKEEPER";

/// Longest wait for a server to answer.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Of the sessions of tests, unless they are to expire.
pub const LONG: Duration = Duration::from_secs(30);

/// The shortest that the server gives.
pub const SHORT: Duration = Duration::from_secs(1);

/// The znode of the election, as masters are mostly told.
pub const PATH: &str = "/mesos";

/// The server. Dropped, it is killed, and its directory removed.
pub struct ZooKeeper {
    jar: PathBuf,
    directory: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl ZooKeeper {
    /// None, after saying so, if there is no such server here.
    pub async fn start() -> Option<Self> {
        let Some(jar) = std::env::var_os(JAR) else {
            println!("skipped: {JAR} is not set");
            return None;
        };
        let name = format!("mesos-framework-zookeeper-{}", uuid::Uuid::new_v4());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        // The server has no way to be given a socket, and refuses port 0.
        let mut server = Self {
            jar: jar.into(),
            directory,
            port: free_port(),
            process: None,
        };
        server.restart().await;
        Some(server)
    }

    /// On the same port, with what the server before left behind on its disk.
    pub async fn restart(&mut self) {
        self.kill();
        let settings = format!(
            "tickTime=500\nminSessionTimeout=1000\nmaxSessionTimeout=60000\nadmin.enableServer=false\n\
             clientPortAddress=127.0.0.1\nclientPort={}\ndataDir={}\n",
            self.port,
            self.directory.join("data").display()
        );
        let file = self.directory.join("zoo.cfg");
        std::fs::write(&file, settings).unwrap();
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.join("log"))
            .unwrap();
        let mut command = Command::new("java");
        command
            // Starts sooner, and leaves the processors to the tests.
            .args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
            .arg("-cp")
            .arg(&self.jar)
            .arg("org.apache.zookeeper.server.ZooKeeperServerMain")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.process = Some(command.spawn().expect("java on the path"));
        drop(self.client(LONG).await);
    }

    /// As SIGKILL does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    pub fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &process]).status();
        assert!(sent.unwrap().success());
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Master string of frameworks.
    pub fn master_string(&self) -> String {
        format!("zk://{}{PATH}", self.address())
    }

    /// A session, as soon as there can be one.
    pub async fn client(&self, timeout: Duration) -> Client {
        self.client_as(timeout, None).await
    }

    pub async fn client_as(&self, timeout: Duration, credential: Option<&str>) -> Client {
        let connected = async {
            loop {
                let mut connector = Client::connector()
                    .with_session_timeout(timeout)
                    .with_fail_eagerly();
                if let Some(credential) = credential {
                    connector = connector.with_auth("digest", credential.as_bytes());
                }
                match connector.connect(&self.address()).await {
                    Ok(client) => return client,
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        };
        tokio::time::timeout(START_LIMIT, connected)
            .await
            .expect("the server answers")
    }
}

impl Drop for ZooKeeper {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            println!("the server's log: {}/log", self.directory.display());
        } else if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            println!("cannot remove {}: {error}", self.directory.display());
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// What a master at `address` tells of itself.
pub fn master_info(address: &str, id: &str) -> MasterInfo {
    let (host, port) = address.rsplit_once(':').unwrap();
    let ip: std::net::Ipv4Addr = host.parse().unwrap();
    let port = port.parse().unwrap();
    MasterInfo {
        id: id.into(),
        ip: u32::from_le_bytes(ip.octets()),
        port,
        pid: Some(format!("master@{address}")),
        hostname: Some("localhost".into()),
        version: Some("1.11.0".into()),
        address: Some(mesos_framework::proto::Address {
            hostname: Some("localhost".into()),
            ip: Some(host.into()),
            port: i32::try_from(port).unwrap(),
        }),
        ..MasterInfo::default()
    }
}

/// The znodes of masters that stand for election, each for the life of this session.
pub struct Candidates {
    client: Client,
    acls: Acls<'static>,
}

impl Candidates {
    pub async fn new(server: &ZooKeeper) -> Self {
        Self::of(server.client(LONG).await, Acls::anyone_all()).await
    }

    pub async fn of(client: Client, acls: Acls<'static>) -> Self {
        let options = CreateMode::Persistent.with_acls(acls);
        match client.create(PATH, b"", &options).await {
            Ok(_) | Err(zookeeper_client::Error::NodeExists) => Self { client, acls },
            Err(error) => panic!("{PATH} cannot be made: {error}"),
        }
    }

    /// As masters since 0.24 do. Answers the path of the znode.
    pub async fn stand(&self, info: &MasterInfo) -> String {
        self.write("json.info_", &json(info)).await
    }

    /// As older masters did.
    pub async fn stand_as_of_old(&self, info: &MasterInfo) -> String {
        self.write("info_", &info.encode_to_vec()).await
    }

    pub async fn write(&self, label: &str, content: &[u8]) -> String {
        let options: CreateOptions<'_> = CreateMode::EphemeralSequential.with_acls(self.acls);
        let path = format!("{PATH}/{label}");
        let (_, sequence) = self.client.create(&path, content, &options).await.unwrap();
        format!("{path}{sequence}")
    }

    /// Where masters keep their replicated log: beside their own znodes.
    pub async fn keep_log(&self) {
        let options = CreateMode::Persistent.with_acls(self.acls);
        let path = format!("{PATH}/log_replicas");
        self.client.create(&path, b"", &options).await.unwrap();
    }

    pub async fn withdraw(&self, path: &str) {
        self.client.delete(path, None).await.unwrap();
    }
}

/// As a master of 1.11.0 writes it.
fn json(info: &MasterInfo) -> Vec<u8> {
    let address = info.address.as_ref().unwrap();
    serde_json::json!({
        "address": {"hostname": address.hostname, "ip": address.ip, "port": address.port},
        "capabilities": [{"type": "AGENT_UPDATE"}, {"type": "AGENT_DRAINING"}, {"type": "QUOTA_V2"}],
        "hostname": info.hostname,
        "id": info.id,
        "ip": info.ip,
        "pid": info.pid,
        "port": info.port,
        "version": info.version,
    })
    .to_string()
    .into_bytes()
}
