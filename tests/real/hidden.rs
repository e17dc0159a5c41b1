//! The stories of a published database server, told again of one that only a docker network knows by a name.

use super::{back, choices, dark, every, restored, routes, slow};
use crate::lab::Server;

type Story = (&'static str, fn(Server));

/// A host that has lost everything has no container whose networks could be looked at.
const ORDINARY: [Story; 1] = [("from nothing", restored::from_nothing)];

const LONG: [Story; 10] = [
    ("upgraded", routes::upgraded),
    ("in the dark", dark::taken_back),
    ("data returns", choices::data_returns),
    ("code returns", choices::code_returns),
    ("stays", choices::stays),
    ("slow", |server| slow::waited_for(server, 90, 15)),
    ("container killed", |server| slow::ended_first(server, slow::Killed::Container)),
    ("uplift killed", |server| slow::ended_first(server, slow::Killed::Uplift)),
    ("rollback", |server| {
        back::the_code_goes_back(server);
        back::a_person_says(server);
    }),
    ("restored", restored::onto_the_site_that_runs),
];

#[test]
fn every_story_holds_where_the_server_is_a_name_on_the_projects_network() {
    told(Server::Hidden);
}

#[test]
fn every_story_holds_where_the_server_is_a_name_on_anothers_network() {
    told(Server::Neighbour);
}

fn told(server: Server) {
    let long = LONG.iter().filter(|_| every());
    std::thread::scope(|threads| {
        let tell = |(name, story): &Story| {
            let (name, story) = (*name, *story);
            threads.spawn(move || {
                eprintln!("{name}: {server:?}");
                story(server);
            })
        };
        for told in ORDINARY.iter().chain(long).map(tell).collect::<Vec<_>>() {
            told.join().unwrap();
        }
    });
}
