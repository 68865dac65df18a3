//! The suite has teeth: each broken store is caught by the case that is about what is broken.

use std::sync::Arc;
use std::time::Duration;

use fastn_store::Store;
use fastn_testkit::conformance::Suite;

use crate::broken::{BrokenStore, Flaw};

fn suite(flaw: Flaw) -> Suite {
    let fresh = move || async move { Ok(Some(Arc::new(BrokenStore::new(flaw)) as Arc<dyn Store>)) };
    Suite::new().backend(format!("{flaw:?}"), fresh)
}

#[track_caller]
fn check(flaw: Flaw, case: &str) {
    let mut suite = suite(flaw).only(case);
    let silent = [Flaw::NeverAnswersClaims, Flaw::NeverTellsOfMessages, Flaw::NeverTellsOfRuns, Flaw::NeverTellsOfEnds];
    if silent.contains(&flaw) {
        suite = suite.answers_within(Duration::from_millis(50));
    }
    let report = suite.check();
    assert!(!report.cases.is_empty(), "there is no case {case}");
    assert_eq!(report.failed(), [case], "{report}");
}

#[test]
fn a_store_without_a_flaw_passes() {
    let report = suite(Flaw::None).check();
    assert_eq!(report.failed(), Vec::<&str>::new(), "{report}");
    assert_eq!(report.ignored(), Vec::<&str>::new(), "{report}");
}

