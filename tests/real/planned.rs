//! A plan changes nothing, and says what the run then does.

use serde_json::Value;

use super::Field;
use crate::lab::Shape;

#[test]
fn a_plan_changes_nothing_and_the_run_keeps_to_it() {
    let field = Field::quick(Shape::Present, "1.1.0");
    field.stack.settle().unwrap();
    for (release, exit) in [("1.7.0", 6), ("1.6.0", 6), ("1.1.1", 0)] {
        let (state, ids) = (field.stack.state().unwrap(), field.stack.container_ids().unwrap());
        let journal = field.state("").exists();
        let words = format!("upgrade --to {release} --settle 4s");
        let human = field.uplift(&format!("{words} --dry-run")).ends(0);
        human.shows(&[&format!("STRATA_VERSION={release}"), "docker compose", "pg_dump"]);
        let plan = field.uplift(&format!("{words} --dry-run -o json")).ends(0).json();
        assert_eq!(field.stack.state().unwrap(), state);
        assert_eq!(field.stack.container_ids().unwrap(), ids);
        assert_eq!(field.state("").exists(), journal, "a plan makes no folder");
        // Whether a release migrates is not known before its image is on the host, so the worse is planned. None of these
        // does.
        let dark = |address: &String| address.starts_with("migrate in the dark/");
        let planned: Vec<_> =
            addresses(&plan["steps"]).into_iter().filter(|address| !dark(address)).collect();
        let called = field.uplift(&format!("{words} -y -o json")).ends(exit).called();
        assert!(called.len() > 8, "{called:?}");
        if exit == 0 {
            assert_eq!(planned, called);
        } else {
            assert_eq!(planned[..called.len()], called[..], "as far as it got");
        }
        let journalled = addresses(&field.uplift("show -o json").ends(0).json());
        assert_eq!(journalled, called);
        if exit != 0 {
            let known =
                addresses(&field.uplift(&format!("{words} --dry-run -o json")).ends(0).json()["steps"]);
            assert_eq!(known, planned, "the image is here by now, and nothing has to be assumed");
        }
    }
    field.end();
}

/// The values of every field `address` in lists named `calls`, in order.
fn addresses(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if let ("calls", Value::Array(calls)) = (name.as_str(), value) {
                    let address = |call: &Value| call["address"].as_str().map(str::to_owned);
                    found.extend(calls.iter().filter_map(address));
                } else {
                    found.extend(addresses(value));
                }
            }
        }
        Value::Array(values) => found.extend(values.iter().flat_map(addresses)),
        _ => {}
    }
    found
}
