//! `podlet supervise RUN-DIRECTORY`: what the keeper starts, and starts again. One thread, one loop: things happen, the
//! machine is told, what it asks for is carried out, those who watch are told. Everything that must survive this process
//! is in the journal, in the keeper's hands, or in the kernel's.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::ahead::Ahead;
use super::attach::Attachment;
use super::control::{Answer, Request};
use super::ends::Killed;
use super::exec::{Exec, HungUp};
use super::journal::Journal;
use super::orders::Orders;
use super::poison::{self, Poisons};
use super::probe::{Commands, Purpose, ReadyCommands, Requests, Word};
use super::server::Connections;
use super::sleep::Habit;
use super::state::{Asked, Record, ReportName, State};
use super::status_pipe::{Outcome, StatusPipe};
use super::storage::Gauge;
use super::streams::Copying;
use super::world::World;
use super::{clock, diagnostics, files, publish, recover};
use crate::image::Image;
use crate::linux::cgroup::Layout;
use crate::linux::container::Prepared;
use crate::linux::keeper::Keeper;
use crate::linux::{descriptors, heap, watch};
use crate::pod::effect::EffectId;
use crate::pod::input::{Fact, Input, ProbeOutcome};
use crate::pod::prober::Prober;
use crate::pod::storage::Usage;
use crate::pod::time::{BootTime, Moment};

/// What can wake the supervisor beside the keeper and the clock.
pub enum Happening {
    /// A stage has told how it went.
    StageEnded {
        /// The start.
        id: EffectId,
        /// How.
        outcome: Outcome,
    },
    /// Both streams of an instance have ended and are written.
    LogEnded {
        /// Whose.
        container: String,
        /// Which instance's.
        attempt: u32,
    },
    /// A log cannot be written; its container may wait for that.
    LogFailed {
        /// Whose.
        container: String,
        /// The system's answer.
        message: String,
    },
    /// The container has waited long enough for that: what it writes is dropped and counted.
    LogDropping {
        /// Whose.
        container: String,
        /// The system's answer.
        message: String,
    },
    /// It is written again.
    LogRecovered {
        /// Whose.
        container: String,
        /// So many bytes were dropped, if it came to that.
        dropped: Option<u64>,
    },
    /// A client is shown what a container writes, from these positions of stdout and stderr on.
    Attached {
        /// Which client.
        connection: u64,
        /// Where.
        positions: [u64; 2],
    },
    /// A client has connected.
    Connected(OwnedFd),
    /// A client asks.
    Requested {
        /// Which client.
        connection: u64,
        /// What; or what is answered to what cannot be understood.
        request: Result<Request, Answer>,
        /// What came along.
        descriptors: Vec<OwnedFd>,
    },
    /// A client has gone, or said what cannot be understood.
    Disconnected {
        /// Which.
        connection: u64,
    },
    /// A process that no keeper is the parent of has ended, as its pidfd tells.
    ProcessEnded {
        /// The id of its spawn.
        id: String,
    },
    /// What was killed may be gone by now.
    StillThere(Killed),
    /// What was killed is not let go of by the kernel.
    StuckAfterKill {
        /// What.
        killed: Killed,
        /// Which processes, and in what they hang.
        message: String,
    },
    /// Something that did not work is to be tried again.
    Again(Asked),
    /// Clients of a predecessor's execs and attachments have had their time to come back.
    SessionsUnclaimed,
    /// What an exec was running whose client is gone has had its time to end.
    HungUpLongEnough(HungUp),
    /// A probe over the network has ended.
    Probed {
        /// Which.
        purpose: Purpose,
        /// How.
        outcome: ProbeOutcome,
    },
    /// The request of a hook has ended.
    HookRan {
        /// Its effect.
        id: EffectId,
        /// What the machine is told.
        fact: Fact,
    },
    /// A zygote tells how a run of its command went.
    ZygoteSaid {
        /// The id of its spawn.
        id: String,
        /// What.
        word: Word,
    },
    /// A probe's command has had its time.
    CommandTimedOut {
        /// The id of its spawn.
        id: String,
    },
    /// The local storage was measured, in so long.
    StorageMeasured {
        /// What is in use.
        usage: std::io::Result<Usage>,
        /// How long it took.
        took: Duration,
    },
    /// A signal came for this process itself.
    Signal(i32),
    /// What was published may be older than what is.
    PublishDue,
}

