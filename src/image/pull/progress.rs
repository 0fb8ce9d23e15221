//! How far a pull is, for whoever shows it, and how it is ended from outside. Written by the threads that pull, read by
//! another one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::http::Server;

/// What is known of a pull.
#[derive(Default)]
pub struct Progress {
    layers: Mutex<Vec<Arc<Layer>>>,
    phase: Mutex<String>,
    ended: AtomicBool,
    waited: Mutex<Duration>,
    /// Whose connections are to be closed at the end.
    servers: Mutex<Vec<Server>>,
}

/// One layer on its way.
#[derive(Debug)]
pub struct Layer {
    /// The blob's digest.
    pub digest: String,
    /// Bytes of the blob.
    pub size: u64,
    /// Was in the store already.
    pub known: bool,
    received: AtomicU64,
    unpacked: AtomicBool,
}

impl Layer {
    pub(super) fn new(digest: String, size: u64, known: bool) -> Arc<Layer> {
        Arc::new(Layer { digest, size, known, received: AtomicU64::new(0), unpacked: AtomicBool::new(known) })
    }

    /// So many bytes have come.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// It is there as a whole.
    pub fn is_done(&self) -> bool {
        self.unpacked.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn finish(&self) {
        self.unpacked.store(true, Ordering::Relaxed);
    }
}

impl Progress {
    /// The image's layers, lowest first; none while that is not known.
    pub fn layers(&self) -> Vec<Arc<Layer>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is done beside the layers: `Resolving`.
    pub fn phase(&self) -> String {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has the pull end with an error, and leave nothing.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        let servers = std::mem::take(&mut *self.servers.lock().unwrap_or_else(PoisonError::into_inner));
        servers.into_iter().for_each(Server::close);
    }

    /// Nobody waits for this server once the pull is to end.
    pub(super) fn watch(&self, server: Server) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_ended() { server.close() } else { servers.push(server) }
    }

    /// Whether it is to end.
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// How long it has waited for others so far.
    pub(super) fn waited(&self) -> Duration {
        *self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add_waiting(&self, time: Duration) {
        *self.waited.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }

    pub(super) fn set_layers(&self, layers: Vec<Arc<Layer>>) {
        *self.layers.lock().unwrap_or_else(PoisonError::into_inner) = layers;
    }

    pub(super) fn set_phase(&self, phase: &str) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase.to_owned();
    }
}
