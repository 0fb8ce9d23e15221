//! Links between pages, and to files of the repository, lead somewhere.

use std::path::Path;

use super::{Page, pages};

/// The targets of `[text](target)`, outside of code blocks.
fn targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut code = false;
    for line in text.lines() {
        code ^= line.trim_start().starts_with("```");
        if code {
            continue;
        }
        targets.extend(line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned));
    }
    targets
}

/// The names by which a page's headings can be linked to, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let heading = |line: &str| line.starts_with('#').then(|| line.trim_start_matches('#').trim().to_lowercase());
    let kept = |c: char| c.is_alphanumeric() || c == '-' || c == '_' || c == ' ';
    let anchor = |text: String| text.chars().filter(|c| kept(*c)).collect::<String>().replace(' ', "-");
    text.lines().filter_map(heading).map(anchor).collect()
}

fn fault(page: &Page, target: &str) -> Option<String> {
    if target.starts_with("https://") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = page.path.parent().unwrap_or(Path::new("/")).join(file);
    let path = if file.is_empty() { page.path.clone() } else { path };
    if !path.exists() {
        return Some(format!("{}: {target} is not there", page.path.display()));
    }
    if anchor.is_empty() {
        return None;
    }
    let text = std::fs::read_to_string(&path).unwrap();
    (!anchors(&text).iter().any(|found| found == anchor))
        .then(|| format!("{}: {target}: no such heading", page.path.display()))
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let faults: Vec<String> = pages
        .iter()
        .flat_map(|page| targets(&page.text).into_iter().filter_map(|target| fault(page, &target)))
        .collect();
    assert_eq!(faults, Vec::<String>::new());
    let links: usize = pages.iter().map(|page| targets(&page.text).len()).sum();
    assert!(links > 30, "only {links} links were found");
}

#[test]
fn every_page_can_be_reached_from_the_contents() {
    let contents = std::fs::read_to_string(super::root().join("docs/README.md")).unwrap();
    let linked = targets(&contents);
    for page in pages().iter().filter(|page| page.path.parent().is_some_and(|parent| parent.ends_with("docs"))) {
        let name = page.path.file_name().unwrap().to_str().unwrap();
        assert!(
            name == "README.md" || linked.iter().any(|target| target == name),
            "docs/README.md does not link {name}"
        );
    }
}
