use std::{collections::BTreeMap, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::report::Bars;

const TICK: Duration = Duration::from_millis(200);

/// Lines at the foot of the terminal, drawn again as calls go on.
pub(super) struct Terminal {
    all: MultiProgress,
    lines: BTreeMap<String, ProgressBar>,
}

impl Terminal {
    pub(super) fn new() -> Self {
        Self { all: MultiProgress::new(), lines: BTreeMap::new() }
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
            line.enable_steady_tick(TICK);
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
        // Not `suspend`, which panics where the terminal has been closed. So nothing draws meanwhile.
        for line in self.lines.values() {
            line.disable_steady_tick();
        }
        let _closed = self.all.clear();
        print();
        for line in self.lines.values() {
            line.enable_steady_tick(TICK);
        }
    }
}
