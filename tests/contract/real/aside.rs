//! A container beside the site's own: what nobody may find.

use std::{collections::BTreeMap, time::Duration};

use uplift::ports::{
    compose::RunAside,
    docker::{RemoveContainer, Stop},
    http::Probe,
};

use super::{Fixture as _, Real};

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_aside_is_found_by_nobody() {
    let real = Real::start().await;
    let (ports, site) = (real.ports(), real.site());
    let file = real.stack.dir().join("docker-compose.yml");
    let text = std::fs::read_to_string(&file).unwrap();
    let labelled = text.replacen(
        "    env_file: .env",
        "    env_file: .env\n    labels:\n      traefik.enable: \"true\"",
        1,
    );
    assert_ne!(text, labelled);
    std::fs::write(&file, labelled).unwrap();
    real.stack.set("HANDLE_JOBS_IN_WEB_SERVER", "true").unwrap();
    let before = ports
        .docker
        .containers(&uplift::ports::docker::Select::Project(site.project.name.clone()))
        .await
        .unwrap();
    real.docker(&format!("pull -q {}:1.1.0", site.web.repository));
    let request = RunAside {
        project: site.project.clone(),
        service: "web".to_owned(),
        name: format!("{}-trial", site.project.name),
        overrides: BTreeMap::from([("STRATA_VERSION".to_owned(), "1.1.0".to_owned())]),
    };
    let id = ports.compose.run_aside(&request).await.unwrap();
    assert_eq!(ports.compose.run_aside(&request).await.unwrap(), id, "there is one, not two");
    let shown = ports.docker.container(&id).await.unwrap().unwrap();
    assert!(shown.is_running(), "{shown:?}");
    assert_eq!(shown.restart_policy, "no");
    assert!(shown.ports.is_empty(), "{:?}", shown.ports);
    assert!(!shown.labels.contains_key("traefik.enable"), "{:?}", shown.labels);
    assert!(shown.image.ends_with(":1.1.0"), "{}", shown.image);
    assert!(shown.mounts.iter().any(|mount| mount.target == "/rails/storage"), "{:?}", shown.mounts);
    let environment = real.docker(&format!("inspect -f {{{{.Config.Env}}}} {id}"));
    assert!(environment.contains("HANDLE_JOBS_IN_WEB_SERVER=false"), "a job would run once more afterwards");
    let aliases = real.docker(&format!(
        "inspect -f {{{{range.NetworkSettings.Networks}}}}{{{{.Aliases}}}}{{{{end}}}} {id}"
    ));
    assert!(!aliases.contains("web"), "{aliases}");
    let now = ports
        .docker
        .containers(&uplift::ports::docker::Select::Project(site.project.name.clone()))
        .await
        .unwrap();
    assert_eq!(now.len(), before.len(), "it is none of the project's own");
    let mut answered = false;
    for _ in 0..80 {
        let shown = ports.docker.container(&id).await.unwrap().unwrap();
        let probe = Probe::up(&site, &shown).expect("it has an address");
        answered = ports.http.probe(&probe).await.is_ok_and(|answer| answer.status == 200);
        if answered {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(answered, "it can be asked by its own address");
    ports.docker.stop(&Stop { id: id.clone(), service: "web".to_owned(), timeout: None }).await.unwrap();
    ports.docker.remove(&RemoveContainer { id: id.clone(), service: "web".to_owned() }).await.unwrap();
    assert!(ports.docker.container(&id).await.unwrap().is_none());
}
