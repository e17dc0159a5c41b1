use std::path::Path;

use serde_json::json;

use super::{runbook::host, session::Session, trouble::Trouble};
use crate::{
    event::ExitClass,
    host::{Described, Field},
    report::Paper,
};

/// `uplift runbook docs`.
pub(super) async fn docs(
    session: &Session,
    name: Option<&str>,
    definitions: Option<&Path>,
) -> Result<ExitClass, Trouble> {
    if let Some(folder) = definitions {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        for path in host(session).define(&folder).await? {
            if session.json() {
                session.lines().json(&json!({ "written": path }));
            } else if !session.common.quiet {
                session.paper().line(&format!("wrote `{}`", path.display()));
            }
        }
        return Ok(ExitClass::Done);
    }
    let found = host(session).reference(name)?;
    if session.json() {
        let mut lines = session.lines();
        for one in &found {
            lines.json(one);
        }
    } else if let (Some(_), [one]) = (name, &found[..]) {
        told(&mut session.sheet(), one);
    } else {
        session.lines().text(&host(session).reference_page());
    }
    Ok(ExitClass::Done)
}

fn told(sheet: &mut Paper, one: &Described) {
    for (at, paragraph) in one.what.iter().enumerate() {
        if at > 0 {
            sheet.blank();
        }
        sheet.paragraph(0, paragraph);
    }
    sheet.blank();
    sheet.line(&format!("  {}", one.example));
    if one.options.is_empty() {
        sheet.blank();
        sheet.paragraph(0, "It takes no options.");
    } else {
        fields(sheet, "options", &one.options);
    }
    fields(sheet, "it gives", &one.gives);
    if let Some(undo) = &one.undo {
        sheet.blank();
        sheet.paragraph(0, "undo");
        sheet.paragraph(2, undo);
    }
    if !one.fails.is_empty() {
        sheet.blank();
        sheet.paragraph(0, "fails with, of its own");
        sheet.paragraph(2, &one.fails.join(", "));
    }
}

fn fields(sheet: &mut Paper, heading: &str, fields: &[Field]) {
    sheet.blank();
    sheet.paragraph(0, heading);
    for field in fields {
        let initial = match &field.initial {
            Some(initial) => format!("; `{initial}` if left out"),
            None if field.needed && heading == "options" => "; needed".to_owned(),
            None => String::new(),
        };
        sheet.paragraph(2, &format!("{}: {}{initial}", field.name, field.kind));
        if !field.what.is_empty() {
            sheet.paragraph(6, &field.what);
        }
    }
}
