//! Files made to hurt: whatever a file of at most one mebibyte holds, it is answered within a second of the
//! processor's time and 64 MiB of memory, with an object or with errors, and without a panic.
//!
//! The promise is that of the program as it is shipped; built for the tests, without the compiler's optimizations, it
//! is some ten times as slow and is given three seconds, which what grows with the square of a file exceeds by far.
//!
//! Each file is read in a process of its own (this program again), which then tells what it took.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::process::Command;

use podlet::manifest::{Options, Source, load};

const MIB: usize = 1024 * 1024;
/// In milliseconds.
const TIME_MAX: u64 = if cfg!(debug_assertions) { 3000 } else { 1000 };
const NAMED: &str = "PODLET_HOSTILE_FILE";
const HEAD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  containers:\n";

/// `unit` as often as it fits into a mebibyte beside `head` and `tail`.
fn filled(head: &str, unit: &str, tail: &str) -> Vec<u8> {
    let often = (MIB - head.len() - tail.len()) / unit.len();
    format!("{head}{}{tail}", unit.repeat(often)).into_bytes()
}

/// Numbered units, up to a mebibyte.
fn numbered(head: &str, unit: impl Fn(usize) -> String) -> Vec<u8> {
    let mut text = head.to_string();
    for number in 0.. {
        let next = unit(number);
        if text.len() + next.len() > MIB {
            break;
        }
        text.push_str(&next);
    }
    text.into_bytes()
}

/// Nine levels of nine aliases each.
fn laughs() -> Vec<u8> {
    let mut text = String::from("a0: &a0 [lol,lol,lol,lol,lol,lol,lol,lol,lol]\n");
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        writeln!(text, "a{level}: &a{level} [{}]", [below.as_str(); 9].join(",")).unwrap();
    }
    text.into_bytes()
}

/// A pod with one container, then numbered lines of the spec as often as the budget of values lets through.
fn spec_of(head: &str, values: usize, unit: impl Fn(usize) -> String) -> Vec<u8> {
    const MOST: usize = 99_000;
    let head = format!("{HEAD}  - name: a\n    image: i\n{head}");
    let mut text = head;
    for number in 0..MOST / values {
        let next = unit(number);
        if text.len() + next.len() > MIB {
            break;
        }
        text.push_str(&next);
    }
    text.into_bytes()
}

