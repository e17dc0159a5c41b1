//! The files of the site's folder, as an operator keeps them.

use super::PASSWORD;
use crate::sim::{compose::Model, state::hex};

/// The model as an operator would read it.
pub(super) fn compose_file(model: &Model) -> String {
    let mut lines = vec!["services:".to_owned()];
    for (name, service) in &model.services {
        lines.push(format!("  {name}:\n    image: {}\n    env_file: .env", service.image));
        if !service.command.is_empty() {
            lines.push(format!("    command: {:?}", service.command));
        }
        lines.push("    environment:".to_owned());
        lines.extend(service.environment.iter().map(|(key, value)| format!("      {key}: {value:?}")));
        lines.extend(service.port.iter().map(|(port, target)| format!("    ports: [\"{port}:{target}\"]")));
        if service.has_healthcheck {
            let test = r#"["CMD", "curl", "-f", "http://127.0.0.1:80/up"]"#;
            lines.push(format!("    healthcheck:\n      test: {test}"));
        }
        lines.extend(service.depends_on.iter().map(|other| format!("    depends_on: [{other}]")));
        lines.push("    restart: unless-stopped".to_owned());
        let volumes = model.volumes.iter().map(|(volume, target)| format!("{volume}:{target}"));
        lines.push(format!("    volumes: {:?}", volumes.collect::<Vec<_>>()));
    }
    lines.push("volumes:".to_owned());
    lines.extend(model.volumes.keys().map(|volume| format!("  {volume}:")));
    lines.join("\n") + "\n"
}

/// Settings as an operator keeps them, with comments, quotes and secrets.
pub(super) fn env(db_host: &str) -> String {
    let secret = |name: &str| hex(name)[..32].to_owned();
    format!(
        "# Strata, see the vendor's guide\n\
         STRATA_VERSION=1.0.0\n\
         PORT=3000\n\
         APP_HOST=strata.example\n\
         APP_PROTOCOL=https\n\
         ASSUME_SSL=true\n\
         FORCE_SSL=true\n\
         \n\
         # database\n\
         DB_HOST={db_host}\n\
         DB_PORT=5432\n\
         DB_USERNAME=strata\n\
         DB_PASSWORD='{}'\n\
         \n\
         STRATA_SECRET_KEY_BASE={}{}\n\
         STRATA_ENCRYPTION_PRIMARY_KEY={}\n\
         STRATA_ENCRYPTION_DETERMINISTIC_KEY={}\n\
         STRATA_ENCRYPTION_KEY_DERIVATION_SALT={}\n\
         LICENSE_KEY=eyJhbGciOiJub25lIn0.{}\n\
         STORAGE_BACKEND=local\n",
        PASSWORD,
        hex("secret key base"),
        hex("secret key base, second half"),
        secret("primary key"),
        secret("deterministic key"),
        secret("salt"),
        secret("licence"),
    )
}
