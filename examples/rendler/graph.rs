//! The graph of what was found, for Graphviz.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use ring::digest;

/// What is known of a site.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// From page to page.
    pub(crate) edges: BTreeSet<(String, String)>,
    /// Page, and its picture's URL.
    pub(crate) images: BTreeMap<String, String>,
}

impl Results {
    /// The text for `dot`: a vertex for each page that was rendered, and the links between them.
    pub(crate) fn to_dot(&self) -> String {
        let mut dot = String::from("digraph G {\n  node [shape=box];\n");
        for (url, image_url) in &self.images {
            let file = image_url.strip_prefix("file:///").unwrap_or(image_url);
            let file = file.replace('\\', "\\\\").replace('"', "\\\"");
            // Writing to a String does not fail.
            let _ = writeln!(dot, "  {} [label=\"\" image=\"{file}\"];", name(url));
        }
        let are_drawn = |(from, to): &&(String, String)| {
            self.images.contains_key(from) && self.images.contains_key(to)
        };
        for (from, to) in self.edges.iter().filter(are_drawn) {
            let _ = writeln!(dot, "  {} -> {};", name(from), name(to));
        }
        dot.push_str("}\n");
        dot
    }
}

/// What a page is called in the graph: `X` and the SHA-256 of its URL, of which all but ASCII is replaced.
fn name(url: &str) -> String {
    let ascii: String = url
        .chars()
        .map(|c| if c.is_ascii() { c } else { '?' })
        .collect();
    let digest = digest::digest(&digest::SHA256, ascii.as_bytes());
    digest
        .as_ref()
        .iter()
        .fold("X".to_owned(), |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        })
}

pub(crate) fn write(file: &Path, results: &Results) -> Result<(), String> {
    std::fs::write(file, results.to_dot())
        .map_err(|error| format!("{} cannot be written: {error}", file.display()))
}

/// Has Graphviz draw the graph; the ending of `picture` says in what format.
pub(crate) async fn draw(graph: &Path, picture: &Path) -> Result<(), String> {
    let format = picture.extension().and_then(|ending| ending.to_str());
    let format = format.ok_or_else(|| format!("{} has no ending", picture.display()))?;
    let mut dot = tokio::process::Command::new("dot");
    dot.arg(format!("-T{format}"))
        .arg("-o")
        .args([picture, graph]);
    let output = dot.output().await.map_err(|error| {
        format!("Graphviz cannot be started: {error} (Debian has it in the package `graphviz`)")
    })?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "Graphviz ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}