/// A start that is under way.
pub struct Starting {
    /// What was prepared; `None` for a start that a predecessor began.
    pub prepared: Option<Prepared>,
    /// Tells how it goes.
    pub status: StatusPipe,
    /// The step that failed; the exit of the stage follows.
    pub failed: Option<(u32, i32)>,
}

/// Why the loop ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The pod is in its final phase and torn down; its kept state stays.
    Ended,
    /// The pod is removed; nothing of it is left.
    Removed,
    /// A signal, or an upgrade: this process ends tidily, the keeper starts another.
    Replaced,
}

/// A pod's supervisor.
pub struct Supervisor {
    pub(super) world: Arc<World>,
    /// The pod as applied, another one after a re-apply.
    pub(super) pod: Arc<Pod>,
    pub(super) state: State,
    pub(super) journal: Journal,
    pub(super) segment: u64,
    /// Bytes of the last snapshot: decides when the next is worth its writing.
    pub(super) snapshot_length: u64,
    pub(super) poisons: Poisons,
    pub(super) keeper: Keeper,
    /// Keeper and twin are gone, and no other could be started; what still runs is followed by its pidfds.
    pub(super) keeper_lost: bool,
    /// Ids of spawns whose processes are no children of the keeper's, which was started after theirs was killed.
    pub(super) adopted: BTreeSet<String>,
    /// Pidfds of what runs, by the id of its spawn.
    pub(super) processes: HashMap<String, Rc<OwnedFd>>,
    pub(super) starting: HashMap<EffectId, Starting>,
    /// The container that is to be next, made ready by a thread while another process is made.
    pub(super) ahead: Option<Ahead>,
    pub(super) logs: HashMap<(String, u32), Copying>,
    /// The environment that a container's newest instance was started with, where it may be another one by now.
    pub(super) environments: HashMap<String, (u32, OwnedFd)>,
    pub(super) queue: VecDeque<Asked>,
    /// Ended instances whose remains are still to be cleared, when nothing else is to be done.
    pub(super) remains: Vec<(String, u32)>,
    pub(super) connections: Connections,
    /// Which client waits for another program to take over.
    pub(super) upgrading: Option<u64>,
    /// By the id of its spawn.
    pub(super) execs: HashMap<String, Exec>,
    /// Commands of probes and hooks, by the ids of their spawns.
    pub(super) commands: Commands,
    /// Commands of probes that were run before.
    pub(super) ready: ReadyCommands,
    /// Requests of hooks.
    pub(super) requests: Requests,
    /// When probes are due.
    pub(super) prober: Prober,
    /// When the local storage is measured.
    pub(super) gauge: Gauge,
    /// When it is looked whether there is room for a resize that waits.
    pub(super) room_due: Option<BootTime>,
    /// Clients that are shown what a container writes, by their connection.
    pub(super) attachments: HashMap<u64, Attachment>,
    pub(super) happenings: UnboundedSender<Happening>,
    /// The machine was told something since those who watch were told. Set by [`Supervisor::has_changed`].
    pub(super) changed: bool,
    pub(super) publication: publish::Publication,
    /// Since when pulls are told to end.
    pub(super) ending_pulls: Option<std::time::Instant>,
    /// Execs whose clients are gone, and which have not had their time to end.
    pub(super) hanging_up: u32,
    pub(super) habit: Habit,
    /// What a user should know of how the pod runs here, a line each.
    pub(super) notices: BTreeSet<String>,
    pub(super) over: Option<Over>,
}

/// How long nothing happens until what was needed for it is given back: a start takes ten times what a supervisor lives on.
const TIDY: Duration = Duration::from_secs(2);

/// How many descriptors of which something is to be told are asked for at once: tokio keeps room for them, 12 bytes each.
const EVENTS: usize = 64;

/// The exit code after which the keeper ends, too.
pub(super) const WELL: u8 = pause::message::OVER_EXIT as u8;
/// An exit code after which the keeper starts another supervisor.
pub(super) const BADLY: u8 = 1;

