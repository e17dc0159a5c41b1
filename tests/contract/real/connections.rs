//! Sessions with the database server: who else is there, what a connection must prove, which password opens it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use uplift::{
    clients,
    event::Teller,
    ports::postgres::{Dump, There, Way},
    site::{
        Endpoint, Secret,
        SslMode::{self, Allow, Disable, Prefer, Require, VerifyCa, VerifyFull},
    },
};

use super::{Fixture as _, Real, dumps::request};
use crate::contract::code;

pub(super) async fn sessions_are_shown_without_values(real: &Real) {
    let databases = real.site().databases;
    let all = vec![databases.primary().to_owned()];
    let project = real.stack.postgres().to_owned();
    let run = "/usr/lib/postgresql/15/bin/psql -U strata -h /var/run/postgresql -d strata_production -c";
    let docker = real.stack.tools().docker().args("exec -d").arg(project).args(run);
    docker.arg("SELECT pg_sleep(20), 'a secret value'").output().unwrap();
    let postgres = real.ports().postgres;
    for _ in 0..100 {
        let found = postgres.sessions(&databases.endpoint, &all).await.unwrap();
        assert!(found.iter().all(|one| one.application != "uplift"));
        if let Some(one) = found.iter().find(|one| one.query.contains("pg_sleep")) {
            assert_eq!((one.query.as_str(), one.user.as_str()), ("SELECT pg_sleep(?), ?", "strata"));
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the session never showed");
}

pub(super) async fn every_sslmode_does_what_libpq_does(real: &Real) {
    let databases = real.site().databases;
    let tried = async |mode: SslMode, roots: Option<&Path>| {
        let mut environment = real.environment.clone();
        if let Some(roots) = roots {
            environment = environment.with("PGSSLROOTCERT", roots.to_str().unwrap());
        }
        let mut endpoint = databases.endpoint.clone();
        endpoint.ssl = mode;
        match real.ports_in(environment).postgres.server(&endpoint, databases.primary()).await {
            Ok(_) => "well".to_owned(),
            Err(failure) => failure.code,
        }
    };
    let well = |mode| matches!(mode, Disable | Allow | Prefer);
    for mode in [Disable, Allow, Prefer, Require, VerifyCa, VerifyFull] {
        assert_eq!(
            tried(mode, None).await,
            if well(mode) { "well" } else { "tls_refused" },
            "{mode:?} without TLS"
        );
    }
    let right = with_tls(real, &databases.endpoint.host);
    for mode in [Disable, Allow, Prefer, Require] {
        assert_eq!(tried(mode, None).await, "well", "{mode:?}");
    }
    for mode in [VerifyCa, VerifyFull] {
        assert_eq!(tried(mode, None).await, "tls_refused", "{mode:?} by an unknown authority");
        assert_eq!(tried(mode, Some(&right)).await, "well", "{mode:?}");
    }
    // `pg_dump` goes the same way.
    let mut encrypted = request(real, "encrypted").await;
    encrypted.endpoint.ssl = VerifyFull;
    let environment = real.environment.clone().with("PGSSLROOTCERT", right.to_str().unwrap());
    real.ports_in(environment).postgres.dump(&encrypted, &Teller::silent()).await.unwrap();
    let right = with_tls(real, "another.example");
    assert_eq!(tried(VerifyCa, Some(&right)).await, "well");
    assert_eq!(tried(VerifyFull, Some(&right)).await, "tls_refused", "made out for another");
    by_its_name_at_an_address(real, "another.example", &right).await;
}

/// A server that the containers know by a name: it must prove that name, wherever this host finds it, and by the
/// certificates that the settings name.
async fn by_its_name_at_an_address(real: &Real, name: &str, right: &Path) {
    let databases = real.site().databases;
    let there = There::of(&databases.endpoint);
    let endpoint =
        Endpoint { host: name.to_owned(), port: 6000, ssl: VerifyFull, ..databases.endpoint.clone() };
    let way = |roots: Option<String>| Way {
        host: name.to_owned(),
        port: 6000,
        there: Ok(there.clone()),
        words: "tested".to_owned(),
        roots,
    };
    let ports = real.ports_in(real.environment.clone());
    ports.postgres.go_by(&way(None));
    assert_eq!(code(ports.postgres.server(&endpoint, databases.primary()).await), "tls_refused");
    ports.postgres.go_by(&way(Some(fs::read_to_string(right).unwrap())));
    ports.postgres.server(&endpoint, databases.primary()).await.unwrap();
    let encrypted = request(real, "by_name").await;
    ports.postgres.dump(&Dump { endpoint: endpoint.clone(), ..encrypted }, &Teller::silent()).await.unwrap();
    let nowhere = Way { there: Err("it does not run".to_owned()), ..way(None) };
    ports.postgres.go_by(&nowhere);
    let failure = ports.postgres.server(&endpoint, databases.primary()).await.unwrap_err();
    assert_eq!(
        (failure.code.as_str(), failure.evidence),
        ("database_unreachable", vec!["it does not run".to_owned()])
    );
}

/// Has the server speak TLS with a certificate for `name`; gives the authority's certificate.
fn with_tls(real: &Real, name: &str) -> PathBuf {
    let kind = if name.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
    let script = format!(
        "set -e; cd /var/lib/postgresql; \
         openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt \
         -addext basicConstraints=critical,CA:TRUE; \
         openssl req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out server.csr; \
         printf 'subjectAltName={kind}:{name}' > ext; \
         openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.crt; \
         chown postgres server.key server.crt; chmod 600 server.key"
    );
    let pg = real.stack.postgres();
    let exec = || real.stack.tools().docker().arg("exec").arg(pg);
    exec().arg("bash").arg("-c").arg(script).output().unwrap();
    for (setting, value) in [
        ("ssl_cert_file", "/var/lib/postgresql/server.crt"),
        ("ssl_key_file", "/var/lib/postgresql/server.key"),
        ("ssl", "on"),
    ] {
        real.stack.psql("postgres", &format!("ALTER SYSTEM SET {setting} = '{value}'")).unwrap();
    }
    real.stack.psql("postgres", "SELECT pg_reload_conf()").unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let text = exec().arg("cat").arg("/var/lib/postgresql/ca.crt").output().unwrap();
    let path = real.scratch().join(format!("{name}.crt"));
    fs::write(&path, text).unwrap();
    path
}

pub(super) async fn any_password_works(real: &Real) {
    const UGLY: &str = "it's \"a\" $HOME #1: back\\slash ü";
    let quoted = UGLY.replace('\'', "''");
    real.stack.psql("postgres", &format!("ALTER ROLE strata PASSWORD '{quoted}'")).unwrap();
    let (ports, hands) = clients::real_in(real.environment.clone()).unwrap();
    hands.set_password(Secret::new(UGLY));
    let databases = real.site().databases;
    ports.postgres.server(&databases.endpoint, databases.primary()).await.unwrap();
    ports.postgres.dump(&request(real, "ugly").await, &Teller::silent()).await.unwrap();
    let old = real.ports().postgres.server(&databases.endpoint, databases.primary()).await;
    assert_eq!(code(old), "password_refused");
}
