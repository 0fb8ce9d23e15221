//! A quiet pod needs no supervisor. When nothing is under way and nobody is connected, the supervisor gives the keeper an
//! *alarm* and ends; the keeper starts the next one when the alarm rings: a client connects, a container writes or ends, or
//! the machine's next deadline has come. A wake is a recovery like any other.
//!
//! The alarm is an epoll set (`pause::message::ASLEEP_EXIT`). What is in it is looked at level-triggered and by descriptors
//! that the keeper holds too, so an event between its making and this process's end rings it as soon as it is looked at.
//! The logs are kept still meanwhile ([`super::streams::Copying::keep_still`]): else a log's thread could take bytes from a pipe that nobody
//! would then write before the next wake.
//!
//! Whoever only follows the pod (`get -w`, `logs -f`, `up`, `wait`) does not keep it awake: its connection is the keeper's
//! over the sleep, and the next supervisor goes on with it. It sees neither, and misses nothing. It asks for nothing on that
//! connection, so that is no part of the alarm; that it has gone is found out at the next wake.
//!
//! While it sleeps, `kept.json` is what is seen of the pod: the file `asleep` in the run directory says so, as long as the
//! keeper holds it locked ([`super::vouch`]). Without the lock it means nothing: a supervisor was killed over it, or keeper and
//! twin were.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use pause::message::{ALARM_TAG, ASLEEP_EXIT};
use tokio::time::Instant;

use super::cri::Stream;
use super::run::{Supervisor, set_alarm};
use super::tags::CONTROL_TAG;
use super::vouch::Mark;
use super::{clock, files};
use crate::linux::keeper::Keeper;
use crate::paths::Paths;
use crate::pod::time::BootTime;

/// The timer in the alarm, held for the alarm's sake: an epoll set holds nothing by itself.
const TIMER_TAG: &str = "alarm/timer";
/// The file that says that the supervisor sleeps, with its lock.
const MARK_TAG: &str = "alarm/mark";
/// What the tags of followers begin with.
const FOLLOWER_TAG: &str = "follower/";

/// For what comes so soon a supervisor stays awake.
const SOON: Duration = Duration::from_secs(5);
/// A sleep that was shorter was not worth its wake …
const NAP: Duration = Duration::from_secs(60);
/// … and the next one is put off so many times as long.
const AFTER_NAP: u32 = 12;
/// A journal longer than this is put behind a snapshot before a sleep, so that the wake need not fold it.
const LONG_JOURNAL: u64 = 16 * 1024;

/// One that could not fall asleep tries it no sooner again.
const ANOTHER_TRY: Duration = Duration::from_millis(200);

/// When a supervisor falls asleep.
#[derive(Clone, Copy, Debug)]
pub struct Habit {
    /// After so long without anything happening; `None`: never.
    after: Option<Duration>,
}

impl Habit {
    /// Of a supervisor that begins now. `chosen` is what `apply` was told; `slept` is how long the sleep was that it was woken
    /// from, if it was.
    pub fn new(chosen: Option<Duration>, slept: Option<Duration>) -> Habit {
        let factor = if slept.is_some_and(|slept| slept < NAP) { AFTER_NAP } else { 1 };
        Habit { after: chosen.map(|after| after.saturating_mul(factor)) }
    }

    /// Something has happened just now.
    pub fn bedtime(self) -> Option<Instant> {
        self.after.and_then(|after| Instant::now().checked_add(after))
    }

    /// It could not fall asleep: something is under way that tells of its end by no happening.
    pub fn another_try(self) -> Option<Instant> {
        self.after.and_then(|after| Instant::now().checked_add(after.max(ANOTHER_TRY)))
    }
}

/// A supervisor begins: the alarm is taken from the keeper, the pod is not marked as asleep any more. Answers how long its
/// predecessor has slept, if it did. Nothing may be answered or decided before.
pub fn wake_up(paths: &Paths, uid: &str, keeper: &Keeper) -> io::Result<Option<Duration>> {
    let mark = paths.asleep(uid);
    let since = std::fs::read_to_string(&mark).ok().map(|text| text.trim().parse().unwrap_or_default());
    if since.is_some() {
        files::remove_file(&mark)?;
    }
    for tag in [MARK_TAG, ALARM_TAG, TIMER_TAG] {
        if keeper.holds(tag) {
            let _ = keeper.release(tag);
        }
    }
    let woken = keeper.last_end() == Some((libc::CLD_EXITED, ASLEEP_EXIT));
    let slept = since.map(|since| Duration::from_nanos(clock::now().boot.0.saturating_sub(since)));
    Ok(slept.filter(|_| woken))
}

/// Makes the mark and locks it, for as long as somebody has this descriptor open.
fn mark(path: &Path) -> io::Result<OwnedFd> {
    let mark = Mark::make(path)?;
    mark.lock()?;
    let mut file = mark.into_file();
    write!(file, "{}", clock::now().boot.0)?;
    Ok(file.into())
}

/// What wakes the next supervisor.
struct Alarm {
    set: Epoll,
    timer: Option<TimerFd>,
}

