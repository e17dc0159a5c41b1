use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write as _},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::stage::Output;
use crate::report::Bars;

/// Lines at the foot of the terminal, drawn again as calls go on.
pub(super) struct Terminal {
    all: MultiProgress,
    lines: BTreeMap<String, ProgressBar>,
}

/// How often a line is drawn again, in a second.
const RATE: u8 = 10;

impl Terminal {
    pub(super) fn new(out: Output, width: usize) -> Self {
        let screen = Screen { out, width: u16::try_from(width).unwrap_or(u16::MAX) };
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(screen), RATE);
        Self { all: MultiProgress::with_draw_target(target), lines: BTreeMap::new() }
    }
}

impl Bars for Terminal {
    fn draw(&mut self, address: &str, text: &str) {
        let all = &self.all;
        let line = self.lines.entry(address.to_owned()).or_insert_with(|| {
            let line = all.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("  {spinner} {elapsed:>4}  {wide_msg}") {
                line.set_style(style.tick_chars("|/-\\ "));
            }
            line.enable_steady_tick(Duration::from_millis(200));
            line
        });
        line.set_message(text.to_owned());
    }

    fn remove(&mut self, address: &str) {
        if let Some(line) = self.lines.remove(address) {
            line.finish_and_clear();
            self.all.remove(&line);
        }
    }

    fn aside(&mut self, print: &mut dyn FnMut()) {
        self.all.suspend(print);
    }
}

/// A terminal that may be closed at any moment. Drawing panics on a terminal that fails, so this one never does: a
/// run does not end because nobody looks at it any more.
struct Screen {
    out: Output,
    width: u16,
}

impl Screen {
    fn put(&self, text: fmt::Arguments<'_>) {
        let mut out = self.out.clone();
        let _gone = out.write_fmt(text);
    }

    fn moved(&self, n: usize, direction: char) {
        if n > 0 {
            self.put(format_args!("\x1b[{n}{direction}"));
        }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        rustix::termios::tcgetwinsize(io::stderr())
            .map_or(self.width, |size| if size.ws_col == 0 { self.width } else { size.ws_col })
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'A');
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'B');
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'C');
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'D');
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.put(format_args!("{text}\n"));
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.put(format_args!("{text}"));
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.put(format_args!("\r\x1b[2K"));
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut out = self.out.clone();
        let _gone = out.flush();
        Ok(())
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen").field("width", &self.width).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed;

    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_terminal_that_is_gone_is_nobodys_business() {
        let mut bars = Terminal::new(Output::new(Closed), 80);
        let mut printed = 0;
        for n in 0..30 {
            bars.draw("a", &format!("{n}"));
            bars.aside(&mut || printed += 1);
        }
        bars.remove("a");
        assert_eq!(printed, 30);
    }
}
