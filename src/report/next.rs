use super::{ending::Page, paper::LABEL, paper::Paper};

/// What to type next: a few words each, and the command as it can be copied.
pub(super) struct Next {
    lines: Vec<(String, String)>,
}

impl Next {
    pub(super) fn new() -> Self {
        Self { lines: Vec::new() }
    }

    #[must_use]
    pub(super) fn then(mut self, why: &str, command: impl Into<String>) -> Self {
        self.lines.push((why.to_owned(), command.into()));
        self
    }

    pub(super) fn print(&self, paper: &mut Paper) {
        for (at, (why, command)) in self.lines.iter().enumerate() {
            paper.labelled(if at == 0 { "next" } else { "" }, &format!("{why}:"));
            paper.line(&format!("{:LABEL$}  {command}", ""));
        }
    }
}

impl Page<'_> {
    pub(super) fn name(&self) -> String {
        self.site.map_or_else(|| "the site".to_owned(), |name| format!("`{name}`"))
    }

    /// `uplift VERB RUN`, as it has to be typed where this was typed.
    pub(super) fn command(&self, verb: &str) -> String {
        format!("{} {verb} {}", self.typed, self.run.id)
    }

    pub(super) fn resume(&self) -> String {
        self.command("resume")
    }

    pub(super) fn rollback(&self) -> String {
        self.command("rollback")
    }

    pub(super) fn see_status(&self) -> String {
        format!("{} status", self.typed)
    }

    pub(super) fn see_ways_back(&self) -> String {
        format!("{} rollback --list", self.typed)
    }
}
