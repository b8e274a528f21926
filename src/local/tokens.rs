//! Tokens of executors: JSON Web Tokens that an agent hands out and asks for.
//!
//! Source: `src/authentication/executor/jwt_secret_generator.cpp`, `3rdparty/libprocess/src/jwt.cpp` and
//! `jwt_authenticator.cpp` of Apache Mesos 1.11.0.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;
use hyper::header::{self, HeaderMap};
use ring::hmac;
use serde_json::{Map, Value, json};

use super::builder::LocalClusterBuilder;
use super::http::Reply;
use crate::proto::{ExecutorId, FrameworkId};

/// What stands before each reason of a 401 (`DEFAULT_EXECUTOR_AUTHENTICATION_REALM`, `src/slave/constants.hpp`).
const REALM: &str = "Bearer realm=\"mesos-agent-executor\"";

/// The variable in which an executor is given its token.
pub(super) const VARIABLE: &str = "MESOS_EXECUTOR_AUTHENTICATION_TOKEN";

impl LocalClusterBuilder {
    /// Has agents give each executor a token signed with `key`, in `MESOS_EXECUTOR_AUTHENTICATION_TOKEN`, and ask for it
    /// with every call. Default: nobody is asked.
    ///
    /// Source: `--authenticate_http_executors` and `--jwt_secret_key` of the agent.
    pub fn executor_tokens(mut self, key: impl AsRef<[u8]>) -> Self {
        self.token_key = Some(TokenKey::new(key.as_ref()));
        self
    }
}

/// Signs tokens.
#[derive(Clone)]
pub(super) struct TokenKey(hmac::Key);

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(hidden)")
    }
}

/// Whom a token was given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) framework_id: String,
    pub(super) executor_id: String,
    pub(super) container_id: String,
}

impl Claims {
    pub(super) fn of(
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        container_id: &str,
    ) -> Self {
        Self {
            framework_id: framework_id.value.clone(),
            executor_id: executor_id.value.clone(),
            container_id: container_id.to_owned(),
        }
    }
}

