//! Whether data may go back by itself, and what it costs where only a person may say so.

use super::{
    contract::Back,
    way_back::{PASSING, written},
};
use crate::{
    event::{Choice, Failure, Question},
    ports::{Observe, postgres::Job},
    site::Moment,
};

/// The databases become what they were, and what users wrote since is put aside.
pub(super) const RESTORE_DATA: &str = "restore-data";
/// The older release runs again, on the databases as they are.
pub(super) const RETURN_CODE: &str = "return-code";

/// Effects after which still no user can reach the new release.
const DARK: [&str; 4] = ["compose_trial", "env_set", "pg_return", "pg_savepoint"];

/// How far the new release has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// It has not run at all.
    NotEvenTried,
    /// It has run where no user is.
    Nobody,
    /// Users may have written with it, or have been able to. Whatever is not known to be dark counts as this.
    Users {
        /// The moment from which on they could, as a snapshot of the primary database.
        since: Option<String>,
    },
}

impl Reached {
    pub(super) fn of(back: &Back) -> Self {
        let tried = back.later.iter().find(|one| one.verb == "compose_trial");
        if back.later.iter().any(|one| !one.adds_only && !DARK.contains(&one.verb.as_str())) {
            let snapshot = tried.and_then(|one| one.outcome.as_ref()?.get("snapshot")?.as_str());
            return Self::Users { since: snapshot.map(str::to_owned) };
        }
        if tried.is_some() { Self::Nobody } else { Self::NotEvenTried }
    }
}

/// Asks what is to become of the data, with what was written since a moment.
pub(super) async fn question(
    since: &str,
    savepoint: bool,
    jobs_waiting: u64,
    jobs: &[Job],
    site: Observe<'_>,
) -> Result<Question, Failure> {
    let all = &site.site.databases;
    let (mut found, mut rows) = (Vec::new(), 0);
    for database in all.all.iter().filter(|one| !PASSING.contains(&one.role.as_str())) {
        for table in site.postgres.written_since(&all.endpoint, &database.name, since).await? {
            rows += table.rows;
            found.push(format!(
                "{} rows written in `{}`.`{}` since users could reach the new release",
                table.rows, database.name, table.name
            ));
        }
    }
    if rows == 0 {
        found.push("no rows have been written since users could reach the new release".to_owned());
    }
    let mut choices = Vec::new();
    if savepoint {
        let mut costs = format!(
            "{rows} rows that were written since are put aside with the databases of now, which stay under another name"
        );
        if jobs_waiting > 0 {
            let named: Vec<_> = jobs.iter().map(|job| format!("{} {}", job.class, job.id)).collect();
            costs = format!(
                "{costs}; up to {jobs_waiting} jobs that waited then run a second time: {}",
                named.join(", ")
            );
        }
        choices.push(Choice {
            key: RESTORE_DATA.to_owned(),
            does: "run the older release again, on the databases as they were before the migration"
                .to_owned(),
            costs,
        });
    }
    choices.push(Choice {
        key: RETURN_CODE.to_owned(),
        does: "run the older release again, on the databases as they are now".to_owned(),
        costs: "no rows are lost, but the older release was not made for these databases: it may fail where columns \
                or tables have changed"
            .to_owned(),
    });
    choices.push(Choice {
        key: "stay".to_owned(),
        does: "leave everything as it is now and close this run".to_owned(),
        costs: "nothing is lost; the site stays as this screen says until you mend it".to_owned(),
    });
    let text = "the new release has already changed the database: what is to run now?".to_owned();
    Ok(Question { address: String::new(), text, found, choices, flag: None })
}

/// Asks what is to become of the data that has returned to a savepoint and that users may have written to since.
pub(super) async fn returned_question(since: &str, site: Observe<'_>) -> Result<Question, Failure> {
    let since = Moment { snapshot: since.to_owned(), at: site.clock.now() };
    let written = written(&since, site).await?;
    let mut found = written.in_words();
    if written.rows == 0 {
        found.push("no rows have been written since the databases returned".to_owned());
    }
    let choices = vec![
        Choice {
            key: RESTORE_DATA.to_owned(),
            does: "run the newer release again, on its own databases".to_owned(),
            costs: format!(
                "{} rows that were written since are put aside with the databases of now, which stay under another name",
                written.rows
            ),
        },
        Choice {
            key: "stay".to_owned(),
            does: "leave everything as it is now and close this run".to_owned(),
            costs: "nothing is lost; the site stays as this screen says until you mend it".to_owned(),
        },
    ];
    let text = "users could write since the databases have returned: what is to run now?".to_owned();
    Ok(Question { address: String::new(), text, found, choices, flag: None })
}
