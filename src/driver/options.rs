//! Settings that both drivers have.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::codec::ContentType;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Credential, HttpConfig};
use crate::recordio::DEFAULT_MAX_RECORD_SIZE;

/// The settings, with their defaults.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) content_type: ContentType,
    pub(crate) credential: Option<Credential>,
    pub(crate) confine_credential: bool,
    pub(crate) root_certificates: Vec<Vec<u8>>,
    pub(crate) proxy_from_environment: bool,
    pub(crate) user_agent: String,
    /// None: the default of the driver.
    pub(crate) backoff: Option<Backoff>,
    pub(crate) connect_timeout: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) missed_heartbeats: u32,
    pub(crate) event_queue_capacity: usize,
    pub(crate) outbox_capacity: usize,
    pub(crate) event_stall_timeout: Duration,
    pub(crate) callback_timeout: Option<Duration>,
    pub(crate) max_record_size: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            content_type: ContentType::default(),
            credential: None,
            confine_credential: false,
            root_certificates: Vec::new(),
            proxy_from_environment: false,
            user_agent: concat!("mesos-framework/", env!("CARGO_PKG_VERSION")).to_owned(),
            backoff: None,
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(75),
            missed_heartbeats: 5,
            event_queue_capacity: 64,
            outbox_capacity: 1024,
            event_stall_timeout: Duration::from_secs(75),
            callback_timeout: None,
            max_record_size: DEFAULT_MAX_RECORD_SIZE,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<()> {
        let capacities = [
            ("event_queue_capacity", self.event_queue_capacity),
            ("outbox_capacity", self.outbox_capacity),
            ("max_record_size", self.max_record_size),
            ("missed_heartbeats", self.missed_heartbeats as usize),
        ];
        let times = [
            ("connect_timeout", self.connect_timeout),
            ("call_timeout", self.call_timeout),
            ("event_stall_timeout", self.event_stall_timeout),
        ];
        let zero = capacities
            .iter()
            .filter(|(_, value)| *value == 0)
            .map(|(name, _)| *name);
        let mut zero = zero.chain(
            times
                .iter()
                .filter(|(_, value)| value.is_zero())
                .map(|(name, _)| *name),
        );
        if let Some(name) = zero.next() {
            return Err(Error::new(
                ErrorKind::Config,
                format!("{name} must be above zero"),
            ));
        }
        if self.user_agent.starts_with("libprocess/") {
            let context = "user agent must not begin with libprocess/: Mesos takes such requests for its own messages";
            return Err(Error::new(ErrorKind::Config, context));
        }
        Ok(())
    }

    pub(crate) fn http(&self) -> HttpConfig {
        HttpConfig {
            connect_timeout: self.connect_timeout,
            reply_timeout: self.call_timeout,
            user_agent: self.user_agent.clone(),
            credential: self.credential.clone(),
            confine_credential: self.confine_credential,
            root_certificates: self.root_certificates.clone(),
            proxy_from_environment: self.proxy_from_environment,
        }
    }
}

/// Setters that the builders of both drivers have.
macro_rules! option_setters {
    () => {
        /// How messages are written: protobuf by default.
        pub fn content_type(mut self, content_type: $crate::ContentType) -> Self {
            self.options.content_type = content_type;
            self
        }

        /// Proof of identity, sent with every request: to the configured hosts and to where these redirect, on the same
        /// scheme only. None by default.
        pub fn credential(mut self, credential: $crate::Credential) -> Self {
            self.options.credential = Some(credential);
            self
        }

        /// Sends the credential to the configured hosts only, and not to where these redirect.
        pub fn confine_credential(mut self) -> Self {
            self.options.confine_credential = true;
            self
        }

        /// Trusts the root certificates of this PEM text for https, in place of the platform's. May be given several
        /// times. `build` refuses text without a certificate.
        pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
            self.options.root_certificates.push(pem.into());
            self
        }

        /// Obeys `http_proxy`, `https_proxy` and `no_proxy` of the environment; by default they are ignored.
        pub fn proxy_from_environment(mut self) -> Self {
            self.options.proxy_from_environment = true;
            self
        }

        /// Value of the `User-Agent` header; default `mesos-framework/` and the version.
        pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
            self.options.user_agent = user_agent.into();
            self
        }

        /// Waits between attempts to subscribe. Default for schedulers: up to 500 ms, doubling up to 15 s, and never more
        /// than a tenth of the failover time-out; for executors: up to what the agent allows (2 s).
        pub fn backoff(mut self, backoff: $crate::Backoff) -> Self {
            self.options.backoff = Some(backoff);
            self
        }

        /// Longest time to make a connection; default 10 s.
        pub fn connect_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.connect_timeout = timeout;
            self
        }

        /// Longest time from sending a call to its answer, and from SUBSCRIBE to SUBSCRIBED; also how long a stopping
        /// driver may take to send what is queued. Default 75 s.
        pub fn call_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.call_timeout = timeout;
            self
        }

        /// How many events may wait for callbacks; default 64. When as many wait, the stream is not read.
        pub fn event_queue_capacity(mut self, events: usize) -> Self {
            self.options.event_queue_capacity = events;
            self
        }

        /// How many calls may be queued or in flight; default 1,024. When as many are, methods of the handle wait.
        pub fn outbox_capacity(mut self, calls: usize) -> Self {
            self.options.outbox_capacity = calls;
            self
        }

        /// How long events may stay unread behind a slow callback before the subscription is given up and renewed;
        /// default 75 s. The peer keeps unread events in memory without bound (MESOS-7748).
        pub fn event_stall_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.event_stall_timeout = timeout;
            self
        }

        /// Aborts the driver when a callback runs longer; off by default.
        pub fn callback_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.callback_timeout = Some(timeout);
            self
        }

        /// Longest record that is read, in bytes; default 64 MiB. A longer one ends the subscription.
        pub fn max_record_size(mut self, bytes: usize) -> Self {
            self.options.max_record_size = bytes;
            self
        }
    };
}
pub(crate) use option_setters;