macro_rules! teeth {
    ($($test:ident: $flaw:ident => $($case:ident),+;)*) => {
        $(#[test] fn $test() { $(check(Flaw::$flaw, stringify!($case));)+ })*
    };
}

teeth! {
    fencing_that_is_forgotten: ForgetsToFenceCommits =>
        a_released_lease_writes_nothing, an_expired_lease_is_fenced_once_another_claims,
        a_lease_that_never_was_writes_nothing;
    fencing_that_claims_forget: ForgetsToFenceClaims => a_released_lease_writes_nothing;
    a_dead_lease_that_is_renewed: RenewsWhatHasEnded => a_released_lease_writes_nothing;
    tokens_that_are_given_again: GivesTokensAgain => every_lease_has_a_larger_token_than_those_before;
    a_lack_that_is_not_said: GivesOneLeaseWithoutSayingSo => what_a_store_is_said_to_lack_it_lacks;
    a_lease_that_expires_though_renewed: ExpiresWhatWasRenewed => a_renewed_lease_is_no_less_in_force;
    a_record_that_is_dropped: DropsTheLastRecordOfATurn =>
        records_come_back_in_order_without_gaps, a_turn_of_many_records_comes_back_whole;
    a_batch_that_is_torn: TearsBatches => there_is_one_answer_for_each_write_in_their_order;
    half_a_batch: CommitsHalfABatch => a_batch_with_one_bad_write_leaves_nothing;
    an_early_acknowledgement: WritesNothingOfLargeBatches => records_come_back_in_order_without_gaps;
    turns_that_are_written_late: WritesTurnsWithTheNextOnes => records_come_back_in_order_without_gaps;
    a_turn_that_is_written_twice: CommitsARepeatedTurnAgain => a_turn_that_is_committed_again_changes_nothing;
    a_gap_that_is_accepted: AcceptsAGap => a_gap_is_refused;
    answers_in_another_order: AnswersInAnotherOrder => there_is_one_answer_for_each_write_in_their_order;
    records_that_are_swapped: SwapsRecords =>
        records_come_back_in_order_without_gaps, commits_made_at_once_are_all_there;
    a_wake_up_that_is_forgotten: ForgetsWhenToWake =>
        a_waiting_run_says_until_when, a_run_that_waits_is_claimed_with_its_time;
    an_end_without_time: ForgetsWhenItEnded => an_end_is_final;
    a_run_that_is_overwritten: OverwritesARunOnCreate => a_run_that_exists_is_shown_to_whoever_creates_it_again;
    a_run_that_is_created_twice: CreatesTwiceWhenRaced => runs_of_one_id_that_are_started_at_once_become_one;
    tenants_that_are_ignored: IgnoresTenants => tenants_do_not_see_each_other;
    plans_that_are_forgotten: ForgetsPlans => the_plan_of_a_definition_is_that_of_its_first_run;
    a_run_in_two_hands: SharesARunBetweenClaimers =>
        two_claimers_never_share_a_run, many_claimers_at_once_never_share_a_run;
    claims_of_what_is_not_served: ClaimsWhatIsNotServed => only_served_runs_are_claimed;
    claims_of_another_shape: ClaimsWithoutShape => only_served_runs_are_claimed;
    claims_of_the_newest: ClaimsNewestFirst => runs_are_claimed_oldest_first;
    claims_without_records: ClaimsWithoutRecords => a_released_run_is_claimed_with_its_records;
    claims_that_leave_sleepers: ClaimsNothingThatWaits => a_run_that_waits_is_claimed_with_its_time;
    deaths_that_are_not_counted: CountsNoDeaths => those_who_died_over_a_run_are_counted;
    claims_that_are_counted_for_deaths: CountsEveryClaim => nobody_has_died_who_released_the_lease;
    deaths_over_sleepers: CountsDeathsOverWhatWaits => nobody_dies_over_a_run_that_waits;
    deaths_that_progress_does_not_end: CountsDeathsWhateverWasDone =>
        who_got_further_with_a_run_is_the_first_to_die_over_it, who_dies_over_one_run_does_not_die_over_others;
    deaths_over_queues_that_are_not_counted: CountsNoDeathsOverQueues => who_dies_over_runs_of_queues_is_counted;
    suspects_that_are_given_together: GivesEverySuspect => runs_that_may_kill_are_given_one_by_one;
    suspects_that_are_admitted_together: AdmitsEverySuspect => runs_of_queues_that_may_kill_are_given_one_by_one;
    admissions_of_what_is_not_served: AdmitsWhatIsNotServed =>
        only_served_runs_are_admitted, runs_of_queues_that_were_left_go_to_those_who_serve_them;
    lists_the_wrong_way_round: ListsOldestFirst => runs_are_listed_newest_first;
    a_list_without_end: ListsTheFirstPageForEver => pages_follow_each_other;
    a_list_of_everybodys_runs: ListsBeyondTheTenant => lists_are_filtered;
    a_list_of_every_leases_runs: ListsForAnyLease => a_lease_finds_the_runs_that_it_has;
    a_run_that_is_pruned_too_early: PrunesTooMuch => old_runs_are_pruned_and_no_others;
    pruning_without_limit: PrunesWithoutLimit => no_more_runs_are_pruned_than_was_said;
    values_that_end_at_nul: CutsValuesAtNul => values_with_nul_come_back_unchanged;
    characters_that_are_lost: LosesHighPlanes => every_plane_of_unicode_comes_back_unchanged;
    numbers_that_are_rounded: RoundsNumbers => numbers_beyond_doubles_come_back_unchanged;
    empty_values_that_are_lost: LosesEmptyValues => empty_values_come_back_unchanged;
    huge_values_that_are_cut: CutsHugeValues => huge_values_come_back_unchanged;
    a_swap_without_comparing: SwapsWithoutComparing =>
        an_entry_that_is_not_as_expected_is_left_alone, of_many_who_swap_at_once_one_wins;
    a_swap_after_comparing: ComparesBeforeItSwaps =>
        of_many_who_swap_at_once_one_wins, what_many_add_at_once_is_all_there, many_who_create_at_once_create_one;
    versions_that_are_given_again: GivesVersionsAgain => no_version_comes_back;
    versions_that_each_entry_counts: CountsVersionsOfEachEntry => the_latest_version_says_that_something_changed;
    entries_that_end_at_nul: CutsEntriesAtNul => values_of_entries_come_back_unchanged;
    a_list_of_everybodys_entries: ListsEntriesOfAllTenants => entries_are_listed_in_their_order_page_by_page;
    a_list_of_entries_without_end: ListsTheFirstEntriesForEver => entries_are_listed_in_their_order_page_by_page;
    entries_in_another_order: ListsEntriesByLength => entries_are_listed_in_their_order_page_by_page;
    deletions_that_are_hidden: HidesDeletions => the_latest_version_says_that_something_changed;
    messages_that_are_lost: LosesEveryThirdMessage => every_message_is_received_and_those_of_a_run_in_their_order;
    messages_that_are_taken_twice: TakesARepeatedMessageAgain => a_message_that_is_sent_again_is_there_once;
    ids_that_are_forgotten: ForgetsIdsOnceAcknowledged =>
        a_message_that_was_acknowledged_is_not_received_again_nor_taken_again;
    messages_for_the_ended: AcceptsMessagesForTheEnded => whoever_sends_is_told_what_became_of_each_message;
    messages_in_the_wrong_hands: ReceivesWhatOthersHold => messages_come_to_no_other_than_the_holder;
    messages_that_are_not_fenced: ReceivesWithoutFencing => who_has_no_lease_receives_and_acknowledges_nothing;
    messages_the_wrong_way_round: ReceivesNewestFirst => messages_are_received_page_by_page;
    messages_that_go_with_the_lease: ForgetsMessagesWithTheLease =>
        what_was_not_acknowledged_comes_to_the_next_holder;
    news_without_messages: NeverTellsOfMessages => a_message_is_news;
    news_without_runs: NeverTellsOfRuns => a_run_that_nobody_holds_is_news, the_end_of_a_lease_is_news;
    news_without_ends: NeverTellsOfEnds => an_end_is_news_to_whoever_asks_for_ends;
    summaries_in_another_order: MixesUpSummaries => summaries_are_given_in_the_order_asked_for;
    one_run_too_many: AdmitsOneTooMany => no_more_runs_are_admitted_than_may_run_at_once;
    one_of_a_key_too_many: AdmitsAnyOfAKey => no_more_runs_of_a_key_are_admitted_than_may_run_at_once;
    one_for_an_executor_too_many: AdmitsAnyToAnExecutor => no_executor_is_given_more_than_it_may_have;
    runs_at_any_rate: AdmitsAtAnyRate => a_fixed_window_admits_its_quota, every_window_admits_its_quota_at_most;
    runs_of_a_key_at_any_rate: AdmitsAtAnyRateOfAKey => each_key_has_a_rate_of_its_own;
    turns_that_are_not_taken: AdmitsWithoutTurns => keys_take_turns_by_their_weights;
    a_pause_that_is_ignored: AdmitsWhilePaused => a_queue_that_is_paused_admits_nothing;
    runs_that_jump_the_queue: AdmitsOutOfOrder => runs_go_by_priority_and_age;
    admissions_that_are_not_fenced: AdmitsWithoutFencing => who_has_no_lease_admits_nothing;
    runs_that_are_admitted_twice: AdmitsToTwo => many_who_admit_at_once_exceed_no_limit;
    places_that_are_not_freed: NeverFreesAPlace => no_more_runs_are_admitted_than_may_run_at_once;
    a_time_that_is_not_told: ForgetsWhenToAdmit => a_run_is_not_admitted_before_its_delay_is_over;
    a_place_that_two_take: CreatesWhereAPlaceIsTaken => a_place_is_taken_once;
    runs_that_do_not_wait: HoldsWhatWaits => a_run_that_waits_is_in_nobodys_hands;
    items_that_are_lost: LosesItems =>
        items_become_one_run_in_the_order_in_which_they_came, of_many_items_that_come_at_once_each_is_in_one_run;
    items_that_are_taken_again: TakesItemsAgain =>
        an_item_is_there_once_for_as_long_as_its_run_is_kept, of_many_items_that_come_at_once_each_is_in_one_run;
    items_that_come_too_late: JoinsWhatWasAdmitted => nothing_joins_a_run_that_was_admitted;
    runs_that_are_not_withdrawn: WithdrawsNothing =>
        a_run_that_waits_for_its_turn_is_withdrawn_whoever_serves_it, a_run_that_nobody_has_had_is_withdrawn,
        of_those_who_want_a_run_at_once_one_has_it;
    runs_that_are_withdrawn_though_begun: WithdrawsWhatWasReleased => a_run_that_somebody_has_had_is_not_withdrawn;
    messages_that_are_hidden: HidesMessages => what_a_run_has_not_acknowledged_can_be_looked_at;
    a_store_that_lives_on: LivesOnAfterClose => a_closed_store_says_so;
    a_store_that_panics: Panics => runs_are_claimed_oldest_first;
    a_store_that_does_not_answer: NeverAnswersClaims => runs_are_claimed_oldest_first;
}
