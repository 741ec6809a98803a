mod rules;
mod successor;

use std::{any::Any, sync::Arc};

use anyhow::{Context as _, bail};
use mls_rs::{
    CipherSuite, CryptoProvider, ExtensionList, Group, MlsMessage, ProtocolVersion,
    client_builder::MlsConfig,
    crypto::SignatureSecretKey,
    external_client::ExternalClient,
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

use super::{
    Branch, Change, Client, Committed, ExternalJoin, Form, Founded, Handshakes, Heard, PrivateKeys,
    identity::{Identity, Names},
    outside::leaf_named,
};
use crate::vectors::shapes;
use rules::Rules;

/// The suites whose private signature keys mls-rs wants with the public ones behind them (RFC 9420 §17.1).
const ED25519_SUITES: [u16; 2] = [1, 3];

struct MlsRs<C: MlsConfig> {
    names: Names,
    identity: Arc<Identity>,
    client: mls_rs::Client<C>,
    stores: Stores,
    /// The name of the KeyPackage that was made last.
    package: Option<Vec<u8>>,
    /// The suite that the group goes on in, once it was ended to be begun anew.
    successor_suite: Option<u16>,
    group: Option<Group<C>>,
}

pub(super) fn client(identity: Arc<Identity>, names: &Names) -> anyhow::Result<Box<dyn Client>> {
    let suite = CipherSuite::from(u16::from(identity.suite));
    let provider = AwsLcCryptoProvider::new().cipher_suite_provider(suite);
    provider.context("the suite is missing")?;
    let stores = Stores::default();
    let (who, secret) = signing(&identity);
    Ok(stores.boxed((identity, names), (who, secret)))
}

pub(super) fn passive(vector: &shapes::PassiveClient) -> anyhow::Result<Box<dyn Client>> {
    let suite = AwsLcCryptoProvider::new()
        .cipher_suite_provider(vector.cipher_suite.into())
        .context("the suite is missing")?;
    let message = MlsMessage::from_bytes(&vector.key_package)?;
    let reference = message.key_package_reference(&suite)?;
    let package = message.into_key_package().context("no KeyPackage")?;
    let mut stores = Stores::default();
    let data = KeyPackageData::new(
        package.mls_encode_to_vec()?,
        vector.init_priv.to_vec().into(),
        vector.encryption_priv.to_vec().into(),
        u64::MAX,
    );
    let reference = reference.context("no KeyPackage")?.to_vec();
    stores.packages.insert(reference, data);
    for psk in &vector.external_psks {
        let name = ExternalPskId::new(psk.psk_id.to_vec());
        stores.psks.insert(name, psk.psk.to_vec().into());
    }
    let private = conclave_crypto::Secret::from(&*vector.signature_priv);
    let identity = Identity::of(vector.cipher_suite.try_into()?, &[], private)?;
    let (_, secret) = signing(&identity);
    let who = package.signing_identity().clone();
    Ok(stores.boxed((Arc::new(identity), &Names::default()), (who, secret)))
}

/// The identity as mls-rs has it.
fn signing(identity: &Identity) -> (SigningIdentity, SignatureSecretKey) {
    let credential = BasicCredential::new(identity.name.clone()).into_credential();
    let public = identity.key.public();
    let mut secret = identity.private.as_bytes().to_vec();
    if ED25519_SUITES.contains(&identity.suite.into()) {
        secret.extend_from_slice(public);
    }
    let who = SigningIdentity::new(credential, public.to_vec().into());
    (who, secret.into())
}

/// What a client shares with its library.
#[derive(Clone, Default)]
struct Stores {
    packages: InMemoryKeyPackageStorage,
    psks: InMemoryPreSharedKeyStorage,
    rules: Rules,
}

impl Stores {
    fn boxed(
        self,
        (identity, names): (Arc<Identity>, &Names),
        (who, secret): (SigningIdentity, SignatureSecretKey),
    ) -> Box<dyn Client> {
        let suite = CipherSuite::from(u16::from(identity.suite));
        let client = mls_rs::Client::builder()
            .crypto_provider(AwsLcCryptoProvider::new())
            .identity_provider(BasicIdentityProvider::new())
            .key_package_repo(self.packages.clone())
            .psk_store(self.psks.clone())
            .mls_rules(self.rules.clone())
            .signing_identity(who, secret, suite)
            .build();
        Box::new(MlsRs {
            names: names.clone(),
            identity,
            client,
            stores: self,
            package: None,
            successor_suite: None,
            group: None,
        })
    }
}

impl<C: MlsConfig> MlsRs<C> {
    fn group(&self) -> anyhow::Result<&Group<C>> {
        self.group.as_ref().context("in no group")
    }

    fn group_mut(&mut self) -> anyhow::Result<&mut Group<C>> {
        self.group.as_mut().context("in no group")
    }

    /// Remembers the KeyPackage that was made last: the one that was not known before.
    fn remember_package(&mut self, known: &[Vec<u8>]) {
        let all = self.stores.packages.key_packages().into_iter();
        let mut names = all.map(|(name, _)| name);
        self.package = names.find(|name| !known.contains(name));
    }

    fn package_names(&self) -> Vec<Vec<u8>> {
        let all = self.stores.packages.key_packages().into_iter();
        all.map(|(name, _)| name).collect()
    }
}

fn extensions(list: &[u8]) -> anyhow::Result<ExtensionList> {
    Ok(ExtensionList::mls_decode(&mut &*list)?)
}

fn exported_tree(tree: Option<&[u8]>) -> anyhow::Result<Option<ExportedTree<'static>>> {
    Ok(tree.map(ExportedTree::from_bytes).transpose()?)
}

