//! Where the site is, and which project it is.

use std::fs;

use super::Table;

#[test]
fn of_folders() {
    let table = Table::new();
    let stack = &table.field.stack;
    let project = stack.project().to_owned();
    let folder = |name: &str| {
        let path = table.field.dir().parent().unwrap().join(format!("{project}-{name}"));
        fs::create_dir_all(&path).unwrap();
        path
    };

    table.row("a folder that there is not", "-C /nowhere/at/all status").unread("no_site", &["-C DIR"]);
    table.row("a folder that there is not", "-C /nowhere/at/all upgrade --to 1.1.1 -y").refused(
        1,
        "no_site",
        &["-C DIR"],
    );
    let empty = folder("empty");
    table.row("an empty folder", &format!("-C {} upgrade --to 1.1.1 -y", empty.display())).refused(
        1,
        "no_site",
        &["is not there, or empty"],
    );
    fs::write(
        empty.join("compose.yaml"),
        "services:\n  db:\n    image: postgres\n  cache:\n    image: redis\n",
    )
    .unwrap();
    table.row("a project of somebody else", "upgrade --to 1.1.1 -y").from(&empty).refused(
        1,
        "no_web_service",
        &["`cache`, `db`", "-C DIR"],
    );
    fs::write(empty.join(".env"), "").unwrap();
    fs::write(empty.join("compose.yaml"), "services:\n  web: [\n").unwrap();
    table.row("a compose file that is broken", "upgrade --to 1.1.1 -y").from(&empty).refused(
        1,
        "compose_failed",
        &["docker compose config"],
    );
    fs::remove_dir_all(&empty).unwrap();

    called_otherwise(&table);
    table.row("a project that there is not", "--project stratta upgrade --to 1.1.1 -y").refused(
        1,
        "no_such_project",
        &[&project],
    );
    others(&table);
    several(&table);
    moved(&table);
    own(&table);
    written_down(&table);
    table.end();
}

/// The same folder behind a link, and a copy of it to try something in.
fn called_otherwise(table: &Table) {
    let (project, dir) = (table.field.stack.project(), table.field.dir().display().to_string());
    // Called by another way, the folder is still the same.
    let link = table.field.dir().parent().unwrap().join(format!("{project}-link"));
    std::os::unix::fs::symlink(table.field.dir(), &link).unwrap();
    table
        .row("the site folder behind a link", &format!("-C {} status", link.display()))
        .goes(&["up since", &format!("`{project}` in `{dir}`")]);
    table
        .row("a plan behind a link", &format!("-C {} upgrade --to 1.1.1 --dry-run", link.display()))
        .goes(&["planned to the end"]);
    fs::remove_file(link).unwrap();

    // A copy of the folder, to try something in.
    let copy = table.field.dir().parent().unwrap().join(format!("{project}-copy"));
    fs::create_dir_all(&copy).unwrap();
    for name in ["docker-compose.yml", ".env"] {
        fs::copy(table.path(name), copy.join(name)).unwrap();
    }
    let text = fs::read_to_string(copy.join("docker-compose.yml")).unwrap();
    fs::write(copy.join("docker-compose.yml"), format!("name: {project}\n{text}")).unwrap();
    table.row("a copy of the site folder", "upgrade --to 1.1.1 -y").from(&copy).refused(
        1,
        "project_elsewhere",
        &[&format!("runs from `{dir}`"), "a name of its own"],
    );
    fs::remove_dir_all(&copy).unwrap();
}

/// Other projects in the same folder, and other files in the same project.
fn others(table: &Table) {
    let project = table.field.stack.project();
    let image = table.field.stack.tools().docker().args("image ls -q uplift-lab/base").output().unwrap();
    let file = table.path("proxy.yml");
    let text =
        format!("services:\n  aaa-proxy:\n    image: \"{image}\"\n    command: sleep 600\n    init: true\n");
    fs::write(&file, text).unwrap();
    let plan = "upgrade --to 1.1.1 --dry-run";
    for (what, name) in [
        ("another project in the same folder", format!("{project}-metrics")),
        ("a proxy of another file in the same project", project.to_owned()),
    ] {
        table.field.stack.compose(&format!("-p {name} -f proxy.yml up -d")).unwrap();
        table.row(what, plan).goes(&["planned to the end", &format!("on `{project}`")]);
        table.row(what, "status").goes(&["up since", "`/up` answers 200"]);
        table.docker(&format!("rm -f -v {name}-aaa-proxy-1"));
    }
    table.docker(&format!("network rm {project}-metrics_default"));
    fs::remove_file(file).unwrap();
}

/// More Strata than one, and none of it named.
fn several(table: &Table) {
    let project = table.field.stack.project();
    let web = format!("{project}-web-1");
    let image = table.docker(&format!("inspect -f {{{{.Config.Image}}}} {web}"));
    let label = |name: &str, value: &str| format!("--label com.docker.compose.{name}={value}");
    let second = |dir: &str| {
        let labels = [
            label("project", &format!("{project}-b")),
            label("project.working_dir", dir),
            label("service", "web"),
        ];
        table.docker(&format!("create --name {project}-b-web-1 {} {image}", labels.join(" ")));
    };
    second("/srv/second");
    table.row("several sites, none named", "upgrade --to 1.1.1 -y").from("/").refused(
        2,
        "several_sites",
        &["/srv/second", "-C DIR"],
    );
    table.docker(&format!("rm {project}-b-web-1"));
    second(&table.field.dir().display().to_string());
    table.row("two Strata projects in one folder", "upgrade --to 1.1.1 -y").refused(
        2,
        "several_sites",
        &[&format!("`{project}-b`"), "--project"],
    );
    table.row("one of them by its name", &format!("--project {project} status")).goes(&["`/up` answers 200"]);
    table.docker(&format!("rm {project}-b-web-1"));
}

