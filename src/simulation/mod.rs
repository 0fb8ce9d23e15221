//! The same machine under a virtual clock. (Skeleton.)
