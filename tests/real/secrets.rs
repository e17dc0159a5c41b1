//! The search for secrets: none may stand anywhere but in the kept files and in backups.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use memchr::memmem;

use crate::lab::CANARY;

/// A text that must not be found, with what it gives away.
pub(super) type Needle = (String, Vec<u8>);

/// Every secret as it is, and as it shows within base64 at each of the three places where it can begin. The canary
/// holds no character that URL or JSON write otherwise, so it shows in them too, and in a part of its secret.
pub(super) fn needles(secrets: &[(&'static str, String)]) -> Vec<Needle> {
    let mut needles = Vec::new();
    for (name, value) in secrets {
        let text = if value.contains(CANARY) { CANARY } else { value };
        needles.push(((*name).to_owned(), text.as_bytes().to_vec()));
        for offset in 0..3 {
            let padded = [vec![b'-'; offset], text.as_bytes().to_vec()].concat();
            let encoded = STANDARD.encode(padded);
            // The first and the last characters depend on what stands around the secret.
            let inner = encoded.trim_end_matches('=');
            let inner = &inner[[0, 2, 3][offset]..inner.len() - 1];
            needles.push((format!("{name} in base64"), inner.as_bytes().to_vec()));
        }
    }
    needles
}

#[track_caller]
pub(super) fn assert_absent(needles: &[Needle], hay: &[u8], place: &str) {
    for (name, needle) in needles {
        let found = memmem::find(hay, needle);
        assert!(found.is_none(), "{name} is given away in {place}");
    }
}

/// Every file below a folder that holds no secrets by intent.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        let holds_secrets =
            ["kept", "backups"].iter().any(|name| path.file_name().is_some_and(|own| own == *name));
        if path.is_dir() && !holds_secrets {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_search_finds_a_secret_in_every_disguise() {
    let secret = format!("{CANARY} pa\"ss$w#rd");
    let needles = needles(&[("PASSWORD", secret.clone())]);
    let finds = |hay: &str| needles.iter().any(|(_, needle)| memmem::find(hay.as_bytes(), needle).is_some());
    assert!(finds(&secret));
    assert!(finds(&serde_json::to_string(&secret).unwrap()));
    for before in ["", "u", "us", "use"] {
        let encoded = STANDARD.encode(format!("{before}{secret}@host"));
        assert!(finds(&encoded), "{encoded}");
    }
    assert!(!finds("nothing to be seen here"));
}