/// Runs a pod until its end. The exit code tells the keeper whether to start another supervisor.
pub fn supervise(run_directory: &Path) -> u8 {
    let orders = match Orders::read(run_directory) {
        Ok(orders) => orders,
        // Killed while the run directory was being removed: the orders go first, and nothing else is to be done.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let _ = files::remove_tree(run_directory);
            return WELL;
        }
        Err(error) => {
            eprintln!("podlet: {error}");
            return BADLY;
        }
    };
    heap::share();
    diagnostics::begin(&orders);
    // Some twenty are held for each container.
    descriptors::allow_many();
    if orders.choices.pod_pids_limit.is_some() {
        Layout::limit_processes();
    }
    if recover::has_ended(&orders) {
        return WELL;
    }
    poison::watch(orders.paths.panics(&orders.uid));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_io_events_per_tick(EVENTS).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("could not start the event loop: {error}");
            return BADLY;
        }
    };
    let tasks = tokio::task::LocalSet::new();
    let over = tasks.block_on(&runtime, async {
        let (happenings, happened) = unbounded_channel();
        let mut supervisor = begin(orders, happenings).await?;
        serve(&mut supervisor, happened).await
    });
    match over {
        Ok(Over::Ended | Over::Removed) => WELL,
        Ok(Over::Replaced) => BADLY,
        Err(error) => {
            tracing::error!("{error}");
            BADLY
        }
    }
}

/// Made apart and put on the heap, as is [`serve`]: within the first function's frame what each needs would lie on the stack
/// for the whole life.
#[inline(never)]
fn begin(
    orders: Orders,
    happenings: UnboundedSender<Happening>,
) -> Pin<Box<dyn Future<Output = std::io::Result<Box<Supervisor>>>>> {
    Box::pin(async { recover::recover(orders, happenings).await.map(Box::new) })
}

#[inline(never)]
fn serve(
    supervisor: &mut Supervisor,
    happened: UnboundedReceiver<Happening>,
) -> Pin<Box<dyn Future<Output = std::io::Result<Over>> + '_>> {
    Box::pin(supervisor.serve(happened))
}

impl Supervisor {
    async fn serve(&mut self, mut happened: UnboundedReceiver<Happening>) -> std::io::Result<Over> {
        let reports = watch::input(self.keeper.socket().try_clone_to_owned()?)?;
        let alarm = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        let rings = watch::input(alarm.as_fd().try_clone_to_owned()?)?;
        let mut alarm_at = None;
        let mut bedtime = self.habit.bedtime();
        let mut tidying = Some(tokio::time::Instant::now() + TIDY);
        loop {
            self.settle().await;
            if let Some(over) = self.over {
                self.connections.finish().await;
                return Ok(over);
            }
            let wake = self.next_deadline();
            if wake != alarm_at {
                set_alarm(&alarm, wake)?;
                alarm_at = wake;
            }
            tokio::select! {
                biased;
                ready = reports.readable(), if !self.keeper_lost => {
                    ready?.clear_ready();
                    self.take_reports().await;
                }
                happening = happened.recv() => match happening {
                    Some(happening) => self.handle(happening).await,
                    None => return Err(std::io::Error::other("nothing can happen any more")),
                },
                ready = rings.readable() => {
                    ready?.clear_ready();
                    // Reading is what quiets the descriptor; how often it fired tells nothing.
                    let _ = alarm.wait();
                    alarm_at = None;
                    let now = clock::now();
                    if self.state.machine.wake().is_some_and(|wake| wake <= now.boot) {
                        self.tell(Fact::Tick, now, None, None).await;
                    }
                    self.begin_due_probes().await;
                    self.measure_storage_if_due();
                    self.look_for_room_if_due().await;
                }
                () = until(tidying) => {
                    heap::give_back();
                    tidying = None;
                    continue;
                }
                () = until(bedtime) => {
                    if happened.is_empty() {
                        self.fall_asleep();
                    }
                    bedtime = self.habit.another_try();
                    continue;
                }
            }
            bedtime = self.habit.bedtime();
            tidying = Some(tokio::time::Instant::now() + TIDY);
        }
    }

