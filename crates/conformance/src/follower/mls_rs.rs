use mls_rs::{
    MlsMessage,
    external_client::{ExternalClient, ExternalGroup, builder::MlsConfig},
    group::ExportedTree,
    identity::basic::BasicIdentityProvider,
};
use mls_rs_crypto_awslc::AwsLcCryptoProvider;

use super::Follower;

struct MlsRs<C: MlsConfig> {
    client: ExternalClient<C>,
    group: ExternalGroup<C>,
}

pub(super) fn observe(info: &[u8], tree: &[u8]) -> anyhow::Result<Box<dyn Follower>> {
    let client = ExternalClient::builder()
        .identity_provider(BasicIdentityProvider::new())
        .crypto_provider(AwsLcCryptoProvider::new())
        .build();
    let (info, tree) = (
        MlsMessage::from_bytes(info)?,
        ExportedTree::from_bytes(tree)?,
    );
    let group = client.observe_group(info, Some(tree), None)?;
    Ok(Box::new(MlsRs { client, group }))
}

impl<C: MlsConfig + Clone> Follower for MlsRs<C> {
    /// mls-rs takes in what it accepts, so a copy does.
    fn check(&mut self, message: &[u8]) -> anyhow::Result<()> {
        let message = MlsMessage::from_bytes(message)?;
        let mut copy = self.client.load_group(self.group.snapshot())?;
        copy.process_incoming_message(message)?;
        Ok(())
    }

    fn follow(&mut self, message: &[u8]) -> anyhow::Result<()> {
        self.group
            .process_incoming_message(MlsMessage::from_bytes(message)?)?;
        Ok(())
    }

    fn tree_hash(&self) -> Vec<u8> {
        self.group.tree_hash().to_vec()
    }

    fn transcript_hash(&self) -> Vec<u8> {
        self.group.transcript_hash().to_vec()
    }
}
