//! Registries that refuse, tags that move, layers that take away.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
};

use uplift::{
    event::Teller,
    ports::docker::{Docker, Pull},
};

use super::{Fixture as _, Real};
use crate::contract::{code, reference};

#[tokio::test(flavor = "multi_thread")]
async fn images_are_what_was_looked_up() {
    let real = Real::start().await;
    a_moved_tag_is_not_pulled(&real).await;
    files_that_a_layer_takes_away_are_gone(&real).await;
    a_registry_that_refuses_is_told_from_one_that_is_gone(real).await;
}

async fn a_moved_tag_is_not_pulled(real: &Real) {
    let docker = real.ports().docker;
    let name = reference(&real.site(), "1.1.0");
    let digest = docker.remote_digest(&name).await.unwrap();
    let looked_up = Pull { reference: name.clone(), digest };
    let image = docker.pull(&looked_up, &Teller::silent()).await.unwrap();
    assert_eq!(image.digest_in(&real.site().web.repository), Some(looked_up.digest.as_str()));
    real.registry.push_as("1.1.1", "1.1.0").unwrap();
    let failure = docker.pull(&looked_up, &Teller::silent()).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retryable), ("tag_moved", false), "{failure:?}");
    assert_eq!(docker.image(&name).await.unwrap().unwrap().id, image.id, "the local name did not move");
}

async fn files_that_a_layer_takes_away_are_gone(real: &Real) {
    let name = format!("{}:layers", real.site().web.repository);
    let folder = real.stack.dir().join("image");
    std::fs::create_dir_all(&folder).unwrap();
    let base = reference(&real.site(), "1.0.0");
    let file = format!(
        "FROM {base}\nUSER root\nRUN mkdir -p /x/y && touch /x/y/1 /x/y/2 && mkdir /x/y/deeper && touch /x/y/deeper/3\n\
         RUN rm /x/y/1 && touch /x/y/4 && ln -s 4 /x/y/5\nRUN mkdir -p /z && touch /z/gone && rm -rf /x/y/deeper\n\
         RUN rm -rf /z && mkdir /z && touch /z/new\n"
    );
    std::fs::write(folder.join("Dockerfile"), file).unwrap();
    let build = real.stack.tools().docker().env("DOCKER_BUILDKIT", "0").args("build -q -t").arg(&name);
    build.arg(folder.display().to_string()).output().unwrap();
    let docker = real.ports().docker;
    let id = docker.image(&name).await.unwrap().unwrap().id;
    assert_eq!(docker.image_files(&id, "/x/y").await.unwrap(), ["2", "4", "5"]);
    assert_eq!(docker.image_files(&id, "/z/").await.unwrap(), ["new"]);
    assert!(docker.image_files(&id, "/none").await.unwrap().is_empty());
    real.docker(&format!("image rm {name}"));
}

async fn a_registry_that_refuses_is_told_from_one_that_is_gone(real: Real) {
    let docker = real.ports().docker;
    let (port, name) = refusing();
    let failure = docker.remote_digest(&name).await.unwrap_err();
    assert_eq!(failure.code, "registry_denied", "{failure:?}");
    assert!(failure.hint.unwrap().contains(&format!("docker login localhost:{port}")));
    let name = reference(&real.site(), "1.0.0");
    assert_eq!(code(docker.remote_digest(&reference(&real.site(), "no-such")).await), "tag_not_found");
    let Real { registry, stack, .. } = real;
    drop(registry);
    gone(&*docker, &name).await;
    drop(stack);
}

async fn gone(docker: &dyn Docker, name: &str) {
    let failure = docker.remote_digest(name).await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.retryable), ("registry_unreachable", true), "{failure:?}");
}

/// A registry that lets nobody in, until the test ends.
fn refusing() -> (u16, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _asked = stream.read(&mut [0; 4096]);
            let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
            let _answered = write!(
                stream,
                "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
                 Docker-Distribution-Api-Version: registry/2.0\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (port, format!("localhost:{port}/strata/server:1"))
}
