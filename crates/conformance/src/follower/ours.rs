use std::num::NonZeroUsize;

use anyhow::bail;
use conclave_mls_public::{
    PublicGroup,
    wire::{AuthenticatedContent, Content, MlsMessage, decode},
};

use super::Follower;

struct Ours(PublicGroup);

pub(super) fn observe(info: &[u8], tree: &[u8]) -> anyhow::Result<Box<dyn Follower>> {
    let MlsMessage::GroupInfo(info) = decode(info)? else {
        bail!("no GroupInfo")
    };
    let group = PublicGroup::from_group_info(&info, Some(decode(tree)?), NonZeroUsize::MIN)?;
    Ok(Box::new(Ours(group)))
}

impl Ours {
    fn open(&self, message: &[u8]) -> anyhow::Result<AuthenticatedContent> {
        match decode(message)? {
            MlsMessage::PublicMessage(message) => Ok(self.0.open(message)?),
            _ => bail!("no PublicMessage"),
        }
    }
}

impl Follower for Ours {
    fn check(&mut self, message: &[u8]) -> anyhow::Result<()> {
        let content = self.open(message)?;
        match &content.content.content {
            Content::Commit(_) => drop(self.0.stage(&content)?),
            _ => drop(self.0.clone().receive(&content)?),
        }
        Ok(())
    }

    fn follow(&mut self, message: &[u8]) -> anyhow::Result<()> {
        let content = self.open(message)?;
        match &content.content.content {
            Content::Commit(_) => drop(self.0.stage(&content)?.accept()),
            _ => drop(self.0.receive(&content)?),
        }
        Ok(())
    }

    fn tree_hash(&self) -> Vec<u8> {
        self.0.context().tree_hash.as_slice().to_vec()
    }

    fn transcript_hash(&self) -> Vec<u8> {
        let context = self.0.context();
        context.confirmed_transcript_hash.as_slice().to_vec()
    }
}
