use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::Result;

/// Passes connections on to a registry, and can keep a pull from ending while tags are still looked up. An engine
/// that looks up a tag asks for what the tag means, and then for that; one that pulls asks for it straight away.
#[derive(Debug)]
pub(super) struct Proxy {
    held: Arc<Held>,
}

#[derive(Debug, Default)]
struct Held {
    on: AtomicBool,
    looked_up: AtomicUsize,
    asked: AtomicUsize,
}

impl Proxy {
    /// Listens for as long as the process lives.
    pub(super) fn start(port: u16, behind: u16) -> Result<Self> {
        let listener =
            TcpListener::bind(("127.0.0.1", port)).map_err(|error| format!("port {port}: {error}"))?;
        let held = Arc::new(Held::default());
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
        self.held.looked_up.store(0, Ordering::SeqCst);
        self.held.asked.store(0, Ordering::SeqCst);
        self.held.on.store(held, Ordering::SeqCst);
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

fn wait_for(held: &Held, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some((request, _)) = text.split_once(" HTTP/1.1\r\n") else { return };
    if request.starts_with("HEAD ") && request.contains("/manifests/") {
        held.looked_up.fetch_add(1, Ordering::SeqCst);
    }
    if request.starts_with("GET ") && request.contains("/manifests/sha256:") {
        let asked = held.asked.fetch_add(1, Ordering::SeqCst) + 1;
        while held.on.load(Ordering::SeqCst) && asked > held.looked_up.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20));
        }
    }
}
