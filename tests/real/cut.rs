//! Backups of a site that is written to all the time, in two databases and a folder: each is of one moment.

use super::{
    Field,
    load::Load,
    sets::{Set, Torn},
};
use crate::lab::Shape;

/// How many backups the ordinary test makes, and the long one (`UPLIFT_TEST_EVERY=1`).
const FEW: usize = 2;
const MANY: usize = 20;

#[test]
fn a_backup_under_load_is_of_one_moment() {
    let many = super::every();
    let field = Field::quick(Shape::Present, "1.1.0");
    let load = Load::start(&field);
    let mut sets = Vec::new();
    for number in 0..if many { MANY } else { FEW } {
        let made = field.uplift("backup create -y -o json").ends(0);
        let name = super::faults::good(&field).into_iter().find(|name| !sets.contains(name)).unwrap();
        let set = Set::read(&field, &name);
        let (orders, tries) = (set.orders(), set.manifest["snapshot"]["tries"].clone());
        eprintln!("backup {number}: {:.1} s, {orders} orders, {tries} tries for the moment", made.seconds());
        sets.push(name);
    }
    let (placed, seconds) = load.ends();
    eprintln!("{placed:.0} orders in {seconds:.1} s: {:.0} a second", placed / seconds);
    let mut last = 0;
    for name in &sets {
        let set = Set::read(&field, name);
        assert_eq!(set.torn(), Torn::default(), "{name}");
        assert!(set.orders() > last, "{name}: nobody wrote while it was made");
        last = set.orders();
    }
    let set = Set::read(&field, sets.last().unwrap());
    assert_eq!(set.restored(&field), set.counted());
    if many {
        field.uplift(&format!("backup verify {} --restore", sets.last().unwrap())).ends(0);
    }
    field.stack.settle().unwrap();
    field.end();
}
