//! Environments that no agent makes.

use proptest::prelude::*;

use super::super::*;
use super::REQUIRED;
use crate::tests::{cases, changed, changes};

const OTHERS: [&str; 7] = [
    "MESOS_CHECKPOINT",
    "MESOS_RECOVERY_TIMEOUT",
    "MESOS_SUBSCRIPTION_BACKOFF_MAX",
    "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD",
    "MESOS_EXECUTOR_AUTHENTICATION_TOKEN",
    "MESOS_DOMAIN_SOCKET",
    "LIBPROCESS_SSL_ENABLED",
];

fn value() -> impl Strategy<Value = String> {
    let odd = [
        "",
        "0",
        "1",
        "true",
        "15mins",
        "5secs",
        "0.0001ns",
        "-1secs",
        "1e9secs",
        "infsecs",
        "nansecs",
        "secs",
        "9223372036854775807ns",
        "9223372036854775808ns",
        "15250weeks",
        "15251weeks",
        "1e300weeks",
        "99999999999999999999999weeks",
        "30500568904943weeks",
        "1.5.5secs",
        "slave(1)@10.0.0.1:5051",
        "@h:1",
        "slave(1)@http://h:1",
        "slave(1)@master@h:1",
        "slave(1)@[::1]:80",
        "slave(1)@h:1/x",
        "a/b@h:1",
        "slave(1)@h:80",
        "x?y#z@h:1",
        "\r\nX: y@h:1",
        "..@h:1",
    ];
    prop_oneof![
        4 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "[0-9.eE+-]{0,20}(ns|us|ms|secs|mins|hrs|days|weeks)",
        1 => "[a-z()0-9/]{1,8}@[a-z0-9.:\\[\\]@/]{1,10}:[0-9]{1,6}",
    ]
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_environment_is_a_config_or_an_error_that_names_a_variable(
        changes in prop::collection::vec((0..12_usize, value()), 0..5),
        secret in "hush[a-z]{8}",
    ) {
        let names: Vec<&str> = REQUIRED.iter().map(|(name, _)| *name).chain(OTHERS).collect();
        let lookup = |wanted: &str| {
            let changed = changes.iter().find(|(at, _)| names[*at] == wanted);
            let given = REQUIRED.iter().find(|(name, _)| *name == wanted);
            match changed {
                _ if wanted == TOKEN => Some(secret.clone()),
                Some((_, value)) => Some(value.clone()),
                None => given.map(|(_, value)| (*value).to_owned()),
            }
        };
        match ExecutorConfig::from_lookup(lookup) {
            Ok(config) => {
                let pid = lookup("MESOS_SLAVE_PID").unwrap();
                let url = config.agent.url("/api/v1/executor");
                let port = pid.rsplit_once(':').unwrap().1.parse().ok();
                prop_assert_eq!(url.port_or_known_default(), port);
                prop_assert!(url.path().ends_with("/api/v1/executor"), "{}", url);
                let given = |name| lookup(name).unwrap();
                prop_assert_eq!(&config.agent_id().value, &given("MESOS_SLAVE_ID"));
                prop_assert_eq!(&config.framework_id().value, &given("MESOS_FRAMEWORK_ID"));
                prop_assert_eq!(&config.executor_id().value, &given("MESOS_EXECUTOR_ID"));
                prop_assert_eq!(config.directory().to_str().unwrap(), given("MESOS_DIRECTORY"));
                let checkpoint = lookup("MESOS_CHECKPOINT").unwrap_or_default();
                prop_assert_eq!(config.is_checkpointing(), matches!(&*checkpoint, "1" | "true"));
                for (name, default, time) in [
                    ("MESOS_RECOVERY_TIMEOUT", RECOVERY_TIMEOUT, config.recovery_timeout),
                    ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", SHUTDOWN_GRACE_PERIOD, config.shutdown_grace_period),
                ] {
                    prop_assert!(lookup(name).is_some() || time == default, "{}", name);
                }
                // Any of them can be waited for.
                let now = std::time::Instant::now();
                for time in [config.recovery_timeout, config.subscription_backoff_max, config.shutdown_grace_period] {
                    prop_assert!(now.checked_add(time).is_some());
                }
                let shown = format!("{:?}", config);
                prop_assert!(!shown.contains(&secret));
            }
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::Config);
                let text = error.to_string();
                let mut changed = changes.iter().map(|(at, _)| names[*at]);
                prop_assert!(changed.any(|name| text.contains(name)), "{}", text);
                prop_assert!(!text.contains(&secret));
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn any_bytes_in_the_environment_are_a_config_or_an_error_that_names_a_variable(
        at in 0..12_usize,
        value in value(),
        changes in changes(0..3),
    ) {
        use std::os::unix::ffi::OsStringExt as _;

        let names: Vec<&str> = REQUIRED.iter().map(|(name, _)| *name).chain(OTHERS).collect();
        let changed = changed(value.into_bytes(), &changes);
        let is_text = std::str::from_utf8(&changed).is_ok();
        let read = ExecutorConfig::from_os_lookup(|wanted| {
            let given = REQUIRED.iter().find(|(name, _)| *name == wanted);
            match names[at] == wanted {
                true => Some(OsString::from_vec(changed.clone())),
                false => given.map(|(_, value)| (*value).into()),
            }
        });
        match read {
            Ok(_) => prop_assert!(is_text),
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::Config);
                let text = error.to_string();
                prop_assert!(text.contains(names[at]), "{}", text);
                prop_assert_eq!(!is_text, text.ends_with("is no Unicode text"));
            }
        }
    }

    #[test]
    fn a_duration_is_read_as_it_is_written(number in 0..=1_000_000_u64, unit in 0..8_usize) {
        let (name, nanos) = [
            ("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("secs", 1_000_000_000), ("mins", 60_000_000_000),
            ("hrs", 3_600_000_000_000), ("days", 86_400_000_000_000), ("weeks", 604_800_000_000_000),
        ][unit];
        let expected = u128::from(number) * nanos;
        let read = parse_duration(&format!("{number}{name}"));
        if expected > LONGEST.as_nanos() {
            prop_assert_eq!(read, None);
        } else {
            // A double has 53 bits.
            let error = read.unwrap().as_nanos().abs_diff(expected);
            prop_assert!(error <= 1 + expected / (1 << 52), "{error}");
        }
    }
}
