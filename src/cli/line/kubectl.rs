//! kubectl's flags, and a few of Docker's, that podlet has no use for. What one asks for is so anyway: it is taken without a word ([`known`]). Or it
//! means nothing on one machine, or what podlet does otherwise: then the answer says what to do ([`refusal`]). So no flag of
//! kubectl's is an unknown one; flags that mean something here stand with their verbs.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

/// A flag whose wish is granted anyway.
struct Idle {
    /// Without its dashes.
    long: &'static str,
    /// The verbs that have it, with those beneath them; none stands for all.
    verbs: &'static [&'static str],
    takes: Takes,
}

/// What stands behind a flag.
#[derive(Clone, Copy)]
enum Takes {
    /// Nothing, or a truth.
    Truth,
    /// Any value.
    Value,
    /// One of these; all others are refused with this sentence.
    Only(&'static [&'static str], &'static str),
    /// The same, or nothing; a value stands behind `=`.
    OnlyBehindSign(&'static [&'static str], &'static str),
}

/// Flags that are answered with a sentence.
struct Refused {
    /// With their dashes.
    flags: &'static [&'static str],
    /// See [`Idle::verbs`].
    verbs: &'static [&'static str],
    /// Goes on after "podlet has no --flag: ".
    sentence: &'static str,
}

/// Verbs that print objects.
const PRINTS: &[&str] =
    &["annotate", "apply", "create", "edit", "events", "get", "label", "patch", "replace", "run", "set", "wait"];

const TRUTHS: &[&str] = &["true", "t", "T", "TRUE", "True", "1"];

const IDLE: &[Idle] = &[
    Idle { long: "cache-dir", verbs: &[], takes: Takes::Value },
    Idle { long: "disable-compression", verbs: &[], takes: Takes::Truth },
    Idle {
        long: "kuberc",
        verbs: &[],
        takes: Takes::Only(&["off"], "podlet reads no kuberc; its settings: podlet config view"),
    },
    Idle { long: "log-flush-frequency", verbs: &[], takes: Takes::Value },
    Idle { long: "match-server-version", verbs: &[], takes: Takes::Truth },
    Idle {
        long: "profile",
        verbs: &[],
        takes: Takes::Only(&["none"], "podlet takes no profile of itself; perf record podlet … does"),
    },
    Idle { long: "profile-output", verbs: &[], takes: Takes::Value },
    Idle {
        long: "request-timeout",
        verbs: &[],
        takes: Takes::Only(
            &["0", "0s"],
            "podlet asks nobody over a network; to end a command after a time: timeout 10s podlet …",
        ),
    },
    Idle {
        long: "cascade",
        verbs: &["apply", "delete", "replace", "run"],
        takes: Takes::OnlyBehindSign(
            &["background", "foreground", "orphan", "true", "false"],
            "it must be background, foreground or orphan; all are the same here, where no object has dependents",
        ),
    },
    Idle { long: "cached", verbs: &["api-resources"], takes: Takes::Truth },
    Idle { long: "chunk-size", verbs: &["describe", "events", "get"], takes: Takes::Value },
    Idle { long: "concurrency", verbs: &["diff"], takes: Takes::Value },
    Idle {
        long: "field-manager",
        verbs: &["annotate", "apply", "create", "diff", "edit", "label", "patch", "replace", "run", "set"],
        takes: Takes::Value,
    },
    Idle { long: "force-conflicts", verbs: &["apply", "diff"], takes: Takes::Truth },
    Idle { long: "insecure-skip-tls-verify-backend", verbs: &["logs"], takes: Takes::Truth },
    Idle {
        long: "openapi-patch",
        verbs: &["apply"],
        takes: Takes::OnlyBehindSign(TRUTHS, "podlet patches by the schema alone; leave it out"),
    },
    Idle {
        long: "output",
        verbs: &["explain"],
        takes: Takes::Only(&["plaintext", "plaintext-openapiv2"], "podlet explains in plaintext only"),
    },
    Idle { long: "pod-running-timeout", verbs: &["exec", "logs"], takes: Takes::Value },
    Idle { long: "save-config", verbs: &["create", "edit", "replace", "run"], takes: Takes::Truth },
    Idle { long: "server-side", verbs: &["apply", "diff"], takes: Takes::Truth },
    Idle {
        long: "server-print",
        verbs: &["get"],
        takes: Takes::OnlyBehindSign(TRUTHS, "podlet makes its tables itself; -o custom-columns chooses columns"),
    },
    Idle { long: "show-capacity", verbs: &["top node"], takes: Takes::Truth },
    Idle { long: "show-managed-fields", verbs: PRINTS, takes: Takes::Truth },
    Idle { long: "show-managed-fields", verbs: &["diff"], takes: Takes::Truth },
    Idle { long: "wait", verbs: &["replace"], takes: Takes::OnlyBehindSign(ANY_TRUTH, "it must be true or false") },
    Idle {
        long: "use-protocol-buffers",
        verbs: &["top"],
        takes: Takes::OnlyBehindSign(ANY_TRUTH, "it must be true or false"),
    },
    Idle {
        long: "validate",
        verbs: &["apply", "create", "edit", "replace"],
        takes: Takes::OnlyBehindSign(
            &["strict", "true"],
            "podlet runs no field that it does not know: take the field out, or see podlet apply --allow-unsupported",
        ),
    },
];

