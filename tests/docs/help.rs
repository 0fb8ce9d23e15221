//! The help of every verb, as terminals of usual widths show it.

/// Calls `each` for a command and all below it.
fn walk(command: &clap::Command, each: &mut impl FnMut(&clap::Command)) {
    each(command);
    command.get_subcommands().for_each(|verb| walk(verb, each));
}

/// A paragraph is made of lines that begin at the left edge. What is set in columns is indented.
fn is_prose(line: &str) -> bool {
    !line.is_empty() && !line.starts_with(' ') && !line.starts_with("Usage: ")
}

/// A text that was broken in the source and is broken again for the terminal has lines of a few words in its midst.
#[test]
fn no_paragraph_has_a_short_line_in_its_midst() {
    let mut paragraphs = 0;
    walk(&podlet::cli::command(), &mut |command| {
        for width in [80, 100, 120] {
            let text = command.clone().term_width(width).render_long_help().to_string();
            let lines: Vec<&str> = text.lines().collect();
            for pair in lines.windows(2).filter(|pair| is_prose(pair[0]) && is_prose(pair[1])) {
                paragraphs += 1;
                let first = pair[1].split(' ').next().unwrap();
                let with_it = pair[0].chars().count() + 1 + first.chars().count();
                assert!(with_it > width, "{} --help at {width} columns:\n{}\n{}", command.get_name(), pair[0], pair[1]);
            }
        }
    });
    assert!(paragraphs > 50, "only {paragraphs} lines of paragraphs were looked at");
}
