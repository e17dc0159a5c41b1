//! The real clients where no site is: what they do with files and commands of this host needs no engine.

use std::{fs, path::PathBuf};

use uplift::{
    clients::{self, Environment, Hands},
    ports::{Ports, notices::Notice},
    sim::{Answers, Does, Notifier},
    site::{Notify, Site},
};

use super::{
    Fixture, files, notices, programs,
    requests::{self, Service},
};

pub(super) struct Here {
    ports: Ports,
    pub(super) hands: Hands,
    folder: tempfile::TempDir,
}

impl Here {
    pub(super) fn new() -> Self {
        let environment = Environment::of_process().with("UPLIFT_YES", "1").with("DB_PASSWORD", "canary-7Q");
        let (ports, hands) = clients::real_in(environment).unwrap();
        Self { ports, hands, folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

impl Fixture for Here {
    fn ports(&self) -> Ports {
        self.ports.clone()
    }

    fn site(&self) -> Site {
        unreachable!("there is no site")
    }

    fn scratch(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    fn other_tag(&self) -> String {
        unreachable!("there is no image")
    }

    fn owner(&self) -> (u32, u32) {
        (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    }

    fn with_wrong_password(&self) -> Ports {
        unreachable!("there is no database")
    }

    fn notifier(&self, does: Notifier) -> Notify {
        notices::on_disk(self.folder.path(), does)
    }

    fn program(&self, does: &Does) -> PathBuf {
        programs::on_disk(self.folder.path(), does)
    }

    fn service(&self, answers: &[Answers]) -> Service {
        requests::listening(answers)
    }

    fn told(&self) -> Vec<Notice> {
        notices::told_on_disk(self.folder.path())
    }
}

#[tokio::test]
async fn files_of_this_host_behave_as_the_world() {
    let here = Here::new();
    files::a_missing_file_is_none(&here).await;
    files::a_written_file_has_its_content_and_mode(&here).await;
    files::a_file_is_replaced_as_a_whole(&here).await;
    files::writing_into_a_missing_folder_fails(&here).await;
    files::a_copy_refuses_to_replace_other_content(&here).await;
    files::removing_nothing_is_fine(&here).await;
    files::a_folder_is_made_with_its_parents(&here).await;
    files::a_rename_refuses_a_taken_name(&here).await;
    files::room_is_known_where_nothing_is_yet(&here).await;
    files::a_folder_is_no_file(&here).await;
    files::a_log_grows_and_is_read_as_it_grows(&here).await;
    files::a_log_that_is_moved_away_grows_at_its_place(&here).await;
    files::what_lies_in_a_folder_is_measured(&here).await;
    files::a_path_without_links_is_the_real_one(&here).await;
    files::what_cannot_be_replaced_is_known_before(&here).await;
}