const ANY_TRUTH: &[&str] = &["true", "false", "t", "f", "T", "F", "TRUE", "FALSE", "True", "False", "1", "0"];

const NO_CLUSTERS: &str = "it knows no clusters and contexts, and runs pods on this machine; leave it out";
const NO_SERVER: &str = "it asks no API server, so nobody has to say who they are; leave it out";
const NO_SETS: &str = "it does not remember what was applied together; what is gone: podlet delete pods -l SELECTOR, or \
                       podlet delete -f OLD-FILE";
const ENV_STAYS: &str = "the environment of a pod that is there cannot change; envFrom and valueFrom in the manifest take \
                         what ConfigMaps and Secrets hold";
const OF_THE_DELETION: &str = "--rm ends the pod as its spec says; \
                               --overrides='{\"spec\":{\"terminationGracePeriodSeconds\":1}}' changes that";

const REFUSED: &[Refused] = &[
    Refused {
        flags: &["--as", "--as-group", "--as-uid", "--as-user-extra"],
        verbs: &[],
        sentence: "it acts as whoever types; as another user: sudo -u USER podlet …",
    },
    Refused { flags: &["--cluster", "--context", "--kubeconfig", "--server", "-s"], verbs: &[], sentence: NO_CLUSTERS },
    Refused {
        flags: &[
            "--certificate-authority",
            "--client-certificate",
            "--client-key",
            "--insecure-skip-tls-verify",
            "--password",
            "--tls-server-name",
            "--token",
            "--user",
            "--username",
        ],
        verbs: &[],
        sentence: NO_SERVER,
    },
    Refused { flags: &["--vmodule"], verbs: &[], sentence: "-v=4 and PODLET_LOG=debug let it tell more of itself" },
    Refused {
        flags: &["--warnings-as-errors"],
        verbs: &[],
        sentence: "what is wrong with a manifest without being an error: podlet lint FILE",
    },
    Refused { flags: &["--prune", "--prune-allowlist", "--applyset"], verbs: &["apply", "diff"], sentence: NO_SETS },
    Refused { flags: &["--all"], verbs: &["apply"], sentence: NO_SETS },
    Refused {
        flags: &["--force"],
        verbs: &["apply"],
        sentence: "podlet apply --replace ends a pod that cannot change in place, and sets the new one going",
    },
    Refused {
        flags: &["--grace-period"],
        verbs: &["apply"],
        sentence: "podlet replace --force --grace-period=SECONDS -f FILE ends the pod so, and sets the new one going",
    },
    Refused {
        flags: &["--overwrite"],
        verbs: &["apply"],
        sentence: "apply makes the object what the file says; labels and annotations that others set stay",
    },
    Refused {
        flags: &["--subresource"],
        verbs: &["apply"],
        sentence: "apply takes objects whole; cpu and memory alone: podlet patch pod POD --subresource=resize -p PATCH",
    },
    Refused {
        flags: &["--edit"],
        verbs: &["create"],
        sentence: "podlet create -f FILE --dry-run=client -o yaml > NEW, an editor, podlet create -f NEW",
    },
    Refused {
        flags: &["--windows-line-endings"],
        verbs: &["create", "edit"],
        sentence: "files that are edited end their lines as this system does; leave it out",
    },
    Refused {
        flags: &["--template", "--allow-missing-template-keys"],
        verbs: &["edit"],
        sentence: "edit prints a sentence for each object; -o says whether YAML or JSON is edited",
    },
    Refused {
        flags: &["--create-annotation"],
        verbs: &["apply"],
        sentence: "it keeps no manifest as it was last applied; an object is what it is, and apply compares with that",
    },
    Refused {
        flags: &["--output-patch"],
        verbs: &["edit"],
        sentence: "what would change: podlet get -o yaml > FILE, an editor, podlet diff -f FILE",
    },
    Refused {
        flags: &["--resource-version"],
        verbs: &["annotate", "label", "set"],
        sentence: "its objects have no resourceVersion; changes of one object come after each other",
    },
    Refused { flags: &["--from", "--keys", "--prefix", "--resolve"], verbs: &["set env"], sentence: ENV_STAYS },
    Refused {
        flags: &["--grace-period", "--force", "--timeout", "--wait"],
        verbs: &["run"],
        sentence: OF_THE_DELETION,
    },
    // Docker's.
    Refused {
        flags: &["--detach", "-d"],
        verbs: &["run"],
        sentence: "a pod runs in the background anyway, unless -i or --attach is given; leave it out",
    },
    Refused {
        flags: &[
            "--cpus",
            "--entrypoint",
            "--env-file",
            "--hostname",
            "--memory",
            "-m",
            "--mount",
            "--name",
            "--network",
            "--net",
            "--publish",
            "-p",
            "--pull",
            "--read-only",
            "--user",
            "-u",
            "--volume",
            "--workdir",
            "-w",
        ],
        verbs: &["run"],
        sentence: "the words are kubectl's: podlet run NAME --image=IMAGE -- WORDS; --overrides='{\"spec\":…}' sets the rest, and \
                   --dry-run=client -o yaml makes a manifest of it",
    },
    Refused {
        flags: &["--filename", "-f", "--kustomize", "-k", "--recursive", "-R"],
        verbs: &["run"],
        sentence: "run makes a pod of its words; a manifest: podlet apply -f FILE",
    },
    Refused {
        flags: &["--no-headers", "--selector", "-l", "--sort-by", "--show-swap"],
        verbs: &["top node"],
        sentence: "there is one node, this machine; its memory and swap: free(1)",
    },
    Refused {
        flags: &["--local"],
        verbs: &["wait"],
        sentence: "a file alone never changes; podlet test FILE plays what a pod would become",
    },
];

