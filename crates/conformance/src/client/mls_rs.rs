use anyhow::Context as _;
use mls_rs::{
    CipherSuite, CipherSuiteProvider, CryptoProvider, ExtensionList, Group, MlsMessage,
    client_builder::MlsConfig,
    crypto::SignatureSecretKey,
    group::{ExportedTree, ReceivedMessage},
    identity::{
        SigningIdentity,
        basic::{BasicCredential, BasicIdentityProvider},
    },
    mls_rs_codec::{MlsDecode as _, MlsEncode as _},
    psk::ExternalPskId,
    storage_provider::{
        KeyPackageData,
        in_memory::{InMemoryKeyPackageStorage, InMemoryPreSharedKeyStorage},
    },
};
use mls_rs_crypto_awslc::AwsLcCryptoProvider;

use super::{Change, Client, Committed, Heard};
use crate::vectors::shapes;

struct MlsRs<C: MlsConfig> {
    client: mls_rs::Client<C>,
    /// Shared with the client.
    psks: InMemoryPreSharedKeyStorage,
    group: Option<Group<C>>,
}

pub(super) fn client(name: &str, suite: u16) -> anyhow::Result<Box<dyn Client>> {
    let provider = AwsLcCryptoProvider::new().cipher_suite_provider(suite.into());
    let (secret, public) = provider
        .context("the suite is missing")?
        .signature_key_generate()?;
    let credential = BasicCredential::new(name.as_bytes().to_vec()).into_credential();
    let identity = SigningIdentity::new(credential, public);
    let (packages, psks) = Default::default();
    Ok(boxed(identity, secret, suite.into(), packages, psks))
}

pub(super) fn passive(vector: &shapes::PassiveClient) -> anyhow::Result<Box<dyn Client>> {
    let suite = AwsLcCryptoProvider::new()
        .cipher_suite_provider(vector.cipher_suite.into())
        .context("the suite is missing")?;
    let message = MlsMessage::from_bytes(&vector.key_package)?;
    let reference = message.key_package_reference(&suite)?;
    let package = message.into_key_package().context("no KeyPackage")?;
    let packages = InMemoryKeyPackageStorage::new();
    let data = KeyPackageData::new(
        package.mls_encode_to_vec()?,
        vector.init_priv.to_vec().into(),
        vector.encryption_priv.to_vec().into(),
        u64::MAX,
    );
    packages.insert(reference.context("no KeyPackage")?.to_vec(), data);
    let mut psks = InMemoryPreSharedKeyStorage::default();
    for psk in &vector.external_psks {
        let name = ExternalPskId::new(psk.psk_id.to_vec());
        psks.insert(name, psk.psk.to_vec().into());
    }
    let secret = vector.signature_priv.to_vec().into();
    let identity = package.signing_identity().clone();
    Ok(boxed(
        identity,
        secret,
        suite.cipher_suite(),
        packages,
        psks,
    ))
}

fn boxed(
    identity: SigningIdentity,
    secret: SignatureSecretKey,
    suite: CipherSuite,
    packages: InMemoryKeyPackageStorage,
    psks: InMemoryPreSharedKeyStorage,
) -> Box<dyn Client> {
    let client = mls_rs::Client::builder()
        .crypto_provider(AwsLcCryptoProvider::new())
        .identity_provider(BasicIdentityProvider::new())
        .key_package_repo(packages)
        .psk_store(psks.clone())
        .signing_identity(identity, secret, suite)
        .build();
    Box::new(MlsRs {
        client,
        psks,
        group: None,
    })
}

impl<C: MlsConfig> MlsRs<C> {
    fn group(&self) -> anyhow::Result<&Group<C>> {
        self.group.as_ref().context("in no group")
    }

    fn group_mut(&mut self) -> anyhow::Result<&mut Group<C>> {
        self.group.as_mut().context("in no group")
    }
}

fn extensions(list: &[u8]) -> anyhow::Result<ExtensionList> {
    Ok(ExtensionList::mls_decode(&mut &*list)?)
}

impl<C: MlsConfig> Client for MlsRs<C> {
    fn create(&mut self, group_id: &[u8]) -> anyhow::Result<()> {
        let none = ExtensionList::default();
        let id = group_id.to_vec();
        let group = self
            .client
            .create_group_with_id(id, none.clone(), none, None)?;
        self.group = Some(group);
        Ok(())
    }

    fn store_psk(&mut self, name: &[u8], secret: &[u8]) -> anyhow::Result<()> {
        let name = ExternalPskId::new(name.to_vec());
        self.psks.insert(name, secret.to_vec().into());
        Ok(())
    }

