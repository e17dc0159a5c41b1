use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{Result, Stack};

/// A client that places orders through web's published port, 50 a second whenever web answers, and remembers every
/// one that web acknowledged. It knows nothing of the database: it is the judge of "nothing lost".
#[derive(Debug)]
pub struct Writer {
    stop: Arc<AtomicBool>,
    work: JoinHandle<Ledger>,
}

/// What the client was told.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    /// Keys of the orders that web said it had.
    pub acknowledged: Vec<String>,
    /// Attempts that were answered otherwise or not at all.
    pub refused: usize,
    /// The longest time without an acknowledgement.
    pub longest_gap: Duration,
}

/// Each client has keys of its own: an order that is there already would be refused.
static CLIENTS: AtomicU32 = AtomicU32::new(1);
const PAUSE: Duration = Duration::from_millis(20);

impl Writer {
    pub fn start(stack: &Stack) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (address, stopped) = (stack.address(), Arc::clone(&stop));
        let client = CLIENTS.fetch_add(1, Ordering::Relaxed);
        let work = thread::spawn(move || {
            let mut ledger = Ledger::default();
            let mut last = Instant::now();
            let mut number = 0_u64;
            while !stopped.load(Ordering::Relaxed) {
                let turn = Instant::now();
                let key = format!("order-{client}-{number}");
                number += 1;
                if order(&address, &key, number.is_multiple_of(10)).is_ok_and(|status| status == 201) {
                    ledger.acknowledged.push(key);
                    ledger.longest_gap = ledger.longest_gap.max(last.elapsed());
                    last = Instant::now();
                } else {
                    ledger.refused += 1;
                }
                thread::sleep(PAUSE.saturating_sub(turn.elapsed()));
            }
            ledger.longest_gap = ledger.longest_gap.max(last.elapsed());
            ledger
        });
        Self { stop, work }
    }

    pub fn stop(self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        self.work.join().unwrap_or_default()
    }
}

impl Ledger {
    /// Acknowledged orders that the primary database does not have.
    pub fn missing(&self, stack: &Stack) -> Result<Vec<String>> {
        self.absent_from(stack, "SELECT key FROM orders")
    }

    /// Acknowledged orders whose job has not been done.
    pub fn undone(&self, stack: &Stack) -> Result<Vec<String>> {
        self.absent_from(stack, "SELECT key FROM orders WHERE processed_at IS NOT NULL")
    }

    fn absent_from(&self, stack: &Stack, query: &str) -> Result<Vec<String>> {
        let kept = stack.psql("strata_production", query)?;
        let kept: BTreeSet<_> = kept.lines().collect();
        Ok(self.acknowledged.iter().filter(|key| !kept.contains(key.as_str())).cloned().collect())
    }
}

fn order(address: &str, key: &str, with_file: bool) -> std::io::Result<u16> {
    let file = if with_file { format!(",\"file\":\"content of {key}\"") } else { String::new() };
    let body = format!("{{\"key\":\"{key}\"{file}}}");
    request(
        address,
        &format!(
            "POST /orders HTTP/1.1\r\nHost: strata.example\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    )
}

/// The status of a `GET`.
pub fn get(address: &str, path: &str) -> std::io::Result<u16> {
    request(address, &format!("GET {path} HTTP/1.1\r\nHost: strata.example\r\nConnection: close\r\n\r\n"))
}

fn request(address: &str, text: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    stream.write_all(text.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest)?;
    status.ok_or_else(|| std::io::Error::other("no status line"))
}
