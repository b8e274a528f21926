//! Who may import whom: the sources are read, and every path that the house's table does not allow is named.

use std::path::{Path, PathBuf};

/// Longest source file, without its tests.
const MAX_LINES: usize = 500;

/// Module, and the modules of this crate that it may use.
const TABLE: [(&str, &[&str]); 20] = [
    ("at_hand", &[]),
    ("error", &[]),
    ("backoff", &[]),
    ("proto", &[]),
    ("recordio", &["error"]),
    ("codec", &["proto", "error"]),
    // Where a peer is: scheme, host, port, prefix or socket. Below everything that names a peer.
    ("address", &["error"]),
    ("detector", &["error", "backoff", "proto", "address"]),
    ("http", &["error", "proto", "address"]),
    (
        "subscription",
        &[
            "http", "detector", "recordio", "codec", "backoff", "proto", "error", "address",
            "at_hand",
        ],
    ),
    (
        "driver",
        &["subscription", "http", "codec", "proto", "error", "at_hand"],
    ),
    ("scheduler", &["driver", "identity", "proto", "error"]),
    ("executor", &["driver", "identity", "proto", "error"]),
    ("identity", &["detector", "backoff", "proto", "error"]),
    ("resources", &["proto", "error"]),
    // What can be said of messages alone: before they are sent, and by the embedded master after. It decides nothing of what
    // drivers do, and the tests hold it against a real master.
    ("validation", &["resources", "proto", "error"]),
    // What becomes of a call, and how the subscription stands, the driver says.
    (
        "toolkit",
        &[
            "scheduler",
            "driver",
            "resources",
            "proto",
            "error",
            "backoff",
        ],
    ),
    ("operator", &["http", "recordio", "codec", "proto", "error"]),
    ("builtin", &["executor", "resources", "proto", "error"]),
    (
        "local",
        &[
            "proto",
            "codec",
            "recordio",
            "resources",
            "validation",
            "builtin",
            "error",
        ],
    ),
];

/// Path (a file, or a folder with a slash at its end), what it may use beyond the table, and why.
const EXCEPTIONS: [(&str, &str, &str); 18] = [
    ("driver/outbox", "address", "a session is with an address"),
    (
        "driver/supervisor.rs",
        "detector",
        "it hands the detector on to the subscription",
    ),
    ("driver/options.rs", "backoff", "the waits are a setting"),
    (
        "driver/options.rs",
        "recordio",
        "the longest record is a setting, with recordio's default",
    ),
    (
        "scheduler/driver.rs",
        "detector",
        "it makes the detector of its master string",
    ),
    (
        "scheduler/driver.rs",
        "http",
        "it makes the client of its settings",
    ),
    (
        "scheduler/driver.rs",
        "local",
        "the seam: the master `local` starts a cluster",
    ),
    (
        "executor/driver.rs",
        "detector",
        "it makes the detector of its agent's address",
    ),
    (
        "executor/driver.rs",
        "http",
        "it makes the client, and a credential of its token",
    ),
    (
        "executor/driver.rs",
        "backoff",
        "the agent limits the waits",
    ),
    (
        "executor/environment.rs",
        "address",
        "the environment says where the agent is",
    ),
    (
        "local/agent/hosted.rs",
        "executor",
        "the seam: executors hosted in the cluster's process run on the real driver",
    ),
    (
        "local/agent/hosted.rs",
        "driver",
        "how a hosted executor's driver ended is its exit status",
    ),
    (
        "local/agent/mortal.rs",
        "executor",
        "the seam: what the user's executor is wrapped into, so that it can be killed",
    ),
    (
        "local/agent/factory.rs",
        "executor",
        "the seam: the user's factories make executors",
    ),
    (
        "driver/unconnected.rs",
        "address",
        "a session is with an address, also where nobody is",
    ),
    (
        "toolkit/",
        "driver",
        "what a handle answers: receipts, outcomes, how a driver ends",
    ),
    (
        "toolkit/testing/",
        "executor",
        "executors are tested as schedulers are",
    ),
];

/// Text that stands only in these modules or files, and why.
const CONFINED: [(&str, &[&str], &str); 12] = [
    ("reqwest", &["http"], "HTTP clients are http's"),
    ("rustls", &["http"], "TLS is http's"),
    ("httparse", &["http"], "HTTP clients are http's"),
    (
        "zookeeper_client",
        &["detector"],
        "ZooKeeper is asked by its detector",
    ),
    (
        "hyper::",
        &["local", "builtin/checks/http.rs"],
        "servers are local's, and checks ask as curl does",
    ),
    (
        "hyper_util::",
        &["local", "builtin/checks/http.rs"],
        "servers are local's, and checks ask as curl does",
    ),
    (
        "url::",
        &["address", "http", "detector"],
        "URLs stay below the subscription",
    ),
    (
        "tokio::spawn",
        &["driver", "local", "detector", "toolkit"],
        "tasks have an owner that ends them",
    ),
    (
        "task::spawn",
        &["driver", "local", "detector", "toolkit", "identity/file.rs"],
        "tasks have an owner that ends them; work for the disk ends by itself",
    ),
    // What waits for the reader of a stream is bounded in bytes, not in records.
    ("unbounded", &["local/stream.rs"], "every queue has a bound"),
    ("Unbounded", &["local/stream.rs"], "every queue has a bound"),
    ("mpsc::channel()", &[], "every queue has a bound"),
];

