//! Once users could reach a release that has migrated, a person chooses, and is told what each choice costs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Field, screen::Screen};
use crate::lab::{Ledger, Server, Shape, Writer};

#[test]
fn a_person_may_return_the_data_to_the_savepoint() {
    data_returns(Server::Published);
}

#[test]
fn once_the_schema_has_moved_a_person_may_return_the_code() {
    code_returns(Server::Published);
}

#[test]
fn a_person_may_stay_where_the_schema_has_moved() {
    stays(Server::Published);
}

/// The databases of before come back; what users wrote since is put aside, and said.
pub(super) fn data_returns(server: Server) {
    let asked = Asked::of(server);
    let field = &asked.field;
    let screen = field.uplift("rollback --choose restore-data --reason tested -y").ends(0);
    screen.shows(&["is as it was before", "__failed_"]);
    field.assert_runs("1.0.0");
    field.assert_up();
    let missing: BTreeSet<_> = asked.ledger.missing(&field.stack).unwrap().into_iter().collect();
    assert_eq!(missing, asked.promised_since, "what was written since is put aside, and nothing else");
    let kept = "SELECT count(*) FROM pg_database WHERE datname LIKE '%\\_\\_failed\\_%'";
    assert_eq!(field.stack.psql("postgres", kept).unwrap(), "4");
    field.uplift("status").ends(0);
    field.uplift("upgrade --to 1.1.0 -y --settle 2s").ends(0);
    asked.field.end();
}

pub(super) fn code_returns(server: Server) {
    let asked = Asked::of(server);
    let field = &asked.field;
    field.uplift("rollback --choose nonsense --reason tested -y").shows(&["return-code", "stay"]);
    field.uplift("rollback --choose return-code --reason tested -y").ends(0);
    field.assert_runs("1.0.0");
    field.assert_up();
    assert_eq!(field.stack.env_text().unwrap(), asked.env);
    assert_eq!(asked.ledger.missing(&field.stack).unwrap(), Vec::<String>::new());
    field.uplift("rollback --choose return-code --reason tested -y").ends(2);
    field.uplift("status").ends(0);

    // The savepoint is there yet, for whoever finds that the older release fails on these databases.
    field.uplift("rollback --list").ends(0).shows(&["the data was not", "--restore-data always"]);
    field.uplift("rollback -y").ends(7).shows(&["--restore-data always", "nothing was changed"]);
    field.uplift("rollback --restore-data always --jobs run -y --settle 2s").ends(0);
    field.assert_runs("1.0.0");
    field.assert_up();
    let missing: BTreeSet<_> = asked.ledger.missing(&field.stack).unwrap().into_iter().collect();
    assert_eq!(missing, asked.promised_since, "what was written since is put aside, and nothing else");
    asked.field.end();
}

pub(super) fn stays(server: Server) {
    let asked = Asked::of(server);
    let field = &asked.field;
    field.uplift("status").ends(7);
    field.uplift("upgrade --to 1.1.0 -y").ends(7).shows(&["needs a decision", "uplift show"]);
    let images = || {
        let containers = field.stack.containers().unwrap().into_iter();
        // The worker dies and is started again all the time: its state is no sign.
        containers.map(|(service, one)| (service, one.image, one.restart)).collect::<Vec<_>>()
    };
    let before = images();
    field.uplift("rollback --choose stay --reason tested -y").ends(0);
    assert_eq!(images(), before, "to stay is to leave everything as it is");
    assert_eq!(asked.ledger.missing(&field.stack).unwrap(), Vec::<String>::new());
    field.uplift("rollback --choose stay --reason tested -y").ends(2);
    field.uplift("status").ends(0);
    asked.field.end();
}

/// A site on 1.8.0, whose worker dies, with a question that is open.
struct Asked {
    field: Field,
    env: String,
    ledger: Ledger,
    /// Orders that the client was promised and that the savepoint has not.
    promised_since: BTreeSet<String>,
}

