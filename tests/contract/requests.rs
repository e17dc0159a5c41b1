//! Services elsewhere that runbooks ask. The real client asks one on this host, so it is tried with the fast tests too.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use uplift::{
    ports::{
        notices::PostNotice,
        requests::{ANSWERED, Address, Host, SendRequest},
        secrets::Lent,
    },
    sim::{Answers, World},
    site::{Grants, Occasion, Reference, Secret},
};

use super::{Fixture, code, here::Here};

/// A service and what it has heard.
pub(crate) struct Service {
    url: String,
    heard: Box<dyn Fn() -> Vec<Heard> + Send + Sync>,
}

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Default)]
struct Heard {
    /// e.g. `POST /drain`.
    what: String,
    has_token: bool,
    body: String,
}

/// In the world, as if it listened somewhere.
pub(super) fn simulated(world: &World, answers: &[Answers]) -> Service {
    let url = "http://lb.internal:8080".to_owned();
    let whole = |path: &String| if path.starts_with('/') { format!("{url}{path}") } else { path.clone() };
    let answers = answers.iter().map(|one| Answers { url: whole(&one.url), ..one.clone() });
    world.put_answers(&answers.collect::<Vec<_>>());
    let (world, base) = (world.clone(), url.clone());
    let heard = move || {
        let one = |asked: uplift::sim::Asked| Heard {
            what: asked.what.replace(&base, ""),
            has_token: asked.bearer.is_some(),
            body: asked.body.unwrap_or_default(),
        };
        world.asked().into_iter().map(one).collect()
    };
    Service { url, heard: Box::new(heard) }
}

/// On this host.
pub(super) fn listening(answers: &[Answers]) -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (answers, notes) = (answers.to_vec(), Arc::clone(&heard));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (answers, notes) = (answers.clone(), Arc::clone(&notes));
            thread::spawn(move || serve(stream, &answers, &notes));
        }
    });
    Service { url, heard: Box::new(move || heard.lock().unwrap().clone()) }
}

fn serve(mut stream: TcpStream, answers: &[Answers], notes: &Mutex<Vec<Heard>>) {
    let Some(heard) = read(&mut stream) else { return };
    let (method, path) = heard.what.split_once(' ').unwrap();
    let fits = |one: &&Answers| {
        path.starts_with(&one.url) && one.method.as_ref().is_none_or(|known| known == method)
    };
    let answer = answers.iter().find(fits).cloned();
    notes.lock().unwrap().push(heard.clone());
    let Some(answer) = answer else { return };
    thread::sleep(answer.takes.map_or(Duration::ZERO, |span| span.0));
    let location = answer.location.map(|to| format!("Location: {to}\r\n")).unwrap_or_default();
    let length = answer.body.len();
    let top = format!(
        "HTTP/1.1 {} Is\r\n{location}Content-Length: {length}\r\nConnection: close\r\n\r\n",
        answer.status
    );
    let _gone = stream.write_all([top, answer.body].concat().as_bytes());
}

/// One request, to the end of what it says it brings.
fn read(stream: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                let mut words = head.split(' ');
                let what = format!("{} {}", words.next()?, words.next()?);
                let has_token = head.contains("Bearer canary-9Q");
                return Some(Heard { what, has_token, body: body.to_owned() });
            }
        }
        match stream.read(&mut piece).ok()? {
            0 => return None,
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
}

fn request(service: &Service, method: &str, path: &str) -> SendRequest {
    let host = Host::of(&service.url).unwrap();
    SendRequest {
        method: method.to_owned(),
        address: Address::Plain(format!("{}{path}", service.url)),
        headers: BTreeMap::new(),
        lent: BTreeMap::new(),
        bearer: Some(Lent { from: Reference::Variable("TOKEN".to_owned()), value: Secret::new("canary-9Q") }),
        body: None,
        timeout: Duration::from_secs(1),
        grants: Grants { http: vec![host.as_granted()], ..Grants::default() },
    }
}

pub(super) async fn an_answer_is_an_answer(fixture: &dyn Fixture) {
    let teapot = Answers { status: 418, body: "short and stout".to_owned(), ..Answers::to("POST", "/pot") };
    let service = fixture.service(&[teapot, Answers::to("GET", "/pot")]);
    let requests = fixture.ports().requests;
    let post = SendRequest { body: Some("{\"a\":1}".to_owned()), ..request(&service, "POST", "/pot") };
    let reply = requests.send(&post).await.unwrap();
    assert_eq!((reply.status, reply.body.as_str(), reply.cut), (418, "short and stout", false));
    let heard = (service.heard)();
    let expected = Heard { what: "POST /pot".to_owned(), has_token: true, body: "{\"a\":1}".to_owned() };
    assert_eq!(heard.last(), Some(&expected));
    let asked = requests.ask(&request(&service, "GET", "/pot")).await.unwrap();
    assert_eq!(asked.map(|reply| reply.status), Some(200));
}

pub(super) async fn nobody_there_is_known(fixture: &dyn Fixture) {
    // A port that nobody has.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let service = Service { url: format!("http://{free}"), heard: Box::new(Vec::new) };
    for method in ["GET", "POST"] {
        let failure = fixture.ports().requests.send(&request(&service, method, "/x")).await.unwrap_err();
        let known = (failure.code.as_str(), failure.unknown, failure.retryable);
        assert_eq!(known, ("http_unreachable", false, true), "{failure:?}");
    }
}

