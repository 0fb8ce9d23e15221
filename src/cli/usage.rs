//! What clap has against the words, in kubectl's texts: `error: unknown flag: --bogus`, then how to get help. Help and
//! version texts pass through it too. Called by [`super::run`] only.

use std::ffi::OsString;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::line::{Line, kubectl};
use super::{Caller, Failure};

const RUN_A_POD: &str = "podlet run NAME --image=IMAGE, or podlet apply FILE (podlet runs Pods and no Deployments)";
const NAMESPACES: &str =
    "podlet apply -n NAME FILE (a namespace is there with its first object, and goes with its last)";
const NO_CONTEXTS: &str =
    "podlet -n NAMESPACE … with each verb (podlet has no clusters and contexts: it runs pods on this machine)";
const NO_ROLES: &str =
    "podlet doctor (whoever may read podlet's directories may do everything; there are no roles or accounts)";

/// Words of other programs for what podlet has under kubectl's word.
const HABITS: &[(&str, &str)] = &[
    ("api-versions", "podlet api-resources (all are v1)"),
    ("auth", "podlet doctor (whoever may read podlet's directories may do everything)"),
    ("autoscale", "podlet apply FILE with another Pod of another name (podlet runs Pods and no Deployments)"),
    ("build", "podlet image import DIRECTORY (podlet builds no images)"),
    ("cat", "podlet get pod POD -o yaml"),
    ("certificate", "podlet create secret tls NAME --cert=FILE --key=FILE"),
    ("cluster-info", "podlet doctor (podlet is no cluster)"),
    ("commit", "podlet image import DIRECTORY (podlet makes no images of containers)"),
    (
        "compose",
        "podlet up FILE for `up`, podlet apply FILE for `up -d`, podlet delete -f FILE for `down`; FILE is a Pod's manifest (docs/from-compose.md shows how to write one)",
    ),
    ("config", "podlet doctor (podlet has no clusters and contexts: it runs pods on this machine)"),
    ("config current-context", NO_CONTEXTS),
    ("config get-clusters", NO_CONTEXTS),
    ("config get-contexts", NO_CONTEXTS),
    ("config set-context", NO_CONTEXTS),
    ("config use-context", NO_CONTEXTS),
    (
        "container",
        "podlet get pods, podlet describe pod POD, podlet logs POD -c CONTAINER (containers belong to pods here)",
    ),
    ("cordon", "podlet stop --all (podlet has no nodes)"),
    ("create cronjob", RUN_A_POD),
    ("create deploy", RUN_A_POD),
    ("create deployment", RUN_A_POD),
    ("create job", "podlet run NAME --image=IMAGE --restart=OnFailure (podlet runs Pods and no Jobs)"),
    ("create namespace", NAMESPACES),
    ("create ns", NAMESPACES),
    ("create pod", RUN_A_POD),
    ("create role", NO_ROLES),
    ("create rolebinding", NO_ROLES),
    ("create clusterrole", NO_ROLES),
    ("create clusterrolebinding", NO_ROLES),
    ("create sa", NO_ROLES),
    (
        "create service",
        "hostNetwork: true or hostPort in the pod's spec, or podlet port-forward (podlet has no Services)",
    ),
    ("create serviceaccount", NO_ROLES),
    ("create svc", "hostNetwork: true or hostPort in the pod's spec, or podlet port-forward (podlet has no Services)"),
    ("create token", NO_ROLES),
    ("drain", "podlet stop --all (podlet has no nodes)"),
    ("export", "podlet cp POD:/ DIRECTORY"),
    ("expose", "hostNetwork: true in the pod's spec (podlet has no Services)"),
    ("generate", "podlet get pod POD -o yaml"),
    ("healthcheck", "a livenessProbe in the pod's spec (docs/probes.md)"),
    ("history", "podlet image inspect IMAGE for an image's layers; what happened to pods: podlet events"),
    ("import", "podlet image import DIRECTORY NAME"),
    ("info", "podlet doctor"),
    ("init", "podlet plan FILE, or podlet up FILE"),
    ("kill", "podlet delete pod POD --now, or podlet stop POD to start it again later"),
    ("kube", "podlet apply FILE, or podlet up FILE to stay with it; podlet delete -f FILE for `kube down`"),
    ("kustomize", "kubectl kustomize DIRECTORY | podlet apply -f -"),
    ("list", "podlet get pods"),
    ("load", "podlet image load -i FILE"),
    ("log", "podlet logs POD"),
    (
        "login",
        "podlet image pull --authfile FILE, or podlet create secret docker-registry for imagePullSecrets (podlet reads the files that podman login and docker login write)",
    ),
    ("logout", "podman logout or docker logout (podlet only reads what they write)"),
    ("ls", "podlet get pods"),
    ("monitor", "podlet events -w"),
    (
        "network",
        "hostNetwork: true in the pod's spec, or podlet port-forward POD 8080:80 (podlet has no networks of its own)",
    ),
    ("options", "podlet --help"),
    ("pause", "podlet delete pod POD (pods cannot be paused)"),
    ("play", "podlet apply FILE"),
    ("pod", "podlet get pods, podlet describe pod POD, podlet delete pod POD, podlet stop POD, podlet start POD"),
    ("pods", "podlet get pods"),
    (
        "port",
        "podlet port-forward POD 8080:80; what a pod declares: podlet get pod POD -o jsonpath={.spec.containers[*].ports}",
    ),
    ("proxy", "podlet get -o json (podlet serves no API)"),
    ("prune", "podlet image prune; pods: podlet delete pods --all"),
    ("pull", "podlet image pull IMAGE"),
    ("push", "podlet image save -o FILE IMAGE (podlet sends no images)"),
    ("rename", "podlet get pod POD -o yaml | sed … | podlet apply -f - (a name cannot change)"),
    ("rm", "podlet delete pod POD (podlet delete pod POD --now for `rm -f`)"),
    ("rmi", "podlet image rm IMAGE"),
    ("rollout", "podlet restart POD, or podlet apply FILE"),
    ("save", "podlet image save -o FILE IMAGE"),
    ("scale", "podlet apply FILE with another Pod of another name (podlet runs Pods and no Deployments)"),
    ("search", "podlet image pull IMAGE (podlet searches no registries)"),
    ("set sa", "podlet apply --replace FILE with serviceAccountName in it (that of a pod that is there cannot change)"),
    ("set selector", "podlet label pod POD KEY=VALUE (podlet has no Services, which alone have selectors)"),
    (
        "set serviceaccount",
        "podlet apply --replace FILE with serviceAccountName in it (that of a pod that is there cannot change)",
    ),
    ("set subject", NO_ROLES),
    ("secret", "podlet get secrets, podlet create secret generic NAME --from-literal=KEY=VALUE"),
    ("sh", "podlet exec -it POD -- sh"),
    ("shell", "podlet exec -it POD -- sh"),
    ("status", "podlet get pods, or podlet describe pod POD"),
    ("systemd", "podlet install (pods come back after a boot)"),
    ("tag", "podlet image tag IMAGE NAME"),
    ("taint", "podlet stop --all (podlet has no nodes)"),
    ("uncordon", "podlet start --all (podlet has no nodes)"),
    ("unpause", "podlet start POD (pods cannot be paused, only stopped)"),
    ("update", "podlet patch pod POD -p PATCH"),
    ("volume", "hostPath or emptyDir in the pod's spec; what lies on disk: podlet system df"),
];

