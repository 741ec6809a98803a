mod successor;

use std::{any::Any, collections::HashMap, num::NonZeroUsize, sync::Arc};

use anyhow::{Context as _, bail};
use conclave_crypto::{
    CipherSuite, HpkeKeyPair, Random as _, Secret, SigningKey, SystemRandomness,
};
use conclave_mls_member::{
    CommitForm, ExternalJoin, Group, Handshakes, Invitee, PathRule, PendingCommit, Received,
};
use conclave_mls_public::wire::{
    Extensions, KeyPackage, LeafNode, MLS10, MlsMessage, Node, PreSharedKeyId, Proposal, Psk,
    PublicMessage, ReInit, ResumptionPskUsage, Sender, Welcome, decode, encode,
};

use super::{
    Branch, Change, Client, Committed, Form, Founded, Heard, PrivateKeys,
    identity::{Identity, Keys, Names},
    outside::{group_info, leaf_named},
};
use crate::vectors::shapes;

/// How many zero bytes a private handshake ends with.
const PADDING: usize = 16;

/// Epochs whose messages can still be read: the official scripts go back one.
const PAST_EPOCHS: usize = 2;

struct Ours {
    names: Names,
    identity: Arc<Identity>,
    /// The KeyPackage that was made last.
    keys: Option<Keys>,
    psks: HashMap<Psk, Secret>,
    group: Option<Group>,
    pending: Option<PendingCommit>,
    handshakes: super::Handshakes,
}

pub(super) fn client(identity: Arc<Identity>, names: &Names) -> Box<dyn Client> {
    Box::new(Ours::new(identity, names))
}

pub(super) fn passive(vector: &shapes::PassiveClient) -> anyhow::Result<Box<dyn Client>> {
    let suite = CipherSuite::try_from(vector.cipher_suite)?;
    let private = Secret::from(&*vector.signature_priv);
    let identity = Arc::new(Identity::of(suite, &[], private)?);
    let mut client = Ours::new(identity, &Names::default());
    client.keys = Some(Keys {
        package: key_package(&vector.key_package)?,
        init: suite.key_pair(&vector.init_priv)?,
        leaf: suite.key_pair(&vector.encryption_priv)?,
    });
    let psks = vector.external_psks.iter().map(|psk| {
        let name = Psk::External(psk.psk_id.to_vec().into());
        (name, Secret::from(&*psk.psk))
    });
    client.psks = psks.collect();
    Ok(Box::new(client))
}

impl Ours {
    fn new(identity: Arc<Identity>, names: &Names) -> Self {
        Self {
            names: names.clone(),
            identity,
            keys: None,
            psks: HashMap::new(),
            group: None,
            pending: None,
            handshakes: super::Handshakes::default(),
        }
    }

    fn group(&self) -> anyhow::Result<&Group> {
        self.group.as_ref().context("in no group")
    }

    fn parts(&mut self) -> anyhow::Result<(&mut Group, &SigningKey)> {
        let group = self.group.as_mut().context("in no group")?;
        Ok((group, &self.identity.key))
    }

    fn invitee(&self) -> anyhow::Result<Invitee> {
        let keys = self.keys.as_ref().context("no KeyPackage was made")?;
        let (init, leaf) = (keys.init.clone(), keys.leaf.clone());
        Ok(Invitee::new(keys.package.clone(), init, leaf)?)
    }

    /// Is in this group from now on.
    fn enter(&mut self, mut group: Group) {
        group.keep_past_epochs(PAST_EPOCHS);
        group.set_handshakes(wire_form(self.handshakes));
        (self.group, self.pending) = (Some(group), None);
    }
}

fn wire_form(handshakes: super::Handshakes) -> Handshakes {
    match handshakes {
        super::Handshakes::Public => Handshakes::Public,
        super::Handshakes::Private => Handshakes::Private { padding: PADDING },
    }
}

fn fresh_leaf(identity: &Identity) -> anyhow::Result<(LeafNode, HpkeKeyPair)> {
    let pair = identity.suite.generate_key_pair(&mut SystemRandomness)?;
    Ok((identity.leaf_node(&pair)?, pair))
}

fn commit_form(form: Form) -> CommitForm {
    CommitForm {
        path: if form.path {
            PathRule::Always
        } else {
            PathRule::IfRequired
        },
        with_tree: form.tree,
    }
}

fn key_package(message: &[u8]) -> anyhow::Result<KeyPackage> {
    match decode(message)? {
        MlsMessage::KeyPackage(package) => Ok(package),
        _ => bail!("no KeyPackage"),
    }
}

