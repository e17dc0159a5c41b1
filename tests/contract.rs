//! How ports behave, whoever is behind them: one suite, run on the simulated world, on the rehearsal above it, and
//! on the real clients. A behaviour that only one of them has fails here.

mod beside;
mod called;
mod compose;
mod data;
mod docker;
mod files;
mod here;
mod notices;
mod points;
mod postgres;
mod programs;
mod real;
mod rehearsal;
mod requests;
mod secrets;
mod trees;
mod web;
mod world;

use std::{future::Future, path::PathBuf, pin::Pin};

use uplift::{
    event::{Failure, Teller},
    ports::{
        Ports,
        docker::{Container, Image, Pull, Select},
        notices::Notice,
    },
    sim::{Answers, Does, Notifier},
    site::{Notify, Site},
};

/// A running site at some release, with web and job, for the behaviours to try. Each behaviour leaves it as it was, so
/// that an expensive site can serve several.
pub(crate) trait Fixture: Send + Sync {
    fn ports(&self) -> Ports;
    fn site(&self) -> Site;
    /// A folder that exists, may be written and is empty, or holds what earlier behaviours left in it.
    fn scratch(&self) -> PathBuf;
    /// A healthy release in the registry other than the one that runs.
    fn other_tag(&self) -> String;
    /// Who owns files that the ports write: user and group id.
    fn owner(&self) -> (u32, u32);
    /// Ports that were made with a wrong database password. The last call on a fixture.
    fn with_wrong_password(&self) -> Ports;
    /// A command that can be told of runs, and does this.
    fn notifier(&self, does: Notifier) -> Notify;
    /// A program that a runbook can start, and does this.
    fn program(&self, does: &Does) -> PathBuf;
    /// A service that answers so, by method and path.
    fn service(&self, answers: &[Answers]) -> requests::Service;
    /// What the command that takes it was told so far.
    fn told(&self) -> Vec<Notice>;
}

type Run = for<'a> fn(&'a dyn Fixture) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// One behaviour, to be run on any fixture.
pub(crate) struct Behaviour {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
    /// A rehearsal cannot know it.
    pub(crate) needs_a_site: bool,
}

macro_rules! behaviours {
    ($($area:ident { $($name:ident $(($needs:ident))?,)* })*) => {
        /// Every behaviour, in the order of the ports.
        pub(crate) const ALL: &[Behaviour] = &[$($(Behaviour {
            name: stringify!($name),
            run: |fixture| Box::pin($area::$name(fixture)),
            needs_a_site: behaviours!(@needs $($needs)?),
        },)*)*];

        mod on_the_world {
            $($(#[tokio::test]
            async fn $name() {
                super::$area::$name(&super::world::Simulated::new()).await;
            })*)*
        }
    };
    (@needs) => { false };
    (@needs needs_a_site) => { true };
}

