//! The patches in `mutations/`, each of which takes one safety rule out: `mutations/run` shows, in a copy, that the test which
//! they name notices. Here only that none of them has been forgotten: each still fits, and its test is still there.

use std::{fs, path::Path, process::Command};

#[test]
fn every_mutation_fits_and_its_test_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut patches: Vec<_> =
        fs::read_dir(root.join("tests/mutations")).unwrap().map(|one| one.unwrap().path()).collect();
    patches.retain(|path| path.extension().is_some_and(|end| end == "patch"));
    assert!(patches.len() > 10, "{patches:?}");
    for patch in patches {
        let name = patch.file_name().unwrap().display().to_string();
        let fits =
            Command::new("git").args(["apply", "--check"]).arg(&patch).current_dir(root).output().unwrap();
        assert!(fits.status.success(), "{name}: {}", String::from_utf8_lossy(&fits.stderr));
        let lines = fs::read_to_string(&patch).unwrap();
        let test = lines
            .lines()
            .find_map(|line| line.strip_prefix("Test: "))
            .unwrap_or_else(|| panic!("{name} names no test"));
        let (module, function) = test.rsplit_once("::").unwrap();
        let file = format!("{}.rs", module.trim_end_matches("::tests").replace("::", "/"));
        let texts = ["tests", "src"].map(|folder| fs::read_to_string(root.join(folder).join(&file)));
        let function = format!("fn {function}(");
        assert!(texts.iter().flatten().any(|text| text.contains(&function)), "{name}: there is no `{test}`");
    }
}
