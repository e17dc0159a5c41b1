use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::Result;

/// Passes connections on to a registry, and can make it as slow as a bad line: what an image is made of is then
/// asked for in vain, while tags and digests are still answered.
#[derive(Debug)]
pub(super) struct Proxy {
    held: Arc<AtomicBool>,
}

impl Proxy {
    /// Listens for as long as the process lives.
    pub(super) fn start(port: u16, behind: u16) -> Result<Self> {
        let listener =
            TcpListener::bind(("127.0.0.1", port)).map_err(|error| format!("port {port}: {error}"))?;
        let held = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&held);
        thread::spawn(move || {
            for client in listener.incoming().filter_map(std::result::Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", behind)) else { continue };
                let (Ok(back), Ok(answers)) = (client.try_clone(), server.try_clone()) else { continue };
                let flag = Arc::clone(&flag);
                thread::spawn(move || pass(client, server, |bytes| wait_for(&flag, bytes)));
                thread::spawn(move || pass(answers, back, |_| {}));
            }
        });
        Ok(Self { held })
    }

    pub(super) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, before: impl Fn(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        before(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _closed = to.shutdown(Shutdown::Both);
}

fn wait_for(held: &AtomicBool, bytes: &[u8]) {
    while held.load(Ordering::Relaxed) && bytes.windows(7).any(|part| part == b"/blobs/") {
        thread::sleep(Duration::from_millis(20));
    }
}