    /// When the machine wants to be woken, a probe is due, or the local storage or the room for a resize is to be measured.
    pub(super) fn next_deadline(&self) -> Option<BootTime> {
        [self.state.machine.wake(), self.prober.wake(), self.gauge.wake(), self.room_due].into_iter().flatten().min()
    }

    /// Carries out all that is asked for, then tells those who watch.
    pub(super) async fn settle(&mut self) {
        self.perform_all().await;
        // Not only behind a change: each exec that ends is in the journal, too, and may be all that happens for months.
        if self.over.is_none() {
            self.rotate_journal();
        }
        // Once it is over there is no place any more to write to.
        if self.changed && self.over.is_none() {
            self.changed = false;
            self.prober.follow(&self.state.machine);
            self.ready.keep(&self.prober);
            self.follow_storage();
            self.follow_room();
            self.publish_change();
            self.end_if_over();
        }
        for (container, attempt) in std::mem::take(&mut self.remains) {
            self.clear_remains(&container, attempt);
        }
        if self.over.is_none() {
            self.prepare_ahead();
        }
    }

    async fn handle(&mut self, happening: Happening) {
        match happening {
            Happening::StageEnded { id, outcome } => self.stage_ended(&id, outcome).await,
            // Not if it is a predecessor's log that has ended, of a start that was begun anew here with another one.
            Happening::LogEnded { container, attempt } if self.log_has_ended(&container, attempt) => {
                self.let_go_of_log(&container, attempt);
            }
            Happening::LogEnded { .. } => {}
            Happening::LogFailed { container, message } => {
                tracing::warn!(container, "the log cannot be written, the container may wait for it: {message}");
                self.has_changed();
            }
            Happening::LogDropping { container, message } => {
                tracing::error!(
                    container,
                    "the log cannot be written, what the container writes is dropped: {message}"
                );
                self.tell(Fact::LogDropping { container, message }, clock::now(), None, None).await;
            }
            Happening::LogRecovered { container, dropped } => {
                tracing::info!(container, dropped, "the log is written again");
                self.has_changed();
                if let Some(bytes) = dropped {
                    self.tell(Fact::LogResumed { container, dropped: bytes }, clock::now(), None, None).await;
                }
            }
            Happening::Attached { connection, positions } => self.attached(connection, positions),
            Happening::Connected(socket) => self.connections.accept(socket, &self.happenings),
            Happening::Requested { connection, request: Ok(request), descriptors } => {
                self.answer(connection, request, descriptors).await;
            }
            Happening::Requested { connection, request: Err(answer), .. } => {
                self.connections.answer(connection, &answer);
            }
            Happening::Disconnected { connection } => self.hang_up(connection),
            Happening::ProcessEnded { id } => self.process_ended(&id).await,
            Happening::SessionsUnclaimed => {
                self.end_unclaimed_execs();
                self.close_unclaimed_stdin();
            }
            Happening::HungUpLongEnough(hung_up) => self.kill_session(&hung_up),
            Happening::StillThere(killed) => self.kill_again(killed),
            Happening::StuckAfterKill { killed, message } => {
                let container = killed.container().to_owned();
                tracing::error!(container, "killed, and still there: {message}");
                self.tell(Fact::KillStuck { container, message }, clock::now(), None, None).await;
                self.kill_again(killed);
            }
            Happening::Probed { purpose, outcome } => self.probed(purpose, outcome).await,
            Happening::HookRan { id, fact } => self.hook_ran(&id, fact).await,
            Happening::StorageMeasured { usage, took } => self.storage_measured(usage, took).await,
            Happening::ZygoteSaid { id, word } => self.zygote_said(&id, word).await,
            Happening::CommandTimedOut { id } => self.command_timed_out(&id),
            Happening::Again(asked) => self.queue.push_back(asked),
            Happening::Signal(number) => {
                tracing::info!(number, "ending on a signal; the keeper starts another supervisor");
                self.publish(publish::Reason::Changed);
                self.over = Some(Over::Replaced);
            }
            Happening::PublishDue => drop(self.publish(publish::Reason::Changed)),
        }
    }