impl Idle {
    /// explain's has one.
    fn letter(&self) -> Option<char> {
        (self.long == "output").then_some('o')
    }

    /// Whether it may be among these words, of which one is then its verb.
    fn is_typed(&self, words: &[&str]) -> bool {
        let long = |word: &str| word.strip_prefix("--").is_some_and(|flag| flag.split('=').next() == Some(self.long));
        let short = |word: &str| {
            let mut letters = word.strip_prefix('-').unwrap_or_default().chars();
            self.letter().is_some_and(|letter| letters.next() == Some(letter))
        };
        let verb = |path: &&str| path.split(' ').next().is_some_and(|verb| words.contains(&verb));
        words.iter().any(|word| long(word) || short(word)) && (self.verbs.is_empty() || self.verbs.iter().any(verb))
    }

    fn arg(&self) -> Arg {
        let arg = Arg::new(self.long).long(self.long).hide(true).global(self.verbs.is_empty()).short(self.letter());
        match self.takes {
            Takes::Truth => arg.action(ArgAction::SetTrue),
            Takes::Value => arg.action(ArgAction::Set).allow_hyphen_values(true),
            Takes::Only(values, sentence) => arg.action(ArgAction::Set).value_parser(one_of(values, sentence)),
            Takes::OnlyBehindSign(values, sentence) => arg
                .action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value(values.first().copied().unwrap_or_default())
                .value_parser(one_of(values, sentence)),
        }
    }
}

fn one_of(
    values: &'static [&'static str],
    sentence: &'static str,
) -> impl Fn(&str) -> Result<String, &'static str> + Clone + Send + Sync + 'static {
    move |word| if values.contains(&word) { Ok(word.to_owned()) } else { Err(sentence) }
}

/// Whether flags of these verbs are flags of the one at this path, `set image`.
fn is_of(verbs: &[&str], path: &str) -> bool {
    let within = |verb: &&str| path.strip_prefix(*verb).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    verbs.iter().any(within)
}

