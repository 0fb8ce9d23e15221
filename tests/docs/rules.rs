//! `docs/rules.md`, made from `pod::rules`.

use std::fmt::Write;

use podlet::pod::rules::RULES;

const HEAD: &str = "\
# Rules

<!-- Made from src/pod/rules.rs by `PODLET_WRITE_DOCS=1 cargo test --test docs`. Change it there. -->

Every decision about a pod's life carries the number of one of these rules. The number names a section of a description of
the kubelet's lifecycle (4.4 is restart back-off) and a rule in it. The source is a file of Kubernetes 1.36; `podlet` beside
or instead of it means that podlet's way differs from a kubelet's, and the text says how. [differences.md](differences.md)
gives the reasons.
";

/// The headings of the sections.
fn section(name: &str) -> &'static str {
    match name.trim_start_matches("R-").split('-').next().unwrap_or_default() {
        "0.5" => "Starting a pod's containers",
        "0.6" => "Volumes",
        "1.1" | "1.3" => "Phases",
        "3.2" => "Starts that fail",
        "3.3" => "Containers that cannot be found",
        "4.1" | "4.2" | "4.3" => "Whether to restart",
        "4.4" => "Restart back-off",
        "4.6" => "Restarts of all containers, and on request",
        "4.5" => "Image pulls and their back-off",
        "5.1" | "5.2" => "Init containers and sidecars",
        "6.2" => "Probes",
        "7" => "Hooks",
        "8.1" => "Deletion and grace periods",
        "8.2" | "8.3" => "Stopping and removal",
        "8.4" => "The order in which sidecars end",
        "9.1" => "The deadline",
        "9.2" => "Sandboxes",
        "9.4" => "Reboots",
        "9.6" => "Ephemeral containers",
        "9.7" => "In-place resize",
        "9.9" => "Local storage",
        other => panic!("section {other} of the rules has no heading in tests/docs/rules.rs"),
    }
}

pub fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut last = "";
    for rule in RULES {
        let here = section(rule.name);
        if here != last {
            write!(page, "\n## {here}\n\n| rule | what it says | source |\n|---|---|---|\n").unwrap();
            last = here;
        }
        let sources: Vec<String> =
            rule.source.split("; ").map(|source| format!("`{}`", source.replace(' ', "` `"))).collect();
        writeln!(page, "| {} | {} | {} |", rule.name, rule.text, sources.join("; ")).unwrap();
    }
    page
}

#[test]
fn each_rule_of_podlets_own_is_among_the_differences() {
    let differences = std::fs::read_to_string(super::root().join("docs/differences.md")).unwrap();
    for rule in RULES.iter().filter(|rule| rule.source.contains("podlet") || rule.text.contains("a kubelet")) {
        assert!(differences.contains(rule.name), "docs/differences.md does not name {}: {}", rule.name, rule.text);
    }
}