fn welcome(message: &[u8]) -> anyhow::Result<Welcome> {
    match decode(message)? {
        MlsMessage::Welcome(welcome) => Ok(welcome),
        _ => bail!("no Welcome"),
    }
}

fn welcome_message(welcome: Option<Welcome>) -> anyhow::Result<Option<Vec<u8>>> {
    let message = welcome.map(|welcome| encode(&MlsMessage::Welcome(welcome)));
    Ok(message.transpose()?)
}

fn encoded_tree(nodes: Option<Vec<Option<Node>>>) -> anyhow::Result<Option<Vec<u8>>> {
    Ok(nodes.map(|nodes| encode(&nodes)).transpose()?)
}

fn fresh_psk(suite: CipherSuite, psk: Psk) -> anyhow::Result<PreSharedKeyId> {
    let mut psk_nonce = vec![0; suite.hash_len()];
    SystemRandomness.fill(&mut psk_nonce)?;
    Ok(PreSharedKeyId {
        psk,
        psk_nonce: psk_nonce.into(),
    })
}

/// The proposal to a group of this suite and id.
pub(super) fn proposal(
    suite: CipherSuite,
    group_id: &[u8],
    change: &Change,
) -> anyhow::Result<Proposal> {
    let psk = |psk| fresh_psk(suite, psk).map(Proposal::PreSharedKey);
    Ok(match change {
        Change::Add(package) => Proposal::Add(Box::new(key_package(package)?)),
        Change::Remove(leaf) => Proposal::Remove(*leaf),
        Change::Update => bail!("an Update that nobody may propose so"),
        Change::ExternalPsk(name) => psk(Psk::External(name.as_slice().into()))?,
        Change::ResumptionPsk(epoch) => psk(Psk::Resumption {
            usage: ResumptionPskUsage::Application,
            psk_group_id: group_id.into(),
            psk_epoch: *epoch,
        })?,
        Change::Extensions(list) => Proposal::GroupContextExtensions(decode(list)?),
        Change::ReInit(reinit) => Proposal::ReInit(ReInit {
            group_id: reinit.group_id.as_slice().into(),
            version: MLS10,
            cipher_suite: reinit.suite,
            extensions: decode(&reinit.extensions)?,
        }),
    })
}

fn proposal_in(group: &Group, change: &Change) -> anyhow::Result<Proposal> {
    let group_id = group.public().context().group_id.as_slice();
    proposal(group.suite(), group_id, change)
}

impl Client for Ours {
    fn set_handshakes(&mut self, handshakes: super::Handshakes) -> anyhow::Result<()> {
        self.handshakes = handshakes;
        if let Some(group) = &mut self.group {
            group.set_handshakes(wire_form(handshakes));
        }
        Ok(())
    }

    fn create(&mut self, group_id: &[u8]) -> anyhow::Result<()> {
        let (leaf, pair) = fresh_leaf(&self.identity)?;
        let (suite, key) = (self.identity.suite, &self.identity.key);
        let none = Extensions::default();
        let random = &mut SystemRandomness;
        self.enter(Group::create(
            suite, group_id, none, leaf, pair, key, random,
        )?);
        Ok(())
    }

    fn store_psk(&mut self, name: &[u8], secret: &[u8]) -> anyhow::Result<()> {
        let name = Psk::External(name.into());
        self.psks.insert(name, secret.into());
        Ok(())
    }

    fn key_package(&mut self) -> anyhow::Result<Vec<u8>> {
        let keys = self.keys.insert(self.identity.key_package()?);
        Ok(encode(&MlsMessage::KeyPackage(keys.package.clone()))?)
    }

    fn private_keys(&self) -> anyhow::Result<PrivateKeys> {
        let keys = self.keys.as_ref().context("no KeyPackage was made")?;
        let bytes = |secret: &Secret| secret.as_bytes().to_vec();
        Ok(PrivateKeys {
            init: bytes(keys.init.private()),
            encryption: bytes(keys.leaf.private()),
            signature: bytes(&self.identity.private),
        })
    }

    fn join(&mut self, message: &[u8], tree: Option<&[u8]>) -> anyhow::Result<()> {
        let (welcome, invitee) = (welcome(message)?, self.invitee()?);
        let nodes = tree.map(decode).transpose()?;
        let threads = NonZeroUsize::MIN;
        self.enter(Group::join(&welcome, &invitee, nodes, &self.psks, threads)?);
        Ok(())
    }

