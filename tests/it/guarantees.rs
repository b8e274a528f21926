//! The page of guarantees (`src/docs/guarantees.md`) names the tests that show them: they must exist.

use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../src/docs/guarantees.md");
/// What stands between a promise and the names of its tests.
const SHOWN_BY: &str = "Shown by";
/// Where promises stand that the example `chaos_soak` shows, and its figures.
const SHOWN_BY_SOAK: &str = "\n# Under faults\n";
/// Where promises stand that have none.
const NOT_SHOWN: &str = "\n# Not shown by a test\n";

/// The promises, each with the tests that it names.
fn promises() -> Vec<(&'static str, Vec<&'static str>)> {
    let (shown, _) = PAGE.split_once(NOT_SHOWN).expect("the last heading");
    let (before, soak) = shown.split_once(SHOWN_BY_SOAK).expect("the soak");
    let (_, behind) = soak.split_once("\n# ").expect("another heading");
    let pages = [before, behind];
    pages.into_iter().flat_map(promises_of).collect()
}

fn promises_of(shown: &'static str) -> Vec<(&'static str, Vec<&'static str>)> {
    let of = |promise: &'static str| {
        let promise = promise.split("\n#").next().unwrap();
        let (text, tests) = promise.split_once(SHOWN_BY).unwrap_or((promise, ""));
        let tests = tests.split('`').skip(1).step_by(2).collect();
        (text.lines().next().unwrap(), tests)
    };
    // A row of a table ends with its test.
    let of_row = |row: &'static str| {
        let cell = row.trim_end_matches('|').rsplit('|').next().unwrap();
        (row, vec![cell.trim().trim_matches('`')])
    };
    let rows = shown.lines().filter(|line| line.starts_with("| "));
    let rows = rows.filter(|row| !row.ends_with("| test |") && !row.starts_with("| ---"));
    let promises = shown.split("\n- ").skip(1).map(of);
    promises.chain(rows.map(of_row)).collect()
}

/// The files in which a test may stand: of this suite, or of the crate below the module that its name begins with.
fn files_of(test: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (modules, _) = test.rsplit_once("::").unwrap_or((test, ""));
    let mut files = vec![root.join("tests/it").join(format!("{modules}.rs"))];
    let mut path = modules.replace("::", "/");
    // `a::b::tests` stands in `a/b.rs`, `a/b/mod.rs` or `a/b/tests.rs`.
    loop {
        files.push(root.join("src").join(format!("{path}.rs")));
        files.push(root.join("src").join(&path).join("mod.rs"));
        match path.rsplit_once("/tests") {
            Some((above, "")) => path = above.to_owned(),
            _ => return files,
        }
    }
}

fn exists(test: &str) -> bool {
    let name = test.rsplit("::").next().unwrap();
    let is_test = |code: &str| {
        let at = code.find(&format!("fn {name}("));
        at.is_some_and(|at| {
            let before = code[..at].lines().rev().take(4);
            let marks = ["#[test]", "#[tokio::test"];
            before
                .into_iter()
                .any(|line| marks.iter().any(|mark| line.trim().starts_with(mark)))
        })
    };
    let read = |file: PathBuf| std::fs::read_to_string(file).ok();
    files_of(test)
        .into_iter()
        .filter_map(read)
        .any(|code| is_test(&code))
}

#[test]
fn every_promise_names_tests_that_exist() {
    let promises = promises();
    assert!(
        promises.len() > 20,
        "the page has another form: {promises:?}"
    );
    for (promise, tests) in promises {
        assert!(!tests.is_empty(), "no test shows: {promise}");
        for test in tests {
            assert!(
                exists(test),
                "there is no test {test}, which is to show: {promise}"
            );
        }
    }
}

#[test]
fn a_test_is_found_only_where_it_stands() {
    assert!(exists("guarantees::a_test_is_found_only_where_it_stands"));
    assert!(exists("backoff::tests::never_overflows"));
    assert!(!exists("guarantees::exists"), "no test");
    assert!(!exists("ordering::a_test_is_found_only_where_it_stands"));
    assert!(!exists("ordering"));
}
