//! What our children see, and where we refuse to go.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _, path::Path};

use uplift::ports::docker::Select;

use super::{Fixture as _, Real};
use crate::contract::code;

#[tokio::test(flavor = "multi_thread")]
async fn children_see_only_what_they_need() {
    let real = Real::start().await;
    a_shell_s_variables_do_not_leak_into_compose(&real).await;
    compose_that_is_missing_or_old_is_said(&real).await;
    an_engine_elsewhere_is_not_spoken_to(&real).await;
}

async fn a_shell_s_variables_do_not_leak_into_compose(real: &Real) {
    let environment = real.environment.clone().with("STRATA_VERSION", "9.9.9").with("COMPOSE_FILE", "/none");
    let compose = real.ports_in(environment).compose;
    let config = compose.config(&real.site().project, &BTreeMap::new()).await.unwrap();
    assert!(config.services["web"].image.as_ref().unwrap().ends_with(":1.0.0"), "{config:?}");
    assert!(!format!("{config:?}").contains("canary"), "values are secrets");
}

fn program(folder: &Path, name: &str, script: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

async fn compose_that_is_missing_or_old_is_said(real: &Real) {
    let folder = real.scratch().join("bin");
    let environment = real.environment.clone().with("PATH", folder.to_str().unwrap());
    program(&folder, "docker", "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1");
    let missing = real.ports_in(environment.clone()).compose.version().await.unwrap_err();
    assert_eq!(missing.code, "compose_missing");
    assert!(missing.hint.unwrap().contains("docker-compose-plugin"));
    program(&folder, "docker-compose", "echo 'docker-compose version 1.29.2, build unknown'");
    assert_eq!(code(real.ports_in(environment).compose.version().await), "compose_v1");
}

async fn an_engine_elsewhere_is_not_spoken_to(real: &Real) {
    let far = real.ports_in(real.environment.clone().with("DOCKER_HOST", "ssh://nobody@localhost"));
    assert!(!far.docker.engine().await.unwrap().local);
    assert_eq!(code(far.docker.containers(&Select::All).await), "engine_remote");
    let gone = real.ports_in(real.environment.clone().with("DOCKER_HOST", "unix:///none/docker.sock"));
    assert_eq!(code(gone.docker.engine().await), "engine_unreachable");
    let here = real.ports().docker.engine().await.unwrap();
    assert!(here.local && !here.rootless && here.kind == "Docker Engine", "{here:?}");
}
