//! A small site to crawl: six pages, and a link to one that is not there.

use std::net::Ipv4Addr;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Path, title, and where the page leads. `/broken` is linked, and not there.
const PAGES: [(&str, &str, &[&str]); 6] = [
    (
        "/",
        "Apache Mesos on a page",
        &["/masters", "/agents", "frameworks/"],
    ),
    ("/masters", "Masters", &["/", "/agents"]),
    ("/agents", "Agents", &["/", "/broken"]),
    (
        "/frameworks/",
        "Frameworks",
        &["schedulers", "executors", "../"],
    ),
    (
        "/frameworks/schedulers",
        "Schedulers",
        &["executors", "/masters"],
    ),
    ("/frameworks/executors", "Executors", &["./", "http://"]),
];

/// Serves the site for as long as the program runs; its URL.
pub(crate) async fn serve() -> std::io::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((connection, _)) => {
                    tokio::spawn(async move {
                        if let Err(error) = answer(connection).await {
                            eprintln!("demo site: {error}");
                        }
                    });
                }
                Err(error) => eprintln!("demo site: {error}"),
            }
        }
    });
    Ok(url)
}

/// One request per connection.
async fn answer(connection: TcpStream) -> std::io::Result<()> {
    let mut connection = BufReader::new(connection);
    let mut request = String::new();
    if connection.read_line(&mut request).await? == 0 {
        // Browsers connect in advance.
        return Ok(());
    }
    let mut header = String::new();
    while connection.read_line(&mut header).await? > 2 {
        header.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let page = PAGES.iter().find(|(own, _, _)| *own == path);
    let (status, body) = match page {
        Some((_, title, links)) => ("200 OK", html(title, links)),
        None => ("404 Not Found", html("Not here", &[])),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(body.as_bytes()).await?;
    connection.shutdown().await
}

fn html(title: &str, links: &[&str]) -> String {
    let list: String = links
        .iter()
        .map(|link| format!("<li><a class=\"link\" href=\"{link}\">{link}</a></li>"))
        .collect();
    format!(
        "<!DOCTYPE html><title>{title}</title><body style=\"font: 40px sans-serif; margin: 2em\"><h1>{title}</h1>\
         <ul>{list}</ul></body>"
    )
}
