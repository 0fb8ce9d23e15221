//! When container logs are copied; how is in [`super::log`].
//!
//! Each log has a thread of its own, since only a thread may wait for a disk: one that is full is tried again each second,
//! one that hangs holds the thread in the kernel, and neither holds the supervisor. That looks after the thread by a task
//! ([`watch_over`]): it is woken when the thread has something to do, looks twice a second whether that goes on, and goes
//! to sleep again when the thread does. So a quiet log costs nothing.
//!
//! A log that does not go on makes its container wait, by its full pipe. After [`PATIENCE`] the task drops what comes, until
//! the thread goes on.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, oneshot};

use super::clock;
use super::cri::Stream;
use super::log::{Attached, Books, ContainerLog, Held, Pumped, Rotation, SharedBooks, lock};
use super::run::Happening;

/// How long a container waits for its log's disk before what it writes is dropped.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a thread at work is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// While bytes are dropped: a pipe's capacity in this time at most, so that a loud container costs little.
const PACE: Duration = Duration::from_millis(10);
/// Batches that one stream may copy before the other gets its turn.
const TURN: usize = 8;
/// How long to wait before a full or failing disk is tried again, in milliseconds.
const RETRY: u16 = 1000;
/// A log in which nothing has come for so many milliseconds is quiet.
const QUIET: u16 = 1000;
/// Turns after which requests are looked at: enough for all that can lie in a pipe when its container has ended (a pipe of
/// the largest size, and a batch in staging), since that is what [`Request::Drain`] waits for.
const TURNS: usize = 4;
/// What a container has said last is kept so long for clients that do not read it.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// A disk that has not answered for so long is not waited for by the supervisor.
const STUCK: Duration = Duration::from_millis(500);
/// What a disk that hangs is said to do; one that fails says it itself.
const NO_ANSWER: &str = "the disk does not answer";

/// Which instance's log, and where it lies.
#[derive(Clone, Debug)]
pub struct Place {
    /// The container.
    pub container: String,
    /// The instance.
    pub attempt: u32,
    /// The directory.
    pub directory: PathBuf,
    /// The file's name in it.
    pub name: String,
    /// When it is put aside.
    pub rotation: Rotation,
}

/// How a thread is doing.
#[derive(Default)]
struct Progress {
    /// It has something to do: it is copying, or waits for a disk.
    busy: AtomicBool,
    /// All is written, and clients are still to be shown the last of it.
    showing: AtomicBool,
    /// Grows with each thing that it has done.
    done: AtomicU64,
    /// When it went to the disk and has not come back, in nanoseconds of boot time; 0: it is not there.
    at_disk: AtomicU64,
    /// Why the disk could not be written to the last time.
    failure: Mutex<Option<String>>,
    /// The task is awake.
    watched: AtomicBool,
    /// Wakes it.
    wake: Notify,
}

impl Progress {
    fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_failure(&self, failure: Option<String>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    fn begin(&self) {
        self.busy.store(true, Ordering::SeqCst);
        if !self.watched.swap(true, Ordering::SeqCst) {
            self.wake.notify_one();
        }
    }

    /// One thing that goes to the disk.
    fn at_disk<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.at_disk.store(clock::now().boot.0.max(1), Ordering::SeqCst);
        let result = work();
        self.at_disk.store(0, Ordering::SeqCst);
        match &result {
            Ok(_) => {
                self.set_failure(None);
                self.done.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => self.set_failure(Some(error.to_string())),
        }
        result
    }

    /// Why the supervisor must not wait for the thread; `None`: it may.
    fn trouble(&self) -> Option<String> {
        let since = self.at_disk.load(Ordering::SeqCst);
        if since != 0 && clock::now().boot.0.saturating_sub(since) > STUCK.as_nanos() as u64 {
            return Some(NO_ANSWER.to_owned());
        }
        self.failure()
    }
}

/// What a thread is asked for.
enum Request {
    /// The container has ended: to copy what lies in the pipes, and to answer when that is in the log.
    Drain(oneshot::Sender<()>),
    /// To show what comes to a client, too.
    Attach(Newcomer),
    /// That client is gone.
    Detach(u64),
    /// To end.
    Stop,
}

/// A client that is to be shown what comes; see [`Attached::new`].
struct Newcomer {
    connection: u64,
    pipes: [OwnedFd; 2],
    positions: Option<[u64; 2]>,
}

/// A log that is being copied. Dropping it ends its thread, at once or as soon as the disk lets it go.
pub struct Copying {
    books: SharedBooks,
    progress: Arc<Progress>,
    requests: mpsc::Sender<Request>,
    bell: Arc<EventFd>,
}

impl Copying {
    /// Starts copying both streams of an instance; [`Happening::LogEnded`] tells when all writers are gone. Must be called
    /// within the loop. The file is opened by the thread: what is wrong with it is told as with any write.
    pub fn start(held: Held, place: Place, happenings: &UnboundedSender<Happening>) -> io::Result<Copying> {
        let books = Books::open(held)?;
        // Looked at before the thread tells the log of it.
        let inherited = dropped(&books);
        let books = Arc::new(Mutex::new(books));
        let progress = Arc::new(Progress::default());
        let bell = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let (requests, asked) = mpsc::channel();
        let writer = Writer {
            books: Arc::clone(&books),
            progress: Arc::clone(&progress),
            place: place.clone(),
            bell: Arc::clone(&bell),
            asked,
            happenings: happenings.clone(),
        };
        std::thread::Builder::new().name("podlet-log".to_owned()).spawn(move || writer.run())?;
        let watched = (Arc::downgrade(&books), Arc::clone(&progress));
        tokio::task::spawn_local(watch_over(watched, inherited, place.container, happenings.clone()));
        Ok(Copying { books, progress, requests, bell })
    }

