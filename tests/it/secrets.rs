//! Secrets stay out of the log, however much is logged, and out of errors and what `Debug` shows.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mesos_framework::proto::TaskState;
use mesos_framework::proto::scheduler::call::Type;
use mesos_framework::{
    Credential, CredentialProvider, ErrorKind, ExecutorDriver, SchedulerDriver,
    SchedulerDriverBuilder, SchedulerHandle, async_trait,
};

use crate::cluster::{Agents, Cluster, Needs, OwnCluster};
use crate::executor_recorder;
use crate::executor_role::RUN;
use crate::framework::{Framework, info};
use crate::recorder::{Callback, recorder};
use crate::support::{Rig, framework, outcome};
use crate::tls_front::{CertificateAuthority, TlsFront};
use crate::written::Written;

/// The principal, its secret, and both as they go over the wire.
const PRINCIPAL: &str = "the-principal";
const SECRET: &str = "hunter2-and-more";
const HEADER: &str = "dGhlLXByaW5jaXBhbDpodW50ZXIyLWFuZC1tb3Jl";
const TOKEN: &str = "abc-token-def";

fn is_clean(written: &Written) {
    written.is_clean_of(&[SECRET, HEADER, TOKEN, "PRIVATE KEY"]);
}

#[tokio::test]
async fn no_secret_is_logged_in_a_run() {
    let needs = Needs {
        agents: Agents::One,
        credential: Some((PRINCIPAL, SECRET)),
        ..Needs::default()
    };
    let written = Written::default();
    let _guard = written.log_everything();
    let Some(cluster) = OwnCluster::start(needs).await else {
        return;
    };
    let address = cluster.address();
    let wrong = Credential::new("somebody", SECRET);
    let refused = Framework::subscribe(&address, info("stranger"), |builder| {
        let builder = builder.credential(wrong);
        written.add(&format!("{builder:?}"));
        builder
    });
    let error = refused.await.err().expect("strangers are refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    written.add(&format!("{error} {error:?}"));
    let mut framework = Framework::register_with(&address, info("secrets"), |builder| {
        builder.credential(Credential::new(PRINCIPAL, SECRET))
    })
    .await;
    let task = framework.run("t", RUN).await;
    let killed = framework.handle.kill_task(task.task_id.clone(), None).await;
    assert!(outcome(killed.unwrap()).await.is_accepted());
    framework
        .comes_to(&task.task_id, TaskState::TaskKilled)
        .await;
    let handle = framework.handle.clone();
    framework.teardown().await;
    written.add(&format!("{handle:?} {:?}", handle.connection()));
    cluster.shutdown().await;
    let text = written.text();
    // Else nothing would be shown by what is not there.
    for sign in ["call queued", "mesos_framework", "somebody"] {
        assert!(text.contains(sign), "{sign} is missing");
    }
    is_clean(&written);
}

/// A line of a private key.
fn line_of(key: &str) -> &str {
    key.lines().nth(1).expect("PEM text")
}

/// A framework that shows this certificate, and whatever else `configure` says, runs a task at the master behind a front
/// that asks for it, or not.
async fn runs_over_tls(
    written: &Written,
    master: &str,
    is_mutual: bool,
    configure: impl FnOnce(SchedulerDriverBuilder) -> SchedulerDriverBuilder,
) {
    let (servers, clients) = (
        CertificateAuthority::new("servers"),
        CertificateAuthority::new("clients"),
    );
    let (own, client) = (servers.identity("localhost"), clients.identity("client"));
    let front = TlsFront::before(master, &own, is_mutual.then_some(&clients)).await;
    let mut framework = Framework::register_with(&front.url(), info("secret-tls"), |builder| {
        let mut builder = configure(builder).root_certificates(servers.certificate.clone());
        if is_mutual {
            builder = builder.client_certificate(client.certificate.clone(), client.key.clone());
        }
        written.add(&format!("{builder:?}"));
        builder
    })
    .await;
    let task = framework.run("t", RUN).await;
    let killed = framework.handle.kill_task(task.task_id.clone(), None).await;
    assert!(outcome(killed.unwrap()).await.is_accepted());
    framework
        .comes_to(&task.task_id, TaskState::TaskKilled)
        .await;
    let handle = framework.handle.clone();
    framework.teardown().await;
    written.add(&format!("{handle:?} {:?}", handle.connection()));
    is_clean(written);
    written.is_clean_of(&[line_of(&client.key), line_of(&own.key)]);
}

/// Gives the wrong secret first.
#[derive(Default)]
struct Rotating(AtomicUsize);

#[async_trait]
impl CredentialProvider for Rotating {
    async fn credential(
        &self,
        refused: Option<&Credential>,
    ) -> Result<Credential, Box<dyn Error + Send + Sync>> {
        let nth = self.0.fetch_add(1, Ordering::SeqCst);
        assert_eq!(refused.is_some(), nth > 0);
        Ok(match nth {
            0 => Credential::new(PRINCIPAL, TOKEN),
            _ => Credential::new(PRINCIPAL, SECRET),
        })
    }
}

#[tokio::test]
async fn no_secret_is_logged_in_runs_over_tls() {
    let needs = Needs {
        agents: Agents::One,
        credential: Some((PRINCIPAL, SECRET)),
        ..Needs::default()
    };
    let written = Written::default();
    let _guard = written.log_everything();
    let Some(cluster) = OwnCluster::start(needs).await else {
        return;
    };
    let address = cluster.address();
    for is_mutual in [false, true] {
        let basic = Credential::new(PRINCIPAL, SECRET);
        runs_over_tls(&written, &address, is_mutual, |builder| {
            builder.credential(basic)
        })
        .await;
        runs_over_tls(&written, &address, is_mutual, |builder| {
            builder.credential_provider(Rotating::default())
        })
        .await;
    }
    cluster.shutdown().await;
    // A master that asks nobody reads no token either.
    let cluster = Cluster::start().await;
    for is_mutual in [false, true] {
        let token = Credential::bearer(TOKEN);
        runs_over_tls(&written, &cluster.address(), is_mutual, |builder| {
            builder.credential(token)
        })
        .await;
    }
    cluster.shutdown().await;
    let text = written.text();
    for sign in ["call queued", "another credential"] {
        assert!(text.contains(sign), "{sign} is missing");
    }
}

#[tokio::test]
async fn no_secret_is_in_a_panic_or_in_what_follows() {
    let written = Written::default();
    let _guard = written.log_everything();
    let authority = CertificateAuthority::new("ours");
    let own = authority.identity("client");
    let own_key = line_of(&own.key).to_owned();
    let configure = |builder: SchedulerDriverBuilder| {
        builder
            .credential(Credential::new(PRINCIPAL, SECRET))
            .root_certificates(authority.certificate.clone())
            .client_certificate(own.certificate.clone(), own.key.clone())
    };
    // A callback shows all that it has.
    let shows = |callback: &Callback, driver: SchedulerHandle| {
        panic!("{callback:?} {driver:?} {:?}", driver.connection())
    };
    let mut rig = Rig::of(framework(), shows, configure).await;
    let _stream = rig.peer.subscribed("f").await;
    let error = rig.ended().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CallbackPanicked);
    written.add(&format!("{error} {error:?} {:?}", rig.driver));

    // So does what gives credentials.
    struct Panics;

    #[async_trait]
    impl CredentialProvider for Panics {
        async fn credential(
            &self,
            refused: Option<&Credential>,
        ) -> Result<Credential, Box<dyn Error + Send + Sync>> {
            match refused {
                None => Ok(Credential::bearer(TOKEN)),
                Some(refused) => panic!("no other than {refused:?}"),
            }
        }
    }

    let mut rig = Rig::configured(|builder| builder.credential_provider(Panics)).await;
    rig.peer.call(Type::Subscribe).await.answer(401, &[], "no");
    let error = rig.ended().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CallbackPanicked);
    written.add(&format!("{error} {error:?} {:?}", rig.driver));

    let text = written.text();
    assert_eq!(text.matches("PANIC").count(), 2, "{text}");
    for sign in ["SchedulerHandle", "Credential(token hidden)"] {
        assert!(text.contains(sign), "{sign} is missing");
    }
    is_clean(&written);
    written.is_clean_of(&[&own_key]);
}

