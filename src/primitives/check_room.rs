use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Read, Size};
use crate::{backups, event::Failure, ports::Observe};

/// Check that there is room for the backup and for the new image.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckRoom {
    /// Room that must be free where Docker keeps its images. Initially `2GiB`.
    #[serde(default)]
    pub docker: Option<Size>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Outcome {
    /// Room that the backup may need.
    pub backup_needs: Size,
    /// Room that the image may need.
    pub image_needs: Size,
}

const IMAGE: Size = Size(2 << 30);

impl Read for CheckRoom {
    const NAME: &'static str = "check_room";
    type Outcome = Outcome;

    fn example() -> Self {
        Self { docker: None }
    }

    fn summary(&self) -> String {
        "look at the room on the disks".to_owned()
    }

    fn result(outcome: &Outcome) -> String {
        format!("room enough for a backup (up to {}) and the image", outcome.backup_needs)
    }

    async fn look(&self, site: Observe<'_>) -> Result<Outcome, Failure> {
        let backup = Size(backups::needed(&backups::to_dump(site).await?));
        let folder = backups::folder(site.site);
        let backups = site.files.space(&folder).await?;
        let root = site.docker.engine().await?.root;
        let docker = site.files.space(std::path::Path::new(&root)).await?;
        let image = self.docker.unwrap_or(IMAGE);
        let folder = folder.display().to_string();
        if backups.device == docker.device {
            let both = Size(backup.0 + image.0);
            enough(&format!("`{folder}` and `{root}` (one disk)"), both, backups.free)?;
        } else {
            enough(&format!("`{folder}`"), backup, backups.free)?;
            enough(&format!("`{root}`"), image, docker.free)?;
        }
        Ok(Outcome { backup_needs: backup, image_needs: image })
    }
}

fn enough(place: &str, needed: Size, free: u64) -> Result<(), Failure> {
    if free >= needed.0 {
        return Ok(());
    }
    let text = format!("{place} needs {needed} free and has {}", Size(free));
    Err(Failure::new("no_room", text).hint(format!("make {} more room there", Size(needed.0 - free))))
}