/// What `init` writes down is what the containers tell, and it is enough where none is left.
fn written_down(table: &Table) {
    let (stack, project) = (&table.field.stack, table.field.stack.project());
    let files = ["docker-compose.yml", "site.yml"];
    fs::write(
        table.path("site.yml"),
        "services:\n  job:\n    profiles: [work]\n    environment:\n      EXTRA: \"1\"\n",
    )
    .unwrap();
    fs::write(table.path("more.env"), "MORE=1\n").unwrap();
    let name = format!("{project}-own");
    let called = format!(
        "-p {name} -f docker-compose.yml -f site.yml --env-file .env --env-file more.env --profile work"
    );
    stack.compose("down -t 1").unwrap();
    stack.compose(&format!("{called} up -d --no-deps web")).unwrap();
    stack.wait_web().unwrap();
    stack.compose(&format!("{called} up -d --no-deps job")).unwrap();
    let own = table.path("uplift.toml");
    let said = table.row_unseen("a site that is new", "init --dry-run").goes(&[
        "would write",
        "site.yml",
        "more.env",
        "work",
    ]);
    assert!(!own.exists(), "{said}");
    table.row_unseen("a site that is new", "init").goes(&["wrote", &format!("project = \"{name}\"")]);
    let text = fs::read_to_string(&own).unwrap();
    for line in [
        "files = [\"docker-compose.yml\", \"site.yml\"]",
        "env_files = [\".env\", \"more.env\"]",
        "profiles = [\"work\"]",
    ] {
        assert!(text.contains(line), "`{line}` in {text}");
    }
    table.row_unseen("a site that is known", "init").goes(&["says all of this already"]);
    table.row_unseen("a plan of such a site", "upgrade --to 1.1.1 --dry-run").goes(&[
        "planned to the end",
        "site.yml",
        "--profile work",
    ]);
    stack.compose(&format!("{called} down -t 1")).unwrap();
    let volume = format!("volume `{name}_strata_storage`");
    table.row_unseen("the same with no container left", "status").goes(&[
        &volume,
        "`server:1.1.0` has no container",
        "job",
    ]);
    fs::remove_file(&own).unwrap();
    for file in [files[1], "more.env"] {
        fs::remove_file(table.path(file)).unwrap();
    }
    table.docker(&format!("volume rm {name}_strata_storage"));
    for service in ["web", "job"] {
        stack.compose(&format!("up -d --no-deps {service}")).unwrap();
    }
    table.field.assert_up();
}

/// Files that are not where the containers say.
fn moved(table: &Table) {
    let (file, away) = (table.path("docker-compose.yml"), table.path("moved.yml"));
    fs::rename(&file, &away).unwrap();
    let words = format!("-C {} upgrade --to 1.1.1 -y", table.field.dir().display());
    table.row("a compose file that is gone", &words).refused(
        1,
        "compose_file_missing",
        &["docker-compose.yml", "`[site]`"],
    );
    table.with(
        "uplift.toml",
        |_| "[site]\nfiles = [\"moved.yml\"]\n".to_owned(),
        || {
            table
                .row("the same, and its new name is told", "status")
                .goes(&["`/up` answers 200", "up since"]);
        },
    );
    fs::rename(&away, &file).unwrap();
    let (env, away) = (table.path(".env"), table.path("away"));
    fs::rename(&env, &away).unwrap();
    table.row("an env file that is gone", "upgrade --to 1.1.1 -y").refused(
        1,
        "env_missing",
        &[".env", "-C DIR"],
    );
    fs::rename(&away, &env).unwrap();
    let slip = |text: String| text.replacen("services:", "services", 1);
    table.with("docker-compose.yml", slip, || {
        table
            .row("a compose file that compose cannot read, while the site runs", "status")
            .unread("compose_failed", &["config --quiet", "web         `server:1.1.0` up since"]);
    });
}

/// `uplift.toml` with mistakes in it.
fn own(table: &Table) {
    for (what, text, says) in [
        ("a section that there is not", "[databse]\nhost = \"x\"\n", "did you mean `database`?"),
        ("a setting that there is not", "[site]\nprojet = \"x\"\n", "did you mean `project`?"),
        ("a value of another kind", "[database]\nport = \"5432\"\n", "a number from 1 to 65535"),
        ("what is no TOML", "[site\n", "line 1"),
        ("a list that is a text", "[site]\nfiles = \"docker-compose.yml\"\n", "e.g. `files = ["),
    ] {
        table.with(
            "uplift.toml",
            |_| text.to_owned(),
            || {
                table.row(&format!("`uplift.toml`: {what}"), "upgrade --to 1.1.1 -y").refused(
                    2,
                    "settings_invalid",
                    &[says],
                );
            },
        );
    }
    table.with(
        "uplift.toml",
        |_| "[site]\nfiles = [\"nothing.yml\"]\n".to_owned(),
        || {
            table.row("`uplift.toml`: a file that there is not", "upgrade --to 1.1.1 -y").refused(
                1,
                "compose_file_missing",
                &["nothing.yml"],
            );
        },
    );
}
