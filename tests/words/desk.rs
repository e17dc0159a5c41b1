//! An operator at a terminal of 80 columns without colour, on a simulated site.

use std::{
    ffi::OsString,
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use rustix::process::{Signal, getpid, kill_process};
use uplift::{
    Host, Start, World,
    cli::{Output, Stage},
    event::ExitClass,
};

pub(super) struct Desk {
    pub(super) world: World,
    /// The journal is a real one, on a real disk.
    state: tempfile::TempDir,
    answer: Option<&'static str>,
    width: usize,
    /// The signal to send to this process once the screen says this.
    signal: Option<(Signal, &'static str)>,
}

/// What one command showed.
pub(super) struct Seen {
    pub(super) exit: ExitClass,
    pub(super) out: String,
    pub(super) err: String,
}

impl Seen {
    /// All of it, as one page.
    pub(super) fn page(&self) -> String {
        let mut page = String::new();
        for (name, text) in [("standard output", &self.out), ("standard error", &self.err)] {
            if !text.is_empty() {
                page.extend(["---- ", name, "\n", text]);
            }
        }
        page.extend([format!("---- exit {}\n", self.exit.code())]);
        page
    }
}

impl Desk {
    pub(super) fn new() -> Self {
        // A folder whose name is as long everywhere, because lines break at it.
        let state = tempfile::Builder::new().prefix("s").rand_bytes(6).tempdir_in("/tmp").unwrap();
        Self { world: World::strata(), state, answer: None, width: 80, signal: None }
    }

    /// Somebody sits at the terminal and will answer so.
    pub(super) fn answering(self, answer: &'static str) -> Self {
        Self { answer: Some(answer), ..self }
    }

    pub(super) fn wide(self, width: usize) -> Self {
        Self { width, ..self }
    }

    /// Ctrl-C is pressed once the screen says this. A question is never answered.
    pub(super) fn interrupted_at(self, words: &'static str) -> Self {
        Self { signal: Some((Signal::INT, words)), answer: Some("never"), ..self }
    }

    /// The terminal is closed once the screen says this.
    pub(super) fn hung_up_at(self, words: &'static str) -> Self {
        Self { signal: Some((Signal::HUP, words)), ..self }
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.state.path().join(".uplift")
    }

    pub(super) async fn host(&self) -> Host {
        let start = Start { dir: Some("/srv/strata".into()), state: Some(self.folder()), project: None };
        Host::at(start).ports(self.world.ports()).catalogue(super::asking::catalogue()).open().await.unwrap()
    }

    /// Types a command, with words split at spaces; `_` in a word stands for a space.
    pub(super) async fn types(&self, line: &str) -> Seen {
        let out = Sheet::default();
        let err = Sheet { signal: Arc::new(Mutex::new(self.signal)), ..Sheet::default() };
        let (world, answer, folder) = (self.world.clone(), self.answer, self.folder());
        let stage = Stage {
            out: Output::new(out.clone()),
            err: Output::new(err.clone()),
            width: self.width,
            colour: false,
            redraw: false,
            // The simulated clock runs ahead of the real one.
            heartbeat: false,
            answer: answer.map(|answer| {
                Arc::new(move || Some(answered(answer))) as Arc<dyn Fn() -> Option<String> + Send + Sync>
            }),
            // As if the operator stood in the site's folder.
            host: Box::new(move |_| {
                let (dir, state) = (Some("/srv/strata".into()), Some(folder.clone()));
                Host::at(Start { dir, state, project: None })
                    .ports(world.ports())
                    .catalogue(super::asking::catalogue())
            }),
        };
        let words: Vec<OsString> = line.split(' ').map(|word| word.replace('_', " ").into()).collect();
        let exit = uplift::cli::run(words, stage).await;
        crate::reasons::stand_on_the_page(&out.text());
        Seen { exit, out: self.plain(&out.text()), err: self.plain(&err.text()) }
    }

    /// Without what differs from one test to the next.
    fn plain(&self, text: &str) -> String {
        let folder = self.folder().display().to_string();
        let mut text = text.replace(&folder, "/srv/s/.uplift");
        let by = uplift::who();
        if by.len() > 3 {
            text = text.replace(&by, "you@here");
        }
        // The hour of a first run, and of one that comes ten minutes later.
        for hour in ["0315", "0324", "0325"] {
            for joint in ['-', '_'] {
                text = drawn(&text, hour, joint);
            }
        }
        text
    }
}

/// The name of a run ends with four digits that are drawn; in names of databases it stands with low lines.
fn drawn(text: &str, hour: &str, joint: char) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(&format!("{joint}{hour}")) {
        let end = (at + 12).min(rest.len());
        let id = &rest[at..end];
        plain.push_str(&rest[..at]);
        let is_id = id.chars().nth(7) == Some(joint);
        let masked = format!("{joint}{hour}00{joint}7f3a");
        plain.push_str(if is_id { &masked } else { id });
        rest = &rest[end..];
    }
    plain + rest
}

fn answered(answer: &str) -> String {
    if answer == "never" {
        std::thread::sleep(std::time::Duration::from_secs(2));
    }
    answer.to_owned()
}

#[derive(Clone, Default)]
struct Sheet {
    bytes: Arc<Mutex<Vec<u8>>>,
    signal: Arc<Mutex<Option<(Signal, &'static str)>>>,
}

impl Sheet {
    fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.lock().unwrap().extend_from_slice(bytes);
        let mut signal = self.signal.lock().unwrap();
        if let Some((signal, words)) = *signal
            && self.text().contains(words)
        {
            kill_process(getpid(), signal).unwrap();
        } else {
            return Ok(bytes.len());
        }
        *signal = None;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