fn messages(all: &[Vec<u8>]) -> anyhow::Result<Vec<MlsMessage>> {
    let messages = all.iter().map(|bytes| MlsMessage::from_bytes(bytes));
    Ok(messages.collect::<Result<_, _>>()?)
}

/// What an external sender proposes; mls-rs finds its place in the list by itself.
pub(super) fn propose(
    identity: &Identity,
    info: &[u8],
    tree: Option<&[u8]>,
    change: &Change,
) -> anyhow::Result<Vec<u8>> {
    let (who, secret) = signing(identity);
    let client = ExternalClient::builder()
        .crypto_provider(AwsLcCryptoProvider::new())
        .identity_provider(BasicIdentityProvider::new())
        .signer(secret, who)
        .build();
    let (info, tree) = (MlsMessage::from_bytes(info)?, exported_tree(tree)?);
    let mut group = client.observe_group(info, tree, None)?;
    let none = Vec::new;
    let message = match change {
        Change::Add(package) => group.propose_add(MlsMessage::from_bytes(package)?, none())?,
        Change::Remove(leaf) => group.propose_remove(*leaf, none())?,
        Change::Update => bail!("an Update that nobody may propose so"),
        Change::ExternalPsk(name) => {
            group.propose_external_psk(ExternalPskId::new(name.clone()), none())?
        }
        Change::ResumptionPsk(epoch) => group.propose_resumption_psk(*epoch, none())?,
        Change::Extensions(list) => {
            group.propose_group_context_extensions(extensions(list)?, none())?
        }
        Change::ReInit(reinit) => group.propose_reinit(
            Some(reinit.group_id.clone()),
            ProtocolVersion::MLS_10,
            reinit.suite.into(),
            extensions(&reinit.extensions)?,
            none(),
        )?,
    };
    Ok(message.to_bytes()?)
}

