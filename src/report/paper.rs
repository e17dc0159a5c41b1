use std::io::Write;

use super::words::wrapped;
use crate::{event::is_turning, site::Scrubber};

/// What stands at the beginning of a line, so that it is understood without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Ok,
    /// It goes on.
    Going,
    /// Done by an earlier part of the run.
    Before,
    Back,
    Note,
    Warn,
    Fail,
    /// It would change something.
    Change,
    /// Nobody knows.
    Unknown,
    None,
}

impl Mark {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Going => "...",
            Self::Before => "done",
            Self::Back => "back",
            Self::Note => "note",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
            Self::Change => "*",
            Self::Unknown => "?",
            Self::None => "",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Ok | Self::Back => "32",
            Self::Change => "1",
            Self::Warn | Self::Unknown => "1;33",
            Self::Fail => "1;31",
            Self::Going | Self::Before | Self::Note | Self::None => "2",
        }
    }
}

/// Lines for people: as wide as the terminal, without any secret, and silent about an output that is gone. A closed
/// terminal must not end a run.
pub struct Paper {
    out: Box<dyn Write + Send>,
    width: usize,
    colour: bool,
    scrubber: Scrubber,
    typed: String,
}

const NARROWEST: usize = 60;
const WIDEST: usize = 200;
/// Where the text of a marked line begins.
const MARGIN: usize = 8;
/// Where the text of a labelled line begins.
pub(super) const LABEL: usize = 12;

impl Paper {
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, width: usize, colour: bool) -> Self {
        let width = width.clamp(NARROWEST, WIDEST);
        Self { out, width, colour, scrubber: Scrubber::default(), typed: "uplift".to_owned() }
    }

    /// From now on the secrets that `scrubber` knows are taken out.
    pub fn hide(&mut self, scrubber: &Scrubber) {
        self.scrubber = scrubber.clone();
    }

    /// From now on commands that a text quotes name the site as this does, e.g. `uplift -C /srv/strata`.
    pub fn name_site(&mut self, typed: &str) {
        typed.clone_into(&mut self.typed);
    }

    fn said(&self, text: &str) -> String {
        clean(&self.scrubber.scrub(&retyped(text, &self.typed)))
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// One line as it is: commands and logs, which somebody may want to copy.
    pub fn line(&mut self, text: &str) {
        let text = self.said(text);
        // An output that is gone is nobody's business here.
        let _gone = writeln!(self.out, "{}", text.trim_end()).and_then(|()| self.out.flush());
    }

    pub fn blank(&mut self) {
        self.line("");
    }

    /// Text without an end of line, before an answer is typed.
    pub fn ask(&mut self, text: &str) {
        let text = self.said(text);
        let _gone = write!(self.out, "{text} ").and_then(|()| self.out.flush());
    }

    pub(super) fn heading(&mut self, text: &str) {
        // One that begins anew would look like a line of ours.
        let text = self.said(&text.replace('\n', " "));
        for line in wrapped(&text, self.width) {
            let line = self.painted(&line, "1");
            self.raw(&line);
        }
    }

    pub fn paragraph(&mut self, indent: usize, text: &str) {
        let text = self.said(text);
        for line in wrapped(&text, self.width - indent) {
            self.raw(&format!("{:indent$}{line}", ""));
        }
    }

    /// `  ok    text                      12 s`
    pub(super) fn marked(&mut self, mark: Mark, text: &str, time: Option<&str>) {
        let text = self.said(text);
        let time = time.unwrap_or("");
        let room = self.width - MARGIN - if time.is_empty() { 0 } else { time.len().max(8) + 2 };
        for (at, line) in wrapped(&text, room).iter().enumerate() {
            if at > 0 {
                self.raw(&format!("{:MARGIN$}{line}", ""));
                continue;
            }
            let word = self.painted(&format!("{:<6}", mark.word()), mark.colour());
            let gap = (self.width - MARGIN).saturating_sub(line.chars().count() + time.len()).max(1);
            let time = if time.is_empty() {
                String::new()
            } else {
                format!("{:gap$}{}", "", self.painted(time, "2"))
            };
            self.raw(&format!("  {word}{line}{time}"));
        }
    }

    /// `label       text`, with the text's further lines below its first.
    pub(super) fn labelled(&mut self, label: &str, text: &str) {
        let text = self.said(text);
        let label = self.painted(&format!("{label:<LABEL$}"), "1");
        for (at, line) in wrapped(&text, self.width - LABEL).iter().enumerate() {
            match at {
                0 => self.raw(&format!("{label}{line}")),
                _ => self.raw(&format!("{:LABEL$}{line}", "")),
            }
        }
    }

    /// Lines as they are, under a label; a line that comes again and again stands once.
    pub(super) fn quoted(&mut self, label: &str, lines: &[String]) {
        let lines: Vec<_> = lines.iter().flat_map(|lines| lines.lines()).collect();
        for (at, same) in lines.chunk_by(PartialEq::eq).enumerate() {
            let text = clean(&self.scrubber.scrub(same[0]));
            let text = match same.len() {
                1 => text,
                n => format!("{text} ({n} times)"),
            };
            let label = match at {
                0 => self.painted(&format!("{label:<LABEL$}"), "1"),
                _ => " ".repeat(LABEL),
            };
            self.raw(&format!("{label}{text}"));
        }
    }

    fn painted(&self, text: &str, colour: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn raw(&mut self, line: &str) {
        let _gone = writeln!(self.out, "{}", line.trim_end()).and_then(|()| self.out.flush());
    }
}

/// A log's lines may hold anything; on a terminal, its control characters would act.
fn clean(text: &str) -> String {
    let acts = |letter: char| is_turning(letter) || letter.is_control() && !matches!(letter, '\n' | '\t');
    text.chars().filter(|letter| !acts(*letter)).collect()
}

/// Whoever writes a hint far below does not know how the site is named here: taken word for word the command would be
/// about another one.
fn retyped(text: &str, typed: &str) -> String {
    let Some(which) = typed.strip_prefix("uplift").filter(|which| !which.is_empty()) else {
        return text.to_owned();
    };
    let (mut said, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("`uplift ") {
        let (before, command) = rest.split_at(at);
        let end = command[1..].find('`').map_or(command.len(), |end| end + 2);
        let (command, after) = command.split_at(end);
        let named = ["-C ", "--site", "--project", "--state", "--simulate"];
        said += before;
        // The name of a lock's holder begins like a command too, and goes on with that of a run.
        let is_command = command["`uplift ".len()..].starts_with(|first: char| first.is_ascii_lowercase());
        if !is_command || named.iter().any(|flag| command.contains(&format!(" {flag}"))) {
            said += command;
        } else {
            said.extend(["`uplift", which, &command["`uplift".len()..]]);
        }
        rest = after;
    }
    said + rest
}
