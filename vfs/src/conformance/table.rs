//! The table of all cases, and [`conformance_tests!`](crate::conformance_tests), which makes tests of it.

/// Makes one test of each case that applies to each subject: `memory::read_range_past_end`.
///
/// A line is `NAME lacks [SKILL, …] => FUTURE;` where the future gives a fresh [`Subject`](crate::conformance::Subject);
/// every test makes its own. The caller needs `tokio` with `macros` and `rt-multi-thread`. A case that does not apply is
/// no test at all, and what a subject says to lack is looked into: see [`Skill`](crate::conformance::Skill).
#[macro_export]
macro_rules! conformance_tests {
    ($($subject:ident lacks [$($lack:ident),* $(,)?] => $make:expr;)*) => {$(
        mod $subject {
            #[allow(unused_imports)]
            use super::*;

            $crate::__conformance_table! { $crate::__conformance_tests_of { [$($lack)*] { $make } } }
        }
    )*};
}

/// The table: `FILE when [NEEDS] unless [SKILLS IT MUST LACK] { CASES }`.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_table {
    ($callback:path { $($with:tt)* }) => {
        $callback! { { $($with)* }
            reading when [] unless [] {
                it_can_do_what_it_says
                the_root_is_a_folder
                a_missing_path_is_not_found
                walking_through_a_file_is_not_a_directory
                opening_a_folder_is_a_directory
                opening_without_an_access_is_invalid
                an_error_names_what_was_asked
                read_link_of_what_is_no_link_is_invalid
                metadata_tells_what_it_is
                an_open_file_is_described_as_its_path_is
                an_identity_is_told_again_and_is_no_other_files
                the_content_is_read_whole
                an_empty_file_reads_as_nothing
                a_read_is_never_longer_than_asked
                a_read_across_the_end_stops_there
                a_read_at_the_end_is_empty
                a_read_past_the_end_is_empty
                a_read_of_nothing_is_empty
                a_huge_read_is_a_wish_and_no_buffer
                one_file_has_many_readers_at_once
                a_dropped_call_leaves_nothing_behind
            }
            reading when [Lengths] unless [] { metadata_tells_the_length }
            reading when [] unless [Lengths] { an_unknown_length_stays_unknown }
            reading when [Modes] unless [] { metadata_tells_the_mode }
            reading when [] unless [Modes] { an_unknown_mode_stays_unknown }
            reading when [Times] unless [] { metadata_tells_the_time }
            reading when [FolderTimes] unless [] { metadata_tells_the_time_of_folders }
            reading when [] unless [Times] { an_unknown_time_stays_unknown }
            reading when [SpecialFiles] unless [] { a_special_file_is_shown_and_never_opened }
            reading when [Validators] unless [] {
                a_validator_holds_while_nothing_changes
                if_match_opens_the_version_asked_for_only
            }
            reading when [] unless [Validators] { no_validator_is_invented }
            listing when [] unless [] {
                a_folder_lists_what_the_sample_puts_there
                an_empty_folder_lists_nothing
                dots_are_not_listed
                no_name_is_listed_twice
                two_listings_of_a_folder_are_equal
                a_large_folder_comes_in_bounded_batches
                a_listing_that_is_dropped_leaves_nothing_behind
                listing_a_file_is_not_a_directory
                a_listed_type_is_the_entrys_own
                an_ordinary_entry_is_no_mount
                a_listing_brings_metadata_only_where_asked
            }
            listing when [ListedMetadata] unless [] { listed_metadata_is_the_entrys_own }
            listing when [] unless [ListedMetadata] { metadata_that_costs_requests_is_not_listed }
            names when [] unless [] {
                a_name_with_spaces_is_held
                a_name_with_hashes_is_held
                a_name_with_percents_is_held
                a_name_with_a_question_mark_is_held
                a_name_with_quotes_is_held
                a_name_like_html_is_held
                a_name_with_separators_is_held
                a_name_with_a_leading_dash_is_held
                a_name_beyond_ascii_is_held
                a_name_of_255_bytes_is_held
            }
            names when [DotNames] unless [] { a_name_with_leading_dots_is_held }
            names when [MarkerNames] unless [] { a_name_like_a_marker_is_no_address }
            names when [BackslashNames] unless [] { a_name_with_a_backslash_is_held }
            names when [NewlineNames] unless [] { a_name_with_a_line_feed_is_held }
            names when [ByteNames] unless [] { a_name_that_is_no_utf8_is_held }
            names when [DeepPaths] unless [] { a_deep_path_is_walked }
            names when [Writes] unless [NewlineNames] { a_name_with_a_line_feed_is_refused }
            names when [Writes] unless [ByteNames] { a_name_that_is_no_utf8_is_refused }
            names when [Writes DeepPaths] unless [] { a_deep_path_is_made }
            names when [Writes] unless [] {
                odd_names_are_made_moved_and_removed
                a_name_of_256_bytes_is_too_long
                upper_and_lower_case_are_two_names
            }
            links when [Symlinks] unless [] {
                a_link_is_followed
                a_link_itself_is_described
                a_link_to_a_link_is_followed
                a_link_to_a_folder_lists_it
                a_link_to_a_folder_opens_as_a_folder
                a_link_inside_a_path_is_followed
                a_links_text_starts_where_the_link_is
                a_dangling_link_is_not_found
                links_in_a_circle_are_a_loop
                a_link_through_a_file_is_not_a_directory
                a_link_over_the_root_shows_nothing_outside
                a_link_that_is_not_to_be_followed_is_a_loop
                read_link_tells_the_text
                links_are_listed_as_links
            }
            links when [Symlinks AbsoluteLinks] unless [] { an_absolute_link_starts_at_the_root }
            links when [Symlinks] unless [AbsoluteLinks] { an_absolute_link_is_refused }
            links when [Writes Symlinks] unless [] {
                a_link_is_made_with_any_text
                a_link_is_made_where_nothing_is_only
                a_long_chain_of_links_is_a_loop
                writing_through_a_link_writes_its_target
                changes_never_follow_the_last_link
            }
            links when [Writes] unless [Symlinks] { making_a_link_is_unsupported }
            producers when [] unless [] {
                a_whole_file_is_produced
                an_empty_file_produces_nothing
                a_range_is_produced_to_the_byte
                a_range_to_the_end_is_produced
                a_range_up_to_the_last_byte_is_whole
                an_empty_range_produces_nothing
                a_range_from_the_end_produces_nothing
                read_range_past_end
                a_range_behind_the_end_is_truncated
                a_producer_stays_at_its_end
                no_chunk_is_empty_or_overlong
                what_a_hint_says_is_left_is_left
                waiting_for_a_chunk_takes_nothing
                two_producers_of_one_file_are_independent
                a_producer_that_is_dropped_leaves_its_file
                a_producer_keeps_its_file_open
            }
            writing when [Writes] unless [] {
                a_written_file_reads_back
                an_empty_file_is_made
                a_write_of_nothing_changes_nothing
                truncating_replaces_the_content
                opening_a_missing_file_without_create_is_not_found
                create_new_makes_a_file
                create_new_replaces_nothing
                create_new_has_one_winner
                opening_a_folder_for_writing_is_a_directory
                a_file_is_made_in_a_folder_only
                options_that_make_no_sense_are_invalid
                a_write_after_finish_is_invalid
                finishing_twice_does_no_harm
                a_reader_writes_nothing
                a_writer_reads_nothing
            }
            writing when [Writes Validators] unless [] { a_new_content_has_a_new_validator }
            writing when [Writes Modes SetModes] unless [] { a_new_file_has_the_mode_asked_for }
            writing_anywhere when [Writes Anywhere] unless [] {
                every_way_to_open_a_file_is_the_standard_librarys
                every_way_to_make_a_file_is_the_standard_librarys
                what_is_written_in_place_is_seen_at_once
                a_write_changes_its_own_bytes_only
                bytes_that_were_read_stay_as_they_were
                a_write_past_the_end_leaves_zeros
                set_len_cuts_and_grows
                an_open_reader_sees_a_cut_and_growth
                appending_ignores_the_offset
                two_that_append_overwrite_nothing
                many_that_append_overwrite_nothing
                many_write_their_own_parts_at_once
                a_removed_file_lives_on_for_its_openings
                syncing_keeps_what_was_written
            }
            writing_anywhere when [Writes Anywhere Validators] unless [] { a_write_in_place_has_a_new_validator }
            writing_anywhere when [Writes] unless [Anywhere] { a_write_out_of_order_is_unsupported }
            atomic when [Writes] unless [] {
                an_atomic_file_is_invisible_before_finish
                the_old_content_stays_until_finish
                a_drop_leaves_the_old_content
                an_atomic_writer_leaves_nothing_behind
                finish_publishes_once
                finish_after_a_failed_finish_is_no_success
                finish_after_a_dropped_finish_publishes
                an_atomic_create_new_replaces_nothing
                an_atomic_create_new_has_one_winner
                of_many_atomic_writers_the_last_wins_whole
                the_finish_that_comes_last_wins
                an_atomic_file_starts_empty
                a_dropped_finish_leaves_the_old_or_the_new
            }
            atomic when [Writes Anywhere] unless [] {
                a_reader_of_the_old_content_keeps_it
                an_atomic_file_is_written_anywhere
            }
            atomic when [Writes Validators] unless [] { a_published_file_has_a_new_validator }
            changing when [Writes] unless [] {
                a_folder_is_made
                a_folder_is_made_where_nothing_is_only
                a_file_is_removed
                remove_file_removes_no_folder
                an_empty_folder_is_removed
                remove_dir_removes_empty_folders_only
                the_root_stays
                a_refused_change_names_what_was_asked
            }
            rename when [Writes] unless [] {
                rename_moves_a_file
                rename_replaces_a_file
                rename_moves_a_folder_with_all_in_it
                rename_replaces_an_empty_folder
                rename_replaces_no_folder_in_use
                rename_never_mixes_files_and_folders
                rename_to_itself_changes_nothing
                rename_moves_no_folder_into_itself
                rename_needs_what_it_moves_and_a_place
                rename_with_no_replace_replaces_nothing
                one_source_is_renamed_once
                many_renames_to_one_name_leave_one_file
            }
            rename when [Writes Anywhere] unless [] { an_open_file_follows_its_rename }
            rename when [Writes Validators] unless [] { a_renamed_file_has_its_own_validator }
            hard_links when [Writes HardLinks] unless [] {
                a_second_name_is_the_same_file
                removing_one_name_leaves_the_other
                a_second_name_is_made_where_nothing_is_only
                a_folder_takes_no_second_name
                renaming_a_name_to_the_other_changes_nothing
            }
            hard_links when [Writes HardLinks Symlinks] unless [] { a_second_name_for_a_link_is_for_the_link }
            hard_links when [Writes] unless [HardLinks] { a_second_name_is_unsupported }
            attributes when [Writes] unless [] {
                setting_nothing_changes_nothing
                setting_what_is_missing_is_not_found
            }
            attributes when [Writes Modes SetModes] unless [] {
                a_mode_is_set
                a_mode_is_set_on_an_open_file
            }
            attributes when [Writes] unless [SetModes] { setting_a_mode_is_unsupported }
            attributes when [Writes Times SetTimes] unless [] {
                times_are_set
                one_time_is_set_and_the_other_stays
                times_are_set_on_an_open_file
                a_write_is_a_change
            }
            attributes when [Writes Times SetTimes Symlinks] unless [] { attributes_follow_a_link_where_asked }
            attributes when [Writes] unless [SetTimes] { setting_a_time_is_unsupported }
            attributes when [Times] unless [] { reading_is_no_change }
            locking when [Locks] unless [] {
                an_exclusive_lock_keeps_all_others_away
                shared_locks_go_together
                a_lock_that_is_given_back_is_free
                a_lock_goes_with_its_file
                a_holder_does_not_lock_itself_out
                giving_back_what_is_not_held_does_no_harm
                a_wait_for_a_lock_has_an_end
                who_waits_gets_the_lock
                a_dropped_wait_takes_nothing
                each_file_has_its_own_lock
                a_lock_is_advice
            }
            locking when [] unless [Locks] { locking_is_unsupported }
            refusing when [] unless [Writes] {
                create_dir_is_read_only
                remove_file_is_read_only
                remove_dir_is_read_only
                rename_is_read_only
                making_a_link_is_read_only
                a_second_name_is_read_only
                setting_attributes_is_read_only
                opening_for_writing_is_read_only
                an_open_file_takes_no_changes
            }
        }
    };
}

