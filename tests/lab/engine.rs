use std::{
    fs,
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    thread,
};

use super::{Result, free_port};

/// The machine's engine behind a socket of its own, which says something else about itself where it is asked what it is.
/// All else is passed on.
#[derive(Debug)]
pub struct Disguise {
    socket: PathBuf,
}

/// What is written into an answer about the engine, in the place of what.
pub type Edit = (&'static str, &'static str);

const ENGINE: &str = "/var/run/docker.sock";

impl Disguise {
    /// Listens for as long as the process lives.
    pub fn start(edits: &'static [Edit]) -> Result<Self> {
        let socket = std::env::temp_dir().join(format!("uplab-{}-{}.sock", std::process::id(), free_port()?));
        let listener =
            UnixListener::bind(&socket).map_err(|error| format!("`{}`: {error}", socket.display()))?;
        thread::spawn(move || {
            for client in listener.incoming().filter_map(std::result::Result::ok) {
                thread::spawn(move || serve(client, edits));
            }
        });
        Ok(Self { socket })
    }

    /// For `DOCKER_HOST`.
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

impl Drop for Disguise {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.socket);
    }
}

/// One request, then the connection ends: so that each is seen.
fn serve(mut client: UnixStream, edits: &[Edit]) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let text = String::from_utf8_lossy(&head).replacen("\r\n", "\r\nConnection: close\r\n", 1);
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut engine = UnixStream::connect(Path::new(ENGINE)).ok()?;
    engine.write_all(text.as_bytes()).ok()?;
    if path.ends_with("/info") || path.ends_with("/version") {
        let mut answer = String::new();
        engine.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let body = unchunked(body, answer.contains("chunked"));
        let body = edits.iter().fold(body, |text, (from, to)| text.replace(from, to));
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
        return client.write_all(format!("{head}\r\nConnection: close\r\n\r\n{body}").as_bytes()).ok();
    }
    let (mut from, mut to) = (client.try_clone().ok()?, engine.try_clone().ok()?);
    thread::spawn(move || {
        let _sent = std::io::copy(&mut from, &mut to);
        let _closed = to.shutdown(Shutdown::Write);
    });
    std::io::copy(&mut engine, &mut client).ok()?;
    client.shutdown(Shutdown::Both).ok()
}

fn unchunked(body: &str, chunked: bool) -> String {
    if !chunked {
        return body.to_owned();
    }
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(part) = after.get(..size).filter(|part| !part.is_empty()) else { break };
        whole.push_str(part);
        rest = after[size..].trim_start_matches("\r\n");
    }
    whole
}
