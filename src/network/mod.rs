//! The pod's name resolution files now; addresses, bridge and host ports later. (Skeleton.)