/// A name and what makes the file.
type File = (&'static str, fn() -> Vec<u8>);

fn files() -> Vec<File> {
    vec![
        ("flow lists in depth", || filled("a: ", "[", "")),
        ("flow maps in depth", || filled("a: ", "{a: ", "")),
        ("flow lists in depth, closed", || [filled("a: ", "[", ""), b"]".repeat(MIB)].concat()[..MIB].to_vec()),
        ("block lists in depth", || filled("", "- ", "")),
        ("block maps in depth", || numbered("", |n| format!("{}a:\n", " ".repeat(n)))),
        ("explicit keys in depth", || filled("", "? ", "")),
        ("a wide list", || filled("a: [", "a,", "]")),
        ("a wide list of nothing", || filled("a: [", ",", "]")),
        ("a wide block list", || filled("a:\n", "-\n", "")),
        ("a wide map", || numbered("", |n| format!("k{n}: 1\n"))),
        ("one key again and again", || filled("", "a: 1\n", "")),
        ("empty containers", || filled(HEAD, "  - {}\n", "")),
        ("empty containers in flow", || filled(&format!("{HEAD}   ["), "{},", "]")),
        ("unknown fields", || numbered(HEAD, |n| format!("  - f{n}: 1\n"))),
        ("wrong types", || filled(HEAD, "  - {name: 1}\n", "")),
        ("a wide environment", || {
            numbered(&format!("{HEAD}  - name: a\n    image: i\n    env:\n"), |n| {
                format!("    - {{name: A{n}, value: b}}\n")
            })
        }),
        ("many ports", || {
            numbered(&format!("{HEAD}  - name: a\n    image: i\n    ports:\n"), |n| {
                format!("    - {{containerPort: {}}}\n", n % 65535 + 1)
            })
        }),
        ("many volumes", || {
            numbered("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  volumes:\n", |n| {
                format!("  - {{name: v{n}, emptyDir: {{}}}}\n")
            })
        }),
        ("many tolerations", || {
            filled(
                "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  containers: [{name: a, image: i}]\n  tolerations:\n",
                "  - {operator: Exists}\n",
                "",
            )
        }),
        // As much as the budget lets through, to see what decoding and validating it take.
        ("containers within the budget", || format!("{HEAD}{}", "  - {}\n".repeat(3_000)).into_bytes()),
        ("an environment within the budget", || {
            let entries: String =
                (0..19_000).fold(String::new(), |text, n| format!("{text}    - {{name: A{n}, value: b}}\n"));
            format!("{HEAD}  - name: a\n    image: i\n    env:\n{entries}").into_bytes()
        }),
        ("labels within the budget", || {
            let labels: String = (0..45_000).fold(String::new(), |text, n| format!("{text}    k{n}: v\n"));
            format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  labels:\n{labels}spec: {{}}\n").into_bytes()
        }),
        // What could cost the square of its size: each against each, or the whole shown for each.
        ("mounts and devices", || {
            let mut text = spec_of("    volumeMounts:\n", 10, |n| format!("    - {{name: m{n}, mountPath: /m{n}}}\n"));
            text.extend(b"    volumeDevices:\n");
            for n in 0..9_700 {
                text.extend(format!("    - {{name: d{n}, devicePath: /d{n}}}\n").bytes());
            }
            text
        }),
        ("files of the environment", || {
            let mut text = spec_of("    env:\n", 22, |n| {
                format!("    - {{name: A{n}, valueFrom: {{fileKeyRef: {{volumeName: v{n}, path: p, key: k}}}}}}\n")
            });
            text.extend(b"  volumes:\n");
            for n in 0..8_000 {
                text.extend(format!("  - {{name: v{n}, emptyDir: {{}}}}\n").bytes());
            }
            text
        }),
        ("spread constraints", || {
            spec_of("  topologySpreadConstraints:\n", 7, |n| {
                format!("  - {{maxSkew: 1, topologyKey: k{n}, whenUnsatisfiable: ScheduleAnyway}}\n")
            })
        }),
        ("label keys", || {
            let keys: String = (0..20_000).fold(String::new(), |text, n| format!("{text}k{n}, "));
            let mut text = spec_of(
                &format!(
                    "  affinity: {{podAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: t, matchLabelKeys: [{keys}], mismatchLabelKeys: [{keys}], labelSelector: {{matchExpressions: [\n"
                ),
                7,
                |n| if n < 8000 { format!("{{key: k{n}, operator: Exists}},\n") } else { String::new() },
            );
            text.extend(b"]}}]}}\n");
            text
        }),
        ("claims of a container", || {
            spec_of("    resources:\n      claims:\n", 3, |n| format!("      - {{name: c{n}}}\n"))
        }),
        ("claims of a container and of the pod", || {
            let claims: String = (0..10_000).fold(String::new(), |text, n| format!("{text}{{name: p{n}}}, "));
            let head = "    resources:\n      claims:\n";
            let mut text = spec_of(head, 6, |n| format!("      - {{name: c{n}}}\n"));
            text.extend(format!("  resourceClaims: [{claims}]\n").bytes());
            text
        }),
        ("parts of one claim, then the whole", || {
            let mut text =
                spec_of("    resources:\n      claims:\n", 10, |n| format!("      - {{name: c, request: r{n}}}\n"));
            for _ in 0..10_000 {
                text.extend(b"      - {name: c}\n");
            }
            text
        }),
        ("capabilities that show the whole", || {
            filled(
                &format!(
                    "{HEAD}  - {{name: a, image: i, securityContext: {{allowPrivilegeEscalation: false, capabilities: {{add: ["
                ),
                "CAP_SYS_ADMIN,",
                "]}}}\n",
            )
        }),
        ("owners that show the whole", || {
            numbered(
                "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, image: i}]}\nmetadata:\n  name: x\n  ownerReferences:\n",
                |n| {
                    if n < 8_900 {
                        format!("  - {{apiVersion: v1, kind: X, name: n{n}, uid: u, controller: true}}\n")
                    } else {
                        " ".repeat(MIB)
                    }
                },
            )
        }),
        ("registries that show the whole", || {
            let registries = "a,".repeat(500_000);
            let head = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  containers: [{name: a, image: i}]\n";
            format!("{head}  volumes: [{{name: v, quobyte: {{registry: '{registries}', volume: w}}}}]\n").into_bytes()
        }),
        ("profiles of many containers", || {
            let mut text = String::from("apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  annotations:\n");
            for n in 0..5_000 {
                writeln!(text, "    container.apparmor.security.beta.kubernetes.io/c{n}: x").unwrap();
            }
            text.push_str("spec:\n  containers:\n");
            for n in 0..3_000 {
                writeln!(text, "  - {{name: d{n}, image: i}}").unwrap();
            }
            text.into_bytes()
        }),
        ("ports that are all alike", || spec_of("    ports:\n", 3, |_| "    - {containerPort: 80}\n".into())),
        ("ports on many host addresses", || {
            spec_of("    ports:\n", 7, |n| {
                format!("    - {{containerPort: 80, hostPort: 80, hostIP: 10.{}.{}.1}}\n", n / 256, n % 256)
            })
        }),
        ("ports on many host ports", || {
            spec_of("    ports:\n", 5, |n| format!("    - {{containerPort: 80, hostPort: {}}}\n", n + 1))
        }),
        ("files that are all alike", || {
            spec_of("  volumes:\n  - name: v\n    configMap:\n      name: c\n      items:\n", 5, |_| {
                "      - {key: k, path: p}\n".into()
            })
        }),
        ("files that all differ", || {
            spec_of("  volumes:\n  - name: v\n    configMap:\n      name: c\n      items:\n", 5, |n| {
                format!("      - {{key: k, path: p{n}}}\n")
            })
        }),
        ("files in a deep directory", || {
            spec_of("  volumes:\n  - name: v\n    configMap:\n      name: c\n      items:\n", 5, |n| {
                format!("      - {{key: k, path: {}p{n}}}\n", "a/".repeat(n % 500))
            })
        }),
        ("labels that are all wrong", || {
            numbered("apiVersion: v1\nkind: Pod\nspec: {}\nmetadata:\n  name: x\n  labels:\n", |n| {
                if n < 45_000 { format!("    -k{n}: -v\n") } else { " ".repeat(MIB) }
            })
        }),
        ("amounts that are all wrong", || {
            spec_of("    resources:\n      limits:\n", 1, |n| {
                if n < 45_000 { format!("        k{n}: -1\n") } else { String::new() }
            })
        }),
        ("an amount of a name of brackets", || {
            filled(&format!("{HEAD}  - {{name: a, image: i, resources: {{limits: {{'"), "]", "': -1}}}\n")
        }),
        ("an amount beyond all numbers", || {
            format!("{HEAD}  - {{name: a, image: i, resources: {{limits: {{cpu: 1e1000000000, memory: 1e-1000000000, a/b: 1e2147483647}}}}}}\n").into_bytes()
        }),
        ("an amount of many digits", || {
            filled(&format!("{HEAD}  - {{name: a, image: i, resources: {{limits: {{cpu: '0."), "1", "'}}}\n")
        }),
        ("references to variables", || {
            spec_of("    env:\n", 5, |n| format!("    - {{name: A, value: $(A)$(B{n})}}\n"))
        }),
        ("a value of references", || {
            filled(
                &format!("{HEAD}  - {{name: a, image: i, env: [{{name: A, value: x}}, {{name: A, value: '"),
                "$(A)",
                "'}]}\n",
            )
        }),
        ("unknown fields of one length", || numbered(HEAD, |n| format!("  - terminationMessagePat{n:07}: 1\n"))),
        ("tolerations that are all wrong", || {
            spec_of("  tolerations:\n", 7, |n| format!("  - {{key: -k{n}, operator: X, effect: Z}}\n"))
        }),
        ("a billion laughs", laughs),
        ("a large anchor used often", || {
            let anchor = format!("a: &a [{}]\n", "x,".repeat(5000));
            filled(&format!("{anchor}b: ["), "*a,", "]")
        }),
        ("many anchors", || numbered("", |n| format!("- &a{n} x\n"))),
        ("an anchor that holds itself", || b"a: &a [*a]\n".to_vec()),
        ("nested anchors", || numbered("", |n| format!("{}- &a{n}\n", " ".repeat(n)))),
        ("merges of merges", || {
            numbered("a0: &a0 {k: 1}\n", |n| format!("a{0}: &a{0} {{<<: *a{n}, k{n}: 1}}\n", n + 1))
        }),
        ("a merge of many", || {
            let wide: String = (0..2000).fold(String::new(), |text, n| format!("{text}k{n}: 1, "));
            filled(&format!("a: &a {{{wide}}}\nb:\n  <<: ["), "*a,", "]\n")
        }),
        ("a long plain scalar", || filled("a: ", "x", "")),
        ("a long plain scalar of words", || filled("a: ", "x y ", "")),
        ("a long plain scalar in lines", || filled("a:\n", "  x\n", "")),
        ("a long quoted scalar", || filled("a: \"", "x", "\"")),
        ("a quoted scalar of escapes", || filled("a: \"", "\\n", "\"")),
        ("a quoted scalar that never ends", || filled("a: \"", "x\n  ", "")),
        ("a block scalar", || filled("a: |\n", "  x\n", "")),
        ("a block scalar of empty lines", || filled("a: |\n", "\n", "")),
        ("a folded scalar", || filled("a: >\n", "  x\n\n", "")),
        ("a long key", || filled("", "k", ": 1")),
        ("a long number", || filled("a: ", "1", "")),
        ("a number of underscores", || filled("a: 1", "_", "")),
        ("a long tag", || filled("a: !", "x", " y")),
        ("a long anchor", || filled("a: &", "x", " y")),
        ("comments", || filled("", "# x\n", "a: 1")),
        ("many documents", || filled("", "---\n", "")),
        ("many documents with content", || filled("", "---\na: 1\n", "")),
        ("many pods", || {
            numbered("", |n| {
                format!(
                    "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{n}}}\nspec: {{containers: [{{name: a, image: i}}]}}\n"
                )
            })
        }),
        ("directives", || filled("", "%TAG !a! b:\n", "---\na: 1")),
        ("blanks", || filled("a:", " ", "1")),
        ("tabs", || filled("a:\n", "\t", "b: 1")),
        ("lines of carriage returns", || filled("a: 1", "\r", "b: 2")),
        ("CRLF", || filled("", "- a\r\n", "")),
        ("byte order marks", || filled("", "\u{feff}", "a: 1")),
        ("zeros", || vec![0; MIB]),
        ("bytes that are no text", || vec![0xff; MIB]),
        ("colons", || filled("", ":", "")),
        ("colons and blanks", || filled("", ": ", "")),
        ("dashes", || filled("", "-", "")),
        ("stars", || filled("", "*", "")),
        ("commas in a list", || filled("[a", ",a", "")),
        ("pairs in a list", || filled("[", "a: b, ", "]")),
        ("braces side by side", || filled("a: [", "{},", "]")),
        ("JSON", || filled("{\"a\":[", "{\"b\":1},", "{}]}")),
        ("base64 in a Secret", || filled("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: ", "QUJD", "}")),
        ("a large ConfigMap", || {
            numbered("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n", |n| format!("  k{n}: v\n"))
        }),
        ("a List of pods", || {
            numbered("apiVersion: v1\nkind: List\nitems:\n", |n| {
                format!(
                    "- {{apiVersion: v1, kind: Pod, metadata: {{name: p{n}}}, spec: {{containers: [{{name: a, image: i}}]}}}}\n"
                )
            })
        }),
        ("templates", || filled("", "a: {{ .Values.x }}\n", "")),
        ("UTF-16", || "a: b\n".encode_utf16().flat_map(u16::to_le_bytes).cycle().take(MIB).collect()),
        ("UTF-16 with its mark", || {
            "\u{feff}a: b\n".repeat(MIB / 12).encode_utf16().flat_map(u16::to_be_bytes).collect()
        }),
        ("bytes that are no text, in comments", || b"# \xff\xfe\n".repeat(MIB / 5)),
        ("escaped zeros", || filled("a: \"", "\\0", "\"")),
        ("halves of characters", || filled("{\"a\": \"", "\\ud83d", "\"}")),
        ("controls in keys", || filled("", "\"\\e[31m\": 1\n", "")),
        ("a long field of a container", || filled(&format!("{HEAD}  - name: a\n    "), "k", ": 1\n")),
        ("a long name", || filled("apiVersion: v1\nkind: Pod\nmetadata: {name: ", "n", "}\nspec: {containers: []}\n")),
        ("fields nearly of a name", || {
            numbered(&format!("{HEAD}  - name: a\n"), |n| format!("    imagePullPolc{n}: x\n"))
        }),
        ("empty containers of dashes", || filled(HEAD, "  -\n", "")),
        ("mounts that are all wrong", || {
            spec_of("    volumeMounts:\n", 8, |n| format!("    - {{name: v{n}, mountPath: 'a:b', subPath: ../x}}\n"))
        }),
        ("amounts beyond all numbers", || {
            spec_of("    resources:\n      limits:\n", 2, |n| format!("        a/k{n}: 1e999999999\n"))
        }),
        ("merges of merges, each twice", || {
            numbered("a0: &a0 {k: 1}\n", |n| format!("a{0}: &a{0} {{<<: [*a{n}, *a{n}]}}\n", n + 1))
        }),
        ("a number in sixties", || filled("a: 1", ":59", "")),
        ("a program", || std::fs::read(std::env::current_exe().unwrap()).unwrap().into_iter().take(MIB).collect()),
        ("managedFields in depth", || {
            [filled(
                "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  managedFields:\n  - fieldsV1: ",
                "{\"f:a\": ",
                "",
            )
            .as_slice()]
            .concat()
        }),
    ]
}

/// The part of the child: reads one file and tells the outcome, the processor's time and the most memory.
fn read_one(name: &str) {
    let bytes = files().into_iter().find(|(other, _)| *other == name).unwrap().1();
    assert!(bytes.len() <= MIB);
    let before = cpu_milliseconds();
    let outcome = match load(&[Source { name: "f".into(), bytes }], &Options::default()) {
        Ok(loaded) => format!("{} objects", loaded.objects.len()),
        Err(rejected) => {
            let told: usize = rejected.diagnostics.iter().map(|diagnostic| diagnostic.to_string().len()).sum();
            let first: String = rejected.diagnostics.first().map(ToString::to_string).unwrap_or_default();
            let first: String = first.lines().next().unwrap_or("").chars().take(90).collect();
            format!("{} errors of {told} bytes: {first}", rejected.diagnostics.len())
        }
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: usize = peak.trim().trim_end_matches(" kB").trim().parse().unwrap();
    println!("RESULT {} {peak} {outcome}", cpu_milliseconds() - before);
}

/// The processor's time of this process: `utime` and `stime` of /proc/self/stat, in hundredths (proc(5)).
fn cpu_milliseconds() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10
}

#[test]
fn every_file_is_answered_in_time_and_memory() {
    if let Ok(name) = std::env::var(NAMED) {
        return read_one(&name);
    }
    let mut faults = Vec::new();
    for (name, _) in files() {
        let program = std::env::current_exe().unwrap();
        let arguments = ["every_file_is_answered_in_time_and_memory", "--exact", "--nocapture"];
        let child = Command::new(program).args(arguments).env(NAMED, name).output().unwrap();
        let printed = String::from_utf8_lossy(&child.stdout).to_string();
        let Some(result) = printed.lines().find_map(|line| line.split("RESULT ").nth(1)) else {
            faults.push(format!("{name}: no answer: {printed}{}", String::from_utf8_lossy(&child.stderr)));
            continue;
        };
        let mut words = result.splitn(3, ' ');
        let milliseconds: u64 = words.next().unwrap().parse().unwrap();
        let kilobytes: usize = words.next().unwrap().parse().unwrap();
        println!("{milliseconds:5} ms {kilobytes:6} kB  {name}: {}", words.next().unwrap());
        if milliseconds > TIME_MAX || kilobytes > 64 * 1024 {
            faults.push(format!("{name}: {milliseconds} ms, {kilobytes} kB"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
