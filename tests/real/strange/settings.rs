//! Env files and compose files as people leave them behind.

use std::fs;

use uplift::event::Event;

use super::Table;

const PLAN: &str = "upgrade --to 1.1.1 --dry-run";
const UPGRADE: &str = "upgrade --to 1.1.1 -y";

#[test]
fn of_settings() {
    let table = Table::new();
    ugly(&table);
    databases(&table);
    drift(&table);
    storage(&table);
    addresses(&table);
    edits(&table);
    table.end();
}

/// A file that an editor of another system has saved, and one that has grown for years: what uplift reads of it is what
/// the container has got.
fn ugly(table: &Table) {
    let env = table.path(".env").display().to_string();
    let line = format!("mount --bind {env} {env} && exec");
    table
        .row("an env file that is a mount of its own", UPGRADE)
        .within(&["unshare", "-m", "sh", "-c"], &line)
        .refused(1, "not_replaceable", &["cannot be replaced: it is a mount of its own", "mount the folder"]);
    table.applied(
        ".env",
        |text| text.replace('\n', "\r\n"),
        || {
            let screen = table
                .row("an env file with CRLF", PLAN)
                .goes(&["planned to the end", "+STRATA_VERSION=1.1.1"]);
            screen.shows(&["-STRATA_VERSION=1.1.0"]);
        },
    );
    let ugly = include_str!("../../stand-in/site/ugly.env");
    let names: Vec<_> = ugly
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim_start_matches("export ").to_owned())
        .collect();
    table.applied(
        ".env",
        |text| format!("{text}\n{ugly}"),
        || {
            let prints: Vec<_> =
                names.iter().map(|name| format!("print(\"{name}=\" + site::settings.{name});")).collect();
            let header = "const RUNBOOK = #{ api: 1, summary: \"look\", on_failure: \"undo\", params: #{} };";
            let runbook = table.path("settings.rhai");
            fs::write(&runbook, format!("{header}\nstep \"a\" {{ config_copy(); {} }}\n", prints.join(" ")))
                .unwrap();
            let screen = table
                .row_unseen("an env file that has grown for years", "run settings.rhai -y -o json")
                .goes(&[]);
            fs::remove_file(&runbook).unwrap();
            let told: Vec<_> = screen
                .events()
                .into_iter()
                .filter_map(|event| match event {
                    Event::Note { text, .. } => Some(text),
                    _ => None,
                })
                .collect();
            for name in &names {
                let got = table
                    .field
                    .stack
                    .tools()
                    .docker()
                    .arg("exec")
                    .arg(format!("{}-web-1", table.field.stack.project()));
                let got = got.args("sh -c").arg(format!("printf %s \"${name}\"")).run().unwrap().stdout;
                assert!(told.contains(&format!("{name}={got}")), "{name}={got} is not among {told:#?}");
            }
            table.row("a plan with such a file", PLAN).goes(&["planned to the end"]);
        },
    );
}

/// Settings by which no database can be found.
fn databases(table: &Table) {
    let set = |name: &'static str, value: &'static str| {
        move |text: String| {
            let lines = text.lines().map(|line| {
                if line.starts_with(&format!("{name}=")) {
                    format!("{name}={value}")
                } else {
                    line.to_owned()
                }
            });
            lines.collect::<Vec<_>>().join("\n") + "\n"
        }
    };
    table.with(".env", set("DB_HOST", ""), || {
        table.row("no `DB_HOST`: a bundled database", UPGRADE).refused(
            1,
            "database_bundled",
            &["inside the container"],
        );
    });
    table.with(".env", set("DB_PORT", "postgres"), || {
        table.row("a port that is none", UPGRADE).refused(
            1,
            "bad_setting",
            &["`DB_PORT=postgres` is no port"],
        );
    });
    table.with(
        ".env",
        |text| format!("{text}DB_SSLMODE=always\n"),
        || {
            table.row("a TLS mode that is none", UPGRADE).refused(1, "bad_setting", &["`verify-full`"]);
        },
    );
    unreadable(table);
    table.with(".env", set("DB_HOST", "localhost"), || {
        table
            .row("`localhost`, which is the container itself", "status")
            .goes(&["UNREAD", "is the container of `web` itself"]);
    });
    table.with(".env", set("DB_HOST", "host.docker.internal"), || {
        table
            .row("`host.docker.internal` without `extra_hosts`", "status")
            .goes(&["UNREAD", "`extra_hosts`"]);
    });
    table.with(".env", set("DB_HOST", "db.nowhere.invalid"), || {
        table.row("a name that leads nowhere", "status").goes(&["UNREAD", "db.nowhere.invalid"]);
    });
}