impl<C: MlsConfig + 'static> Client for MlsRs<C> {
    fn set_handshakes(&mut self, handshakes: Handshakes) -> anyhow::Result<()> {
        self.stores.rules.set_handshakes(handshakes);
        Ok(())
    }

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
        self.stores.psks.insert(name, secret.to_vec().into());
        Ok(())
    }

    fn key_package(&mut self) -> anyhow::Result<Vec<u8>> {
        let (known, none) = (self.package_names(), ExtensionList::default());
        let package = self
            .client
            .generate_key_package_message(none.clone(), none, None)?;
        self.remember_package(&known);
        Ok(package.to_bytes()?)
    }

    fn private_keys(&self) -> anyhow::Result<PrivateKeys> {
        let name = self.package.as_ref().context("no KeyPackage was made")?;
        let data = self.stores.packages.get(name).context("it is gone")?;
        Ok(PrivateKeys {
            init: data.init_key.to_vec(),
            encryption: data.leaf_node_key.to_vec(),
            signature: self.identity.private.as_bytes().to_vec(),
        })
    }

    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> anyhow::Result<()> {
        let welcome = MlsMessage::from_bytes(welcome)?;
        let joined = self
            .client
            .join_group(exported_tree(tree)?, &welcome, None)?;
        self.group = Some(joined.0);
        Ok(())
    }

    fn join_externally(
        &mut self,
        group_info: &[u8],
        how: &ExternalJoin,
    ) -> anyhow::Result<Vec<u8>> {
        let info = MlsMessage::from_bytes(group_info)?;
        let mut builder = self.client.external_commit_builder()?;
        if let Some(tree) = exported_tree(how.tree.as_deref())? {
            builder = builder.with_tree_data(tree);
        }
        if how.remove_prior {
            let prior = leaf_named(group_info, how.tree.as_deref(), &self.identity.name)?;
            builder = builder.with_removal(prior);
        }
        for name in &how.psks {
            builder = builder.with_external_psk(ExternalPskId::new(name.clone()));
        }
        let (group, commit) = builder.build(info)?;
        self.group = Some(group);
        Ok(commit.to_bytes()?)
    }

    fn propose_joining(&mut self, group_info: &[u8]) -> anyhow::Result<Vec<u8>> {
        let (info, known) = (MlsMessage::from_bytes(group_info)?, self.package_names());
        let none = ExtensionList::default();
        let message =
            self.client
                .external_add_proposal(&info, None, Vec::new(), none.clone(), none, None)?;
        self.remember_package(&known);
        Ok(message.to_bytes()?)
    }

    fn group_info(&mut self, with_tree: bool) -> anyhow::Result<Vec<u8>> {
        let info = self
            .group()?
            .group_info_message_allowing_ext_commit(with_tree)?;
        Ok(info.to_bytes()?)
    }

    fn tree(&self) -> anyhow::Result<Vec<u8>> {
        Ok(self.group()?.export_tree().to_bytes()?)
    }

    fn extensions(&self) -> anyhow::Result<Vec<u8>> {
        let extensions = self.group()?.context().extensions();
        Ok(extensions.mls_encode_to_vec()?)
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
            Change::ReInit(reinit) => group.propose_reinit(
                Some(reinit.group_id.clone()),
                ProtocolVersion::MLS_10,
                reinit.suite.into(),
                extensions(&reinit.extensions)?,
                Vec::new(),
            )?,
        };
        Ok(message.to_bytes()?)
    }

    fn commit_as(&mut self, changes: &[Change], form: Form) -> anyhow::Result<Committed> {
        self.stores.rules.set_form(form);
        let mut builder = self.group_mut()?.commit_builder();
        for change in changes {
            builder = match change {
                Change::Add(package) => builder.add_member(MlsMessage::from_bytes(package)?)?,
                Change::Remove(leaf) => builder.remove_member(*leaf)?,
                Change::Update => bail!("an Update by value"),
                Change::ExternalPsk(name) => {
                    builder.add_external_psk(ExternalPskId::new(name.clone()))?
                }
                Change::ResumptionPsk(epoch) => builder.add_resumption_psk(*epoch)?,
                Change::Extensions(list) => builder.set_group_context_ext(extensions(list)?)?,
                Change::ReInit(reinit) => builder.reinit(
                    Some(reinit.group_id.clone()),
                    ProtocolVersion::MLS_10,
                    reinit.suite.into(),
                    extensions(&reinit.extensions)?,
                )?,
            };
        }
        let made = builder.build()?;
        let welcome = made.welcome_messages.first().map(MlsMessage::to_bytes);
        let tree = made.ratchet_tree.filter(|_| !form.tree);
        Ok(Committed {
            commit: made.commit_message.to_bytes()?,
            welcome: welcome.transpose()?,
            tree: tree.map(|tree| tree.to_bytes()).transpose()?,
        })
    }

    fn merge(&mut self) -> anyhow::Result<()> {
        let merged = self.group_mut()?.apply_pending_commit()?;
        self.note_end(&merged);
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
            ReceivedMessage::Commit(commit) => {
                self.note_end(&commit);
                None
            }
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

    fn prepare_successor(&mut self) -> anyhow::Result<Vec<u8>> {
        self.package_for_successor()
    }

    fn begin_successor(&mut self, packages: &[Vec<u8>], form: Form) -> anyhow::Result<Founded> {
        self.found_successor(packages, form)
    }

    fn join_successor(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> anyhow::Result<()> {
        self.enter_successor(welcome, tree)
    }

    fn branch(&mut self, branch: &Branch) -> anyhow::Result<(Box<dyn Client>, Founded)> {
        self.found_branch(branch)
    }

    fn join_branch(
        &mut self,
        invitee: Box<dyn Client>,
        welcome: &[u8],
        tree: Option<&[u8]>,
    ) -> anyhow::Result<Box<dyn Client>> {
        let invitee = invitee.into_any().downcast::<Self>();
        let invitee = invitee.ok().context("not a client of mls-rs")?;
        self.enter_branch(&invitee, welcome, tree)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
