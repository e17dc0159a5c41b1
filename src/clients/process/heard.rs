//! A program whose every line is heard as it comes.

use std::{collections::VecDeque, io, process::ExitStatus, process::Stdio, time::Duration};

use command_fds::CommandFdExt as _;
use tokio::{
    io::{AsyncRead, AsyncWriteExt as _, BufReader},
    sync::mpsc::{UnboundedSender, unbounded_channel},
};

use super::{Group, LAST_WORDS, Program, lines};

/// The end of what a program wrote, from its two outputs.
pub(in crate::clients) struct Said {
    pub(in crate::clients) stdout: String,
    pub(in crate::clients) stderr: String,
}

/// The last lines of one output, as many as fit.
struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
    most: usize,
}

impl Tail {
    fn of(most: usize) -> Self {
        Self { lines: VecDeque::new(), bytes: 0, most }
    }

    fn push(&mut self, line: String) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line);
        while self.bytes > self.most
            && let Some(first) = self.lines.pop_front()
        {
            self.bytes -= first.len() + 1;
        }
    }

    fn text(self) -> String {
        self.lines.into_iter().map(|line| line + "\n").collect()
    }
}

impl Program {
    /// Runs it to its own end, and gives each line of its outputs to `hear`; of each output the last `most` bytes are kept.
    /// No status if it was still at work after `limit` and was ended with all that it had started. What it leaves behind in
    /// good order goes on, and is not waited for.
    pub(in crate::clients) async fn heard(
        mut self,
        limit: Duration,
        most: usize,
        hear: impl Fn(&str) + Send + Sync,
    ) -> io::Result<(Option<ExitStatus>, Said)> {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.preserved_fds(std::mem::take(&mut self.inherited));
        let mut child = self.command.spawn()?;
        let mut group = Group::of(&child);
        let input = self.input.take().unwrap_or_default();
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async move {
            if let Some(mut stdin) = stdin {
                // One that does not care for its input may have ended already.
                let _closed = stdin.write_all(&input).await;
            }
        };
        let (to, mut lines) = unbounded_channel();
        let reads = async move {
            tokio::join!(read(stdout, &to, false), read(stderr, &to, true));
        };
        let (mut out, mut err) = (Tail::of(most), Tail::of(most));
        let hears = async {
            while let Some((is_error, line)) = lines.recv().await {
                hear(&line);
                if is_error { err.push(line) } else { out.push(line) }
            }
        };
        let status = {
            let talk = async {
                tokio::join!(feed, reads, hears);
            };
            tokio::pin!(talk);
            let mut silent = false;
            let ends = async {
                tokio::select! {
                    status = child.wait() => status,
                    () = &mut talk => {
                        silent = true;
                        child.wait().await
                    }
                }
            };
            let status = tokio::time::timeout(limit, ends).await.ok().transpose()?;
            if status.is_some() {
                // Its number may now be another's.
                group.0 = None;
            }
            if status.is_some() && !silent {
                // Whoever goes on in the background may hold its outputs open for ever.
                let _silent = tokio::time::timeout(LAST_WORDS, &mut talk).await;
            }
            status
        };
        Ok((status, Said { stdout: out.text(), stderr: err.text() }))
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, to: &UnboundedSender<(bool, String)>, is_error: bool) {
    let Some(pipe) = pipe else { return };
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while lines::next(&mut reader, &mut line).await.is_ok_and(|more| more) {
        let _nobody_hears = to.send((is_error, lines::text(&line)));
    }
}