/// A source file: where it is below `src/`, and its code without comments and tests.
struct Source {
    path: String,
    code: String,
}

impl Source {
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    fn may_use(&self, module: &str) -> bool {
        let own = self.module();
        let by_table = TABLE
            .iter()
            .any(|(name, uses)| *name == own && uses.contains(&module));
        let by_exception = EXCEPTIONS
            .iter()
            .any(|(path, uses, _)| self.path.starts_with(path) && *uses == module);
        own == module || by_table || by_exception
    }
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for source in sources() {
        // The root only names modules and re-exports; the schema's JSON form is generated apart.
        if source.path == "lib.rs" {
            continue;
        }
        let own = source.module();
        if !TABLE.iter().any(|(name, _)| *name == own) {
            wrong.push(format!(
                "src/{}: module {own} is not in the table",
                source.path
            ));
            continue;
        }
        for (at, module) in crate_paths(&source.code) {
            if !source.may_use(&module) {
                let line = source.line_of(at);
                wrong.push(format!(
                    "src/{}:{line}: {own} may not use {module}",
                    source.path
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_confined_to_a_layer_stays_there() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (text, modules, rule) in CONFINED {
            if modules.contains(&source.module()) || modules.contains(&source.path.as_str()) {
                continue;
            }
            for (at, _) in source.code.match_indices(text) {
                let line = source.line_of(at);
                wrong.push(format!("src/{}:{line}: `{text}`: {rule}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_exception_is_still_needed() {
    let sources = sources();
    for (path, module, why) in EXCEPTIONS {
        let is_used = sources
            .iter()
            .filter(|source| source.path.starts_with(path))
            .any(|source| {
                crate_paths(&source.code)
                    .iter()
                    .any(|(_, used)| used == module)
            });
        assert!(
            is_used,
            "src/{path} does not use {module} any more ({why}): strike it out"
        );
    }
}

#[test]
fn files_are_short_without_their_tests() {
    let too_long: Vec<_> = sources()
        .iter()
        .map(|source| (source.code.lines().count(), &source.path))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, path)| format!("src/{path}: {lines} lines, more than {MAX_LINES}"))
        .collect();
    assert!(too_long.is_empty(), "{}", too_long.join("\n"));
}

#[test]
fn paths_are_found_however_they_are_written() {
    let code = "use crate::error::Error;\nuse crate::{\n    codec::{self, ContentType},\n    http,\n};\n\
                fn f() -> crate::proto::TaskId { $crate::Backoff; xcrate::no }\n";
    let found: Vec<_> = crate_paths(code)
        .into_iter()
        .map(|(_, module)| module)
        .collect();
    assert_eq!(found, ["error", "codec", "http", "proto"]);
}

/// Every `crate::…` of the code, by its first name. `$crate` in macros names re-exports of the root, for users.
fn crate_paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, text) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        if before == '$' || before == '_' || before.is_alphanumeric() {
            continue;
        }
        let rest = &code[at + text.len()..];
        match rest.strip_prefix('{') {
            Some(list) => found.extend(names_of(list).into_iter().map(|name| (at, name))),
            None => found.push((at, home_of(name_at(rest)))),
        }
    }
    found
}

/// The root re-exports errors, which everybody may use by that name.
fn home_of(name: String) -> String {
    match name.as_str() {
        "Error" | "ErrorKind" | "Result" => "error".into(),
        _ => name,
    }
}

fn name_at(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// The first names of a list in braces, of which the first one is taken off.
fn names_of(list: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut is_first) = (0, true);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_first = true,
            c if is_first && !c.is_whitespace() => {
                names.push(name_at(&list[at..]));
                is_first = false;
            }
            _ => {}
        }
    }
    names
}

/// The sources, but for test modules in files of their own.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(
        files.len() > 20,
        "the sources are elsewhere: {}",
        root.display()
    );
    let source = |file: &PathBuf| {
        let path = file.strip_prefix(&root).unwrap();
        let path = path.to_string_lossy().replace('\\', "/");
        let code = without_comments_and_tests(&std::fs::read_to_string(file).unwrap());
        Source { path, code }
    };
    let is_test = |path: &str| {
        let stands_for_tests = |part: &str| matches!(part, "tests" | "tests.rs" | "fake.rs");
        path.split('/').any(stands_for_tests)
    };
    files
        .iter()
        .map(source)
        .filter(|source| !is_test(&source.path))
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

/// Lines keep their numbers. Tests stand at the end of their file, in a module of that name.
fn without_comments_and_tests(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let begins_tests = line == "#[cfg(test)]"
            && lines
                .peek()
                .is_some_and(|next| next.starts_with("mod tests"));
        if begins_tests {
            break;
        }
        code += line.split("//").next().unwrap_or_default();
        code.push('\n');
    }
    code
}