impl TokenKey {
    fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// A token for that executor.
    pub(super) fn issue(&self, claims: &Claims) -> String {
        let header = json!({ "alg": "HS256", "typ": "JWT" });
        let payload = json!({
            "cid": claims.container_id,
            "eid": claims.executor_id,
            "fid": claims.framework_id,
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&payload));
        let signature = hmac::sign(&self.0, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What the token in `headers` claims; else 401 with the reason.
    pub(super) fn authenticate(&self, headers: &HeaderMap) -> Result<Claims, Reply> {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Err(unauthorized(REALM.to_owned()));
        };
        let wrong = |why: &str| {
            unauthorized(format!(
                "{REALM}, error=\"invalid_token\", error_description=\"{why}\""
            ))
        };
        let value = value.to_str().unwrap_or_default();
        let (scheme, token) = match value.split_once(' ') {
            Some((scheme, token)) if !token.contains(' ') => (scheme, token),
            _ => return Err(wrong("Malformed 'Authorization' header")),
        };
        if scheme != "Bearer" {
            return Err(wrong(&format!("Scheme '{scheme}' unsupported")));
        }
        let payload = self.read(token);
        let payload = payload.map_err(|why| wrong(&format!("Invalid JWT: {why}")))?;
        if payload.is_empty() {
            return Err(wrong("JWT claims missing"));
        }
        let claim = |name: &str| {
            let value = payload.get(name).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        Ok(Claims {
            framework_id: claim("fid"),
            executor_id: claim("eid"),
            container_id: claim("cid"),
        })
    }

    fn read(&self, token: &str) -> Result<Map<String, Value>, String> {
        let components: Vec<&str> = token.split('.').collect();
        let &[header, payload, signature] = components.as_slice() else {
            let count = components.len();
            return Err(format!("Expected 3 components in token, got {count}"));
        };
        let given =
            object(header).map_err(|why| format!("Failed to decode token header: {why}"))?;
        match given.get("alg") {
            None => return Err("Failed to locate 'alg' in token JSON header".to_owned()),
            Some(Value::String(own)) if own == "HS256" => {}
            Some(own) => {
                let own = own.as_str().unwrap_or_default();
                return Err(format!(
                    "Token 'alg' value '{own}' does not match, expected 'HS256'"
                ));
            }
        }
        if given.contains_key("crit") {
            return Err("Token 'crit' field is unsupported".to_owned());
        }
        let claims =
            object(payload).map_err(|why| format!("Failed to decode token payload: {why}"))?;
        expires(&claims)?;
        let signature = decode(signature)
            .map_err(|why| format!("Failed to base64url-decode token signature: {why}"))?;
        let signed = &token[..=header.len() + payload.len()];
        // Compares in constant time.
        hmac::verify(&self.0, signed.as_bytes(), &signature)
            .map_err(|_| "Token signature does not match".to_owned())?;
        Ok(claims)
    }
}

fn expires(claims: &Map<String, Value>) -> Result<(), String> {
    let Some(stated) = claims.get("exp") else {
        return Ok(());
    };
    let Some(stated) = stated.as_f64() else {
        return Err("JSON payload 'exp' field is not a number".to_owned());
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    match Value::from(now).as_f64().is_some_and(|now| stated < now) {
        true => Err(format!("Token has expired: exp({stated}) < now({now})")),
        false => Ok(()),
    }
}

fn decode(component: &str) -> Result<Vec<u8>, String> {
    let decoded = URL_SAFE_NO_PAD.decode(component.trim_end_matches('='));
    decoded.map_err(|error| error.to_string())
}

fn object(component: &str) -> Result<Map<String, Value>, String> {
    let decoded = decode(component).map_err(|why| format!("Failed to base64url-decode: {why}"))?;
    serde_json::from_slice(&decoded).map_err(|error| format!("Failed to parse into JSON: {error}"))
}

fn unauthorized(challenge: String) -> Reply {
    Reply::Plain {
        status: StatusCode::UNAUTHORIZED,
        text: "401 Unauthorized.".to_owned(),
        header: Some((header::WWW_AUTHENTICATE, challenge)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims {
            framework_id: "f".into(),
            executor_id: "e".into(),
            container_id: "c".into(),
        }
    }

    fn judged(key: &TokenKey, authorization: &str) -> Result<Claims, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        key.authenticate(&headers).map_err(|reply| match reply {
            Reply::Plain {
                header: Some((_, challenge)),
                ..
            } => challenge,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_token_is_signed_over_header_and_claims() {
        // Computed with another implementation of RFC 7515: HMAC-SHA256 under the key "secret".
        let expected = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJjaWQiOiJjIiwiZWlkIjoiZSIsImZpZCI6ImYifQ.0CAWCOKdGOeTecjYxPGJ7wLp8OMagMEZ7a1-wslFvME";
        assert_eq!(TokenKey::new(b"secret").issue(&claims()), expected);
    }

    #[test]
    fn only_ones_own_tokens_are_taken() {
        let key = TokenKey::new(b"secret");
        let token = key.issue(&claims());
        assert_eq!(judged(&key, &format!("Bearer {token}")), Ok(claims()));
        let foreign = TokenKey::new(b"other").issue(&claims());
        let unsigned = format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
            URL_SAFE_NO_PAD.encode(r#"{"fid":"f"}"#)
        );
        for (authorization, why) in [
            (
                format!("Bearer {foreign}"),
                "Invalid JWT: Token signature does not match",
            ),
            (format!("Bearer {token}x"), "Invalid JWT: "),
            (
                "Bearer a.b".to_owned(),
                "Invalid JWT: Expected 3 components in token, got 2",
            ),
            (
                format!("Bearer {unsigned}"),
                "Invalid JWT: Token 'alg' value",
            ),
            ("Basic abc".to_owned(), "Scheme 'Basic' unsupported"),
            ("Bearer".to_owned(), "Malformed 'Authorization' header"),
        ] {
            let challenge = judged(&key, &authorization).unwrap_err();
            assert!(challenge.contains(why), "{authorization}: {challenge}");
        }
        assert!(key.authenticate(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_token_may_expire() {
        let claims = |exp: Value| expires(json!({ "exp": exp }).as_object().unwrap());
        assert_eq!(claims(json!(1e12)), Ok(()));
        assert!(
            claims(json!(1))
                .unwrap_err()
                .starts_with("Token has expired")
        );
        assert!(claims(json!("soon")).is_err());
    }
}
