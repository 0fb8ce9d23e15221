//! `--watch=false`, `--no-headers=true`: kubectl's flags without a value take a truth behind `=`. clap's do not: such words
//! become the bare flag, or nothing, before it reads them.

use std::borrow::Cow;
use std::ffi::OsString;

use clap::{ArgAction, Command};

/// Go's words for a truth (`strconv.ParseBool`).
pub fn parse(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// The words, with flags that are given a truth as clap takes them. The command is built only if there are any.
pub fn plain<'w>(words: &'w [OsString], command: impl FnOnce() -> Command) -> Cow<'w, [OsString]> {
    let own = words.iter().take_while(|word| *word != "--").count();
    let (own, rest) = words.split_at(own);
    if !own.iter().any(|word| flag_and_truth(word).is_some()) {
        return Cow::Borrowed(words);
    }
    let command = command();
    let mut verb = &command;
    let mut plain = Vec::new();
    for word in own {
        if let Some(inner) = word.to_str().and_then(|word| verb.find_subcommand(word)) {
            verb = inner;
        }
        let is_known = |flag: &String| is_switch(verb, flag) || is_switch(&command, flag);
        match flag_and_truth(word).filter(|(flag, _)| each(flag).iter().all(is_known)) {
            Some((flag, true)) => plain.push(flag.into()),
            // Of letters in one word, `-it=false`, the truth is the last one's.
            Some((flag, false)) => {
                plain.extend(each(flag).split_last().into_iter().flat_map(|(_, rest)| rest).map(OsString::from));
            }
            None => plain.push(word.clone()),
        }
    }
    plain.extend_from_slice(rest);
    Cow::Owned(plain)
}

fn flag_and_truth(word: &OsString) -> Option<(&str, bool)> {
    let (flag, value) = word.to_str()?.split_once('=')?;
    let is_flag = flag.starts_with('-') && flag.len() > 1;
    parse(value).filter(|_| is_flag).map(|truth| (flag, truth))
}

/// The flags of a word: `--tty`; or `-i` and `-t` of `-it`.
fn each(word: &str) -> Vec<String> {
    match word.strip_prefix('-').filter(|letters| !letters.starts_with('-')) {
        Some(letters) => letters.chars().map(|letter| format!("-{letter}")).collect(),
        None => vec![word.to_owned()],
    }
}

fn is_switch(command: &Command, flag: &str) -> bool {
    let name = flag.trim_start_matches('-');
    command.get_arguments().any(|arg| {
        let called = match flag.starts_with("--") {
            true => arg.get_long_and_visible_aliases().unwrap_or_default().contains(&name),
            false => arg.get_short().is_some_and(|short| name.chars().eq([short])),
        };
        called && matches!(arg.get_action(), ArgAction::SetTrue)
    })
}
