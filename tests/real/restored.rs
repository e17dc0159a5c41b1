//! Restoring a backup set.

use std::{fs, path::PathBuf, time::Duration};

use super::Field;
use crate::lab::{Server, Shape, Shell};

/// Makes a set while users write, and gives its folder.
fn a_set(field: &Field) -> PathBuf {
    let made = field.uplift("backup create -y -o json").ends(0);
    let text = made.everything();
    let sets = fs::read_dir(field.state("backups")).unwrap();
    let mut sets: Vec<_> = sets.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    sets.sort();
    sets.pop().unwrap_or_else(|| panic!("no set was made: {text}"))
}

/// Everything of the site is gone but the set, a database server with the role, and the images.
#[test]
fn a_set_brings_a_site_back_onto_a_host_that_has_lost_everything() {
    from_nothing(Server::Published);
}

pub(super) fn from_nothing(server: Server) {
    let field = Field::at(server, Shape::Present, "1.0.0");
    field.stack.adorn().unwrap();
    let ledger = field.first_orders();
    let before = field.stack.state().unwrap();
    let uploads = uploaded(&field);
    let set = a_set(&field);
    let elsewhere = field.dir().with_extension("set").join(set.file_name().unwrap());
    let copy = format!("-a -- {} {}", set.display(), made(&elsewhere).display());
    Shell::new("cp").args(&copy).output().unwrap();

    field.stack.compose("down -v -t 1").unwrap();
    for database in ["", "_queue", "_cache", "_cable"] {
        let drop = format!("DROP DATABASE strata_production{database} WITH (FORCE)");
        field.stack.psql("postgres", &drop).unwrap();
    }
    for entry in fs::read_dir(field.dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }

    let words =
        format!("restore {} --into {} --jobs run -y --settle 2s", elsewhere.display(), field.dir().display());
    only_told(&field, &words);
    if server != Server::Published {
        without_a_server(&field, &words);
    }
    let screen = field.uplift(&words).ends(0);
    eprintln!("back from nothing in {:.1} s", screen.seconds());
    field.assert_runs("1.0.0");
    field.assert_up();
    assert_eq!(ledger.missing(&field.stack).unwrap(), Vec::<String>::new());
    assert_eq!(uploaded(&field), uploads, "every uploaded file with its content, owner and mode");
    let owners = "SELECT string_agg(DISTINCT pg_get_userbyid(datdba), ' ') FROM pg_database WHERE datname LIKE 'strata%'";
    assert_eq!(field.stack.psql("postgres", owners).unwrap(), "strata");
    field.stack.settle().unwrap();
    let now = field.stack.state().unwrap();
    assert_eq!((now.differences(&before), now.added(&before)), (Vec::new(), Vec::new()));
    field.uplift("upgrade --to 1.1.0 -y --settle 2s").ends(0);
    fs::remove_dir_all(elsewhere.parent().unwrap()).unwrap();
    field.end();
}

/// The server's container has not joined the network yet: refused with what is missing, and nothing is begun.
fn without_a_server(field: &Field, words: &str) {
    let docker = |words: &str| field.stack.tools().docker().args(words).output().unwrap();
    let pg = field.stack.postgres();
    let format = "{{range $name, $there := .NetworkSettings.Networks}}{{$name}}{{end}}";
    let network = field.stack.tools().docker().args("inspect -f").arg(format).arg(pg).output().unwrap();
    docker(&format!("network disconnect {network} {pg}"));
    let missing = format!("no container has that name on `{network}`");
    let screen = field.uplift(words).ends(1).shows(&["no database server answers at `db:5432`", &missing]);
    assert!(screen.everything().contains("uplift restore"), "what to type then\n{screen}");
    screen.shows(&["were written and stay; nothing else was changed"]);
    assert!(field.stack.containers().unwrap().is_empty());
    docker(&format!("network connect --alias db {network} {pg}"));
}

/// Who only looks, or has no terminal to say yes at, finds the folder as empty as it was.
fn only_told(field: &Field, words: &str) {
    let left = || fs::read_dir(field.dir()).map_or(0, Iterator::count);
    field.uplift(&words.replace(" -y", "")).ends(2).shows(&["there is no terminal", "nothing was changed"]);
    field.uplift(&format!("{words} --dry-run")).ends(0).shows(&["would write", "before a yes"]);
    assert_eq!(left(), 0);
}

fn made(path: &std::path::Path) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    path.to_owned()
}

/// Names, owners, modes and hashes of the uploaded files, as the containers see them.
fn uploaded(field: &Field) -> String {
    let list = "cd /rails/storage && find . -type f -printf '%p %u %g %m ' -exec sha256sum {} ';' | sort";
    field.stack.compose_words(&["exec", "-T", "web", "sh", "-c", list]).unwrap()
}

#[test]
fn a_set_is_restored_onto_the_site_that_runs() {
    onto_the_site_that_runs(Server::Published);
}

pub(super) fn onto_the_site_that_runs(server: Server) {
    let field = Field::at(server, Shape::Present, "1.0.0");
    let first = field.first_orders();
    let uploads = uploaded(&field);
    let set = a_set(&field);
    let name = set.file_name().unwrap().to_string_lossy().into_owned();
    field.uplift("upgrade --to 1.1.0 -y --settle 2s").ends(0);
    let ((), later) = field.while_writing(|| std::thread::sleep(Duration::from_secs(12)));
    field.stack.settle().unwrap();
    let before = field.stack.state().unwrap();

    field.uplift(&format!("restore {name} -y")).ends(7).shows(&[
        "rows written in `strata_production`.`orders`",
        "--restore-data always",
        "nothing was changed",
    ]);
    assert_eq!(field.stack.state().unwrap().differences(&before), Vec::<String>::new());
    let words = format!("restore {name} --restore-data always --jobs run -y --settle 2s");
    let screen = field.uplift(&words).ends(0);
    eprintln!("restored in {:.1} s", screen.seconds());
    field.assert_runs("1.0.0");
    field.assert_up();
    assert_eq!(first.missing(&field.stack).unwrap(), Vec::<String>::new(), "what the set has is there");
    assert_eq!(later.missing(&field.stack).unwrap().len(), later.acknowledged.len(), "the rest is put aside");
    assert_eq!(uploaded(&field), uploads);
    let kept = "SELECT count(*) FROM pg_database WHERE datname LIKE '%\\_\\_failed\\_%' AND NOT datallowconn";
    assert_eq!(field.stack.psql("postgres", kept).unwrap(), "4");
    field.uplift("upgrade --to 1.1.0 -y --settle 2s").ends(0);
    field.end();
}
