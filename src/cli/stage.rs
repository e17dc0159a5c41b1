use std::{
    io::{self, IsTerminal as _, Write},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    host::{Host, HostBuilder, Simulated, Start},
    report::{Lines, Paper},
};

/// What a command stands in: where its words go, who answers its questions, and which world it works on.
pub struct Stage {
    /// For data: plans, status, history, JSON.
    pub out: Output,
    /// For progress, questions and errors.
    pub err: Output,
    pub width: usize,
    pub colour: bool,
    /// Lines may be drawn again.
    pub redraw: bool,
    /// What has long been silent says once in a while that it goes on.
    pub heartbeat: bool,
    /// Waits for one line of an answer; `None`: nobody is there to ask.
    pub answer: Option<Arc<dyn Fn() -> Option<String> + Send + Sync>>,
    pub host: Box<dyn Fn(Start) -> HostBuilder + Send + Sync>,
}

/// An output that several writers share.
#[derive(Clone)]
pub struct Output(Arc<Mutex<Shared>>);

struct Shared {
    out: Box<dyn Write + Send>,
    /// The first that went wrong, but for a reader who has gone.
    lost: Option<String>,
}

impl Output {
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Shared { out: Box::new(out), lost: None })))
    }

    /// Why what was written is not all there, if that is so.
    pub(super) fn lost(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lost.clone()
    }

    fn tried<T>(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let done = write(&mut shared.out);
        if let Err(error) = &done
            && !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::Interrupted)
        {
            shared.lost.get_or_insert_with(|| error.to_string().to_lowercase());
        }
        done
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tried(|out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tried(|out| out.flush())
    }
}

/// Without a terminal, and where a terminal does not say.
const WIDTH: usize = 80;

/// Whoever writes into a file or a pager says by `COLUMNS` how wide that is.
fn said_width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok());
    said.filter(|width| *width > 0).unwrap_or(WIDTH)
}

impl Stage {
    /// The terminal and the world of this process.
    #[must_use]
    pub fn real() -> Self {
        let terminal = io::stderr().is_terminal();
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let width = rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |size| usize::from(size.ws_col));
        let somebody = terminal && io::stdin().is_terminal();
        Self {
            out: Output::new(io::stdout()),
            err: Output::new(io::stderr()),
            width: if width == 0 { said_width() } else { width },
            colour: terminal && !dumb && !plain,
            redraw: terminal && !dumb,
            heartbeat: true,
            answer: if somebody { Some(Arc::new(typed)) } else { None },
            host: Box::new(Host::at),
        }
    }

    /// The same, but the site is a simulated one. Its clock runs ahead of the real one.
    #[must_use]
    pub fn on(self, site: Simulated) -> Self {
        Self { heartbeat: false, host: Box::new(move |_| site.host()), ..self }
    }

    /// For people who watch.
    #[must_use]
    pub fn paper(&self) -> Paper {
        Paper::new(Box::new(self.err.clone()), self.width, self.colour)
    }

    /// For people who asked for data.
    #[must_use]
    pub fn sheet(&self) -> Paper {
        let colour = self.colour && io::stdout().is_terminal();
        Paper::new(Box::new(self.out.clone()), self.width, colour)
    }

    /// For programs.
    #[must_use]
    pub fn lines(&self) -> Lines {
        Lines::new(Box::new(self.out.clone()))
    }
}

fn typed() -> Option<String> {
    let mut line = String::new();
    match io::stdin().read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line.trim().to_owned()),
    }
}
