//! How a supervisor begins, which is how it goes on: snapshot and journal are folded, the result is compared with what the
//! keeper holds and with what runs, and what was asked for but not answered is carried out. A pod that was just applied is
//! the case in which there is nothing to fold.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use nix::fcntl::{Flock, FlockArg};
use tokio::sync::mpsc::UnboundedSender;

use super::files::{self, Durability};
use super::history;
use super::journal::{self, Journal, SNAPSHOT_FACTOR, Tail};
use super::kept::{self, Claim};
use super::log::{Held, Outputs};
use super::orders::Orders;
use super::poison::Poisons;
use super::probe::{ReadyCommands, Requests};
use super::publish::Publication;
use super::run::{Happening, Starting, Supervisor, watch_signals};
use super::server::{self, Connections};
use super::sleep::{self, Habit};
use super::state::{self, Asked, Record, Snapshot, State};
use super::status_pipe::StatusPipe;
use super::storage::Gauge;
use super::world::World;
use super::{clock, diagnostics, exec, probe, tags};
use crate::linux::cgroup::Cgroup;
use crate::linux::keeper::Keeper;
use crate::linux::{container, pidfd};
use crate::pod::effect::{Action, EffectId};
use crate::pod::input::Fact;
use crate::pod::prober::Prober;

/// The segment never grows beyond this or [`SNAPSHOT_FACTOR`] snapshots, whichever is more.
const SEGMENT_MINIMUM: u64 = 64 * 1024;

/// What was found on disk.
struct Found {
    state: State,
    journal: Journal,
    segment: u64,
    snapshot_length: u64,
    /// Another boot of the machine: nothing of what is told there runs.
    rebooted: bool,
    /// Records were taken as facts: what follows from where they lead may not be decided yet.
    undecided: bool,
}

/// Makes the supervisor of a pod, new or taken over.
pub async fn recover(orders: Orders, happenings: UnboundedSender<Happening>) -> io::Result<Supervisor> {
    lock(&orders.paths.pod_run(&orders.uid))?;
    let keeper = Keeper::inherited()?;
    let slept = sleep::wake_up(&orders.paths, &orders.uid, &keeper)?;
    let mut held: HashMap<String, OwnedFd> = keeper.held()?.into_iter().collect();
    let found = find(&orders)?;
    let mut pod = found.state.machine.pod();
    pod.spec.clone_from(&found.state.machine.allocated().spec);
    let world = Arc::new(World::new(orders, &pod)?);
    let control =
        held.remove(tags::CONTROL_TAG).ok_or_else(|| io::Error::other("the keeper holds no control socket"))?;
    let poisons = Poisons::read(&world.paths().panics(world.uid()));
    let published = std::fs::read(world.paths().pod_kept(world.uid())).unwrap_or_default();
    let sleep_after = world.orders.choices.sleep_after.map(Duration::from_millis);
    let mut supervisor = Supervisor {
        poisons,
        state: found.state,
        journal: found.journal,
        segment: found.segment,
        snapshot_length: found.snapshot_length,
        keeper,
        keeper_lost: false,
        adopted: BTreeSet::new(),
        processes: HashMap::new(),
        starting: HashMap::new(),
        ending_pulls: None,
        ahead: None,
        logs: HashMap::new(),
        environments: HashMap::new(),
        queue: VecDeque::new(),
        remains: Vec::new(),
        connections: Connections::default(),
        upgrading: None,
        execs: HashMap::new(),
        commands: HashMap::new(),
        ready: ReadyCommands::default(),
        requests: Requests::default(),
        prober: Prober::default(),
        gauge: Gauge::of(&pod),
        room_due: None,
        attachments: HashMap::new(),
        happenings,
        // Who sleeps has published all.
        changed: slept.is_none(),
        publication: Publication::of_predecessor(&published, slept.is_some()),
        hanging_up: 0,
        habit: Habit::new(sleep_after, slept),
        notices: BTreeSet::new(),
        over: None,
        pod: Arc::new(pod),
        world,
    };
    if !found.rebooted {
        // As early as can be: of a new pod the admission is in the journal.
        supervisor.prepare_ahead();
    }
    supervisor.take_back_followers();
    server::listen(control, &supervisor.happenings)?;
    watch_signals(&supervisor.happenings)?;
    if let Some(slept) = slept {
        tracing::info!(?slept, "awake");
    } else if supervisor.keeper.starts() > 1 {
        tracing::info!(starts = supervisor.keeper.starts(), last = ?supervisor.keeper.last_end(), "taking over");
    }
    supervisor.read_notices();
    if found.rebooted {
        supervisor.tell(Fact::Rebooted, clock::now(), None, None).await;
    } else {
        supervisor.take_over(held).await;
        if found.undecided {
            // Without this a container that waits in its back-off would wait for the next thing to happen.
            supervisor.tell(Fact::Tick, clock::now(), None, None).await;
        }
    }
    supervisor.prober.follow(&supervisor.state.machine);
    supervisor.follow_storage();
    supervisor.follow_room();
    Ok(supervisor)
}

