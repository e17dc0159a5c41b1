//! Releases that cannot be meant, or cannot be had.

use super::Table;

#[test]
fn of_releases() {
    let table = Table::new();
    for tag in ["latest", "stable", "main", "1", "v1.1", "Latest"] {
        let words = format!("upgrade --to {tag} -y");
        table.row("a moving tag", &words).refused(1, "moving_tag", &["moving tag", "--to 1.1.0"]);
    }
    table.row("a tag that nobody has", "upgrade --to 9.9.9 -y").refused(1, "tag_not_found", &["9.9.9"]);
    table.row("an older release", "upgrade --to 1.0.0 -y").refused(
        1,
        "downgrade",
        &["`1.0.0` is older than `1.1.0`", "uplift rollback"],
    );
    table.row("the release that runs", "upgrade --to 1.1.0 -y").goes(&["runs 1.1.0 already"]);
    for (what, tag) in [("a tag with a blank", "'1.1.1 '"), ("a tag that is a name", "a/b"), ("no tag", "''")]
    {
        let words = format!("upgrade --to {tag} -y");
        table.row(what, &words).refused(2, "bad_parameter", &["tag"]);
    }
    let file = "docker-compose.yml";
    let tag = "${STRATA_VERSION:-latest}";
    table.applied(
        file,
        |text| text.replace(tag, "1.1.0"),
        || {
            table.row("a tag that stands in the compose file", "upgrade --to 1.1.1 -y").refused(
                1,
                "tag_pinned",
                &["whatever `STRATA_VERSION` is", "${STRATA_VERSION}"],
            );
        },
    );
    table.with(
        file,
        |text| {
            text.replace(tag, "1.1.0@sha256:0000000000000000000000000000000000000000000000000000000000000000")
        },
        || {
            table.row("a digest in the compose file", "upgrade --to 1.1.1 -y").refused(
                1,
                "tag_pinned",
                &["whatever `STRATA_VERSION` is"],
            );
        },
    );
    table.with(
        file,
        |text| text.replace("localhost:", "127.0.0.1:9/"),
        || {
            table.row("a registry that is not there", "upgrade --to 1.1.1 -y").refused(
                1,
                "registry_unreachable",
                &["registry"],
            );
        },
    );
    moved(&table);
    table.end();
}

/// The name that the site runs by means another image since. A name of its own: others run by the ordinary one.
fn moved(table: &Table) {
    let (registry, own) =
        (&super::super::field::lab().registry, format!("1.1.0-{}", table.field.stack.project()));
    registry.push_as("1.1.0", &own).unwrap();
    let name = format!("{}:{own}", registry.repository());
    table.docker(&format!("pull -q {name}"));
    let held = table.docker(&format!("image inspect -f {{{{.Id}}}} {name}"));
    table.applied(
        ".env",
        |text| text.replace("STRATA_VERSION=1.1.0", &format!("STRATA_VERSION={own}")),
        || {
            table.docker(&format!("tag {} {name}", super::super::field::image("1.1.1")));
            table.row("a tag that was moved on this host", "upgrade --to 1.1.1 -y").refused(
                1,
                "drift",
                &["another image of that name", &format!("docker tag {held} {name}")],
            );
            table
                .row("the same, looked at", "status")
                .goes(&["DIFFERS", "`web` runs another image of that name"]);
            table.docker(&format!("tag {held} {name}"));
        },
    );
}
