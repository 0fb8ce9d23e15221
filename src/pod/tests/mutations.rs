//! Each number of a rule is held by the tests of this directory: with a number a little larger or a little smaller
//! at least one of them fails.

use std::cell::RefCell;
use std::panic::catch_unwind;

use super::*;
use crate::pod::numbers::Numbers;

thread_local! {
    static CHANGED: RefCell<Option<Settings>> = const { RefCell::new(None) };
}

/// What [`settings`] answers while a change is tried.
pub(super) fn changed() -> Option<Settings> {
    CHANGED.with_borrow(Clone::clone)
}

/// The tests that hold numbers.
macro_rules! holders {
    ($($module:ident::$test:ident),* $(,)?) => { &[$((stringify!($test), $module::$test)),*] };
}

const HOLDERS: &[(&str, fn())] = holders![
    limits::a_run_of_ten_minutes_exactly_keeps_the_back_off,
    limits::a_failed_pull_of_ten_minutes_ago_exactly_is_remembered,
    limits::a_pod_that_names_no_grace_period_has_thirty_seconds,
    limits::the_tenth_of_similar_events_is_combined_with_those_that_follow,
    limits::twenty_five_events_of_a_type_may_come_at_once_and_then_one_in_five_minutes,
    limits::the_oldest_of_more_than_256_events_is_dropped,
    restarts::a_pod_that_never_restarts_ends_as_its_container_did,
    restarts::a_crashing_container_waits_0_10_20_to_300_seconds_from_its_exit,
    restarts::a_run_of_more_than_ten_minutes_clears_the_back_off,
    restarts::policies_and_rules_decide_as_in_the_table,
    restarts::waiting_does_not_count_as_running_for_the_reset,
    restarts::the_owner_may_set_the_back_off,
    restarts::another_image_restarts_a_running_container_whatever_its_policy_and_without_back_off,
    restarts::another_image_ends_a_back_off,
    restarts::a_lost_container_is_killed_and_then_treated_as_an_exit_with_137,
    restarts::events_are_merged_and_warnings_that_come_too_often_held_back,
    stops::a_deaf_container_is_killed_when_its_grace_is_over,
    stops::an_obeying_container_makes_a_deleted_pod_succeed,
    stops::no_grace_period_is_shorter_than_two_seconds,
    stops::a_second_shorter_delete_shortens_and_a_longer_one_does_nothing,
    stops::deletion_is_shown_in_the_metadata,
    stops::a_pod_deleted_in_back_off_shows_how_its_container_ended_and_is_gone_at_once,
    stops::a_pod_deleted_before_anything_ran_fails_with_containers_that_cannot_be_located,
    stops::a_container_that_is_being_started_when_the_pod_is_deleted_is_stopped_once_it_runs,
    stops::the_stop_signal_is_the_specs_then_the_images_then_sigterm,
    stops::a_finished_pod_is_removed_at_once_when_deleted_and_keeps_its_phase,
    images::a_failed_pull_backs_off_10_20_40_seconds_from_the_failure,
    images::the_image_back_off_is_capped_at_five_minutes,
    images::a_pull_that_succeeds_does_not_make_the_back_off_forgotten,
    images::an_image_that_cannot_be_had_is_looked_for_every_ten_seconds,
    images::a_configuration_error_is_tried_again_without_record_or_back_off,
    images::a_program_that_cannot_be_started_is_a_crash,
    images::a_container_that_cannot_start_does_not_stop_the_others,
    sandboxes::a_volume_that_cannot_be_set_up_keeps_the_pod_from_its_sandbox_and_is_tried_again_sooner,
    sandboxes::a_sandbox_that_cannot_be_made_is_tried_again_after_ten_seconds,
    sandboxes::a_lost_sandbox_is_made_anew_and_its_containers_are_started_in_it,
    sandboxes::with_policy_never_a_lost_sandbox_ends_the_pod,
    sandboxes::with_policy_on_failure_what_has_succeeded_is_not_run_again,
    sandboxes::a_sandbox_that_dies_again_at_once_is_not_made_in_a_busy_loop,
    sandboxes::a_container_in_back_off_keeps_it_over_a_lost_sandbox,
    sandboxes::after_a_reboot_a_pod_goes_on_with_its_restart_count,
    sandboxes::a_container_killed_from_outside_is_restarted_at_once,
    probes::a_container_that_does_not_live_any_more_is_stopped_and_started_anew,
    probes::with_policy_never_the_last_container_that_fails_its_probe_ends_the_pod,
    probes::a_probes_own_grace_period_holds_for_the_restart_it_causes,
    probes::nothing_else_is_probed_before_the_startup_probe_has_succeeded,
    hooks::the_pre_stop_hook_comes_before_the_signal_and_its_time_is_deducted,
    hooks::a_pre_stop_hook_is_abandoned_when_the_grace_period_is_over_and_two_seconds_follow,
    status::a_crash_looping_pod_shows_the_reference_status,
    status::without_a_network_there_is_no_pod_ip_and_statuses_are_sorted_by_name,
    status::resources_and_mounts_are_shown_as_a_kubelet_shows_them,
    status::a_termination_message_is_the_files_end_or_on_failure_the_logs,
    status::all_containers_of_a_pod_share_twelve_kibibytes_of_messages,
    status::a_memory_kill_is_told_whatever_the_exit_code,
    status::a_terminal_phase_is_published_after_the_conditions_tell_of_it,
    storage::a_pod_that_uses_too_much_is_evicted_at_the_next_measurement_and_for_good,
    storage::limits_of_volumes_come_first_then_the_pods_then_the_containers,
    storage::what_is_not_limited_critical_or_ending_is_not_measured,
    storage::an_evicted_container_has_one_second_for_its_hook_whatever_its_spec_says,
    storage::a_hook_that_runs_when_the_pod_is_evicted_has_one_second_more,
    storage::only_what_is_too_much_is_told,
    storage::a_stop_that_is_under_way_is_shortened_and_what_waits_is_not_started_again,
    status::generation_is_raised_by_a_changed_spec_and_by_the_first_delete,
];