/// Prints help or the version to stdout, or answers with what is wrong about the words.
pub fn explain(error: &clap::Error, words: &[OsString], caller: &mut Caller<'_>) -> Result<u8, Failure> {
    // A verb of verbs without one shows its help, as kubectl's do.
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        let help = format!("{}\n", error.render().to_string().trim_end());
        // kubectl takes some for a mistake.
        let missed = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            && matches!(verb_of(words).as_str(), "set " | "top " | "create secret ");
        if missed {
            caller.notice(help.trim_end());
            return Ok(1);
        }
        caller.print(&help)?;
        return Ok(0);
    }
    let verb = verb_of(words);
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.first().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    let argument = text(ContextKind::InvalidArg);
    let flag = argument.split([' ', '=', '[']).next().unwrap_or_default().trim_end_matches("...").to_owned();
    let value = text(ContextKind::InvalidValue);
    let said = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = text(ContextKind::InvalidSubcommand);
            let before = words.iter().take_while(|typed| typed.as_os_str() != word.as_str()).cloned();
            return Err(match verb_of(&before.collect::<Vec<_>>()).trim_end() {
                "" => Failure::error(unknown_word(&word, words, error)),
                verb => match (habit(&format!("{verb} {word}")), verb) {
                    (Some(instead), _) => Failure::Error(format!("podlet has no \"{verb} {word}\"; type: {instead}")),
                    (None, "create") => Failure::usage(format!("Unexpected args: [{word}]"), "create"),
                    (None, verb) => Failure::usage(format!("unknown command {word:?}"), verb),
                },
            });
        }
        ErrorKind::UnknownArgument if is_kustomize(&flag) && takes_files(words) => {
            return Err(Failure::Error(format!(
                "podlet builds no kustomizations; type: kustomize build DIRECTORY | podlet {verb}-f - (kubectl kustomize DIRECTORY \
                 builds them, too)"
            )));
        }
        ErrorKind::UnknownArgument if kubectl::refusal(verb.trim_end(), &flag).is_some() => {
            return Err(Failure::Error(kubectl::refusal(verb.trim_end(), &flag).unwrap_or_default()));
        }
        ErrorKind::UnknownArgument if flag.starts_with("--") => {
            let near = text(ContextKind::SuggestedArg);
            let near = if is_told_of(&near, words) { near } else { String::new() };
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
            format!("invalid argument {value:?} for {:?} flag: expected one of: {valid}", both(&flag, words))
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            let why = number_in_go(&why, &value);
            format!("invalid argument {value:?} for {:?} flag: {why}", both(&flag, words))
        }
        ErrorKind::TooManyValues => {
            let why = format!("strconv.ParseBool: parsing {value:?}: invalid syntax");
            format!("invalid argument {value:?} for {:?} flag: {why}", both(&flag, words))
        }
        ErrorKind::ArgumentConflict => {
            format!("{flag} and {} cannot be specified together", text(ContextKind::PriorArg))
        }
        ErrorKind::MissingRequiredArgument => format!("{argument} is required"),
        _ => error.render().to_string().trim_start_matches("error: ").trim_end().to_owned(),
    };
    Err(Failure::Error(format!("{said}\nSee 'podlet {verb}--help' for usage.")))
}

