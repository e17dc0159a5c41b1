//! What a plan shows of a changed file: a unified diff in which no secret can be read.

use std::path::Path;

use similar::{ChangeTag, TextDiff, udiff::UnifiedHunkHeader};

use crate::{
    sim::dotenv::is_key,
    site::{Scrubber, Site, is_secret},
};

const MASK: &str = "[secret]";

/// The lines that differ, with three lines around them. Lines are compared as they are and shown masked, so that a
/// changed secret shows as a change.
pub(super) fn unified(path: &Path, old: &[u8], new: &[u8], site: &Site) -> String {
    let (Ok(old), Ok(new)) = (std::str::from_utf8(old), std::str::from_utf8(new)) else {
        return "binary content changes".to_owned();
    };
    let masked = |text: &str| if is_env(path, site) { mask_env(text, site) } else { mask_other(text, site) };
    let (old_shown, new_shown) = (masked(old), masked(new));
    let (old_lines, new_lines): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let compared = TextDiff::from_slices(&old_lines, &new_lines);
    let mut shown = Vec::new();
    for hunk in compared.grouped_ops(3) {
        shown.push(UnifiedHunkHeader::new(&hunk).to_string());
        for change in hunk.iter().flat_map(|op| compared.iter_changes(op)) {
            let (sign, lines, index) = match change.tag() {
                ChangeTag::Equal => (' ', &new_shown, change.new_index()),
                ChangeTag::Delete => ('-', &old_shown, change.old_index()),
                ChangeTag::Insert => ('+', &new_shown, change.new_index()),
            };
            // A line that was not masked is not shown.
            let line = index.and_then(|index| lines.get(index)).map_or(MASK, String::as_str);
            shown.push(format!("{sign}{line}"));
        }
    }
    if shown.is_empty() {
        return String::new();
    }
    let name = path.display();
    format!("--- {name}\n+++ {name}\n{}\n", shown.join("\n"))
}

fn is_env(path: &Path, site: &Site) -> bool {
    let named = path.file_name().is_some_and(|name| name.to_string_lossy().contains(".env"));
    named || path == site.project.env_file() || site.project.env_files.iter().any(|known| known == path)
}

fn scrubber(site: &Site) -> Scrubber {
    let scrubber = Scrubber::default();
    for secret in site.secrets.values() {
        scrubber.learn(secret);
    }
    scrubber
}

/// Every value is masked unless its key is known to be no secret; so is every line that is no assignment, because it
/// may go on with a value of several lines.
fn mask_env(text: &str, site: &Site) -> Vec<String> {
    let scrubber = scrubber(site);
    let mut open = None;
    text.lines()
        .map(|line| {
            if let Some(quote) = open {
                if line.contains::<char>(quote) {
                    open = None;
                }
                return MASK.to_owned();
            }
            let bare = line.trim();
            let comment = bare.starts_with('#');
            let inside = bare.trim_start_matches(['#', ' ']);
            let inside = inside.strip_prefix("export ").unwrap_or(inside);
            let Some((key, value)) = inside.split_once('=') else {
                let shown = bare.is_empty() || comment;
                return if shown { scrubber.scrub(line) } else { MASK.to_owned() };
            };
            let (key, value) = (key.trim(), value.trim());
            if !comment {
                open = value.chars().next().filter(|first| "'\"".contains(*first));
                open = open.filter(|quote| !value[1..].contains::<char>(*quote));
            }
            let public = key == "STRATA_VERSION" || site.settings.contains_key(key);
            if public && open.is_none() || value.is_empty() {
                return scrubber.scrub(line);
            }
            let name = if is_key(key) { key } else { MASK };
            format!("{}{name}={MASK}", if comment { "# " } else { "" })
        })
        .collect()
}

/// Files that are no env files: values behind a name that sounds like a secret, and secrets that are known.
fn mask_other(text: &str, site: &Site) -> Vec<String> {
    let scrubber = scrubber(site);
    text.lines()
        .map(|line| {
            let end =
                line.find([':', '=']).filter(|&end| is_secret(line[..end].trim(), line[end + 1..].trim()));
            match end {
                Some(end) if end + 1 < line.len() => format!("{} {MASK}", &line[..=end]),
                _ => scrubber.scrub(line),
            }
        })
        .collect()
}
