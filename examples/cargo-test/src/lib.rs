//! A project that is deployed as the pod in `pod.yaml`. What the pod does when things go wrong is tested in
//! `tests/lifecycle.rs`.
