//! What keeps copies from being made on the server, asked of the effect itself.

use uplift::{
    World, event::Teller, ports::docker::State, ports::postgres::Kept, primitives::contract::Catalogue,
    sim::Db,
};

use super::site::{RUN, intended};

/// Whoever has a database of the very name that a copy would get keeps it: neither is it overwritten, nor dropped on the way back.
#[tokio::test]
async fn a_database_that_has_the_name_of_a_copy_is_left_alone() {
    let world = World::strata();
    for one in world.containers() {
        world.edit_container(&one.name, |one| one.state = State::Exited);
    }
    let intent = intended(&world, "pg_savepoint").await;
    let name = Kept::Savepoint.name("strata_production", RUN);
    assert!(intent["none"].is_null(), "{intent}");
    world.put_database(Db::new(&name, "strata", &[], &[("theirs", 3)]));
    let (ports, site, tell) = (world.ports(), world.site(), Teller::silent());
    let catalogue = Catalogue::stock();
    let verb = catalogue.get("pg_savepoint").unwrap();
    let call = verb.parse(verb.example.clone()).unwrap();
    let refused = call.intend(ports.observe(&site, RUN, &tell)).await.unwrap_err().to_string();
    assert!(refused.contains(&name), "{refused}");
}
