use std::{fmt, time::Duration};

/// What was measured, in the order in which each first was.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    what: String,
    seconds: Vec<f64>,
    /// What it is compared with, and the most that the ratio may be.
    against: Option<(String, String)>,
}

impl Figures {
    pub(crate) fn add(&mut self, what: &str, took: Duration) {
        self.put(what, None, took);
    }

    pub(crate) fn against(&mut self, other: &str, most: &str, what: &str, took: Duration) {
        self.put(what, Some((other.to_owned(), most.to_owned())), took);
    }

    fn put(&mut self, what: &str, against: Option<(String, String)>, took: Duration) {
        println!("{:8.1} s  {what}", took.as_secs_f64());
        match self.lines.iter_mut().find(|line| line.what == what) {
            Some(line) => line.seconds.push(took.as_secs_f64()),
            None => {
                self.lines.push(Line { what: what.to_owned(), seconds: vec![took.as_secs_f64()], against });
            }
        }
    }

    fn median(&self, what: &str) -> Option<f64> {
        let line = self.lines.iter().find(|line| line.what == what)?;
        let mut seconds = line.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        seconds.get(seconds.len() / 2).copied()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "medians of {} rounds",
            self.lines.iter().map(|line| line.seconds.len()).max().unwrap_or(0)
        )?;
        for line in &self.lines {
            let median = self.median(&line.what).unwrap_or_default();
            write!(f, "{median:8.1} s  {}", line.what)?;
            if let Some((other, most)) = &line.against
                && let Some(other) = self.median(other)
            {
                write!(f, ": {:.2} of that by hand, aim at most {most}", median / other)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
