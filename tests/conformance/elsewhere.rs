//! Scenarios that are about processes, sockets or words of the command line, and the tests that hold them.

/// A scenario and a test of it.
pub struct Held {
    /// Its number.
    pub number: &'static str,
    /// What it says.
    pub says: &'static str,
    /// The test's file.
    pub file: &'static str,
    /// The test's name.
    pub test: &'static str,
}

macro_rules! held {
    ($($number:literal $says:literal: $file:literal $test:ident;)*) => {
        /// All of them.
        pub const HELD: &[Held] = &[$(Held { number: $number, says: $says, file: $file, test: stringify!($test) }),*];
    };
}

held! {
    "T014" "": "tests/cgroup.rs" deleting_a_pod_that_ignores_sigterm_kills_it_after_its_grace_period;
    "T016" "": "tests/cgroup.rs" a_killed_container_is_an_error_and_no_oom;
    "T050" "": "tests/init.rs" containers_come_in_order_and_go_in_reverse;
    "T051" "": "tests/init.rs" a_failed_init_container_is_tried_again_or_fails_the_pod;
    "T059" "": "tests/init.rs" a_job_ends_with_its_regular_container_and_takes_its_sidecar_along;
    "T070" "": "tests/probes.rs" a_container_whose_liveness_fails_is_killed_and_started_anew;
    "T074" "": "tests/probes.rs" readiness_flaps_and_the_container_runs_on;
    "T075" "which HTTP answers are well, and which redirects are followed": "src/supervisor/probe/http_test.rs" a_status_from_200_to_399_is_well;
    "T075" "": "src/supervisor/probe/http_test.rs" redirects_are_followed_on_the_same_host_and_not_for_ever;
    "T076" "a slow or absent HTTP server is told in Go's words": "src/supervisor/probe/http_test.rs" a_server_that_says_nothing_is_told_in_gos_words;
    "T076" "": "tests/probes.rs" a_failing_request_is_told_in_a_kubelets_words;
    "T077" "the request's headers, and how much of a body is read": "src/supervisor/probe/http_test.rs" the_request_is_a_kubelets;
    "T077" "": "src/supervisor/probe/http_test.rs" of_a_long_body_so_much_is_read;
    "T078" "over https no certificate is verified": "src/supervisor/probe/http_test.rs" over_tls_nothing_is_verified_and_a_plain_server_is_told;
    "T079" "": "tests/probes.rs" a_failing_request_is_told_in_a_kubelets_words;
    "T080" "a command that takes too long is told, and killed with all that it started": "tests/probes.rs" a_command_that_takes_too_long_is_killed_with_all_that_it_started;
    "T081" "a probe's command has its literal variables put in, and no shell": "tests/probes.rs" each_kind_of_probe_finds_a_healthy_container_ready;
    "T081" "": "tests/probes.rs" a_failing_service_or_command_is_told_in_a_kubelets_words;
    "T082" "what a gRPC health service answers": "tests/probes.rs" a_failing_service_or_command_is_told_in_a_kubelets_words;
    "T090" "": "tests/hooks.rs" until_its_post_start_hook_is_over_a_container_is_not_shown_and_the_next_not_started;
    "T091" "": "tests/hooks.rs" a_post_start_hook_that_fails_ends_its_container;
    "T092" "": "tests/hooks.rs" a_pre_stop_hook_runs_before_the_signal_and_goes_on_over_a_supervisors_death;
    "T094" "": "tests/hooks.rs" a_pre_stop_hook_that_outlasts_the_grace_period_is_abandoned;
    "T098" "": "src/supervisor/probe/http_test.rs" a_hook_takes_any_answer_and_falls_back_to_http;
    "T102" "": "tests/hooks.rs" hooks_of_each_kind_run_before_a_probe_restarts_their_container;
    "T112" "": "tests/probes.rs" counting_goes_on_over_the_death_of_a_supervisor;
    "T113" "": "tests/crash.rs" podlets_processes_are_killed_and_the_pod_does_not_notice;
    "T115" "": "tests/lifecycle.rs" messages_and_the_largest_back_off_have_their_limits;
    "T116" "": "tests/cgroup.rs" a_container_beyond_its_memory_limit_is_oom_killed;
    "T117" "": "tests/storage.rs" a_pod_beyond_its_limits_is_evicted;
    "T122" "`describe` is laid out as kubectl's": "tests/kubectl_golden.rs" pods_that_a_kubelet_ran_are_printed_as_kubectl_prints_them;
    "T124" "with a shared PID namespace pause is process 1": "src/linux/container/tests/inside.rs" a_pod_that_shares_its_processes;
}
