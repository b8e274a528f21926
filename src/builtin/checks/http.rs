//! A GET whose answer's status code is all that counts: what Mesos asks the program `curl` for.
//!
//! Source: `httpCheckCommand`, `src/checks/checker_process.cpp` of Apache Mesos 1.11.0.

use std::process::Stdio;

use futures_util::future::join;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::process::Command;

/// How many redirects are followed (`curl -L`).
const MAX_REDIRECTS: usize = 50;

/// The status code behind all redirects, once its body has been read. https is left to `curl`, which Mesos has do all
/// of it.
pub(super) async fn status_of(url: &str) -> Result<u16, String> {
    let mut at: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
    for _ in 0..=MAX_REDIRECTS {
        if at.scheme_str() != Some("http") {
            return by_curl(&at).await;
        }
        let (code, location) = get(&at).await?;
        match location {
            Some(location) if (300..400).contains(&code) => at = redirected(&at, &location)?,
            _ => return Ok(code),
        }
    }
    Err(format!("more than {MAX_REDIRECTS} redirects"))
}

/// One request, on a connection of its own.
async fn get(uri: &Uri) -> Result<(u16, Option<String>), String> {
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(80);
    let text = |error: &dyn std::error::Error| format!("{uri}: {error}");
    // An IPv6 address stands in brackets.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((name, port)).await;
    let stream = stream.map_err(|error| text(&error))?;
    let connected = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.map_err(|error| text(&error))?;
    let path = uri.path_and_query().map_or("/", |own| own.as_str());
    let request = Request::get(path)
        .header(header::HOST, format!("{host}:{port}"))
        .header(header::ACCEPT, "*/*")
        .body(Empty::<Bytes>::new());
    let request = request.map_err(|error| text(&error))?;
    let exchange = async move {
        let response = sender.send_request(request).await?;
        read(response).await
    };
    // The connection ends when the exchange has.
    let (answered, _) = join(exchange, connection).await;
    answered.map_err(|error| text(&error))
}

async fn read(response: Response<Incoming>) -> hyper::Result<(u16, Option<String>)> {
    let code = response.status().as_u16();
    let location = response.headers().get(header::LOCATION);
    let location = location.and_then(|value| value.to_str().ok().map(str::to_owned));
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok((code, location))
}

/// Where `location`, which may leave out what is as before, leads from `from`.
fn redirected(from: &Uri, location: &str) -> Result<Uri, String> {
    let scheme = from.scheme_str().unwrap_or("http");
    let authority = from.authority().map_or("", |own| own.as_str());
    let target = if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = from
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let parsed = target.parse();
    parsed.map_err(|error| format!("redirected to {location:?}: {error}"))
}

async fn by_curl(uri: &Uri) -> Result<u16, String> {
    let command = Command::new("curl")
        .args(["-s", "-S", "-L", "-k", "-w", "%{http_code}", "-g", "-o"])
        .arg(if cfg!(windows) { "NUL" } else { "/dev/null" })
        .arg(uri.to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    let output = command.map_err(|error| format!("{uri}: curl not executed: {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{uri}: {}: {}", output.status, why.trim()));
    }
    let code = String::from_utf8_lossy(&output.stdout);
    let parsed = code.trim().parse();
    parsed.map_err(|_| format!("{uri}: curl answered {code:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        let from: Uri = "http://127.0.0.1:8080/a/b?c".parse().unwrap();
        let to = |location| redirected(&from, location).unwrap().to_string();
        assert_eq!(to("https://other/x"), "https://other/x");
        assert_eq!(to("//other:1/x"), "http://other:1/x");
        assert_eq!(to("/x?y"), "http://127.0.0.1:8080/x?y");
        assert_eq!(to("x"), "http://127.0.0.1:8080/a/x");
        assert!(redirected(&from, "http://").is_err());
    }
}
