//! The tests that `docs/reliability.md` names are there: `file: test`, the file being below `tests/`.

use std::fs;

use super::root;

/// What stands between backquotes.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_tests_that_show_it_exist() {
    let page = fs::read_to_string(root().join("docs/reliability.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| R")).collect();
    let mut tests = 0;
    for row in &rows {
        for (file, test) in code_spans(row.rsplit('|').nth(1).unwrap()).filter_map(|span| span.split_once(": ")) {
            let text = fs::read_to_string(root().join("tests").join(file).with_extension("rs"));
            let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(text.contains(&format!("#[test]\nfn {test}() {{")), "tests/{file}.rs has no test {test}");
            tests += 1;
        }
        for file in code_spans(row).filter(|span| span.starts_with("src/") || span.starts_with("benches/")) {
            assert!(root().join(file).exists(), "{file}");
        }
    }
    // R1 to R26, two of them in one row.
    assert_eq!(rows.len(), 25);
    assert!(tests > 25, "only {tests} tests were found");
}
