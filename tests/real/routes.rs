//! A database server that only the containers reach by the name that they have for it.

use super::Field;
use crate::lab::{Server, Shape};

#[test]
fn a_site_whose_database_is_a_name_on_its_network_is_upgraded() {
    upgraded(Server::Hidden);
}

pub(super) fn upgraded(server: Server) {
    let field = Field::at(server, Shape::Present, "1.0.0");
    assert!(field.stack.env_text().unwrap().contains("DB_HOST=db\n"));
    let pg = field.stack.postgres().to_owned();
    let route = format!("`db` is the container `{pg}`");
    field.uplift("status").ends(0).shows(&["PostgreSQL 15", &route]);
    let (screen, ledger) = field.while_writing(|| field.uplift("upgrade --to 1.1.0 -y --settle 2s"));
    screen.ends(0).shows(&["1.1.0", &route, "4 copies"]);
    field.assert_runs("1.1.0");
    field.assert_up();
    field.assert_nothing_lost(&ledger);
    field.end();
}

/// The server's container comes back at another address: what the journal says of the old one is not believed.
#[test]
fn a_way_back_finds_the_database_at_its_new_address() {
    let field = Field::at(Server::Hidden, Shape::Present, "1.0.0");
    field.uplift("upgrade --to 1.8.0 -y --settle 5s --patience 15s").ends(7);
    let docker = |words: &str| field.stack.tools().docker().args(words).output().unwrap();
    let (project, pg) = (field.stack.project(), field.stack.postgres());
    let address = || {
        docker(&format!(
            "inspect -f {{{{range.NetworkSettings.Networks}}}}{{{{.IPAddress}}}}{{{{end}}}} {pg}"
        ))
    };
    let before = address();
    docker(&format!("network disconnect {project}_default {pg}"));
    let image = super::field::lab().images.postgres();
    // Takes the address that has become free.
    docker(&format!(
        "run -d --name {project}-neighbour --network {project}_default --entrypoint sleep {image} 600"
    ));
    docker(&format!("network connect --alias db {project}_default {pg}"));
    let after = address();
    assert!(after != before && !after.is_empty(), "{before}, then {after}");
    field.uplift("status").ends(7).shows(&[&after]);
    field.uplift("rollback --choose restore-data --reason moved").ends(0).shows(&["is as it was before"]);
    field.assert_runs("1.0.0");
    field.assert_up();
    field.end();
}