/// Whether the pod has ended for good, so that all that is left to do is to remove the run directory, which is done: a
/// predecessor was killed between the last publication and that, or in the middle of a removal.
pub fn has_ended(orders: &Orders) -> bool {
    let (paths, uid) = (&orders.paths, orders.uid.as_str());
    let removal = std::fs::read(paths.removal(uid)).ok().and_then(|json| serde_json::from_slice::<Claim>(&json).ok());
    match removal.map(|claim| kept::remove(paths, &claim)) {
        Some(Ok(())) => return true,
        // The usual way may still be open; if it is not, the keeper starts another supervisor.
        Some(Err(error)) => tracing::error!("{error}"),
        None => {}
    }
    if !kept::read(paths, uid).is_ok_and(|kept| kept.is_some_and(|kept| kept.ended)) {
        return false;
    }
    for segment in segments(&paths.pod_run(uid)).unwrap_or_default() {
        if let Err(error) = history::put(&orders.paths, &orders.uid, segment) {
            tracing::warn!("could not keep the journal: {error}");
        }
    }
    if let Err(error) = kept::remove_run(paths, uid) {
        tracing::warn!("could not remove the run directory: {error}");
    }
    true
}

/// One writer: the lock is held until this process ends, whatever ends it.
fn lock(run_directory: &Path) -> io::Result<()> {
    match Flock::lock(File::open(run_directory)?, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => {
            // Not given back: the process's end does that.
            std::mem::forget(lock);
            Ok(())
        }
        Err((_, errno)) => {
            Err(io::Error::other(format!("another supervisor has the lock of {}: {errno}", run_directory.display())))
        }
    }
}