/// Compose repeats what it cannot read, up to all that stands behind it.
fn unreadable(table: &Table) {
    let slips: [(&str, Edit); 4] = [
        ("a quote that is never closed", |text| text.replace("DB_PASSWORD='", "DB_PASSWORD=\"")),
        ("a name that is none", |text| format!("LICENSE/KEY=x\n{text}")),
        ("a brace that is never closed", |text| text.replace("DB_PASSWORD='", "DB_PASSWORD=${")),
        ("a line that is none", |text| text.replace("DB_PASSWORD='", "/")),
    ];
    for (what, slip) in slips {
        table.with(".env", slip, || {
            let words = &["docker compose config", ".env"];
            table.row(what, UPGRADE).refused(1, "compose_failed", words);
        });
    }
}

/// What somebody does to a file.
type Edit = fn(String) -> String;

/// What was edited, in which file, how, and what is said of it.
const EDITS: [(&str, &str, Edit, &str); 8] = [
    (
        "another command",
        "docker-compose.yml",
        |text| text.replace("    command: ./bin/jobs", "    command: sh -c \"exit 3\""),
        "`command`",
    ),
    (
        "a setting that was edited",
        ".env",
        |text| text.replace("STRATA_LOG_LEVEL=info", "STRATA_LOG_LEVEL=debug"),
        "`STRATA_LOG_LEVEL`",
    ),
    (
        "a setting that was taken out",
        ".env",
        |text| text.replace("STRATA_LOG_LEVEL=info\n", ""),
        "with `STRATA_LOG_LEVEL`, which the files do not give",
    ),
    (
        "another release in the settings",
        ".env",
        |text| text.replace("STRATA_VERSION=1.1.0", "STRATA_VERSION=1.1.1"),
        "1.1.1",
    ),
    ("another port", ".env", |text| text.replace("\nPORT=", "\nPORT=1 #"), "publish"),
    (
        "another restart policy",
        "docker-compose.yml",
        |text| text.replace("unless-stopped", "always"),
        "docker update --restart always",
    ),
    (
        "a new override file",
        "docker-compose.override.yml",
        |_| "services:\n  web:\n    environment:\n      EXTRA: \"1\"\n".to_owned(),
        "",
    ),
    (
        "a value with a secret in it",
        ".env",
        |text| text.replace("LICENSE_KEY=\"", "LICENSE_KEY=\"x"),
        "`LICENSE_KEY`",
    ),
];

/// Edits that nobody has applied.
fn drift(table: &Table) {
    for (what, file, edit, says) in EDITS {
        table.with(file, edit, || {
            // Containers tell that they were made without it: it counts once somebody has applied it.
            if says.is_empty() {
                table.row(what, PLAN).goes(&["planned to the end"]);
            } else {
                table.row(what, UPGRADE).refused(1, "drift", &["is not what the compose files say", says]);
                let (what, applied) = (format!("{what}, to be applied"), format!("{PLAN} --edits apply"));
                if says == "1.1.1" {
                    table.row(&what, &format!("{UPGRADE} --edits apply")).refused(1, "drift", &[says]);
                } else {
                    // It is applied as the container is made anew.
                    let says = if says.starts_with("docker update") { "restart policy" } else { says };
                    table.row(&what, &applied).goes(&["planned to the end", "that edit is applied", says]);
                }
            }
        });
    }
    let project = table.field.stack.project();
    table.docker(&format!("update --restart no {project}-web-1"));
    table.row("a restart policy that was changed by hand", UPGRADE).refused(
        1,
        "drift",
        &["docker update --restart unless-stopped"],
    );
    table.docker(&format!("update --restart unless-stopped {project}-web-1"));
}