    /// Whether both streams have ended and all is written.
    pub fn ended(&self) -> bool {
        lock(&self.books).ended()
    }

    /// Waits until all that an ended container has left in its pipes is in the log. Does not wait for a disk that fails or
    /// does not answer: the error says which.
    pub async fn drain(&self) -> Result<(), String> {
        let (answer, mut answered) = oneshot::channel();
        self.ask(Request::Drain(answer));
        loop {
            tokio::select! {
                biased;
                // A thread that has ended has copied all.
                done = &mut answered => return done.map_or_else(|_| self.progress.trouble().map_or(Ok(()), Err), |()| Ok(())),
                () = tokio::time::sleep(STUCK / 10) => if let Some(trouble) = self.progress.trouble() {
                    return Err(trouble);
                },
            }
        }
    }

    /// Waits until clients have read what an ended container has said last, or have had their time. After [`Copying::drain`].
    pub async fn say_last_words(&self) {
        let until = tokio::time::Instant::now() + LAST_WORDS;
        while self.progress.showing.load(Ordering::SeqCst) && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Shows what comes to a client; [`Happening::Attached`] tells from where on.
    pub fn attach(&self, connection: u64, pipes: [OwnedFd; 2], positions: Option<[u64; 2]>) {
        self.ask(Request::Attach(Newcomer { connection, pipes, positions }));
    }

    /// It is shown to that client no more.
    pub fn detach(&self, connection: u64) {
        self.ask(Request::Detach(connection));
    }

    /// The master of the container's terminal, while there is one.
    pub fn terminal(&self) -> Option<OwnedFd> {
        lock(&self.books).terminal().and_then(|master| master.try_clone_to_owned().ok())
    }

    /// Why the log cannot be written just now, with what has been dropped meanwhile.
    pub fn trouble(&self) -> Option<String> {
        let trouble = self.progress.trouble()?;
        let dropped = dropped(&lock(&self.books));
        Some(match dropped {
            0 => trouble,
            bytes => format!("{trouble}; {bytes} bytes dropped so far"),
        })
    }

    /// Whether the disk has had its time, and what comes is being dropped.
    pub fn is_given_up(&self) -> bool {
        lock(&self.books).is_dropping()
    }

    /// The books, if nothing has come for a while and nothing is under way: as long as the caller has them, the log's thread
    /// takes nothing from its pipes.
    pub fn keep_still(&self) -> Option<MutexGuard<'_, Books>> {
        let books = lock(&self.books);
        (self.progress.trouble().is_none() && books.is_at_rest()).then_some(books)
    }

    /// Bytes that the container has written and the log has not, dropped ones included.
    pub fn unwritten(&self) -> u64 {
        let books = lock(&self.books);
        Stream::BOTH.into_iter().map(|which| books.unwritten(which)).sum()
    }