pub(super) async fn silence_after_a_change_leaves_a_doubt(fixture: &dyn Fixture) {
    let silent = Answers { method: None, takes: "5s".parse().ok(), ..Answers::to("", "/silent") };
    let service = fixture.service(&[silent]);
    for (method, unknown) in [("POST", true), ("PUT", true), ("GET", false)] {
        let failure = fixture.ports().requests.send(&request(&service, method, "/silent")).await.unwrap_err();
        let known = (failure.code.as_str(), failure.unknown, failure.retryable);
        assert_eq!(known, ("http_no_answer", unknown, !unknown), "{failure:?}");
        assert!(failure.message.contains("nothing within 1s"), "{failure}");
    }
}

pub(super) async fn a_redirect_leads_to_what_is_granted_alone(fixture: &dyn Fixture) {
    let leads = |to: &str, from: &str| Answers {
        method: None,
        status: 302,
        location: Some(to.to_owned()),
        ..Answers::to("", from)
    };
    let there = Answers { body: "there".to_owned(), ..Answers::to("GET", "/there") };
    let away = "http://not-granted.example/x";
    let service =
        fixture.service(&[leads("/there", "/here"), leads(away, "/away"), leads("/round", "/round"), there]);
    let requests = fixture.ports().requests;
    let reply = requests.send(&request(&service, "GET", "/here")).await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (200, "there"));
    let reply = requests.send(&request(&service, "GET", "/away")).await.unwrap();
    assert_eq!((reply.status, reply.location.as_deref()), (302, Some(away)));
    let reply = requests.send(&request(&service, "POST", "/here")).await.unwrap();
    assert_eq!(reply.status, 302, "what changes something is not sent on");
    assert_eq!(code(requests.send(&request(&service, "GET", "/round")).await), "http_no_answer");
}

pub(super) async fn a_chat_takes_a_line_for_people(fixture: &dyn Fixture) {
    let gone = Answers { status: 404, body: "\nno_team\n".to_owned(), ..Answers::to("POST", "/gone") };
    let service = fixture.service(&[Answers::to("POST", "/hook"), gone]);
    let notices = fixture.ports().notices;
    let post = |path: &str| {
        let (from, value) = (Reference::Variable("HOOK".to_owned()), format!("{}{path}", service.url));
        PostNotice {
            to: Address::Hidden(Lent { from, value: Secret::new(value) }),
            event: Occasion::Message,
            text: "done: `a` \"b\" \\".to_owned(),
            timeout: Duration::from_secs(2),
        }
    };
    notices.post(&post("/hook")).await.unwrap();
    let heard = (service.heard)().pop().unwrap();
    assert_eq!(heard.body, "{\"text\":\"done: `a` \\\"b\\\" \\\\\"}");
    let failure = notices.post(&post("/gone")).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.evidence), ("webhook_refused", vec!["no_team".to_owned()]));
    assert_eq!(failure.message, "the chat in env:HOOK answered with 404");
}

#[tokio::test]
async fn services_are_asked_from_this_host_as_from_the_world() {
    let here = Here::new();
    an_answer_is_an_answer(&here).await;
    nobody_there_is_known(&here).await;
    silence_after_a_change_leaves_a_doubt(&here).await;
    a_redirect_leads_to_what_is_granted_alone(&here).await;
    a_host_that_is_not_granted_is_never_asked(&here).await;
    a_chat_takes_a_line_for_people(&here).await;
}

pub(super) async fn a_host_that_is_not_granted_is_never_asked(fixture: &dyn Fixture) {
    let service = fixture.service(&[Answers::to("GET", "/closed")]);
    let none = SendRequest { grants: Grants::default(), ..request(&service, "GET", "/closed") };
    assert_eq!(code(fixture.ports().requests.send(&none).await), "http_bad_request");
    assert!((service.heard)().iter().all(|one| one.what != "GET /closed"));
}

#[tokio::test]
async fn another_host_behind_a_redirect_is_not_given_the_token() {
    let here = Here::new();
    let other = listening(&[Answers::to("GET", "/")]);
    let leads =
        Answers { status: 302, location: Some(format!("{}/x", other.url)), ..Answers::to("GET", "/") };
    let service = listening(&[leads]);
    let host = |service: &Service| Host::of(&service.url).unwrap().as_granted();
    let grants = Grants { http: vec![host(&service), host(&other)], ..Grants::default() };
    let both = SendRequest { grants, ..request(&service, "GET", "/") };
    assert_eq!(here.ports().requests.send(&both).await.unwrap().status, 200);
    assert!((service.heard)()[0].has_token && !(other.heard)()[0].has_token);
}

#[tokio::test]
async fn a_long_answer_is_cut() {
    let here = Here::new();
    let service = listening(&[Answers { body: "x".repeat(300_000), ..Answers::to("GET", "/") }]);
    let reply = here.ports().requests.send(&request(&service, "GET", "/")).await.unwrap();
    assert_eq!((reply.body.len(), reply.cut), (ANSWERED, true));
}

/// An address that is a secret is in no message, whatever goes wrong.
#[tokio::test]
async fn a_hidden_address_stays_hidden() {
    let here = Here::new();
    let silent = Answers { takes: "5s".parse().ok(), ..Answers::to("POST", "/canary") };
    let service = listening(&[silent]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in
        [format!("{}/canary", service.url), format!("http://{free}/canary"), "http://canary\u{0}/".to_owned()]
    {
        let hidden = Lent { from: Reference::Variable("HOOK".to_owned()), value: Secret::new(url) };
        let plain = request(&service, "POST", "/");
        let mut grants = plain.grants.clone();
        grants.http.push(free.to_string());
        let request = SendRequest { address: Address::Hidden(hidden), grants, ..plain };
        let failure = here.ports().requests.send(&request).await.unwrap_err();
        let all = format!("{failure:?} {request:?} {:?}", request.change());
        assert!(!all.contains("canary") && all.contains("env:HOOK"), "{all}");
    }
}
