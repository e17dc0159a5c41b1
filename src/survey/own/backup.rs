//! `[backup]`: what backups of this site do without.

use toml::Table;

use super::{Wrong, known, section, words};

/// Databases that the product fills again by itself: what it has computed before, and messages of a moment.
const REFILLED: [&str; 2] = ["cache", "cable"];

/// Roles of the databases whose rows are no part of backups: `leave_out`.
pub(super) fn left_out(table: &Table) -> Result<Vec<String>, Wrong> {
    let Some(backup) = section(table, "backup")? else { return Ok(Vec::new()) };
    known(backup, "backup.", &["leave_out"])?;
    let like = "\"cache\", \"cable\"";
    let roles = words(backup, "backup.leave_out", "list of databases", like)?.unwrap_or_default();
    match roles.iter().find(|role| !REFILLED.contains(&role.as_str())) {
        None => Ok(roles),
        Some(role) => Err(not_refilled(role)),
    }
}

fn not_refilled(role: &str) -> Wrong {
    let lost = match role {
        "primary" => ", which holds what a backup is for",
        "queue" => ": jobs that wait in it are in no other place",
        _ => "",
    };
    let names = REFILLED.map(|one| format!("`\"{one}\"`")).join(" and ");
    (
        format!("`backup.leave_out` cannot be `{role}`{lost}"),
        format!("{names} can be left out: the product fills them again"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_filled_again_can_be_left_out() {
        let read = |text: &str| left_out(&text.parse().unwrap());
        assert_eq!(read("").unwrap(), Vec::<String>::new());
        assert_eq!(read("[backup]\nleave_out = [\"cable\", \"cache\"]").unwrap(), ["cable", "cache"]);
        for (list, why) in [
            ("[\"primary\"]", "which holds what a backup is for"),
            ("[\"cache\", \"queue\"]", "jobs that wait"),
            ("[\"strata_production_cache\"]", "cannot be `strata_production_cache`"),
            ("\"cache\"", "is no list of databases"),
            ("[]", "is no list of databases"),
        ] {
            let (wrong, hint) = read(&format!("[backup]\nleave_out = {list}")).unwrap_err();
            assert!(wrong.contains(why), "{wrong}");
            assert!(hint.contains("\"cache\""), "{hint}");
        }
        assert!(read("[backup]\nleaveout = [\"cache\"]").unwrap_err().1.contains("`leave_out`"));
    }
}