#[tokio::test]
async fn no_token_and_no_key_is_logged_or_shown() {
    let written = Written::default();
    let _guard = written.log_everything();
    let authority = CertificateAuthority::new("ours");
    let own = authority.identity("client");
    let mut rig = Rig::configured(|builder| {
        let builder = builder
            .credential(Credential::bearer(TOKEN))
            .root_certificates(authority.certificate.clone())
            .client_certificate(own.certificate.clone(), own.key.clone());
        written.add(&format!("{builder:?}"));
        builder
    })
    .await;
    let _stream = rig.subscribe().await;
    let receipt = rig.handle.suppress_offers(Vec::new()).await.unwrap();
    let call = rig.peer.call(Type::Suppress).await;
    assert!(call.header("authorization").unwrap().ends_with(TOKEN));
    call.answer(401, &[], "no");
    written.add(&format!("{:?} {:?}", outcome(receipt).await, rig.driver));
    rig.handle.abort();
    written.add(&format!("{:?}", rig.driver.join().await));
    assert!(written.text().contains("call queued"));
    is_clean(&written);
}

#[tokio::test]
async fn no_executors_token_is_logged() {
    let written = Written::default();
    let _guard = written.log_everything();
    let tokens = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&tokens);
    let builder = crate::cluster::local().executor_tokens(SECRET);
    let builder = builder.executor_factory(move |launch| {
        let token = &launch.environment["MESOS_EXECUTOR_AUTHENTICATION_TOKEN"];
        keep.lock().unwrap().push(token.clone());
        None
    });
    written.add(&format!("{builder:?}"));
    let cluster = builder.start().await.unwrap();
    let mut framework = Framework::register(&cluster.master_address(), info("tokens")).await;
    framework.run("t", RUN).await;
    framework.teardown().await;
    cluster.shutdown().await;
    let text = written.text();
    assert!(text.contains("executor called"));
    let tokens = tokens.lock().unwrap();
    assert_eq!(tokens.len(), 1);
    assert!(!text.contains(&tokens[0]));
    is_clean(&written);
}

#[tokio::test]
async fn what_cannot_be_a_credential_is_refused_without_being_shown() {
    let written = Written::default();
    let (scheduler, _recording) = recorder();
    let credential = Credential::bearer(format!("{TOKEN}\n"));
    let builder = SchedulerDriver::builder(scheduler, info("bad"), "127.0.0.1:1");
    let error = builder.credential(credential).build().unwrap_err();
    written.add(&format!("{error} {error:?}"));
    let (executor, _recording) = executor_recorder::recorder();
    let credential = Credential::new(PRINCIPAL, format!("{SECRET}:"));
    let builder = ExecutorDriver::builder(executor).credential(credential);
    written.add(&format!("{builder:?}"));
    assert!(written.text().contains(PRINCIPAL));
    is_clean(&written);
}
