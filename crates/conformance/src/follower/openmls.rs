use anyhow::bail;
use conclave_crypto::AwsLcCrypto;
use openmls::{
    group::{ProposalStore, PublicGroup},
    prelude::{
        MlsMessageBodyIn, MlsMessageIn, ProcessedMessageContent, RatchetTreeIn,
        tls_codec::DeserializeBytes as _,
    },
};
use openmls_memory_storage::MemoryStorage;

use super::Follower;

struct OpenMls {
    group: PublicGroup,
    storage: MemoryStorage,
}

pub(super) fn observe(info: &[u8], tree: &[u8]) -> anyhow::Result<Box<dyn Follower>> {
    let info = MlsMessageIn::tls_deserialize_exact_bytes(info)?;
    let MlsMessageBodyIn::GroupInfo(info) = info.extract() else {
        bail!("no GroupInfo")
    };
    let tree = RatchetTreeIn::tls_deserialize_exact_bytes(tree)?;
    let (storage, proposals) = (MemoryStorage::default(), ProposalStore::new());
    let (group, _) = PublicGroup::from_external(&AwsLcCrypto, &storage, tree, info, proposals)?;
    Ok(Box::new(OpenMls { group, storage }))
}

impl OpenMls {
    fn process(&self, message: &[u8]) -> anyhow::Result<ProcessedMessageContent> {
        let message = MlsMessageIn::tls_deserialize_exact_bytes(message)?;
        let message = message.try_into_protocol_message()?;
        let processed = self.group.process_message(&AwsLcCrypto, message)?;
        Ok(processed.into_content())
    }
}

impl Follower for OpenMls {
    fn check(&mut self, message: &[u8]) -> anyhow::Result<()> {
        self.process(message).map(drop)
    }

    fn follow(&mut self, message: &[u8]) -> anyhow::Result<()> {
        match self.process(message)? {
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                self.group.merge_commit(&self.storage, *staged)?;
            }
            ProcessedMessageContent::ProposalMessage(proposal)
            | ProcessedMessageContent::ExternalJoinProposalMessage(proposal) => {
                self.group.add_proposal(&self.storage, *proposal)?;
            }
            _ => bail!("neither a Proposal nor a Commit"),
        }
        Ok(())
    }

    fn tree_hash(&self) -> Vec<u8> {
        self.group.group_context().tree_hash().to_vec()
    }

    fn transcript_hash(&self) -> Vec<u8> {
        let context = self.group.group_context();
        context.confirmed_transcript_hash().to_vec()
    }
}
