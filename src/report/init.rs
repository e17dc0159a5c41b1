use super::{paper::Paper, status};
use crate::survey::{Noted, Status};

/// What `init` has found.
pub struct Introduced<'a> {
    pub status: &'a Status,
    pub noted: &'a Noted,
    /// Who may start or replace containers by himself.
    pub restarters: &'a [String],
    /// The file was written; else it would be, or says all of it.
    pub written: bool,
    pub typed: &'a str,
}

pub fn introduced(paper: &mut Paper, found: &Introduced<'_>) {
    let (project, noted) = (&found.noted.project, found.noted);
    status::of_site(paper, found.status);
    let paths = |all: &[std::path::PathBuf]| {
        all.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
    };
    paper.labelled("made from", &paths(&project.files));
    if !project.env_files.is_empty() {
        paper.labelled("env files", &paths(&project.env_files));
    }
    if !project.profiles.is_empty() {
        paper.labelled("profiles", &project.profiles.join(", "));
    }
    if noted.guessed {
        paper.labelled(
            "GUESSED",
            "no container tells how the project is called and from which files it is made: this is what compose would take",
        );
    }
    for one in found.restarters {
        paper.labelled("WATCH OUT", &format!("`{one}` may start or replace containers by itself"));
    }
    paper.blank();
    let path = noted.path.display();
    match (&noted.text, found.written) {
        (None, _) => paper.paragraph(0, &format!("`{path}` says all of this already: nothing was written")),
        (Some(text), written) => {
            let verb = match (written, noted.there) {
                (true, true) => "added to",
                (true, false) => "wrote",
                (false, true) => "would add to",
                (false, false) => "would write",
            };
            paper.paragraph(0, &format!("{verb} `{path}`:"));
            text.lines().for_each(|line| paper.line(&format!("  {line}")));
        }
    }
    paper.blank();
    let typed = found.typed;
    paper.labelled("next", "make a backup, and see what an upgrade would do:");
    paper.line(&format!("              {typed} backup create"));
    paper.line(&format!("              {typed} upgrade --to TAG --dry-run"));
}
