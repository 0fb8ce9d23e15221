//! The lifecycle of a Pod as a pure function: inputs with their time go in, effects with the rule that caused them come
//! out. No clock, no file, no socket, no randomness. The supervisor runs it for real, `simulation` in virtual time.

pub mod effect;
pub mod input;
pub mod time;

// pub mod machine; rules; restart; backoff; termination; status; conditions; events: see their files.

pub mod machine;