/// kubectl's flag for a directory of manifests that are to be put together.
fn is_kustomize(flag: &str) -> bool {
    flag == "--kustomize" || flag.starts_with("-k")
}

/// Whether the verb reads manifests.
fn takes_files(words: &[OsString]) -> bool {
    let command = Line::command();
    let (verb, _) = named(&command, words);
    verb.get_arguments().any(|argument| argument.get_long() == Some("filename"))
}

/// Whether the verb's help has this flag.
fn is_told_of(flag: &str, words: &[OsString]) -> bool {
    let command = Line::command();
    let (verb, _) = named(&command, words);
    let visible = |known: &clap::Arg| {
        !known.is_hide_set() && known.get_long().is_some_and(|long| flag.strip_prefix("--") == Some(long))
    };
    verb.get_arguments().chain(command.get_arguments()).any(visible)
}

/// A flag by both its names, `-w, --watch`, as kubectl names it where its value is wrong.
fn both(flag: &str, words: &[OsString]) -> String {
    let command = Line::command();
    let (verb, _) = named(&command, words);
    let arguments = verb.get_arguments().chain(command.get_arguments());
    let known = arguments.into_iter().find(|known| known.get_long().is_some_and(|long| flag == format!("--{long}")));
    match known.and_then(clap::Arg::get_short) {
        Some(short) => format!("-{short}, {flag}"),
        None => flag.to_owned(),
    }
}

/// A number that Go cannot read, as Go says it.
fn number_in_go(why: &str, value: &str) -> String {
    match why {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            format!("strconv.ParseInt: parsing {value:?}: invalid syntax")
        }
        "number too large to fit in target type" | "number too small to fit in target type" => {
            format!("strconv.ParseInt: parsing {value:?}: value out of range")
        }
        other => other.to_owned(),
    }
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