/// Whether such a flag is among these words. They are declared only then: to declare them takes as long as all else that a
/// command does at its start.
pub fn are_typed(words: &[OsString]) -> bool {
    let own = words.iter().take_while(|word| *word != "--").filter_map(|word| word.to_str());
    let own: Vec<&str> = own.collect();
    IDLE.iter().any(|flag| flag.is_typed(&own))
}

/// The command at a path with all of kubectl's flags that it takes without having them; so are those beneath it.
pub fn known(command: Command, path: &str) -> Command {
    let idle = IDLE.iter().filter(|flag| match path {
        "" => flag.verbs.is_empty(),
        path => is_of(flag.verbs, path),
    });
    let mut command = command.args(idle.map(Idle::arg));
    let beneath: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    for name in beneath {
        let path = format!("{path} {name}");
        command = command.mut_subcommand(name, |verb| known(verb, path.trim_start()));
    }
    command
}

/// What is to be said of a flag that podlet does not have, as it was typed with the verb at this path.
pub fn refusal(path: &str, flag: &str) -> Option<String> {
    let of_verb = REFUSED.iter().filter(|refused| is_of(refused.verbs, path));
    let of_all = REFUSED.iter().filter(|refused| refused.verbs.is_empty());
    let refused = of_verb.chain(of_all).find(|refused| refused.flags.contains(&flag))?;
    Some(format!("podlet has no {flag}: {}", refused.sentence))
}

/// kubectl's `-v 6` and `--v 6`; podlet's `-v` stands alone, or has its level behind `=`.
pub fn with_levels(words: &[OsString]) -> Option<Vec<OsString>> {
    let is_level = |word: &OsString| {
        word.to_str().is_some_and(|word| !word.is_empty() && word.len() < 3 && word.bytes().all(|b| b.is_ascii_digit()))
    };
    let own = words.iter().take_while(|word| *word != "--").count();
    let at = words.iter().take(own).position(|word| word == "-v" || word == "--v")?;
    let level = words.get(at + 1).filter(|level| at + 1 < own && is_level(level))?;
    let mut joined = OsString::from("-v=");
    joined.push(level);
    let mut line = words.to_vec();
    line.splice(at..at + 2, [joined]);
    Some(line)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::error::ErrorKind;

    use super::super::Line;
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    /// Whatever kubectl has is taken, or answered with what to do.
    #[test]
    fn no_flag_of_kubectls_is_unknown() {
        let list = include_str!("../../../tests/data/kubectl/flags.txt");
        let mut seen = 0;
        for line in list.lines().filter(|line| !line.starts_with('#')) {
            let (verb, flags) = line.split_once(": ").unwrap();
            for flag in flags.split(' ') {
                let (typed, path) = match verb {
                    "*" => (format!("podlet get pods {flag}=x"), "get"),
                    verb => (format!("podlet {verb} {flag}=x"), verb),
                };
                let unknown = Line::read(&words(&typed)).is_err_and(|error| error.kind() == ErrorKind::UnknownArgument);
                // Kustomizations are answered where manifests are read.
                assert!(!unknown || refusal(path, flag).is_some() || flag == "--kustomize", "{typed}");
                seen += 1;
            }
        }
        assert!(seen > 400, "{seen}");
    }

    #[test]
    fn what_is_so_anyway_is_taken_in_all_its_forms() {
        for line in [
            "podlet apply pod.yaml --server-side --force-conflicts --validate --field-manager ann --cascade=orphan",
            "podlet apply pod.yaml --validate=strict --server-side=false --request-timeout=0",
            "podlet delete pod web --cascade --disable-compression=true --cache-dir /tmp",
            "podlet --match-server-version get pods --chunk-size 0 --show-managed-fields --chunk-size=5",
            "podlet explain pod -o plaintext",
            "podlet debug web --image=busybox --profile=general",
        ] {
            let read = Line::read(&words(line));
            assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
        }
        for line in ["podlet apply pod.yaml --validate=false", "podlet get pods --request-timeout=5s"] {
            assert!(Line::read(&words(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn a_level_may_stand_behind_a_blank() {
        let read = |line: &str| format!("{:?}", Line::read(&words(line)).unwrap());
        assert_eq!(read("podlet get pods -v 6"), read("podlet get pods -v=6"));
        assert_eq!(read("podlet --v 6 get pods"), read("podlet get pods --v=6"));
        assert_ne!(read("podlet exec web -- x -v 6"), read("podlet exec web -- x -v=6"));
    }
}