behaviours! {
    files {
        a_missing_file_is_none,
        a_written_file_has_its_content_and_mode,
        a_file_is_replaced_as_a_whole,
        writing_into_a_missing_folder_fails,
        a_copy_refuses_to_replace_other_content,
        removing_nothing_is_fine,
        a_folder_is_made_with_its_parents,
        a_rename_refuses_a_taken_name,
        room_is_known_where_nothing_is_yet,
        a_folder_is_no_file,
        a_log_grows_and_is_read_as_it_grows (needs_a_site),
        a_log_that_is_moved_away_grows_at_its_place (needs_a_site),
        what_lies_in_a_folder_is_measured,
        a_path_without_links_is_the_real_one,
        what_cannot_be_replaced_is_known_before,
    }
    docker {
        the_engine_says_what_it_is,
        containers_are_sorted_and_know_their_service,
        an_unknown_container_is_none,
        stopping_and_starting_twice_is_once,
        a_running_container_is_not_removed,
        a_snapshot_makes_the_same_container,
        a_damaged_snapshot_is_refused (needs_a_site),
        a_restart_policy_is_set,
        an_unknown_tag_is_not_found,
        a_pull_checks_the_digest,
        a_name_is_given_to_an_image,
        an_image_lists_its_files,
        logs_end_with_the_last_lines,
        a_file_is_read_out_of_a_container,
        containers_know_their_names_on_networks,
        a_container_has_what_its_files_and_its_image_set,
    }
    beside {
        networks_are_known_by_their_names,
        a_container_of_ones_own_stays,
        a_task_says_how_it_ended (needs_a_site),
        a_port_that_is_taken_starts_nothing (needs_a_site),
    }
    compose {
        settings_fill_in_the_configuration,
        overrides_win_over_the_env_file,
        a_missing_compose_file_fails,
        up_leaves_what_is_current_alone,
        up_starts_what_was_stopped,
        up_replaces_what_changed,
        up_replaces_what_has_other_settings,
        up_without_the_image_is_unknown,
        up_of_an_unknown_service_fails,
        a_service_runs_aside,
        containers_are_made_without_a_start,
    }
    postgres {
        the_server_says_what_it_is,
        a_missing_database_is_left_out,
        schema_versions_are_sorted,
        a_server_that_is_not_there_is_unreachable,
        a_server_without_a_pooler_is_asked_directly,
        a_server_is_reached_by_the_way_that_was_found (needs_a_site),
        uploads_are_listed_where_the_product_lists_them,
        a_question_changes_nothing,
        the_dump_client_must_match,
        dumps_hash_to_their_report,
        dumps_count_rows (needs_a_site),
        a_dump_of_a_missing_database_fails,
        a_dump_into_a_missing_folder_fails,
        a_wrong_password_is_refused,
    }
    data {
        a_copy_has_what_its_original_had,
        a_copy_of_somebody_else_is_not_touched,
        a_database_is_given_what_it_had,
        a_closed_database_lets_nobody_in,
        ended_sessions_stay_out_of_a_closed_database,
        a_swap_is_all_or_nothing,
        only_what_uplift_made_is_dropped,
        a_loaded_dump_counts_what_was_dumped,
        a_dump_is_read_to_its_end,
        rows_are_left_out_of_a_dump (needs_a_site),
        a_damaged_dump_is_found (needs_a_site),
        what_is_new_is_counted_from_a_moment_on,
        the_lock_has_one_holder (needs_a_site),
        a_quiet_server_has_nothing_in_the_way,
    }
    trees {
        a_missing_tree_has_no_inode,
        a_tree_is_packed_and_checked (needs_a_site),
        damage_in_a_set_is_found (needs_a_site),
        missing_uploads_are_named (needs_a_site),
        trees_change_places (needs_a_site),
        a_tree_gets_back_what_it_has_lost (needs_a_site),
        what_a_killed_attempt_has_left_is_no_upload (needs_a_site),
        what_cannot_be_reached_is_named (needs_a_site),
    }
    programs {
        a_program_that_is_missing_is_refused,
        a_file_that_is_no_program_is_refused (needs_a_site),
        a_program_says_how_it_ended (needs_a_site),
        a_program_that_hangs_is_ended (needs_a_site),
        a_program_that_only_looks_is_asked (needs_a_site),
    }
    secrets {
        a_variable_that_is_not_set_is_none,
    }
    requests {
        an_answer_is_an_answer (needs_a_site),
        nobody_there_is_known (needs_a_site),
        silence_after_a_change_leaves_a_doubt (needs_a_site),
        a_redirect_leads_to_what_is_granted_alone (needs_a_site),
        a_chat_takes_a_line_for_people (needs_a_site),
    }
    notices {
        a_command_that_is_missing_is_named,
        a_file_that_is_no_program_is_named (needs_a_site),
        a_command_takes_what_it_is_told (needs_a_site),
        a_command_that_fails_is_a_failure (needs_a_site),
        a_command_that_hangs_is_given_up (needs_a_site),
    }
    web {
        nobody_listening_is_no_answer,
        a_booted_web_answers,
        a_stopped_web_does_not_answer,
        sleeping_moves_the_clock,
        nothing_is_taken_for_granted (needs_a_site),
    }
}

/// The code of a failure that must be one.
fn code<T>(result: Result<T, Failure>) -> String {
    match result {
        Ok(_) => "no failure".to_owned(),
        Err(failure) => failure.code,
    }
}

/// The only container of a service.
async fn container(fixture: &dyn Fixture, service: &str) -> Container {
    let select = Select::Project(fixture.site().project.name);
    let all = fixture.ports().docker.containers(&select).await.unwrap();
    let mut own: Vec<_> = all.into_iter().filter(|one| one.service() == Some(service)).collect();
    assert_eq!(own.len(), 1, "{own:?}");
    own.remove(0)
}

/// `repository:tag` of the product.
fn reference(site: &Site, tag: &str) -> String {
    format!("{}:{tag}", site.web.repository)
}

async fn pull(fixture: &dyn Fixture, tag: &str) -> Image {
    let docker = fixture.ports().docker;
    let reference = reference(&fixture.site(), tag);
    let digest = docker.remote_digest(&reference).await.unwrap();
    docker.pull(&Pull { reference, digest }, &Teller::silent()).await.unwrap()
}