    /// Tells the machine a fact. When this returns it is in the journal, and what follows from it is in the queue.
    pub(super) async fn tell(&mut self, fact: Fact, at: Moment, report: Option<ReportName>, image: Option<Box<Image>>) {
        tracing::debug!(?fact, "told");
        self.has_changed();
        if let Some(panic) = self.poisons.find(&fact) {
            let record = Record::SetAside { fact: Box::new(fact), report, panic: panic.to_owned() };
            tracing::error!(?record, "set aside: the machine has panicked at it twice");
            self.state.note(&record);
            self.append(&record).await;
            return;
        }
        let input = Input { at, fact };
        let fact = input.fact.clone();
        let record = poison::telling(&fact, || {
            self.panic_if_asked(&fact);
            self.state.tell(input, report, image)
        });
        self.append(&record).await;
        if let Record::Told { effects, .. } = record {
            for asked in &effects {
                tracing::debug!(id = asked.id.0, "asked for");
            }
            self.queue.extend(effects);
        }
    }

    /// For a test of what follows: nothing that is done to a pod from outside makes the machine panic.
    fn panic_if_asked(&self, fact: &Fact) {
        if let Fact::ContainerExited { attempt, .. } = fact {
            assert_ne!(self.world.orders.choices.panic_at_exit, Some(*attempt), "a test asked for this");
        }
    }

    /// Writes a record. Without it nothing may go on, so a full run directory is waited for.
    pub(super) async fn append(&mut self, record: &Record) {
        let json = match serde_json::to_vec(record) {
            Ok(json) => json,
            Err(error) => {
                // Maps with string keys and finite numbers: cannot fail. If it did, going on would forget the record.
                tracing::error!("a record cannot be written as JSON: {error}");
                std::process::exit(1);
            }
        };
        while let Err(error) = self.journal.append(&json) {
            tracing::error!("could not write the journal, trying again in a second: {error}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// The pod as applied, with the cpu and memory that it was given.
    pub(super) fn pod(&self) -> Arc<Pod> {
        Arc::clone(&self.pod)
    }
}

/// For ever, if there is no such time.
async fn until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Sets or stops the alarm. An instant that has passed rings at once.
pub(super) fn set_alarm(alarm: &TimerFd, wake: Option<BootTime>) -> std::io::Result<()> {
    let Some(wake) = wake else { return Ok(alarm.unset()?) };
    // A time of zero would stop the timer (timerfd_settime(2)).
    let at = Duration::from_nanos(wake.0.max(1));
    alarm.set(Expiration::OneShot(TimeSpec::from_duration(at)), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
    Ok(())
}

/// Watches SIGTERM and SIGINT. SIGHUP and SIGPIPE mean nothing to a process without a terminal whose writes say EPIPE. They
/// are caught, and not ignored: what is ignored stays so in what is executed (execve(2)), a caught one does not. Nothing may
/// be written when SIGPIPE comes: to a socket without its reader it would raise the next, for ever.
pub(super) fn watch_signals(happenings: &UnboundedSender<Happening>) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};
    for number in [SIGHUP, SIGPIPE] {
        signal_hook::flag::register(number, Arc::default())?;
    }
    for number in [SIGTERM, SIGINT] {
        let (reader, writer) = std::os::unix::net::UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(number, writer)?;
        let happenings = happenings.clone();
        let reader = tokio::net::UnixStream::from_std(reader)?;
        tokio::task::spawn_local(async move {
            if reader.readable().await.is_ok() {
                let _ = happenings.send(Happening::Signal(number));
            }
        });
    }
    Ok(())
}

/// Watches a process by its pidfd when there is no keeper to tell of its end.
pub(super) fn watch_process(id: &str, pidfd: &Rc<OwnedFd>, happenings: &UnboundedSender<Happening>) {
    let Ok(watched) = pidfd.as_fd().try_clone_to_owned().and_then(watch::input) else {
        return;
    };
    tracing::debug!(id, descriptor = watched.as_raw_fd(), "followed by its pidfd");
    let (id, happenings) = (id.to_owned(), happenings.clone());
    tokio::task::spawn_local(async move {
        if watched.readable().await.is_ok() {
            let _ = happenings.send(Happening::ProcessEnded { id });
        }
    });
}