    fn key_package(&mut self) -> anyhow::Result<Vec<u8>> {
        let none = ExtensionList::default();
        let package = self
            .client
            .generate_key_package_message(none.clone(), none, None)?;
        Ok(package.to_bytes()?)
    }

    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> anyhow::Result<()> {
        let tree = tree.map(ExportedTree::from_bytes).transpose()?;
        let welcome = MlsMessage::from_bytes(welcome)?;
        self.group = Some(self.client.join_group(tree, &welcome, None)?.0);
        Ok(())
    }

    fn join_externally(
        &mut self,
        group_info: &[u8],
        remove_prior: bool,
    ) -> anyhow::Result<Vec<u8>> {
        let info = MlsMessage::from_bytes(group_info)?;
        let mut builder = self.client.external_commit_builder()?;
        if remove_prior {
            builder = builder.with_removal(self.leaf()?);
        }
        let (group, commit) = builder.build(info)?;
        self.group = Some(group);
        Ok(commit.to_bytes()?)
    }

    fn group_info(&mut self) -> anyhow::Result<Vec<u8>> {
        let info = self.group()?.group_info_message_allowing_ext_commit(true)?;
        Ok(info.to_bytes()?)
    }

    fn propose(&mut self, change: &Change) -> anyhow::Result<Vec<u8>> {
        let group = self.group_mut()?;
        let message = match change {
            Change::Add(package) => {
                group.propose_add(MlsMessage::from_bytes(package)?, Vec::new())?
            }
            Change::Remove(leaf) => group.propose_remove(*leaf, Vec::new())?,
            Change::Update => group.propose_update(Vec::new())?,
            Change::ExternalPsk(name) => {
                group.propose_external_psk(ExternalPskId::new(name.clone()), Vec::new())?
            }
            Change::ResumptionPsk(epoch) => group.propose_resumption_psk(*epoch, Vec::new())?,
            Change::Extensions(list) => {
                group.propose_group_context_extensions(extensions(list)?, Vec::new())?
            }
        };
        Ok(message.to_bytes()?)
    }

    fn commit(&mut self, changes: &[Change]) -> anyhow::Result<Committed> {
        let mut builder = self.group_mut()?.commit_builder();
        for change in changes {
            builder = match change {
                Change::Add(package) => builder.add_member(MlsMessage::from_bytes(package)?)?,
                Change::Remove(leaf) => builder.remove_member(*leaf)?,
                Change::Update => anyhow::bail!("an Update by value"),
                Change::ExternalPsk(name) => {
                    builder.add_external_psk(ExternalPskId::new(name.clone()))?
                }
                Change::ResumptionPsk(epoch) => builder.add_resumption_psk(*epoch)?,
                Change::Extensions(list) => builder.set_group_context_ext(extensions(list)?)?,
            };
        }
        let made = builder.build()?;
        let welcome = made.welcome_messages.first().map(MlsMessage::to_bytes);
        Ok(Committed {
            commit: made.commit_message.to_bytes()?,
            welcome: welcome.transpose()?,
        })
    }

    fn merge(&mut self) -> anyhow::Result<()> {
        self.group_mut()?.apply_pending_commit()?;
        Ok(())
    }

    fn receive(&mut self, message: &[u8]) -> anyhow::Result<Option<Heard>> {
        let message = MlsMessage::from_bytes(message)?;
        let received = self.group_mut()?.process_incoming_message(message)?;
        Ok(match received {
            ReceivedMessage::ApplicationMessage(message) => Some(Heard {
                data: message.data().to_vec(),
                authenticated_data: message.authenticated_data,
            }),
            _ => None,
        })
    }

    fn encrypt(&mut self, data: &[u8], authenticated_data: &[u8]) -> anyhow::Result<Vec<u8>> {
        let group = self.group_mut()?;
        let message = group.encrypt_application_message(data, authenticated_data.to_vec())?;
        Ok(message.to_bytes()?)
    }

    fn leaf(&self) -> anyhow::Result<u32> {
        Ok(self.group()?.current_member_index())
    }

    fn epoch_authenticator(&self) -> anyhow::Result<Vec<u8>> {
        Ok(self.group()?.epoch_authenticator()?.to_vec())
    }

    fn export(&self, label: &str, context: &[u8], len: usize) -> anyhow::Result<Vec<u8>> {
        let group = self.group()?;
        Ok(group
            .export_secret(label.as_bytes(), context, len)?
            .to_vec())
    }
}
