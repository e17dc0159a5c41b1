//! What compose says of a failure, without what it repeats of the files: a slip in an env file makes it print the value, or
//! all of the file behind it, before anybody knows which of that is a secret.

use std::path::{Path, PathBuf};

use crate::site::{Project, Scrubber, Secret};

/// What compose puts before the text that it repeats, by its own words of 2.20 and later.
const REPEATS: [&str; 4] =
    ["unterminated quoted value", "in variable name", "Invalid template:", "unexpected character"];
/// The text itself follows in lines of its own.
const LINES_FOLLOW: &str = "invalid interpolation format for";
/// ... but for this one.
const HOW_TO: &str = "You may need to escape any $";

/// The lines without what they repeat.
pub(super) fn without_values(lines: &[String]) -> Vec<String> {
    let mut said = Vec::new();
    for line in lines {
        let repeats = REPEATS.iter().filter_map(|words| line.find(words).map(|at| at + words.len())).max();
        said.push(match repeats {
            Some(end) => format!("{} (not shown: it may be a secret)", &line[..end]),
            None => line.clone(),
        });
    }
    if let Some(at) = said.iter().position(|line| line.contains(LINES_FOLLOW)) {
        let kept = said.iter().skip(at + 1).take(1).filter(|line| line.starts_with(HOW_TO)).count();
        said.truncate(at + 1 + kept);
    }
    said
}

/// Takes out whatever stands as a value, or as a line that is none, in the project's env files.
pub(super) async fn scrubber(project: &Project) -> Scrubber {
    let scrubber = Scrubber::default();
    let files: Vec<PathBuf> =
        if project.env_files.is_empty() { vec![project.env_file()] } else { project.env_files.clone() };
    for path in files {
        let Ok(bytes) = tokio::fs::read(&path).await else { continue };
        learn(&scrubber, &String::from_utf8_lossy(&bytes), &project.dir);
    }
    scrubber
}

fn learn(scrubber: &Scrubber, text: &str, dir: &Path) {
    let dir = dir.to_string_lossy();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let value = line.split_once('=').map_or(line, |(_, value)| value).trim();
        let plain = value.trim_matches(['"', '\'']);
        // Where the site lies is told in every such sentence.
        for value in [value, plain].into_iter().filter(|value| !dir.contains(*value)) {
            scrubber.learn(&Secret::new(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_compose_repeats_of_a_file_is_not_passed_on() {
        for (said, told) in [
            (
                r#"failed to read /srv/s/.env: line 4: unterminated quoted value "sup3r secret"#,
                "failed to read /srv/s/.env: line 4: unterminated quoted value (not shown: it may be a secret)",
            ),
            (
                r#"failed to read /srv/s/.env: line 3: unexpected character "/" in variable name "MIIEsecret/x""#,
                r#"failed to read /srv/s/.env: line 3: unexpected character "/" in variable name (not shown: it may be a secret)"#,
            ),
            (
                r#"failed to read /srv/s/.env: Invalid template: "pa${ss""#,
                "failed to read /srv/s/.env: Invalid template: (not shown: it may be a secret)",
            ),
            (
                r#"service "job" depends on undefined service "db""#,
                r#"service "job" depends on undefined service "db""#,
            ),
        ] {
            assert_eq!(without_values(&[said.to_owned()]), [told]);
        }
        let lines = [
            "invalid interpolation format for services.web.environment.P2.",
            "You may need to escape any $ with another $.",
            "${se-cret",
        ];
        assert_eq!(without_values(&lines.map(str::to_owned)), lines[..2]);
    }

    #[test]
    fn whatever_stands_in_an_env_file_is_taken_out() {
        let scrubber = Scrubber::default();
        learn(&scrubber, "DIR=/srv/s\nA-B=hidden-1\nC=\"never closed\nMIIEpasted\n", Path::new("/srv/s"));
        let text = "/srv/s/.env: near \"A-B=hidden-1\\nC=never closed\\nMIIEpasted\"";
        assert_eq!(scrubber.scrub(text), "/srv/s/.env: near \"A-B=[secret]\\nC=[secret]\\n[secret]\"");
    }
}
