//! What an answer's status and headers mean.

use std::sync::Arc;

use crate::address::Address;
use crate::error::{Error, ErrorKind, Result};

/// Status, the headers that matter, and the text of the body (empty for a stream).
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) stream_id: Option<Arc<str>>,
    pub(crate) body: String,
    /// Whether more of the body should have come: its words, which may tell refusals apart, are not all there.
    pub(crate) is_cut: bool,
}

/// Longest part of a body that is quoted in an error.
const QUOTED: usize = 400;

/// What became of a SUBSCRIBE.
#[derive(Debug)]
pub(crate) enum SubscribeVerdict {
    /// The stream begins.
    Accepted,
    /// The leading master is elsewhere.
    Redirected(Address),
    /// Passing: try again.
    NotReady(Error),
    /// Not what a master or agent answers; may be a proxy in between. Try again, a few times.
    Odd(Error),
    /// Trying again does not help.
    Refused(Error),
}

/// What became of any other call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CallVerdict {
    Accepted,
    /// Not carried out, for its subscription is not the current one any more, or the peer is not the leader any more.
    NotSubscribed,
    /// Not carried out, for the agent is still collecting its executors after a restart; the subscription stands.
    NotReady,
    /// Not carried out, for a reason of its own.
    Refused,
}

impl Reply {
    /// Source: `src/master/http.cpp` and `src/slave/http.cpp`, Apache Mesos 1.11.0.
    pub(crate) fn judge_subscribe(
        &self,
        from: &Address,
        path: &str,
        media_type: &str,
    ) -> SubscribeVerdict {
        let error = |kind| {
            Error::new(
                kind,
                format!("SUBSCRIBE at {from} answered {}", self.describe()),
            )
        };
        match self.status {
            200 => match self.content_type.as_deref() {
                Some(given) if given == media_type => SubscribeVerdict::Accepted,
                given => {
                    let given = given.unwrap_or("none");
                    let context = format!(
                        "SUBSCRIBE at {from} answered with content type {given}, not {media_type}"
                    );
                    SubscribeVerdict::Odd(Error::new(ErrorKind::Protocol, context))
                }
            },
            307 => match self.redirect_target(from, path) {
                Ok(to) => SubscribeVerdict::Redirected(to),
                Err(error) => SubscribeVerdict::NotReady(error),
            },
            400 | 403 if self.is_cut => SubscribeVerdict::NotReady(error(ErrorKind::Unavailable)),
            401 | 403 => SubscribeVerdict::Refused(error(ErrorKind::Unauthorized)),
            400 | 405 | 406 | 415 => SubscribeVerdict::Refused(error(ErrorKind::Rejected)),
            404 | 500..=599 => SubscribeVerdict::NotReady(error(ErrorKind::Unavailable)),
            _ => SubscribeVerdict::Odd(error(ErrorKind::Protocol)),
        }
    }

    /// Texts as in `src/master/http.cpp` and `src/slave/http.cpp`, Apache Mesos 1.11.0.
    pub(crate) fn judge_call(&self) -> CallVerdict {
        match self.status {
            200..=299 => CallVerdict::Accepted,
            503 if self.body.contains("Agent has not finished recovery") => CallVerdict::NotReady,
            307 | 404 | 503 => CallVerdict::NotSubscribed,
            400 | 403 if self.speaks_of_subscription() => CallVerdict::NotSubscribed,
            _ => CallVerdict::Refused,
        }
    }

    fn speaks_of_subscription(&self) -> bool {
        [
            "is not subscribed",
            "cannot be found",
            "The stream ID",
            "is not connected via HTTP",
        ]
        .iter()
        .any(|text| self.body.contains(text))
    }

    fn redirect_target(&self, from: &Address, path: &str) -> Result<Address> {
        let Some(location) = &self.location else {
            let context = format!("SUBSCRIBE at {from} answered 307 without a Location");
            return Err(Error::new(ErrorKind::Unavailable, context));
        };
        from.redirected(path, location)
    }