/// The usual settings with one number changed, for each number and both ways: the words for it, and they.
fn changes() -> Vec<(String, Settings)> {
    let mut all = Vec::new();
    let mut each = |object: Value, with: &dyn Fn(Value) -> Settings| {
        for (name, number) in object.as_object().unwrap() {
            let Some(number) = number.as_u64() else { continue };
            let step = step(name);
            for other in [number + step, number - step] {
                let mut changed = object.clone();
                changed[name] = json!(other);
                all.push((format!("{name} {number} → {other}"), with(changed)));
            }
        }
    };
    each(serde_json::to_value(Settings::default()).unwrap(), &|changed| serde_json::from_value(changed).unwrap());
    each(serde_json::to_value(Numbers::KUBERNETES).unwrap(), &|changed| Settings {
        numbers: serde_json::from_value(changed).unwrap(),
        ..Settings::default()
    });
    all
}

/// The smallest change that could be seen.
fn step(name: &str) -> u64 {
    match name {
        // It is divided by the number of containers.
        "message_pod_bytes" => 4,
        // Events are told from each other by retries, ten seconds apart.
        "events_refill_milliseconds" => 10_000,
        _ => 1,
    }
}

#[test]
fn no_number_can_be_changed_unnoticed() {
    let changes = changes();
    assert!(changes.len() >= 36, "a number is not tried: {}", changes.len());
    let mut unnoticed = Vec::new();
    // What the tests say as they fail is of no interest here. Other threads keep their voice: the hook looks who speaks.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if changed().is_none() {
            usual(info);
        }
    }));
    for (name, settings) in changes {
        CHANGED.set(Some(settings));
        let noticed = HOLDERS.iter().find(|(_, test)| catch_unwind(test).is_err());
        CHANGED.set(None);
        match noticed {
            Some((holder, _)) => println!("{name}: noticed by {holder}"),
            None => unnoticed.push(name),
        }
    }
    assert!(unnoticed.is_empty(), "nobody notices {unnoticed:#?}");
}
