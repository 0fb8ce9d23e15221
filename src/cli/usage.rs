//! What clap has against the words, in kubectl's texts: `error: unknown flag: --bogus`, then how to get help. Help and
//! version texts pass through it too. Called by [`super::run`] only.

use std::ffi::OsString;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::line::Line;
use super::{Caller, Failure};

/// Words of other programs for what podlet has under kubectl's word.
const HABITS: &[(&str, &str)] = &[
    ("cat", "podlet get pod POD -o yaml"),
    ("build", "podlet image import DIRECTORY (podlet builds no images)"),
    ("commit", "podlet image import DIRECTORY (podlet makes no images of containers)"),
    ("compose", "podlet up FILE, where FILE is a Pod's manifest (docs/from-compose.md shows how to write one)"),
    ("config", "podlet doctor (podlet has no clusters and contexts: it runs pods on this machine)"),
    ("container", "podlet get pods"),
    ("cp", "podlet exec POD -- tar -cf - PATH | tar -xf - (cp comes later)"),
    ("port-forward", "hostNetwork: true in the pod's spec (port-forward comes later)"),
    ("debug", "podlet exec -it POD -- sh (debug comes later)"),
    ("expose", "hostNetwork: true in the pod's spec (podlet has no Services)"),
    ("generate", "podlet get pod POD -o yaml"),
    ("history", "podlet events"),
    ("info", "podlet doctor"),
    ("init", "podlet plan FILE, or podlet up FILE"),
    ("kill", "podlet delete pod POD --now, or podlet stop POD to start it again later"),
    ("load", "podlet image load -i FILE"),
    ("log", "podlet logs POD"),
    ("list", "podlet get pods"),
    ("ls", "podlet get pods"),
    ("patch", "podlet apply FILE with the change in it"),
    ("pause", "podlet delete pod POD (pods cannot be paused)"),
    ("pod", "podlet get pods"),
    ("pods", "podlet get pods"),
    ("prune", "podlet image prune; pods: podlet delete pods --all"),
    ("pull", "podlet image pull IMAGE"),
    ("push", "podlet image save -o FILE IMAGE (podlet sends no images)"),
    ("play", "podlet apply FILE"),
    ("kube", "podlet apply FILE, or podlet up FILE to stay with it"),
    ("rm", "podlet delete pod POD"),
    ("rmi", "podlet image rm IMAGE"),
    ("scale", "podlet apply FILE with another Pod of another name (podlet runs Pods and no Deployments)"),
    ("sh", "podlet exec -it POD -- sh"),
    ("shell", "podlet exec -it POD -- sh"),
    ("status", "podlet get pods, or podlet describe pod POD"),
    ("tag", "podlet image tag IMAGE NAME"),
    ("top", "podlet exec POD -- top (top comes later)"),
];

/// Prints help or the version to stdout, or answers with what is wrong about the words.
pub fn explain(error: &clap::Error, words: &[OsString], caller: &mut Caller<'_>) -> Result<u8, Failure> {
    // A verb of verbs without one shows its help, as kubectl's do.
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        caller.print(&format!("{}\n", error.render().to_string().trim_end()))?;
        return Ok(0);
    }
    let verb = verb_of(words);
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.first().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    let argument = text(ContextKind::InvalidArg);
    let flag = argument.split([' ', '=']).next().unwrap_or_default().trim_end_matches("...").to_owned();
    let value = text(ContextKind::InvalidValue);
    let said = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            return Err(Failure::error(unknown_word(&text(ContextKind::InvalidSubcommand), error)));
        }
        ErrorKind::UnknownArgument if flag.starts_with("--") => {
            let near = text(ContextKind::SuggestedArg);
            let near = if near.is_empty() { near } else { format!(" (did you mean {near}?)") };
            format!("unknown flag: {flag}{near}")
        }
        ErrorKind::UnknownArgument if flag.starts_with('-') => {
            let letter = flag.chars().nth(1).unwrap_or('-');
            format!("unknown shorthand flag: '{letter}' in {flag}")
        }
        ErrorKind::UnknownArgument => format!("unexpected argument {argument:?}"),
        ErrorKind::InvalidValue if value.is_empty() => needs_argument(&flag, words),
        ErrorKind::InvalidValue => {
            let valid = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(valid)) => valid.join(", "),
                _ => String::new(),
            };
            format!("invalid argument {value:?} for {flag:?} flag: expected one of: {valid}")
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("invalid argument {value:?} for {flag:?} flag: {why}")
        }
        ErrorKind::TooManyValues => {
            format!(
                "invalid argument {value:?} for {flag:?} flag: strconv.ParseBool: parsing {value:?}: invalid syntax"
            )
        }
        ErrorKind::ArgumentConflict => {
            format!("{flag} and {} cannot be specified together", text(ContextKind::PriorArg))
        }
        ErrorKind::MissingRequiredArgument => format!("{argument} is required"),
        _ => error.render().to_string().trim_start_matches("error: ").trim_end().to_owned(),
    };
    Err(Failure::Error(format!("{said}\nSee 'podlet {verb}--help' for usage.")))
}

fn needs_argument(flag: &str, words: &[OsString]) -> String {
    // clap names the long form; kubectl names the one that was typed, which can only be the last word.
    let last = words.last().and_then(|w| w.to_str()).unwrap_or_default();
    match last.strip_prefix('-') {
        Some(letters) if !letters.starts_with('-') && !letters.is_empty() => {
            let letter = letters.chars().last().unwrap_or('-');
            format!("flag needs an argument: '{letter}' in {last}")
        }
        _ => format!("flag needs an argument: {flag}"),
    }
}

/// The verb among the words with a blank behind it, or nothing.
fn verb_of(words: &[OsString]) -> String {
    let command = Line::command();
    let known = |word: &&str| command.get_subcommands().any(|c| c.get_name() == *word);
    words.iter().skip(1).filter_map(|w| w.to_str()).find(known).map(|w| format!("{w} ")).unwrap_or_default()
}

fn unknown_word(word: &str, error: &clap::Error) -> String {
    if let Some((_, instead)) = HABITS.iter().find(|(habit, _)| *habit == word) {
        return format!("podlet has no {word:?}; type: {instead}");
    }
    let near = match error.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(near)) => near.clone(),
        Some(ContextValue::String(near)) => vec![near.clone()],
        _ => Vec::new(),
    };
    let mut text = format!("unknown command {word:?} for \"podlet\"");
    if near.is_empty() {
        text.push_str("\nSee 'podlet --help' for usage.");
    } else {
        text.push_str("\n\nDid you mean this?");
        for word in near {
            text.push_str("\n\t");
            text.push_str(&word);
        }
    }
    text
}