/// The newest snapshot that can be read and the segment after it; else segment 0; else the pod is admitted.
fn find(orders: &Orders) -> io::Result<Found> {
    let (paths, uid) = (&orders.paths, orders.uid.as_str());
    let boot_id = clock::boot_id();
    for number in segments(&paths.pod_run(uid))? {
        let snapshot: Option<(Snapshot, u64)> = match std::fs::read(paths.snapshot(uid, number)) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(snapshot) => Some((snapshot, bytes.len() as u64)),
                Err(error) => {
                    tracing::error!("snapshot {number} cannot be read, going back to the one before: {error}");
                    continue;
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let (start, snapshot_length) = match snapshot {
            Some((snapshot, length)) => (Some(snapshot), length),
            None => (None, 0),
        };
        if let Some(found) = fold_segment(orders, number, start, snapshot_length, &boot_id)? {
            return Ok(found);
        }
    }
    begin(orders, &boot_id)
}

/// The numbers of all snapshots and segments, highest first.
pub(super) fn segments(run_directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers: HashSet<u64> = HashSet::new();
    for entry in std::fs::read_dir(run_directory)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let number = name.strip_prefix("journal.").or_else(|| name.strip_prefix("snapshot.")?.strip_suffix(".json"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    let mut numbers: Vec<u64> = numbers.into_iter().collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    Ok(numbers)
}

/// Folds one segment over its snapshot. `None`: there is nothing to begin from.
fn fold_segment(
    orders: &Orders,
    number: u64,
    snapshot: Option<Snapshot>,
    snapshot_length: u64,
    boot_id: &str,
) -> io::Result<Option<Found>> {
    let path = orders.paths.journal(&orders.uid, number);
    let segment = match journal::read(&path) {
        Ok(segment) => segment,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Killed between the snapshot and the segment after it.
            let Some(snapshot) = snapshot else { return Ok(None) };
            if snapshot.header.boot_id != boot_id {
                return begin_anew(orders, snapshot.state, true, true).map(Some);
            }
            let (state, journal) = (snapshot.state, Journal::create(&path, &state::header())?);
            let (rebooted, undecided) = (false, true);
            return Ok(Some(Found { state, journal, segment: number, snapshot_length, rebooted, undecided }));
        }
        Err(error) => return Err(error),
    };
    let header = segment.header.as_ref().or(snapshot.as_ref().map(|snapshot| &snapshot.header)).cloned();
    let Some(header) = header else { return Ok(None) };
    let rebooted = header.boot_id != boot_id;
    let same = header.machine == state::header().machine && header.format == state::FORMAT;
    let mut disagreed = false;
    let mut unread = 0u32;
    let mut state = snapshot.map(|snapshot| snapshot.state);
    for json in &segment.records {
        let Ok(record) = serde_json::from_slice::<Record>(json) else {
            unread += 1;
            continue;
        };
        let Some(state) = &mut state else {
            let Record::Admitted { at, settings, effects, digest } = &record else { break };
            let settings = settings.as_deref().unwrap_or(&orders.choices.settings).clone();
            let (mut admitted, again) = State::admit(manifest(orders)?, settings, *at);
            if let Record::Admitted { digest: decided, .. } = again
                && decided != *digest
            {
                disagreed = same;
            }
            admitted.pending.clone_from(effects);
            state = Some(admitted);
            continue;
        };
        if same && !disagreed {
            disagreed = state.fold(&record).is_err();
        } else {
            for id in state.assume(&record) {
                tracing::error!(
                    id = id.0,
                    "a recorded effect that this version does not know; what it did is not known"
                );
            }
        }
    }
    if disagreed {
        tracing::error!(
            "the machine came to another state than the journal says; its recorded effects were taken as facts"
        );
    }
    if unread > 0 {
        tracing::error!(unread, "records of the journal cannot be read by this version");
    }
    let Some(state) = state else { return Ok(None) };
    // A segment without a record may follow what another version wrote, by a supervisor that came no further.
    let undecided = segment.records.is_empty();
    match segment.tail {
        Tail::Torn => tracing::info!("the journal's last line was cut off while it was written"),
        Tail::Damaged => {
            let aside = path.with_extension(format!("{number}.damaged"));
            tracing::error!("the journal is damaged behind {} bytes; it is kept as {}", segment.good, aside.display());
            std::fs::copy(&path, aside)?;
        }
        Tail::Clean => {}
    }
    let understood = same && !disagreed && unread == 0 && segment.header.is_some();
    if segment.tail != Tail::Damaged && understood && !rebooted {
        let journal = Journal::reopen(&path, segment.good)?;
        return Ok(Some(Found { state, journal, segment: number, snapshot_length, rebooted, undecided }));
    }
    begin_anew(orders, state, rebooted, !same || disagreed || unread > 0).map(Some)
}

/// From here on a new segment of this version over a snapshot of what was found; after a reboot with the settings of now. Its
/// number follows all that there ever was.
fn begin_anew(orders: &Orders, mut state: State, rebooted: bool, undecided: bool) -> io::Result<Found> {
    if rebooted {
        state.machine.take_settings(orders.choices.settings.clone());
    }
    let (paths, uid) = (&orders.paths, orders.uid.as_str());
    let newest = segments(&paths.pod_run(uid))?.first().copied().max(history::newest(&paths.history(uid))?);
    let segment = newest.unwrap_or(0) + 1;
    let (journal, snapshot_length) = begin_segment(orders, segment, &state)?;
    // No fold leads here from the segment before.
    history::keep_snapshot(paths, uid, segment)?;
    Ok(Found { state, journal, segment, snapshot_length, rebooted, undecided })
}

/// Nothing was journalled yet in this run directory: a new pod is admitted, one that ran before the machine was started anew
/// goes on from what was kept.
fn begin(orders: &Orders, boot_id: &str) -> io::Result<Found> {
    let kept = kept::read(&orders.paths, &orders.uid).map_err(io::Error::other)?;
    if let Some(snapshot) = kept.and_then(|kept| kept.resume) {
        // Kept in this boot, but its run directory was removed: its processes cannot be told from others'. As after a reboot.
        tracing::info!(rebooted = snapshot.header.boot_id != boot_id, "going on from kept state");
        return begin_anew(orders, snapshot.state, true, false);
    }
    let mut journal = Journal::create(&orders.paths.journal(&orders.uid, 0), &state::header())?;
    let (state, record) = State::admit(manifest(orders)?, orders.choices.settings.clone(), clock::now());
    journal.append(&serde_json::to_vec(&record).map_err(io::Error::from)?)?;
    Ok(Found { state, journal, segment: 0, snapshot_length: 0, rebooted: false, undecided: false })
}

fn manifest(orders: &Orders) -> io::Result<Pod> {
    kept::admitted_manifest(&orders.paths, &orders.uid)
        .map_err(io::Error::other)?
        .ok_or_else(|| io::Error::other(format!("{} is gone", orders.paths.pod_manifest(&orders.uid).display())))
}

/// Writes the snapshot of this number and begins the segment after it.
fn begin_segment(orders: &Orders, number: u64, state: &State) -> io::Result<(Journal, u64)> {
    let (paths, uid) = (&orders.paths, orders.uid.as_str());
    let snapshot = Snapshot { header: state::header(), state: state.clone() };
    let bytes = serde_json::to_vec(&snapshot).map_err(io::Error::from)?;
    files::replace(&paths.snapshot(uid, number), &bytes, Durability::Process)?;
    let journal = Journal::create(&paths.journal(uid, number), &state::header())?;
    for older in segments(&paths.pod_run(uid))?.into_iter().filter(|older| *older < number) {
        history::put(paths, uid, older)?;
    }
    Ok((journal, bytes.len() as u64))
}

impl Supervisor {
    /// Begins a new segment when this one has grown well beyond its snapshot.
    pub(super) fn rotate_journal(&mut self) {
        if self.journal.length() > SEGMENT_MINIMUM.max(SNAPSHOT_FACTOR * self.snapshot_length) {
            self.begin_next_segment();
        }
    }

    /// A snapshot of what is known now, and a segment that goes on behind it.
    pub(super) fn begin_next_segment(&mut self) {
        match begin_segment(&self.world.orders, self.segment + 1, &self.state) {
            Ok((journal, snapshot_length)) => {
                self.journal = journal;
                self.snapshot_length = snapshot_length;
                self.segment += 1;
            }
            // The old segment goes on; the next record tries again. What is half done is replaced then.
            Err(error) => tracing::warn!("could not begin a new segment of the journal: {error}"),
        }
    }

    /// Puts the last segment and the supervisor's log where the older ones are: the run directory is about to go.
    pub(super) fn keep_history(&self) {
        let (paths, uid) = (self.world.paths(), self.world.uid());
        let kept = files::private_directory(&paths.history(uid)).and_then(|()| diagnostics::keep(paths, uid));
        if let Err(error) = kept {
            tracing::warn!("could not keep the supervisor's log: {error}");
        }
        if let Err(error) = history::put(paths, uid, self.segment) {
            tracing::warn!("could not keep the journal: {error}");
        }
    }

    /// Finds out what became of all that runs, or was to run, as far as the journal knows.
    async fn take_over(&mut self, mut held: HashMap<String, OwnedFd>) {
        // Looked at before the reports are: a child that ends in between is in both, one that has ended before is in the
        // reports alone. Nothing is in neither.
        let mut children = self.keeper.children();
        for (id, pid) in &children {
            if let Some(pidfd) = self.keeper.pidfd_of(id, *pid) {
                self.processes.insert(id.clone(), Rc::new(pidfd));
            }
        }
        self.adopt_held_processes(&mut held);
        self.adopt_found_processes(|id| children.iter().any(|(child, _)| child == id));
        let asked_for: HashSet<String> = children.iter().map(|(id, _)| id).chain(&self.adopted).cloned().collect();
        children.extend(self.adopted_processes());
        self.adopt_held(held);
        if let Some(report) = self.state.report.clone() {
            // Journalled, but the keeper may not have been told so.
            let _ = self.keeper.forget(&report.id);
        }
        // Looked at before the reports are, too: what follows from a report is begun at once, and a start that was begun here
        // must not be begun again.
        let unanswered: Vec<Asked> =
            self.state.pending.iter().filter(|asked| !asked_for.contains(&asked.id.0)).cloned().collect();
        self.take_reports().await;
        self.follow_starts(&asked_for);
        self.find_lost(&asked_for).await;
        self.queue.extend(unanswered);
        self.end_strangers(&children);
        self.find_remains();
    }

    /// What a predecessor was about to clear when it was killed.
    fn find_remains(&mut self) {
        let pod = self.pod();
        for (container, first) in self.state.machine.instances() {
            let on_disk = container::instances(&self.world.context(&pod), &container);
            let ended = on_disk.into_iter().filter(|attempt| *attempt < first);
            self.remains.extend(ended.map(|attempt| (container.clone(), attempt)));
            let starts =
                |asked: &Asked| matches!(&asked.action, Action::StartContainer { container: c, .. } if *c == container);
            if !self.state.containers.contains_key(&container) && !self.state.pending.iter().any(starts) {
                self.clear_cgroup(&container);
            }
        }
    }

    /// Log pipes and status pipes that a predecessor gave to the keeper.
    fn adopt_held(&mut self, mut held: HashMap<String, OwnedFd>) {
        let instances: Vec<(String, u32)> = held.keys().filter_map(|tag| tags::log_of_tag(tag)).collect();
        for (container, attempt) in instances {
            let mut take = |what: &str| held.remove(&tags::log_tag(&container, attempt, what));
            let parts =
                (take("record"), take("stdout"), take("stderr"), take("stdout-staging"), take("stderr-staging"));
            if let (Some(record), Some(out), Some(err), Some(stage_out), Some(stage_err)) = parts {
                let outputs = Outputs { pipes: [out, err], terminal: take(tags::TERMINAL_PART) };
                let log = Held { outputs, staging: [stage_out, stage_err], record };
                if let Err(error) = self.open_log(&container, attempt, log) {
                    tracing::error!(container, "its log is not written any more: {error}");
                }
            }
        }
        for (tag, descriptor) in held {
            if let Some((container, attempt)) = tags::environment_of_tag(&tag) {
                self.environments.insert(container, (attempt, descriptor));
                continue;
            }
            let Some(id) = tag.strip_prefix(tags::STATUS_TAG) else { continue };
            let id = EffectId(id.to_owned());
            // An exec's end may be among the reports already.
            let exec = exec::is_exec(&id.0);
            if !self.state.is_pending(&id) && !exec {
                let _ = self.keeper.release(&tag);
                continue;
            }
            // Not followed yet: of a start that was never asked for the pipe has ended too. One that has ended already is no
            // child any more, and its exit is still to be read.
            self.starting.insert(id, Starting { prepared: None, status: StatusPipe::new(descriptor), failed: None });
        }
    }

    /// The starts that are under way tell how they go. Those that were never asked for are begun anew with another pipe.
    fn follow_starts(&mut self, asked_for: &HashSet<String>) {
        self.starting.retain(|id, starting| starting.prepared.is_some() || asked_for.contains(&id.0));
        for (id, starting) in &self.starting {
            if starting.prepared.is_none() {
                self.follow_status(id, &starting.status);
            }
        }
    }

    /// Containers and pause that should run, but are no children of the keeper's, were not reported and were not found: keeper
    /// and twin were both killed, and this supervisor too, and they have ended since.
    async fn find_lost(&mut self, children: &HashSet<String>) {
        let lost: Vec<(String, u32)> = self
            .state
            .containers
            .iter()
            .filter(|(_, running)| !children.contains(&running.id.0))
            .map(|(container, running)| (container.clone(), running.attempt))
            .collect();
        for (container, attempt) in lost {
            let pod = self.pod();
            let cgroup = container::container_cgroup(&self.world.context(&pod), &container);
            if let Err(error) = cgroup.kill() {
                tracing::warn!(container, "could not end what is left of a lost container: {error}");
            }
            let message = "keeper and supervisor of the pod were all killed; how the container ended cannot be known";
            let fact = Fact::ContainerLost { container, attempt, message: message.to_owned() };
            self.tell(fact, clock::now(), None, None).await;
        }
        if let Some(sandbox) = self.state.sandbox.clone().filter(|sandbox| !children.contains(&sandbox.id.0)) {
            // It may live on, with nobody to tell of its end.
            if let Err(error) = Cgroup::of_pause(self.world.uid()).kill() {
                tracing::warn!("could not end what is left of a lost sandbox: {error}");
            }
            self.tell(Fact::SandboxExited { attempt: sandbox.attempt }, clock::now(), None, None).await;
        }
    }

    /// Ends processes that nobody asks for any more, but for execs: their clients may come back.
    fn end_strangers(&mut self, children: &[(String, i32)]) {
        self.adopt_execs(children);
        self.adopt_hooks(children);
        for (id, _) in children.iter().filter(|(id, _)| !exec::is_exec(id)) {
            let known = self.state.is_pending(&EffectId(id.clone())) || self.state.runs(id);
            if probe::is_zygote(id) {
                self.kill_zygote(id);
            } else if !known && let Some(pidfd) = self.processes.get(id) {
                tracing::info!(id, "ended: nobody waits for it any more");
                let _ = pidfd::signal(pidfd.as_fd(), nix::libc::SIGKILL);
            }
        }
    }
}

#[cfg(test)]
#[path = "recover_test.rs"]
mod tests;
