//! Settings that both drivers have.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::codec::ContentType;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Credentials, HttpConfig, TlsConfig};
use crate::recordio::DEFAULT_MAX_RECORD_SIZE;

/// Longest time of any kind, a century: it can be added to any time of day, and is never over.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The settings, with their defaults.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) content_type: ContentType,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) confine_credential: bool,
    pub(crate) tls: TlsConfig,
    pub(crate) proxy_from_environment: bool,
    pub(crate) user_agent: String,
    /// None: the default of the driver.
    pub(crate) backoff: Option<Backoff>,
    pub(crate) connect_timeout: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) missed_heartbeats: u32,
    pub(crate) event_queue_capacity: usize,
    pub(crate) outbox_capacity: usize,
    pub(crate) calls_in_flight: usize,
    pub(crate) event_stall_timeout: Duration,
    pub(crate) callback_timeout: Option<Duration>,
    pub(crate) max_record_size: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            content_type: ContentType::default(),
            credentials: None,
            confine_credential: false,
            tls: TlsConfig::default(),
            proxy_from_environment: false,
            user_agent: concat!("mesos-framework/", env!("CARGO_PKG_VERSION")).to_owned(),
            backoff: None,
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(75),
            missed_heartbeats: 5,
            event_queue_capacity: 64,
            outbox_capacity: 1024,
            calls_in_flight: 64,
            event_stall_timeout: Duration::from_secs(75),
            callback_timeout: None,
            max_record_size: DEFAULT_MAX_RECORD_SIZE,
        }
    }
}

impl Options {
    /// Refuses what makes no sense, and bounds what no clock can hold.
    pub(crate) fn check(&mut self) -> Result<()> {
        let capacities = [
            ("event_queue_capacity", self.event_queue_capacity),
            ("outbox_capacity", self.outbox_capacity),
            ("calls_in_flight", self.calls_in_flight),
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
        for time in [
            &mut self.connect_timeout,
            &mut self.call_timeout,
            &mut self.event_stall_timeout,
        ] {
            *time = LONGEST.min(*time);
        }
        Ok(())
    }

    pub(crate) fn http(&self) -> HttpConfig {
        HttpConfig {
            connect_timeout: self.connect_timeout,
            reply_timeout: self.call_timeout,
            window: self.calls_in_flight,
            user_agent: self.user_agent.clone(),
            credentials: self.credentials.clone(),
            confine_credential: self.confine_credential,
            tls: self.tls.clone(),
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
            self.options.credentials = Some($crate::http::Credentials::Fixed(credential));
            self
        }

        /// Asks for the proof of identity in place of [`credential`](Self::credential): once at first, and again after
        /// each 401.
        pub fn credential_provider(mut self, provider: impl $crate::CredentialProvider) -> Self {
            let provider = std::sync::Arc::new(provider);
            self.options.credentials = Some($crate::http::Credentials::Provider(provider));
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
            self.options.tls.roots.push(pem.into());
            self
        }

        /// Shows this certificate to https peers that ask for one (mutual TLS): the PEM texts of the chain, the
        /// certificate itself first, and of its private key (PKCS #8, PKCS #1 or SEC 1). `build` refuses what cannot be
        /// used.
        pub fn client_certificate(
            mut self,
            chain: impl Into<Vec<u8>>,
            key: impl Into<Vec<u8>>,
        ) -> Self {
            self.options.tls.client_certificate = Some($crate::http::ClientCertificate {
                chain: chain.into(),
                key: key.into(),
            });
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

        /// Longest time to make a connection, with the resolution of the name and TLS; default 10 s. For the event stream,
        /// it is part of the `call_timeout` of the attempt.
        pub fn connect_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.options.connect_timeout = timeout;
            self
        }

        /// Longest time from sending a call to its answer; and of an attempt to subscribe, from the question for the
        /// credential to SUBSCRIBED; also how long a stopping driver may take to send what is queued. Default 75 s.
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

        /// How many calls may be without an answer; default 64. They are written back to back on one connection, so that
        /// order does not cost a round trip per call; 1 sends each only when the one before is answered. Through a proxy
        /// of the environment it is always 1.
        pub fn calls_in_flight(mut self, calls: usize) -> Self {
            self.options.calls_in_flight = calls;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_that_the_setters_state() {
        let options = Options::default();
        let second = Duration::from_secs(1);
        assert_eq!(options.content_type, ContentType::Protobuf);
        assert_eq!(options.connect_timeout, 10 * second);
        assert_eq!(options.call_timeout, 75 * second);
        assert_eq!(options.event_stall_timeout, 75 * second);
        assert_eq!(options.callback_timeout, None);
        assert_eq!(options.missed_heartbeats, 5);
        assert_eq!(options.event_queue_capacity, 64);
        assert_eq!(options.outbox_capacity, 1024);
        assert_eq!(options.calls_in_flight, 64);
        assert_eq!(options.max_record_size, 64 << 20);
        assert_eq!(options.backoff.unwrap_or_default().longest(), 15 * second);
        assert!(options.credentials.is_none() && !options.confine_credential);
        assert!(!options.proxy_from_environment);
        let http = options.http();
        assert_eq!(http.connect_timeout, options.connect_timeout);
        assert_eq!(http.reply_timeout, options.call_timeout);
        assert_eq!(http.window, options.calls_in_flight);
    }
}
