use clap_complete::{Shell, generate};
use serde_json::json;

use super::{flags, session::Session, trouble::Trouble};
use crate::event::ExitClass;

/// `uplift completions`.
pub(super) async fn completions(session: &Session, shell: Shell) -> Result<ExitClass, Trouble> {
    let mut command = flags::whole(&session.stage).await?;
    let mut script = Vec::new();
    generate(shell, &mut command, "uplift", &mut script);
    let script = String::from_utf8_lossy(&script);
    if session.json() {
        session.lines().json(&json!({ "shell": shell.to_string(), "text": script }));
    } else {
        session.lines().text(&script);
    }
    Ok(ExitClass::Done)
}
