use std::time::Duration;

use uplift::ports::{
    clock::since,
    docker::{Start, Stop},
    http::{Answer, Probe},
};

use super::{Fixture, container};

pub(super) async fn nobody_listening_is_no_answer(fixture: &dyn Fixture) {
    let url = "http://127.0.0.1:1/up".to_owned();
    let probe = Probe { url, headers: Vec::new(), timeout: Duration::from_secs(1) };
    let failure = fixture.ports().http.probe(&probe).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retryable), ("no_answer", true));
}

/// Asks until there is an answer, for two minutes at most.
async fn answer(fixture: &dyn Fixture) -> Answer {
    let ports = fixture.ports();
    let start = ports.clock.now();
    loop {
        let probe = Probe::up(&fixture.site(), &container(fixture, "web").await).unwrap();
        match ports.http.probe(&probe).await {
            Ok(answer) => return answer,
            Err(failure) if since(&*ports.clock, start) > Duration::from_mins(2) => panic!("{failure}"),
            Err(_) => ports.clock.sleep(Duration::from_millis(500)).await,
        }
    }
}

pub(super) async fn a_booted_web_answers(fixture: &dyn Fixture) {
    assert_eq!(answer(fixture).await, Answer { status: 200, location: None });
}

pub(super) async fn a_stopped_web_does_not_answer(fixture: &dyn Fixture) {
    let ports = fixture.ports();
    answer(fixture).await;
    let web = container(fixture, "web").await;
    let probe = Probe::up(&fixture.site(), &web).unwrap();
    let service = "web".to_owned();
    ports.docker.stop(&Stop { id: web.id.clone(), service: service.clone(), timeout: None }).await.unwrap();
    assert_eq!(ports.http.probe(&probe).await.unwrap_err().code, "no_answer");
    ports.docker.start(&Start { id: web.id, service, image: web.image }).await.unwrap();
    assert_eq!(answer(fixture).await.status, 200);
}

pub(super) async fn sleeping_moves_the_clock(fixture: &dyn Fixture) {
    let clock = fixture.ports().clock;
    let start = clock.now();
    clock.sleep(Duration::from_millis(20)).await;
    assert!(since(&*clock, start) >= Duration::from_millis(20));
}

pub(super) async fn nothing_is_taken_for_granted(fixture: &dyn Fixture) {
    let clock = fixture.ports().clock;
    assert!(!clock.takes_for_granted("that an import ends"), "only a rehearsal takes it so");
}