impl Alarm {
    fn new(deadline: Option<BootTime>) -> io::Result<Alarm> {
        let alarm =
            Alarm { set: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?, timer: deadline.map(timer).transpose()? };
        if let Some(timer) = &alarm.timer {
            alarm.rings_with(timer.as_fd())?;
        }
        Ok(alarm)
    }

    fn rings_with(&self, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        // The number means nothing: which it was is found out by whoever is woken.
        Ok(self.set.add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN, 0))?)
    }

    fn rings_now(&self) -> bool {
        let mut events = [EpollEvent::empty()];
        loop {
            match self.set.wait(&mut events, EpollTimeout::ZERO) {
                Err(Errno::EINTR) => {}
                found => return found != Ok(0),
            }
        }
    }
}

fn timer(deadline: BootTime) -> io::Result<TimerFd> {
    let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
    set_alarm(&timer, Some(deadline))?;
    Ok(timer)
}

/// The tags of followers' connections that the keeper holds.
fn followers(keeper: &Keeper) -> Vec<String> {
    keeper.tags().into_iter().filter(|tag| tag.starts_with(FOLLOWER_TAG)).collect()
}

impl Supervisor {
    /// Nothing is under way that needs this process, as far as can be seen without looking at logs and descriptors.
    fn is_idle(&self) -> bool {
        let soon = clock::now().boot.0.saturating_add(u64::try_from(SOON.as_nanos()).unwrap_or(u64::MAX));
        let work = self.state.pending.is_empty()
            && self.queue.is_empty()
            && self.starting.is_empty()
            && self.ahead.is_none()
            && self.remains.is_empty();
        let probing = !self.commands.is_empty() || !self.requests.is_empty() || self.prober.is_probing();
        let guests = self.connections.followers().is_some() && self.execs.is_empty() && self.hanging_up == 0;
        let guests = guests && self.unclaimed_stdin().is_empty();
        let shown = !self.changed && self.publication.is_current();
        let looked_after = !self.keeper_lost && self.adopted.is_empty();
        let measuring = self.gauge.is_watching() || self.room_due.is_some();
        work && !probing
            && !measuring
            && guests
            && shown
            && looked_after
            && self.next_deadline().is_none_or(|wake| wake.0 > soon)
    }

    /// Falls asleep, if the pod is quiet: then this does not come back. What stands in the way of it is none of the pod's
    /// trouble; it is tried again.
    pub(super) fn fall_asleep(&mut self) {
        if !self.is_idle() || self.logs.values().any(|log| log.keep_still().is_none()) {
            return;
        }
        if self.journal.length() > LONG_JOURNAL {
            self.begin_next_segment();
        }
        if let Err(error) = self.hand_over() {
            tracing::warn!("could not fall asleep: {error}");
            let _ = files::remove_file(&self.world.paths().asleep(self.world.uid()));
            for tag in [MARK_TAG, ALARM_TAG, TIMER_TAG].map(str::to_owned).into_iter().chain(followers(&self.keeper)) {
                let _ = self.keeper.release(&tag);
            }
        }
    }

    /// Goes on with those who followed the pod when a predecessor fell asleep. What that held of them is let go of first: should
    /// this process be killed over it, they are hung up on and connect anew.
    pub(super) fn take_back_followers(&mut self) {
        for tag in followers(&self.keeper) {
            match self.keeper.held_as(&tag) {
                Ok(socket) => self.connections.take_back(socket, &self.happenings),
                Err(error) => tracing::warn!("could not go on with a client: {error}"),
            }
            let _ = self.keeper.release(&tag);
        }
    }

    /// Comes back if something has happened meanwhile.
    fn hand_over(&self) -> io::Result<()> {
        // Until this process has ended no log's thread takes anything from its pipes.
        let mut still = Vec::new();
        for log in self.logs.values() {
            match log.keep_still() {
                Some(books) => still.push(books),
                None => return Ok(()),
            }
        }
        let deadline = self.next_deadline();
        let alarm = Alarm::new(deadline)?;
        alarm.rings_with(self.keeper.socket())?;
        alarm.rings_with(self.keeper.held_as(CONTROL_TAG)?.as_fd())?;
        for books in &still {
            for which in Stream::BOTH.into_iter().filter(|which| !books.stream_ended(*which)) {
                alarm.rings_with(books.source(which))?;
            }
        }
        if alarm.rings_now() {
            return Ok(());
        }
        // One that has come or gone meanwhile has rung, or is heard of by being looked at anew.
        let Some(followers) = self.connections.followers() else { return Ok(()) };
        for (number, follower) in followers.into_iter().enumerate() {
            self.keeper.hold(&format!("{FOLLOWER_TAG}{number}"), follower)?;
        }
        if let Some(timer) = &alarm.timer {
            self.keeper.hold(TIMER_TAG, timer.as_fd())?;
        }
        self.keeper.hold(ALARM_TAG, alarm.set.0.as_fd())?;
        self.keeper.hold(MARK_TAG, mark(&self.world.paths().asleep(self.world.uid()))?.as_fd())?;
        tracing::info!(deadline = deadline.map(|at| at.0), "asleep");
        std::process::exit(ASLEEP_EXIT)
    }
}
