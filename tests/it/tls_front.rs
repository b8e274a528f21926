//! What ends TLS in front of a master: nginx where `MESOS_NGINX` says where it is, a small one of our own otherwise.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, pki_types::CertificateDer};

use crate::peer::within;

/// Whoever signs certificates.
pub struct CertificateAuthority {
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl CertificateAuthority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    pub fn identity(&self, name: &str) -> Identity {
        self.sign(&CertificateParams::new([name.to_owned()]).unwrap())
    }

    pub fn expired(&self, name: &str) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let key = key.serialize_pem();
        Identity { certificate, key }
    }
}

/// Ends TLS, and passes on to a plain peer.
pub struct TlsFront {
    pub port: u16,
    _end: End,
}

/// Ends the front when it is dropped.
enum End {
    Tasks { _tasks: JoinSet<()> },
    Nginx { _server: Nginx },
}

struct Nginx {
    process: Child,
    directory: PathBuf,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = i32::try_from(self.process.id()).unwrap();
        // Its workers end with it.
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGTERM,
        );
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl TlsFront {
    /// As `own`, before the peer at `behind`; `clients`: who must have signed the certificates of clients.
    pub async fn before(
        behind: &str,
        own: &Identity,
        clients: Option<&CertificateAuthority>,
    ) -> Self {
        match std::env::var_os("MESOS_NGINX") {
            Some(program) => nginx(&program, behind, own, clients).await,
            None => rustls(behind, own, clients).await,
        }
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }
}

async fn rustls(behind: &str, own: &Identity, clients: Option<&CertificateAuthority>) -> TlsFront {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            let root = CertificateDer::from_pem_slice(authority.certificate.as_bytes());
            roots.add(root.unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap()];
    let key = PrivatePkcs8KeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    let config = config.with_single_cert(chain, key.into()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = behind.to_owned();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            connections.spawn(async move {
                // A client that does not trust the certificate, or has none to show, is let go.
                let Ok(mut front) = acceptor.accept(stream).await else {
                    return;
                };
                let mut back = TcpStream::connect(behind).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut front, &mut back).await;
            });
        }
    });
    let end = End::Tasks { _tasks: tasks };
    TlsFront { port, _end: end }
}

/// A port that was free just now.
async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

async fn nginx(
    program: &std::ffi::OsStr,
    behind: &str,
    own: &Identity,
    clients: Option<&CertificateAuthority>,
) -> TlsFront {
    let port = free_port().await;
    let directory = std::env::temp_dir().join(format!("tls-front-{}-{port}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
    write("own.pem", &own.certificate);
    write("own.key", &own.key);
    let mut verify = "";
    if let Some(authority) = clients {
        write("clients.pem", &authority.certificate);
        verify = "ssl_client_certificate clients.pem; ssl_verify_client on;";
    }
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path temporary-{name};"));
    let temporary = temporary.concat();
    write(
        "nginx.conf",
        &format!(
            "daemon off; pid nginx.pid; error_log error.log; worker_processes 1;
            events {{ worker_connections 256; }}
            http {{
                access_log off; {temporary}
                server {{
                    listen 127.0.0.1:{port} ssl;
                    ssl_certificate own.pem; ssl_certificate_key own.key; {verify}
                    location / {{
                        proxy_pass http://{behind};
                        proxy_http_version 1.1; proxy_set_header Connection \"\";
                        proxy_buffering off; proxy_read_timeout 1h;
                    }}
                }}
            }}"
        ),
    );
    let mut command = Command::new(program);
    command.arg("-p").arg(&directory);
    command.args(["-c", "nginx.conf", "-e", "error.log"]);
    let process = command.stdin(Stdio::null()).spawn().unwrap();
    let end = End::Nginx {
        _server: Nginx { process, directory },
    };
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let listening = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    within("nginx", listening).await;
    TlsFront { port, _end: end }
}
