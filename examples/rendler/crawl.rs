//! The executor that reads pages, and tells of their links.

use std::time::Duration;

use html5gum::{Token, Tokenizer};
use mesos_framework::proto::{KillPolicy, TaskId, TaskInfo};
use mesos_framework::{Executor, ExecutorHandle, async_trait};
use url::Url;

use crate::work::{Finding, Running, url_of};

/// Longest time for one page.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest page that is read, in bytes.
const LONGEST_PAGE: usize = 16 * 1024 * 1024;

pub(crate) struct Crawler {
    running: Running,
}

impl Crawler {
    pub(crate) fn new() -> Self {
        Self {
            running: Running::default(),
        }
    }
}

#[async_trait]
impl Executor for Crawler {
    async fn launch_task(&mut self, driver: &ExecutorHandle, task: TaskInfo) {
        let url = url_of(&task);
        self.running.start(driver, task, crawl(url)).await;
    }

    async fn kill_task(&mut self, driver: &ExecutorHandle, id: TaskId, _: Option<KillPolicy>) {
        self.running.kill(driver, &id).await;
    }

    async fn shutdown(&mut self, driver: &ExecutorHandle) {
        self.running.kill_all(driver).await;
    }
}

async fn crawl(url: String) -> Result<Finding, String> {
    let page = fetch(&url)
        .await
        .map_err(|error| format!("{url} cannot be read: {error}"))?;
    let base = Url::parse(&url).map_err(|error| format!("{url} is no URL: {error}"))?;
    Ok(Finding::Links {
        links: links(&base, &page),
        url,
    })
}

async fn fetch(url: &str) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let mut answer = client()?.get(url).send().await?.error_for_status()?;
    let mut page = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        page.extend_from_slice(&chunk);
        if page.len() > LONGEST_PAGE {
            return Err(format!("it is longer than {LONGEST_PAGE} bytes").into());
        }
    }
    Ok(page)
}

fn client() -> Result<reqwest::Client, Box<dyn std::error::Error + Send + Sync>> {
    let builder = reqwest::Client::builder().timeout(PATIENCE);
    #[cfg(feature = "tls")]
    let builder = {
        use rustls_platform_verifier::BuilderVerifierExt as _;
        use tokio_rustls::rustls::{ClientConfig, crypto::ring};

        let provider = std::sync::Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        builder.tls_backend_preconfigured(config)
    };
    Ok(builder.build()?)
}

/// Where the page's `a` elements lead, in their order; what is no URL is skipped.
fn links(base: &Url, page: &[u8]) -> Vec<String> {
    // Bytes that are no UTF-8 are not part of a link.
    let page = String::from_utf8_lossy(page);
    let mut links = Vec::new();
    for token in Tokenizer::new(page.as_ref()).flatten() {
        let Token::StartTag(tag) = token else {
            continue;
        };
        if &**tag.name != b"a" {
            continue;
        }
        let target = tag.attributes.iter().find(|(name, _)| &***name == b"href");
        let target = target.map(|(_, target)| String::from_utf8_lossy(target).into_owned());
        links.extend(target.and_then(|target| base.join(target.trim()).ok()));
    }
    links.into_iter().map(String::from).collect()
}
