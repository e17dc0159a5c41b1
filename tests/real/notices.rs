//! A command of the operator's own is told of runs.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use super::{Field, told::until_it_begins};
use crate::lab::{Shape, wait_until};

/// A command beside the site, which hangs at the beginning of a run for as long as `hang` lies there.
struct Team {
    folder: TempDir,
}

impl Team {
    fn of(field: &Field) -> Self {
        let team = Self { folder: tempfile::tempdir().unwrap() };
        let (told, hang, pid) = (team.path("told"), team.path("hang"), team.path("pid"));
        let script = format!(
            "#!/bin/sh\ncat >> {}\nif [ \"$NOTICE_EVENT\" = start ] && [ -e {} ]; then\n  echo $$ > {}\n  exec sleep 900\nfi\n",
            told.display(),
            hang.display(),
            pid.display()
        );
        let tell = team.path("tell");
        fs::write(&tell, script).unwrap();
        fs::set_permissions(&tell, fs::Permissions::from_mode(0o755)).unwrap();
        let settings =
            format!("[notify]\ncommand = [\"{}\", \"--room\", \"ops\"]\ntimeout = \"5m\"\n", tell.display());
        fs::write(field.dir().join("uplift.toml"), settings).unwrap();
        team
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// e.g. `start -`, `end done`.
    fn heard(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("told")).unwrap_or_default();
        let line = |line: &str| {
            let notice: Value = serde_json::from_str(line).unwrap();
            format!("{} {}", notice["event"].as_str().unwrap(), notice["result"].as_str().unwrap_or("-"))
        };
        text.lines().map(line).collect()
    }
}

#[test]
fn a_team_is_told_and_a_notice_that_hangs_holds_up_nobody() {
    let field = Field::quick(Shape::Present, "1.1.0");
    let team = Team::of(&field);
    field.uplift("upgrade --to 1.1.1 --dry-run").ends(0);
    field.uplift("backup create -y --quiet").ends(0);
    assert_eq!(team.heard(), ["start -", "end done"]);

    fs::write(team.path("hang"), "").unwrap();
    let run = field.start("upgrade --to 1.2.0 -y --settle 1s -o json");
    until_it_begins(&run, "switch web/wait_healthy#1");
    let number = || fs::read_to_string(team.path("pid")).unwrap_or_default().trim().to_owned();
    wait_until("the command to be started", Duration::from_secs(5), || !number().is_empty()).unwrap();
    run.signal("KILL").unwrap();
    assert_eq!(field.ended(run, "upgrade --to 1.2.0").exit(), None);
    fs::remove_file(team.path("hang")).unwrap();

    // It lives on, and the site is free all the same.
    let hangs = PathBuf::from("/proc").join(number());
    assert!(hangs.exists(), "it hangs yet");
    field.uplift("rollback -y").ends(0).shows(&["is as it was before"]);
    assert!(hangs.exists(), "and nobody ends what is not his");
    let process = number().parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    assert_eq!(team.heard()[2..], ["start -", "start -", "end rolled_back"]);
    field.assert_runs("1.1.0");
    field.end();
}
