//! Two hosts that run uplift against the same databases: other names, state folders and processes, one engine.

use std::{path::PathBuf, time::Duration};

use super::{
    Field,
    field::lab,
    jam::Jam,
    screen::Screen,
    told::{last_words, until_it_begins},
};
use crate::lab::{Shape, Shell, Started, wait_until};

/// Where both write down what they do: not the same folder.
const STATE: &str = "/var/lib/uplift";

/// A host of its own, as far as uplift can tell.
struct Host<'a> {
    field: &'a Field,
    container: String,
    name: &'static str,
}

impl<'a> Host<'a> {
    fn start(field: &'a Field, name: &'static str) -> Self {
        let container = format!("{}-{name}", field.stack.project());
        let docker = || lab().tools.docker();
        let root = docker().args("info -f {{.DockerRootDir}}").output().unwrap();
        let mut run =
            docker().args("run -d --network host --hostname").arg(name).arg("--name").arg(&container);
        let uplift = PathBuf::from(env!("CARGO_BIN_EXE_uplift"));
        let client = Shell::new("sh").args("-c").arg("command -v docker").output().unwrap();
        // Each has a folder of its own for what it writes down; the end of the test looks into them.
        let state = field.state(name);
        std::fs::create_dir_all(&state).unwrap();
        run = run.arg("-v").arg(format!("{}:{STATE}", state.display()));
        let shared = [
            ("/var/run/docker.sock".to_owned(), ""),
            (client, ":ro"),
            (lab().tools.folder.display().to_string(), ":ro"),
            (uplift.parent().unwrap().display().to_string(), ":ro"),
            (field.dir().display().to_string(), ""),
            (format!("{root}/volumes"), ""),
        ];
        for (path, mode) in shared {
            run = run.arg("-v").arg(format!("{path}:{path}{mode}"));
        }
        // PostgreSQL's clients are in it, and the libraries that everything here is linked with.
        run.args("--entrypoint sleep").arg(lab().images.postgres()).arg("infinity").output().unwrap();
        Self { field, container, name }
    }

    fn shell(&self, words: &str) -> Shell {
        let mut exec =
            lab().tools.docker().args("exec -e NO_COLOR=1 -w").arg(self.field.dir().display().to_string());
        for (name, value) in &lab().tools.env {
            exec = exec.arg("-e").arg(format!("{name}={value}"));
        }
        let exec = exec.arg(&self.container).arg(env!("CARGO_BIN_EXE_uplift")).args(words);
        exec.args("--state").arg(STATE).limit(Duration::from_mins(4))
    }

    fn uplift(&self, words: &str) -> Screen {
        self.field.run(&self.shell(words), words)
    }

    fn start_uplift(&self, words: &str) -> Started {
        self.shell(words).start().unwrap()
    }

    /// Another run of another host has the site, and this one is told whose it is.
    fn is_kept_out_by(&self, other: &Self, words: &str) {
        let screen = self.uplift(words).ends(5);
        screen.shows(&["another run holds", &format!("@{}", other.name), "nothing was changed"]);
    }
}

/// While it is there, nothing in the list of the databases can be changed, and all of it can be read.
fn nobody_moves_a_database(field: &Field) -> Jam<'_> {
    Jam::holding(field, "postgres", "LOCK TABLE pg_catalog.pg_database IN SHARE MODE")
}

fn until_it_is_held_up(field: &Field, run: &Started) {
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'uplift' AND datname = 'postgres' \
                 AND wait_event_type = 'Lock' AND query LIKE 'ALTER DATABASE%'";
    wait_until("the move of a database", Duration::from_mins(4), || {
        field.stack.psql("postgres", waits).is_ok_and(|count| count != "0")
    })
    .map_err(|error| format!("{error}\n{}", last_words(run)))
    .unwrap();
}

#[test]
fn two_hosts_never_move_the_same_databases() {
    let field = Field::quick(Shape::Present, "1.0.0");
    let (one, two) = (Host::start(&field, "app-one"), Host::start(&field, "app-two"));

    // The first makes its savepoint: the site is down by then.
    let words = "upgrade --to 1.1.0 -y --settle 1s -o json";
    let run = one.start_uplift(words);
    until_it_begins(&run, "stop/compose_stop#1");
    let jam = nobody_moves_a_database(&field);
    until_it_begins(&run, "migrate in the dark/pg_savepoint#1");
    until_it_is_held_up(&field, &run);
    two.is_kept_out_by(&one, "upgrade --to 1.1.0 -y --settle 1s");
    two.is_kept_out_by(&one, "backup create -y");
    jam.ends();
    field.ended(run, words).ends(0);
    field.assert_runs("1.1.0");
    field.assert_up();

    // The other way round, while the databases are about to change places with their copies.
    field.stack.settle().unwrap();
    let before = field.stack.state().unwrap();
    let words = "upgrade --to 1.3.0 -y --settle 1s --patience 15s -o json";
    let run = two.start_uplift(words);
    until_it_begins(&run, "migrate in the dark/compose_trial#1");
    let jam = nobody_moves_a_database(&field);
    until_it_is_held_up(&field, &run);
    one.is_kept_out_by(&two, "upgrade --to 1.1.1 -y --settle 1s");
    one.is_kept_out_by(&two, "rollback -y");
    jam.ends();
    field.ended(run, words).ends(6);
    field.assert_runs("1.1.0");
    field.assert_up();
    assert_eq!(field.stack.state().unwrap().differences(&before), Vec::<String>::new());
    if super::every() {
        one.uplift("upgrade --to 1.1.1 -y --settle 1s").ends(0);
        field.assert_runs("1.1.1");
    }
    field.end();
}
