//! `docs/settings.md`, made from the rows of `KubeletConfiguration` (`src/manifest/fields/kubelet.rs`).

use std::fmt::Write;

use podlet::config::Config;
use podlet::manifest::fields::{KUBELET_CONFIGURATION, Struct, Treatment, Type};

const HEAD: &str = "\
# Settings

<!-- Made from src/manifest/fields/kubelet.rs by `PODLET_WRITE_DOCS=1 cargo test --test docs`. Change it there. -->

What holds for all pods of a machine stands in `/etc/podlet/config.yaml`, if there is such a file; `PODLET_CONFIG` names another
one. It is a `KubeletConfiguration` as a kubelet reads it:

```yaml
kind: KubeletConfiguration
apiVersion: kubelet.config.k8s.io/v1beta1
containerLogMaxSize: 50Mi
crashLoopBackOff:
  maxContainerRestartPeriod: 1m
```

`podlet config view` prints what holds and who says so: nobody, a line of the file, a variable, a flag.

```console
# podlet config view
SETTING                                      VALUE   ORIGIN
seccompDefault                               true    default
containerLogMaxSize                          50Mi    /etc/podlet/config.yaml:3
…
```

The file is read as manifests are: a field that is unknown, set twice, or has a value that a kubelet refuses is told with line and
column, and no pod is set going until it is mended (`get`, `logs`, `exec` and `delete` do not read it). A pod keeps the settings
with which it was set going; when the machine has been started anew it goes on with those that hold then, as under a kubelet.

`config view` also says after how long the supervisor of a quiet pod [sleeps](architecture.md#a-quiet-pods-supervisor-sleeps):
that is no setting of a kubelet's, and said by `--sleep-after` or `PODLET_SLEEP_AFTER`. What else only podlet has stands in the
same file below `podlet`, a name that a kubelet passes over with a warning:

```yaml
podlet:
  images:
    maxBytes: 200Gi
    stallTimeout: 2m
```

These hold for `podlet image pull`, `load` and `import`, and for what is pulled for pods.

A pod of which the end is kept, or that is stopped, does not count for `maxPods`. With `failSwapOn: true` no pod is set going while
the machine swaps; nobody says so here, where a kubelet says it by default.

";

const MIDDLE: &str = "
## Every field

| word | meaning |
|---|---|
| carried out | podlet does what Kubernetes documents |
| no meaning | accepted; it means nothing for podlet. `config view` names all such fields in one line |
| passed over, with a notice | accepted; `config view` says that it has no effect here, and where it matters what holds instead |
| refused for now | podlet does not carry it out; the file is refused until the line is taken out |

What a machine that was a node has in `/var/lib/kubelet/config.yaml`, as kubeadm or a provider has written it, can be used as it
is: what is about the node and the API server is passed over. Refused is what would leave a pod with less than the file asks for,
such as processors of its own. A duration of zero says nothing, as for a kubelet.

| field | what podlet does |
|---|---|
";

fn in_words(treatment: Treatment) -> String {
    let listed = |values: &[&str]| values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    match treatment {
        Treatment::Supported => "carried out".into(),
        Treatment::NoMeaning => "no meaning".into(),
        Treatment::Warned => "passed over, with a notice".into(),
        Treatment::Told(instead) => format!("passed over, with a notice: {instead}"),
        Treatment::ToldFor(values, instead) => {
            format!("accepted; {} passed over, with a notice: {instead}", listed(values))
        }
        Treatment::Later => "refused for now".into(),
        Treatment::LaterFor(values) => format!("accepted; {} refused for now", listed(values)),
        Treatment::LaterUnless(values) => format!("refused for now, but for {}", listed(values)),
        other => panic!("no setting is treated as {other:?}"),
    }
}

fn rows(page: &mut String, object: &'static Struct, path: &str) {
    for row in object.rows {
        let path = format!("{path}{}", row.name);
        let mut kind = &row.kind;
        let mut list = "";
        if let Type::List(item) = kind {
            (kind, list) = (item, "[]");
        }
        match kind {
            Type::Object(inner) if row.treatment == Treatment::Supported => {
                rows(page, inner, &format!("{path}{list}."));
            }
            _ => writeln!(page, "| `{path}` | {} |", in_words(row.treatment)).unwrap(),
        }
    }
}

pub fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| setting | when nobody says anything | meaning |\n|---|---|---|\n");
    for row in Config::default().rows() {
        let value = row.value.as_str().map_or_else(|| row.value.to_string(), str::to_owned);
        writeln!(page, "| `{}` | `{value}` | {} |", row.path, row.meaning).unwrap();
    }
    page.push_str(MIDDLE);
    rows(&mut page, &KUBELET_CONFIGURATION, "");
    page
}
