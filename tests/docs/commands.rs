//! Every command of a `console` or `sh` block that begins with `podlet` names a verb and flags that exist.

use super::pages;

/// The command lines of a page that run podlet.
fn command_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let (mut block, mut continued) = (None, false);
    for line in text.lines() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            block = block.is_none().then(|| kind.to_owned());
            continue;
        }
        // What a command prints is no command; in a `console` block these begin with the prompt.
        let command = match block.as_deref() {
            Some("console") => line.strip_prefix("# ").or_else(|| line.strip_prefix("$ ")),
            Some("sh") => Some(line),
            _ => None,
        };
        match command.or(continued.then_some(line)) {
            Some(command) if continued => lines.last_mut().unwrap().push_str(command.trim_start_matches("> ")),
            Some(command) => lines.push(command.to_owned()),
            None => continue,
        }
        let last = lines.last_mut().unwrap();
        continued = last.ends_with('\\');
        if continued {
            last.pop();
        }
    }
    lines.iter().flat_map(|line| line.split(" | ").map(str::to_owned)).filter(|line| runs_podlet(line)).collect()
}

fn runs_podlet(line: &str) -> bool {
    words(line).first().is_some_and(|word| word == "podlet")
}

/// The words as a shell makes them: quotes, assignments before the command, redirections, comments, `;` and `&&`.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote): (Vec<String>, Option<String>, Option<char>) = (Vec::new(), None, None);
    for c in line.chars() {
        match (quote, c) {
            (None, '\'' | '"') => (quote, word) = (Some(c), Some(word.unwrap_or_default())),
            (Some(open), _) if open == c => quote = None,
            (None, ' ') => words.extend(word.take()),
            (None, ';' | '&') => break,
            (None, '#') if word.is_none() => break,
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let end = words.iter().position(|word| word.starts_with(['<', '>']) || word.starts_with("2>"));
    words.truncate(end.unwrap_or(words.len()));
    let first = words.iter().position(|word| word != "sudo" && !word.starts_with("PODLET_")).unwrap_or(words.len());
    words.split_off(first)
}

#[test]
fn words_are_a_shells() {
    assert_eq!(
        words("PODLET_LOG=debug podlet get pods -o 'jsonpath={.x y}' # all"),
        ["podlet", "get", "pods", "-o", "jsonpath={.x y}"]
    );
    assert_eq!(words("podlet logs x >file"), ["podlet", "logs", "x"]);
    assert_eq!(
        command_lines(
            "```console\n# a\npodlet no\n# podlet get \\\n> pods\nout\n```\n```sh\nx | podlet up -\n```\n# podlet no"
        ),
        ["podlet get pods", "podlet up -"]
    );
}

#[test]
fn commands_in_transcripts_exist() {
    let mut found = 0;
    for page in pages() {
        for line in command_lines(&page.text) {
            found += 1;
            if let Err(error) = podlet::cli::command().try_get_matches_from(words(&line)) {
                let help = matches!(
                    error.kind(),
                    clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion
                );
                assert!(help, "{}: {line}\n{error}", page.path.display());
            }
        }
    }
    assert!(found > 30, "only {found} commands were found");
}
