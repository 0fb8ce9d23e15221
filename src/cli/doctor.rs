//! `podlet doctor`: what this machine can and cannot do, and what to do about it.

use clap::Args;
use serde_json::json;

use super::{Caller, Failure, check_output, print};
use crate::linux::doctor::{Finding, Verdict, examine, pods_can_run};

/// The words of `doctor`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet doctor
  podlet doctor -o json

Exit code: 0 when pods can run here, else 1.")]
pub struct Words {
    /// json.
    #[arg(short, long, value_name = "json")]
    pub output: Option<String>,
}

/// Looks and says.
pub fn run(words: &Words, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let output = words.output.as_deref().unwrap_or_default();
    check_output(output, &["json"])?;
    let findings = examine(&caller.paths);
    let can_run = pods_can_run(&findings);
    if output == "json" {
        print::json(&json!({ "podsCanRun": can_run, "findings": findings }), caller.out)?;
    } else {
        let colour = caller.colour && caller.out_terminal;
        caller.print(&page(&findings, colour))?;
    }
    Ok(u8::from(!can_run))
}

/// A line a finding, what it means and what to do below it, and the sum at the end. One way out of several findings in a
/// row stands below the last of them.
fn page(findings: &[Finding], colour: bool) -> String {
    let width = findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    let mut following = findings.iter().skip(1);
    for finding in findings {
        let next = following.next();
        let remedy = finding.remedy.as_ref().filter(|_| next.is_none_or(|next| next.remedy != finding.remedy));
        let (word, shade) = match finding.verdict {
            Verdict::Good => ("good   ", "\x1b[32m"),
            Verdict::Lesser => ("lesser ", "\x1b[33m"),
            Verdict::Missing => ("missing", "\x1b[31m"),
        };
        let word = if colour { format!("{shade}{word}\x1b[0m") } else { word.to_owned() };
        text.push_str(&format!("{word}  {:width$}  {}\n", finding.subject, finding.found));
        let indent = " ".repeat(7 + 2 + width + 2);
        for more in [finding.means.as_ref(), remedy].into_iter().flatten() {
            text.push_str(&format!("{indent}{more}\n"));
        }
    }
    let missing = findings.iter().filter(|finding| finding.verdict == Verdict::Missing).count();
    text.push_str(&match missing {
        0 => "\nPods can run here.\n".to_owned(),
        1 => "\nPods cannot run here: one thing is missing.\n".to_owned(),
        several => format!("\nPods cannot run here: {several} things are missing.\n"),
    });
    text
}
