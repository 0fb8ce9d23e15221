//! Whether a server is well, by the time that has gone by.

use std::time::Instant;

use crate::script::Serve;

/// A server with the time at which it began.
pub struct Server {
    pub serve: Serve,
    began: Instant,
}

impl Server {
    /// One that begins now.
    pub fn new(serve: Serve) -> Server {
        Server { serve, began: Instant::now() }
    }

    /// Whether it is well now.
    pub fn is_well(&self) -> bool {
        let age = self.began.elapsed();
        age >= self.serve.ready_after
            && self.serve.fail_after.is_none_or(|limit| age < limit)
            && self.serve.flap.is_none_or(|period| (age.as_nanos() / period.as_nanos().max(1)).is_multiple_of(2))
    }

    /// Whether it is not always well.
    pub fn may_fall_ill(&self) -> bool {
        self.serve.flap.is_some() || self.serve.fail_after.is_some() || !self.serve.ready_after.is_zero()
    }
}