impl Asked {
    fn of(server: Server) -> Self {
        let field = Field::at(server, Shape::Present, "1.0.0");
        let env = field.stack.env_text().unwrap();
        let old = field.first_orders();
        let writer = Writer::start(&field.stack);
        let screen = field.uplift("upgrade --to 1.8.0 -y --settle 5s --patience 15s");
        std::thread::sleep(Duration::from_secs(2));
        let ledger = writer.stop();
        asks_a_person(&field, screen);
        assert_eq!(ledger.missing(&field.stack).unwrap(), Vec::<String>::new());
        // The worker comes back for two seconds again and again, and changes orders from before and after.
        field.stack.settle().unwrap();
        let keys = old.acknowledged[..3].join("', '");
        let change = format!("UPDATE orders SET processed_at = now() WHERE key IN ('{keys}')");
        field.stack.psql("strata_production", &change).unwrap();

        // Asked again, it counts again.
        let told = told(&field.uplift("rollback -y").ends(7));
        let truth = Truth::of(&field);
        for (table, truth) in &truth.tables {
            assert_eq!(told.get(table), Some(truth), "`{table}`: rows, added, changed");
        }
        assert!(truth.tables["strata_production.orders"].2 >= 3, "{:?}", truth.tables);
        let promised_since: BTreeSet<_> =
            ledger.acknowledged.iter().filter(|key| truth.new_orders.contains(*key)).cloned().collect();
        let unheard = truth.new_orders.len() - promised_since.len();
        assert!(!promised_since.is_empty() && unheard <= ledger.refused, "{unheard}: {ledger:?}");
        Self { field, env, ledger, promised_since }
    }
}

/// The cause, the choices as commands to type, and where the backup lies.
fn asks_a_person(field: &Field, screen: Screen) {
    let sets = std::fs::read_dir(field.state("backups")).unwrap();
    let sets: Vec<_> = sets.map(|entry| entry.unwrap().path().display().to_string()).collect();
    let newest = sets.iter().max().expect("a backup");
    screen.ends(7).shows(&[
        "NoMethodError undefined method `deliver_later' for nil:NilClass",
        newest,
        "uplift rollback",
        "--choose restore-data",
        "--choose return-code",
        "--choose stay",
    ]);
}

type Rows = (usize, usize, usize);

/// What the screen says was written: rows, added and changed ones, by database and table.
fn told(screen: &Screen) -> BTreeMap<String, Rows> {
    let joined = screen.everything().split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = BTreeMap::new();
    for (at, _) in joined.match_indices(" rows written in `") {
        let rows: usize = joined[..at].rsplit(' ').next().unwrap().parse().unwrap();
        let (table, rest) = joined[at + " rows written in `".len()..].split_once("` ").unwrap();
        let kinds =
            rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or("", |(kinds, _)| kinds);
        let number = |word: &str| {
            let part = kinds.split(", ").find(|part| part.ends_with(word));
            part.map_or(0, |part| part.split(' ').next().unwrap().parse().unwrap_or(rows))
        };
        found.insert(table.replace("`.`", "."), (rows, number("added"), number("changed")));
    }
    found
}

/// What differs between the databases of now and the copies, looked up from outside.
struct Truth {
    tables: BTreeMap<String, Rows>,
    new_orders: BTreeSet<String>,
}

impl Truth {
    fn of(field: &Field) -> Self {
        let mut tables = BTreeMap::new();
        let mut new_orders = BTreeSet::new();
        for (database, table, key, value) in [
            ("strata_production", "orders", "key", "processed_at"),
            ("strata_production", "active_storage_blobs", "key", "filename"),
            ("strata_production_queue", "solid_queue_jobs", "id", "finished_at"),
        ] {
            let rows = |database: &str| -> BTreeMap<String, String> {
                let query = format!("SELECT {key}, {value} FROM {table}");
                let rows = field.stack.psql(database, &query).unwrap();
                rows.lines().filter_map(|line| line.split_once('|')).map(owned).collect()
            };
            let now = rows(database);
            let then = within_the_copy(field, database, rows);
            let added: BTreeSet<_> = now.keys().filter(|key| !then.contains_key(*key)).cloned().collect();
            let changed =
                now.iter().filter(|(key, value)| then.get(*key).is_some_and(|then| then != *value)).count();
            tables.insert(format!("{database}.{table}"), (added.len() + changed, added.len(), changed));
            if table == "orders" {
                new_orders = added;
            }
        }
        let audits = field.stack.psql("strata_production", "SELECT count(*) FROM audits").unwrap();
        let audits = audits.parse().unwrap();
        tables.insert("strata_production.audits".to_owned(), (audits, audits, 0));
        Self { tables, new_orders }
    }
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

/// The copy lets nobody in; an administrator opens it for a moment.
fn within_the_copy<T>(field: &Field, database: &str, look: impl Fn(&str) -> T) -> T {
    let name = format!("SELECT datname FROM pg_database WHERE datname LIKE '{database}\\_\\_pre\\_%'");
    let copy = field.stack.psql("postgres", &name).unwrap();
    let open = |open: bool| {
        let alter = format!("ALTER DATABASE \"{copy}\" ALLOW_CONNECTIONS {open}");
        field.stack.psql("postgres", &alter).unwrap();
    };
    open(true);
    let seen = look(&copy);
    open(false);
    seen
}