/// An edit is applied with the release, and what goes back is what ran.
fn edits(table: &Table) {
    let stack = &table.field.stack;
    let level = || table.docker(&format!("exec {}-web-1 printenv STRATA_LOG_LEVEL", stack.project()));
    let edited = stack.env_text().unwrap().replace("STRATA_LOG_LEVEL=info", "STRATA_LOG_LEVEL=debug");
    fs::write(table.path(".env"), &edited).unwrap();
    table.field.uplift("upgrade --to 1.6.0 --edits apply -y --settle 4s").ends(6);
    assert_eq!((level().as_str(), stack.env_text().unwrap()), ("info", edited));
    table.field.uplift("upgrade --to 1.1.1 --edits apply -y --settle 1s").ends(0);
    assert_eq!(level(), "debug");
    table.field.uplift("rollback -y --settle 1s").ends(0);
    table.field.assert_up();
}

/// Uploaded files elsewhere than where they were.
fn storage(table: &Table) {
    let file = "docker-compose.yml";
    table.with(
        file,
        |text| text.replace("- strata_storage:", "- other:").replace("\n  strata_storage:", "\n  other:"),
        || {
            table.row("another volume for uploaded files", UPGRADE).refused(
                1,
                "storage_differs",
                &["lose sight of all uploaded files"],
            );
        },
    );
    table.with(
        file,
        |text| text.replace("/rails/storage", "/rails/elsewhere"),
        || {
            table.row("uploaded files mounted elsewhere", UPGRADE).refused(
                1,
                "storage_differs",
                &["put the volume back"],
            );
        },
    );
    table.applied(
        file,
        |text| text.replace("    volumes:\n      - strata_storage:/rails/storage\n", ""),
        || {
            table.row("nothing is mounted for uploaded files", UPGRADE).refused(
                1,
                "storage_not_mounted",
                &["docker compose cp"],
            );
        },
    );
    table.applied(
        ".env",
        |text| text.replace("STORAGE_BACKEND=local", "STORAGE_BACKEND=amazon"),
        || {
            table.row("uploaded files in object storage", UPGRADE).refused(
                1,
                "storage_elsewhere",
                &["--storage elsewhere"],
            );
            table
                .row(
                    "the same, and it is said that they are safe",
                    "upgrade --to 1.1.1 --storage elsewhere --dry-run",
                )
                .goes(&["planned to the end"]);
        },
    );
}

/// How web is asked whether it is well.
fn addresses(table: &Table) {
    table.applied(
        ".env",
        |text| format!("{text}FORCE_SSL=true\n"),
        || {
            table.row("`FORCE_SSL`", PLAN).goes(&["planned to the end"]);
        },
    );
    table.applied(
        ".env",
        |text| format!("{text}STAND_IN_HOSTS=strata.example\n"),
        || {
            table.row("host authorization, and the right name", PLAN).goes(&["planned to the end"]);
        },
    );
    table.applied(
        ".env",
        |text| format!("{text}STAND_IN_HOSTS=another.example\n"),
        || {
            table.row("host authorization, and another name", UPGRADE).refused(
                1,
                "up_forbidden",
                &["strata.example", "`APP_HOST`"],
            );
        },
    );
    table.applied(
        "docker-compose.yml",
        |text| text.replace("    ports:\n      - \"127.0.0.1:${PORT:-3000}:80\"\n", ""),
        || {
            table.row("no published port", PLAN).goes(&["planned to the end"]);
        },
    );
}