    /// The status, and the beginning of the body.
    pub(crate) fn describe(&self) -> String {
        let body = self.body.trim();
        let quoted: String = body.chars().take(QUOTED).collect();
        match quoted.is_empty() {
            true => self.status.to_string(),
            false => format!("{}: {quoted}", self.status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/api/v1/scheduler";
    const TYPE: &str = "application/x-protobuf";

    fn judge(reply: &Reply) -> (&'static str, Option<Error>) {
        let from = Address::parse("10.0.0.5:5050").unwrap();
        match reply.judge_subscribe(&from, PATH, TYPE) {
            SubscribeVerdict::Accepted => ("accepted", None),
            SubscribeVerdict::Redirected(to) => {
                assert_eq!(to.to_string(), "10.0.0.6:5050");
                ("redirected", None)
            }
            SubscribeVerdict::NotReady(error) => ("not ready", Some(error)),
            SubscribeVerdict::Odd(error) => ("odd", Some(error)),
            SubscribeVerdict::Refused(error) => ("refused", Some(error)),
        }
    }

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            body: body.into(),
            ..Reply::default()
        }
    }

    #[test]
    fn statuses_of_subscribe_end_the_driver_or_are_tried_again() {
        use ErrorKind::{Protocol, Rejected, Unauthorized, Unavailable};
        for (status, verdict, kind) in [
            (307, "not ready", Unavailable),
            (400, "refused", Rejected),
            (401, "refused", Unauthorized),
            (403, "refused", Unauthorized),
            (404, "not ready", Unavailable),
            (405, "refused", Rejected),
            (406, "refused", Rejected),
            (415, "refused", Rejected),
            (500, "not ready", Unavailable),
            (503, "not ready", Unavailable),
            (200, "odd", Protocol),
            (202, "odd", Protocol),
            (418, "odd", Protocol),
        ] {
            let (given, error) = judge(&reply(status, "why"));
            assert_eq!((given, error.unwrap().kind()), (verdict, kind), "{status}");
        }
    }

    #[test]
    fn content_type_must_be_exactly_what_was_asked_for() {
        let typed = |text: &str| Reply {
            status: 200,
            content_type: Some(text.into()),
            ..Reply::default()
        };
        assert_eq!(judge(&typed(TYPE)).0, "accepted");
        let (verdict, error) = judge(&typed("text/html"));
        assert_eq!(verdict, "odd");
        assert_eq!(
            error.unwrap().to_string(),
            "SUBSCRIBE at 10.0.0.5:5050 answered with content type text/html, not application/x-protobuf"
        );
    }

    #[test]
    fn redirects_lead_to_the_leader() {
        let location = Some("//10.0.0.6:5050/api/v1/scheduler".to_owned());
        assert_eq!(
            judge(&Reply {
                status: 307,
                location,
                ..Reply::default()
            })
            .0,
            "redirected"
        );
    }

    #[test]
    fn calls_that_only_lost_their_subscription_are_told_from_refused_ones() {
        for (status, body, verdict) in [
            (
                503,
                "Agent has not finished recovery",
                CallVerdict::NotReady,
            ),
            (202, "", CallVerdict::Accepted),
            (200, "", CallVerdict::Accepted),
            (307, "", CallVerdict::NotSubscribed),
            (
                503,
                "Master has not finished recovery",
                CallVerdict::NotSubscribed,
            ),
            (
                403,
                "Framework is not subscribed",
                CallVerdict::NotSubscribed,
            ),
            (400, "Framework cannot be found", CallVerdict::NotSubscribed),
            (
                400,
                "The stream ID 'x' included in this request didn't match",
                CallVerdict::NotSubscribed,
            ),
            (
                400,
                "Failed to validate scheduler::Call: Not a valid UUID",
                CallVerdict::Refused,
            ),
            (401, "401 Unauthorized.", CallVerdict::Refused),
            (500, "", CallVerdict::Refused),
        ] {
            assert_eq!(reply(status, body).judge_call(), verdict, "{status} {body}");
        }
    }

    #[test]
    fn a_subscribe_whose_refusal_has_lost_its_words_is_tried_again() {
        for (status, verdict) in [(400, "not ready"), (403, "not ready"), (401, "refused")] {
            let reply = Reply {
                is_cut: true,
                ..reply(status, "Framework is n")
            };
            assert_eq!(judge(&reply).0, verdict, "{status}");
        }
    }
}
