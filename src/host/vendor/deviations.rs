//! In what a site differs from what ships with uplift.

use std::collections::BTreeMap;

use super::{Bundles, Pack, exchange, fits};
use crate::{
    host::{
        error::HostError,
        layer::{in_site, own_file},
        library::stock_text,
    },
    site::{Deviations, OwnScript},
    survey,
};

/// What the first line of a copy begins with that says where it comes from.
const EJECTED: &str = "// ejected: ";

impl Bundles {
    /// All in which the site differs. Only looks; what cannot be read is a line of it.
    pub async fn deviations(&self) -> Result<Deviations, HostError> {
        let (layer, mut found) = (self.layer(), Deviations::default());
        let pack = self.shelf().installed().await.unwrap_or_else(|failure| {
            found.wrong.push(failure.to_string());
            None
        });
        if let Some(pack) = &pack {
            found.bundle = Some(pack.shipped.clone());
            found.bundled = exchange::files((None, Some(pack)), &BTreeMap::new());
        }
        for name in layer.names().await? {
            let text = layer.runbook(&name).await?.map(|source| source.text).unwrap_or_default();
            found.own.push(own(&name, &text, pack.as_ref()));
        }
        for name in layer.library().await? {
            let file = in_site(&name);
            found.own.push(OwnScript { file, instead: None, diff: String::new(), outdated: None });
        }
        for name in fits::names(layer, pack.as_ref()).await? {
            match fits::load(&name, layer, pack.as_ref(), &self.catalogue).await {
                Ok(runbook) => found.hooks.extend(exchange::places(&runbook, None)),
                Err(problems) => {
                    let new: Vec<_> = problems.into_iter().filter(|one| !found.wrong.contains(one)).collect();
                    found.wrong.extend(new);
                }
            }
        }
        match survey::said(&self.site, &*self.ports.files).await {
            Ok(said) => found.settings = said,
            Err(failure) => found.wrong.push(failure.to_string()),
        }
        Ok(found)
    }
}

fn own(name: &str, text: &str, pack: Option<&Pack>) -> OwnScript {
    let file = own_file(name);
    let Some(stock) = stock_text(name) else {
        return OwnScript { file, instead: None, diff: String::new(), outdated: None };
    };
    let shipped = pack.and_then(|pack| pack.file(name)).map(|file| file.text.as_str());
    let diff = exchange::unified(name, stock, text);
    OwnScript {
        file,
        instead: Some(name.to_owned()),
        diff,
        outdated: outdated(&[Some(stock), shipped].map(Option::unwrap_or_default), text),
    }
}

/// What a copy was made of, if that is no longer what ships.
fn outdated(now: &[&str], copy: &str) -> Option<String> {
    let said = copy.lines().next()?.strip_prefix(EJECTED)?;
    let (from, hash) = said.rsplit_once(", blake3 ")?;
    let is = |text: &&str| blake3::hash(text.as_bytes()).to_hex().as_str() == hash.trim();
    (!now.iter().any(is)).then(|| from.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_what_no_longer_ships_says_so() {
        let copy = |of: &str| {
            let hash = blake3::hash(of.as_bytes()).to_hex();
            format!("// ejected: compose/upgrade of uplift 0.1.0, blake3 {hash}\n{of}")
        };
        assert_eq!(outdated(&["new"], &copy("old")).as_deref(), Some("compose/upgrade of uplift 0.1.0"));
        assert_eq!(outdated(&["newer", "new"], &copy("new")), None);
        assert_eq!(outdated(&["new"], "old"), None);
    }
}
