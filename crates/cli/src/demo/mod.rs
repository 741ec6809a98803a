//! `conclave demo`: a real server and several people, told as a story in which every sentence is a
//! check.

mod people;
mod report;
mod scenes;
mod server;
mod story;

use std::{fs, path::PathBuf};

use anyhow::Context as _;

use self::{people::People, server::ServerProcess, story::Story};
use crate::args::{self, Demo};

pub(crate) async fn run(demo: Demo) -> anyhow::Result<()> {
    let folder = Folder::choose(demo.keep)?;
    let mut story = Story::to(std::io::stdout());
    let moderators: &[&str] = match demo.story {
        args::Story::Chat => &[],
        args::Story::Report => &["carol", "dave"],
    };
    let server = ServerProcess::start(&folder.path().join("server"), moderators).await?;
    story.tell(&format!(
        "A delivery service listens on {}. It will see who writes to whom, and no word of it.",
        server.url()
    ))?;
    let homes = folder.path().join("people");
    match demo.story {
        args::Story::Chat => {
            let people = People::register(&homes, server.url(), demo.members).await?;
            scenes::play(&mut story, people, server).await?;
        }
        args::Story::Report => {
            let people = People::named(&homes, server.url(), &report::NAMES).await?;
            let case_file = folder.path().join("case.json");
            report::play(&mut story, &people, server, &case_file).await?;
        }
    }
    if let Folder::Kept(path) = &folder {
        story.tell(&format!("Everything is kept in {}.", path.display()))?;
    }
    story.end()
}

/// Where the server's and everybody's data lies.
enum Folder {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Folder {
    fn choose(keep: Option<PathBuf>) -> anyhow::Result<Self> {
        let Some(path) = keep else {
            return Ok(Self::Temporary(
                tempfile::tempdir().context("no temporary folder")?,
            ));
        };
        fs::create_dir_all(&path).with_context(|| format!("can't make {}", path.display()))?;
        if fs::read_dir(&path)?.next().is_some() {
            anyhow::bail!("{} is not empty; name a new folder", path.display());
        }
        Ok(Self::Kept(path))
    }

    fn path(&self) -> &std::path::Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }
}