    fn ask(&self, request: Request) {
        // Neither fails while the thread lives, and when it has ended there is nobody to be told.
        let _ = self.requests.send(request);
        let _ = self.bell.write(1);
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.ask(Request::Stop);
        self.progress.wake.notify_one();
    }
}

fn dropped(books: &Books) -> u64 {
    Stream::BOTH.into_iter().map(|which| books.dropped(which)).sum()
}

/// The thread of one log.
struct Writer {
    books: SharedBooks,
    progress: Arc<Progress>,
    place: Place,
    bell: Arc<EventFd>,
    asked: mpsc::Receiver<Request>,
    happenings: UnboundedSender<Happening>,
}

impl Writer {
    fn run(self) {
        let mut log = None;
        let mut waiting = Vec::new();
        let mut clients = Vec::new();
        let mut ends = None;
        loop {
            self.progress.begin();
            let worked = self.work(&mut log);
            if let Some(log) = log.as_mut() {
                if !waiting.is_empty() {
                    log.let_go();
                }
                clients.drain(..).for_each(|client| self.attach(log, client));
            }
            let mut last_words = None;
            if let Some(log) = log.as_mut().filter(|log| log.ended()) {
                let until = *ends.get_or_insert_with(|| Instant::now() + LAST_WORDS);
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() || log.is_shown() {
                    self.progress.showing.store(false, Ordering::SeqCst);
                    self.progress.busy.store(false, Ordering::SeqCst);
                    let Place { container, attempt, .. } = self.place;
                    let _ = self.happenings.send(Happening::LogEnded { container, attempt });
                    return;
                }
                self.progress.showing.store(true, Ordering::SeqCst);
                last_words = Some(left);
            }
            match worked {
                Ok(pumped) => {
                    for answer in waiting.drain(..) {
                        let answer: oneshot::Sender<()> = answer;
                        let _ = answer.send(());
                    }
                    if let Some(left) = last_words {
                        self.progress.busy.store(false, Ordering::SeqCst);
                        self.wait(patience(left), &[], log.as_ref());
                    } else if pumped == Pumped::More || !clients.is_empty() {
                        self.wait(PollTimeout::ZERO, &[], None);
                    } else {
                        self.progress.busy.store(false, Ordering::SeqCst);
                        self.wait_for_output(&mut log);
                    }
                }
                Err(_) => {
                    self.wait(PollTimeout::from(RETRY), &[], None);
                }
            }
            loop {
                match self.asked.try_recv() {
                    Ok(Request::Drain(answer)) => waiting.push(answer),
                    Ok(Request::Attach(client)) => clients.push(client),
                    Ok(Request::Detach(connection)) => {
                        clients.retain(|client| client.connection != connection);
                        log.iter_mut().for_each(|log| log.detach(connection));
                    }
                    Err(mpsc::TryRecvError::Empty) => break,
                    Ok(Request::Stop) | Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
        }
    }

    /// Copies until both pipes are empty, or until an error, or for a good while.
    fn work(&self, log: &mut Option<ContainerLog>) -> io::Result<Pumped> {
        let log = match log {
            Some(log) => log,
            None => {
                let Place { directory, name, rotation, .. } = &self.place;
                let books = Arc::clone(&self.books);
                let open = || ContainerLog::open(books, directory, name, *rotation);
                log.insert(self.progress.at_disk(open)?)
            }
        };
        let mut ready = [true, true];
        for _ in 0..TURNS {
            for (which, ready) in Stream::BOTH.into_iter().zip(&mut ready) {
                for _ in 0..TURN {
                    *ready = *ready && self.progress.at_disk(|| log.pump(which))? == Pumped::More;
                }
            }
        }
        Ok(if ready.contains(&true) { Pumped::More } else { Pumped::Idle })
    }

    /// Waits for a request or a pipe. A log that is quiet for a while gives back what it has taken to be quick.
    fn wait_for_output(&self, log: &mut Option<ContainerLog>) {
        if let Some(left) = log.as_ref().and_then(ContainerLog::awaits) {
            self.wait(patience(left), &[], log.as_ref());
            return;
        }
        if self.wait(PollTimeout::from(QUIET), &Stream::BOTH, log.as_ref()) {
            return;
        }
        if let Some(Err(error)) = log.as_mut().map(ContainerLog::rest) {
            tracing::error!("a quiet log could not be tidied: {error}");
        }
        self.wait(PollTimeout::NONE, &Stream::BOTH, log.as_ref());
    }

    /// From here on a client is shown what comes.
    fn attach(&self, log: &mut ContainerLog, client: Newcomer) {
        let Newcomer { connection, pipes, positions } = client;
        let attached = Attached::new(connection, pipes, positions, &lock(&self.books));
        let begun = attached.and_then(|attached| {
            let positions = attached.positions();
            log.attach(attached).map(|()| positions)
        });
        match begun {
            Ok(positions) => drop(self.happenings.send(Happening::Attached { connection, positions })),
            Err(error) => tracing::warn!(connection, "a client cannot be shown what comes: {error}"),
        }
    }

    /// Waits for a request, for input of these streams, or for clients of this log that must read first; whether there was any.
    fn wait(&self, patience: PollTimeout, streams: &[Stream], log: Option<&ContainerLog>) -> bool {
        let behind = |which| log.map(|log| log.waits_for(which)).unwrap_or_default();
        let held_back = |which: &Stream| !behind(*which).is_empty();
        let sources: Vec<OwnedFd> = {
            let books = lock(&self.books);
            let open = streams.iter().filter(|which| !books.stream_ended(**which) && !held_back(which));
            open.filter_map(|which| books.source(*which).try_clone_to_owned().ok()).collect()
        };
        let mut polled = vec![PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
        polled.extend(sources.iter().map(|source| PollFd::new(source.as_fd(), PollFlags::POLLIN)));
        let clients = Stream::BOTH.into_iter().flat_map(behind);
        polled.extend(clients.map(|pipe| PollFd::new(pipe, PollFlags::POLLOUT)));
        let found = loop {
            match poll(&mut polled, patience) {
                Err(Errno::EINTR) => {}
                found => break found,
            }
        };
        // Reading is what quiets the bell; how often it rang tells nothing.
        let _ = self.bell.read();
        found != Ok(0)
    }
}

/// Rounded up, so that what it is waited for has come.
fn patience(left: Duration) -> PollTimeout {
    PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
}

/// Looks after one log's thread, until the log is let go of. `inherited`: bytes that a predecessor has dropped and the log
/// does not tell of yet; the container has waited long enough for that one.
async fn watch_over(
    (books, progress): (Weak<Mutex<Books>>, Arc<Progress>),
    inherited: u64,
    container: String,
    happenings: UnboundedSender<Happening>,
) {
    let mut waited = if inherited > 0 { PATIENCE } else { Duration::ZERO };
    let (mut done, mut lost) = (0, inherited);
    loop {
        progress.wake.notified().await;
        let (mut told, mut pause) = (Told::Nothing, LOOK);
        loop {
            tokio::time::sleep(pause).await;
            pause = LOOK;
            let Some(books) = books.upgrade() else { return };
            let container = container.clone();
            let now = progress.done.load(Ordering::SeqCst);
            // A file that can be opened is not one that can be written: what was dropped must be told of in it.
            let owes_gap = lost > 0 && dropped(&lock(&books)) > 0;
            if now != done && !owes_gap {
                (done, waited) = (now, Duration::ZERO);
                let dropped = match (std::mem::replace(&mut told, Told::Nothing), std::mem::take(&mut lost)) {
                    (Told::Nothing, 0) => None,
                    (Told::Trouble, 0) => Some(None),
                    (_, bytes) => Some(Some(bytes)),
                };
                if let Some(dropped) = dropped {
                    let _ = happenings.send(Happening::LogRecovered { container, dropped });
                }
            } else if progress.busy.load(Ordering::SeqCst) {
                waited = waited.saturating_add(LOOK);
                let message = progress.failure().unwrap_or_else(|| NO_ANSWER.to_owned());
                if waited >= PATIENCE {
                    if told != Told::Dropping {
                        told = Told::Dropping;
                        let _ = happenings.send(Happening::LogDropping { container, message });
                    }
                    // Added up, since the books forget the bytes once the log tells of them: before its thread says so.
                    let taken = drop_what_comes(&books);
                    lost += taken;
                    pause = if taken > 0 { PACE } else { LOOK / 5 };
                } else if told == Told::Nothing && waited > LOOK {
                    told = Told::Trouble;
                    let _ = happenings.send(Happening::LogFailed { container, message });
                }
                continue;
            }
            progress.watched.store(false, Ordering::SeqCst);
            // Begun again in between: it may have found the task awake and so not have woken it.
            if !progress.busy.load(Ordering::SeqCst) {
                break;
            }
            progress.watched.store(true, Ordering::SeqCst);
        }
    }
}

/// What the supervisor has been told of a log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Trouble,
    Dropping,
}

/// Drops what lies in the pipes, and says how many bytes that were.
fn drop_what_comes(books: &SharedBooks) -> u64 {
    let mut taken = 0;
    for which in Stream::BOTH {
        match lock(books).drop_waiting(which) {
            Ok(bytes) => taken += bytes,
            Err(error) => tracing::error!("could not drop what waits for a log: {error}"),
        }
    }
    taken
}

#[cfg(test)]
#[path = "streams_test.rs"]
mod tests;