/// The tests of one subject.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests_of {
    ({ $lacks:tt $make:tt } $($file:ident when $needs:tt unless $without:tt $cases:tt)*) => {$(
        $crate::__conformance_group! { $needs $without $lacks $make $cases }
    )*};
}

/// One group of the table: its tests, where the subject has all of the first list and none of the second.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_group {
    ([$skill:ident $($needs:ident)*] $without:tt $lacks:tt $make:tt $cases:tt) => {
        $crate::__conformance_if_lacks! { $skill $lacks
            {}
            { $crate::__conformance_group! { [$($needs)*] $without $lacks $make $cases } }
        }
    };
    ([] [$skill:ident $($without:ident)*] $lacks:tt $make:tt $cases:tt) => {
        $crate::__conformance_if_lacks! { $skill $lacks
            { $crate::__conformance_group! { [] [$($without)*] $lacks $make $cases } }
            {}
        }
    };
    ([] [] $lacks:tt { $make:expr } { $($case:ident)* }) => {$(
        #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let lacks = $crate::__conformance_skills!($lacks);
            $crate::conformance::run(stringify!($case), $make.await, lacks).await;
        }
    )*};
}

/// A list of skills as a value.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_skills {
    ([$($skill:ident)*]) => { &[$($crate::conformance::Skill::$skill),*] };
}

/// The first block where the skill is in the list, else the second. An arm a skill, because a macro can compare two
/// names in no other way.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_if_lacks {
    (Writes [Writes $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (Anywhere [Anywhere $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (Symlinks [Symlinks $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (AbsoluteLinks [AbsoluteLinks $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (HardLinks [HardLinks $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (Modes [Modes $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (SetModes [SetModes $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (Times [Times $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (SetTimes [SetTimes $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (Lengths [Lengths $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (ListedMetadata [ListedMetadata $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (Validators [Validators $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (ByteNames [ByteNames $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (NewlineNames [NewlineNames $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (BackslashNames [BackslashNames $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (MarkerNames [MarkerNames $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (DotNames [DotNames $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (FolderTimes [FolderTimes $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (DeepPaths [DeepPaths $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (Locks [Locks $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    (SpecialFiles [SpecialFiles $($rest:ident)*] { $($then:tt)* } $else:tt) => { $($then)* };
    ($skill:ident [$other:ident $($rest:ident)*] $then:tt $else:tt) => {
        $crate::__conformance_if_lacks! { $skill [$($rest)*] $then $else }
    };
    ($skill:ident [] $then:tt { $($else:tt)* }) => { $($else)* };
}