/// The verb among the words with a blank behind it, `create secret `, or nothing.
fn verb_of(words: &[OsString]) -> String {
    let command = Line::command();
    let (_, path) = named(&command, words);
    path.iter().map(|verb| format!("{verb} ")).collect()
}

/// The command that the words lead to, and their way.
fn named<'c>(command: &'c clap::Command, words: &[OsString]) -> (&'c clap::Command, Vec<&'c str>) {
    words.iter().skip(1).filter_map(|word| word.to_str()).fold((command, Vec::new()), |(at, mut path), word| {
        match at.find_subcommand(word) {
            Some(verb) => {
                path.push(verb.get_name());
                (verb, path)
            }
            None => (at, path),
        }
    })
}

/// What a word of other programs is here.
fn habit(word: &str) -> Option<&'static str> {
    HABITS.iter().find(|(habit, _)| *habit == word).map(|(_, instead)| *instead)
}

/// `pod rm web`, `container exec web`: a verb behind what it is for.
fn of_a_pod(word: &str, words: &[OsString]) -> Option<String> {
    let at = words.iter().position(|typed| typed == word).filter(|_| matches!(word, "pod" | "container"))?;
    let verb = words.get(at + 1)?.to_str()?;
    let instead = match habit(verb) {
        Some(instead) => instead.to_owned(),
        None => format!("podlet {} POD …", Line::command().find_subcommand(verb)?.get_name()),
    };
    Some(format!("podlet has no \"{word} {verb}\"; type: {instead}"))
}

fn unknown_word(word: &str, words: &[OsString], error: &clap::Error) -> String {
    if let Some(said) = of_a_pod(word, words) {
        return said;
    }
    if let Some(instead) = habit(word) {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn said(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = Line::read(&words).unwrap_err();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut caller = Caller {
            paths: crate::paths::Paths::from_environment(),
            clock: super::super::Clock::System,
            out: &mut out,
            err: &mut err,
            out_terminal: false,
            err_terminal: false,
            colour: false,
        };
        explain(&error, &words, &mut caller).unwrap_err().text().unwrap()
    }

    #[test]
    fn words_that_lead_nowhere_lead_on() {
        assert!(said("podlet compose up").starts_with("error: podlet has no \"compose\"; type: podlet up FILE"));
        for line in ["podlet apply -k overlays/test", "podlet apply --kustomize=.", "podlet delete -k."] {
            let verb = line.split(' ').nth(1).unwrap();
            let expected = format!(
                "error: podlet builds no kustomizations; type: kustomize build DIRECTORY | podlet {verb} -f - "
            );
            assert!(said(line).starts_with(&expected), "{}", said(line));
        }
        assert!(said("podlet logs -k").starts_with("error: unknown shorthand flag: 'k' in -k"));
        assert!(said("podlet -n shop rm web").contains("podlet delete pod POD"));
        assert_eq!(said("podlet getx").lines().next(), Some("error: unknown command \"getx\" for \"podlet\""));
        assert_eq!(
            said("podlet create secret foo"),
            "error: unknown command \"foo\"\nSee 'podlet create secret -h' for help and examples"
        );
        for (line, word) in [
            ("podlet create namespace shop", "podlet apply -n"),
            ("podlet set serviceaccount pod/web x", "podlet apply --replace"),
            ("podlet config use-context kind", "podlet -n NAMESPACE"),
            ("podlet pod rm web", "podlet delete pod"),
            ("podlet container exec web sh", "podlet exec"),
        ] {
            assert!(said(line).starts_with("error: podlet has no \"") && said(line).contains(word), "{}", said(line));
        }
        assert_eq!(
            said("podlet create foo"),
            "error: Unexpected args: [foo]\nSee 'podlet create -h' for help and examples"
        );
        assert_eq!(
            said("podlet get pods --watch=x"),
            "error: invalid argument \"x\" for \"-w, --watch\" flag: strconv.ParseBool: parsing \"x\": invalid syntax\n\
             See 'podlet get --help' for usage."
        );
        assert_eq!(
            said("podlet delete pod web --grace-period=x"),
            "error: invalid argument \"x\" for \"--grace-period\" flag: strconv.ParseInt: parsing \"x\": invalid syntax\n\
             See 'podlet delete --help' for usage."
        );
    }
}
