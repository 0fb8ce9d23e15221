//! Each volume type: what is made on the host before a container mounts it. (Skeleton.)