    fn join_externally(
        &mut self,
        message: &[u8],
        how: &super::ExternalJoin,
    ) -> anyhow::Result<Vec<u8>> {
        let (identity, tree) = (&self.identity, how.tree.as_deref());
        let prior = || leaf_named(message, tree, &identity.name);
        let names = how
            .psks
            .iter()
            .map(|name| Psk::External(name.as_slice().into()));
        let join = ExternalJoin {
            nodes: tree.map(decode).transpose()?,
            remove: how.remove_prior.then(prior).transpose()?,
            psks: names
                .map(|psk| fresh_psk(identity.suite, psk))
                .collect::<anyhow::Result<_>>()?,
            ..ExternalJoin::new(fresh_leaf(identity)?.0)
        };
        let (info, threads) = (group_info(message)?, NonZeroUsize::MIN);
        let (psks, random) = (&self.psks, &mut SystemRandomness);
        let joined = Group::join_externally(&info, join, psks, &identity.key, threads, random);
        let (commit, group) = joined?;
        self.enter(group);
        Ok(encode(&commit)?)
    }

    fn propose_joining(&mut self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        let context = group_info(message)?.group_context;
        let keys = self.keys.insert(self.identity.key_package()?);
        let add = Proposal::Add(Box::new(keys.package.clone()));
        let (sender, key) = (Sender::NewMemberProposal, &self.identity.key);
        let message = PublicMessage::propose_from_outside(sender, add, &context, key)?;
        Ok(encode(&MlsMessage::PublicMessage(message))?)
    }

    fn group_info(&mut self, with_tree: bool) -> anyhow::Result<Vec<u8>> {
        let (group, key) = self.parts()?;
        let info = match with_tree {
            true => group.group_info(key)?,
            false => group.group_info_without_tree(key)?,
        };
        Ok(encode(&MlsMessage::GroupInfo(info))?)
    }

    fn tree(&self) -> anyhow::Result<Vec<u8>> {
        Ok(encode(&self.group()?.public().tree().to_nodes())?)
    }

    fn extensions(&self) -> anyhow::Result<Vec<u8>> {
        Ok(encode(&self.group()?.public().context().extensions)?)
    }

    fn propose(&mut self, change: &Change) -> anyhow::Result<Vec<u8>> {
        let (group, key) = self.parts()?;
        let mut random = SystemRandomness;
        let message = match change {
            Change::Update => group.propose_update(key, &mut random)?,
            other => group.propose(proposal_in(group, other)?, key, &mut random)?,
        };
        Ok(encode(&message)?)
    }

    fn commit_as(&mut self, changes: &[Change], form: Form) -> anyhow::Result<Committed> {
        let group = self.group.as_mut().context("in no group")?;
        let proposals = changes.iter().map(|change| proposal_in(group, change));
        let proposals = proposals.collect::<anyhow::Result<_>>()?;
        let (psks, key) = (&self.psks, &self.identity.key);
        let (form, random) = (commit_form(form), &mut SystemRandomness);
        let made = group.commit_as(form, proposals, psks, key, random)?;
        self.pending = Some(made.pending);
        Ok(Committed {
            commit: encode(&made.commit)?,
            welcome: welcome_message(made.welcome)?,
            tree: encoded_tree(made.tree)?,
        })
    }

    fn merge(&mut self) -> anyhow::Result<()> {
        let pending = self.pending.take().context("no Commit waits")?;
        Ok(self.parts()?.0.merge(pending)?)
    }

    fn receive(&mut self, message: &[u8]) -> anyhow::Result<Option<Heard>> {
        let group = self.group.as_mut().context("in no group")?;
        Ok(match group.receive(decode(message)?, &self.psks)? {
            Received::Application {
                data,
                authenticated_data,
                ..
            } => Some(Heard {
                data,
                authenticated_data,
            }),
            Received::Proposal(_) | Received::Commit(_) | Received::Removed => None,
        })
    }

    fn encrypt(&mut self, data: &[u8], authenticated_data: &[u8]) -> anyhow::Result<Vec<u8>> {
        let (group, key) = self.parts()?;
        let message = group.encrypt(data, authenticated_data, 32, key, &mut SystemRandomness)?;
        Ok(encode(&MlsMessage::PrivateMessage(message))?)
    }

    fn leaf(&self) -> anyhow::Result<u32> {
        Ok(self.group()?.leaf())
    }

    fn epoch_authenticator(&self) -> anyhow::Result<Vec<u8>> {
        let secrets = self.group()?.secrets();
        Ok(secrets.epoch_authenticator().as_bytes().to_vec())
    }

    fn export(&self, label: &str, context: &[u8], len: usize) -> anyhow::Result<Vec<u8>> {
        let exported = self.group()?.secrets().export(label, context, len)?;
        Ok(exported.as_bytes().to_vec())
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
        let invitee = invitee.ok().context("not one of ours")?;
        self.enter_branch(*invitee, welcome, tree)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
