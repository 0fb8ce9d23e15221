//! Which part of a start a step belongs to, and why there is that part: the headings of `podlet plan`.

use super::Step;

/// A part of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chapter {
    /// cgroups, and what keeps others from looking in.
    Bounds,
    /// What is shared and what is not.
    Namespaces,
    /// Mounts.
    Files,
    /// What a program finds around itself.
    Surroundings,
    /// Capabilities, users, filter.
    Powers,
    /// execve.
    Program,
}

impl Chapter {
    /// A heading and a sentence.
    pub fn heading(self) -> (&'static str, &'static str) {
        match self {
            Chapter::Bounds => {
                ("bounds", "Counted, limited and out of sight from here on, before anything large is allocated.")
            }
            Chapter::Namespaces => (
                "namespaces",
                "A namespace decides which network, host name, mounts or processes a process sees; those of a pod are \
                 kept by pause, and containers join them.",
            ),
            Chapter::Files => (
                "files",
                "A container's file system is a mount of its own: it is put together, made the root, and the machine's \
                 is dropped.",
            ),
            Chapter::Surroundings => {
                ("surroundings", "What the program finds: its terminal or pipes, directory, limits.")
            }
            Chapter::Powers => (
                "powers",
                "Root in a container is a root without most of its capabilities; what is given up here does not come back.",
            ),
            Chapter::Program => ("program", "Up to here it was the stage, podlet's own; now it becomes the program."),
        }
    }
}

impl Step {
    /// The part of a start that the step belongs to; none when it belongs to whatever part it stands in.
    pub fn chapter(&self) -> Option<Chapter> {
        Some(match self {
            Step::SetUmask { .. } | Step::LoadSeccomp { .. } => return None,
            Step::JoinCgroup { .. } | Step::SetOomScore { .. } | Step::SetUndumpable | Step::NewSessionKeyring => {
                Chapter::Bounds
            }
            Step::EnterNamespaces { .. }
            | Step::NewCgroupNamespace
            | Step::SetHostname { .. }
            | Step::SetLinkUp { .. }
            | Step::WriteSysctl { .. } => Chapter::Namespaces,
            Step::SetPropagation { .. }
            | Step::OpenMountNamespace { .. }
            | Step::ReturnToMountNamespace { .. }
            | Step::OpenTree { .. }
            | Step::SetMountAttributes { .. }
            | Step::AttachRoot { .. }
            | Step::PivotRoot
            | Step::Mount { .. }
            | Step::MakeDirectory { .. }
            | Step::MakeDevice { .. }
            | Step::MakeLink { .. }
            | Step::Mask { .. }
            | Step::SetReadOnly { .. }
            | Step::Attach { .. }
            | Step::SetRootReadOnly => Chapter::Files,
            Step::OwnStdio { .. }
            | Step::NewSession
            | Step::SetControllingTerminal
            | Step::ChangeDirectory { .. }
            | Step::ReturnToDirectory { .. }
            | Step::SetResourceLimit { .. } => Chapter::Surroundings,
            Step::DropBoundingCapabilities { .. }
            | Step::SetGroups { .. }
            | Step::SetGroup { .. }
            | Step::SetUser { .. }
            | Step::SetCapabilities { .. }
            | Step::SetNoNewPrivileges => Chapter::Powers,
            Step::CloneSecond
            | Step::ForkForEach
            | Step::ClearSignalMask
            | Step::CloseOnExec
            | Step::Execute { .. }
            | Step::ExecuteDescriptor { .. } => Chapter::Program,
        })
    }
}
