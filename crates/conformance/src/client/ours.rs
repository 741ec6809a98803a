use std::{collections::HashMap, num::NonZeroUsize};

use anyhow::{Context as _, bail};
use conclave_crypto::{
    CipherSuite, HpkeKeyPair, Random as _, Secret, SigningKey, SystemRandomness,
};
use conclave_mls_member::{Group, Handshakes, Invitee, PendingCommit, Received};
use conclave_mls_public::wire::{
    Extensions, MlsMessage, PreSharedKeyId, Proposal, Psk, ResumptionPskUsage, decode, encode,
};

use super::{Change, Client, Committed, Heard, identity::Identity};
use crate::vectors::shapes;

/// Who joins by a Welcome sends handshakes so, that the others read those too; who creates a group or
/// joins from outside sends them in public.
const PRIVATE: Handshakes = Handshakes::Private { padding: 16 };

struct Ours {
    identity: Identity,
    invitee: Option<Invitee>,
    psks: HashMap<Psk, Secret>,
    group: Option<Group>,
    pending: Option<PendingCommit>,
}

pub(super) fn client(name: &str, suite: u16) -> anyhow::Result<Box<dyn Client>> {
    let identity = Identity::new(CipherSuite::try_from(suite)?, name)?;
    Ok(Box::new(Ours::new(identity)))
}

pub(super) fn passive(vector: &shapes::PassiveClient) -> anyhow::Result<Box<dyn Client>> {
    let suite = CipherSuite::try_from(vector.cipher_suite)?;
    let private = Secret::from(&*vector.signature_priv);
    let mut client = Ours::new(Identity::of(suite, "", private)?);
    let MlsMessage::KeyPackage(package) = decode(&vector.key_package)? else {
        bail!("no KeyPackage")
    };
    let init = suite.key_pair(&vector.init_priv)?;
    let leaf = suite.key_pair(&vector.encryption_priv)?;
    client.invitee = Some(Invitee::new(package, init, leaf)?);
    let psks = vector.external_psks.iter().map(|psk| {
        let name = Psk::External(psk.psk_id.to_vec().into());
        (name, Secret::from(&*psk.psk))
    });
    client.psks = psks.collect();
    Ok(Box::new(client))
}

impl Ours {
    fn new(identity: Identity) -> Self {
        Self {
            identity,
            invitee: None,
            psks: HashMap::new(),
            group: None,
            pending: None,
        }
    }

    fn pair(&self) -> anyhow::Result<HpkeKeyPair> {
        let suite = self.identity.suite;
        Ok(suite.generate_key_pair(&mut SystemRandomness)?)
    }

    fn group(&self) -> anyhow::Result<&Group> {
        self.group.as_ref().context("in no group")
    }

    fn parts(&mut self) -> anyhow::Result<(&mut Group, &SigningKey)> {
        let group = self.group.as_mut().context("in no group")?;
        Ok((group, &self.identity.key))
    }
}

fn proposal(group: &Group, change: &Change) -> anyhow::Result<Proposal> {
    let psk = |psk| -> anyhow::Result<_> {
        let mut psk_nonce = vec![0; group.suite().hash_len()];
        SystemRandomness.fill(&mut psk_nonce)?;
        let psk_nonce = psk_nonce.into();
        Ok(Proposal::PreSharedKey(PreSharedKeyId { psk, psk_nonce }))
    };
    Ok(match change {
        Change::Add(package) => match decode(package)? {
            MlsMessage::KeyPackage(package) => Proposal::Add(Box::new(package)),
            _ => bail!("no KeyPackage"),
        },
        Change::Remove(leaf) => Proposal::Remove(*leaf),
        Change::Update => bail!("an Update by value"),
        Change::ExternalPsk(name) => psk(Psk::External(name.as_slice().into()))?,
        Change::ResumptionPsk(epoch) => psk(Psk::Resumption {
            usage: ResumptionPskUsage::Application,
            psk_group_id: group.public().context().group_id.clone(),
            psk_epoch: *epoch,
        })?,
        Change::Extensions(list) => Proposal::GroupContextExtensions(decode(list)?),
    })
}

impl Client for Ours {
    fn create(&mut self, group_id: &[u8]) -> anyhow::Result<()> {
        let pair = self.pair()?;
        self.group = Some(Group::create(
            self.identity.suite,
            group_id,
            Extensions::default(),
            self.identity.leaf_node(&pair)?,
            pair,
            &self.identity.key,
            &mut SystemRandomness,
        )?);
        Ok(())
    }

    fn store_psk(&mut self, name: &[u8], secret: &[u8]) -> anyhow::Result<()> {
        let name = Psk::External(name.into());
        self.psks.insert(name, secret.into());
        Ok(())
    }

    fn key_package(&mut self) -> anyhow::Result<Vec<u8>> {
        let keys = self.identity.key_package()?;
        self.invitee = Some(Invitee::new(keys.package.clone(), keys.init, keys.leaf)?);
        Ok(encode(&MlsMessage::KeyPackage(keys.package))?)
    }

    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> anyhow::Result<()> {
        let MlsMessage::Welcome(welcome) = decode(welcome)? else {
            bail!("no Welcome")
        };
        let invitee = self.invitee.as_ref().context("no KeyPackage was made")?;
        let nodes = tree.map(decode).transpose()?;
        let group = Group::join(&welcome, invitee, nodes, &self.psks, NonZeroUsize::MIN);
        let mut group = group?;
        group.set_handshakes(PRIVATE);
        self.group = Some(group);
        Ok(())
    }

    fn join_externally(
        &mut self,
        group_info: &[u8],
        remove_prior: bool,
    ) -> anyhow::Result<Vec<u8>> {
        let MlsMessage::GroupInfo(info) = decode(group_info)? else {
            bail!("no GroupInfo")
        };
        let leaf = self.identity.leaf_node(&self.pair()?)?;
        let prior = remove_prior.then(|| self.leaf()).transpose()?;
        let (commit, group) = Group::join_externally(
            &info,
            None,
            leaf,
            prior,
            &self.identity.key,
            NonZeroUsize::MIN,
            &mut SystemRandomness,
        )?;
        self.group = Some(group);
        Ok(encode(&commit)?)
    }

    fn group_info(&mut self) -> anyhow::Result<Vec<u8>> {
        let info = self.group()?.group_info(&self.identity.key)?;
        Ok(encode(&MlsMessage::GroupInfo(info))?)
    }

    fn propose(&mut self, change: &Change) -> anyhow::Result<Vec<u8>> {
        let (group, key) = self.parts()?;
        let mut random = SystemRandomness;
        let message = match change {
            Change::Update => group.propose_update(key, &mut random)?,
            other => group.propose(proposal(group, other)?, key, &mut random)?,
        };
        Ok(encode(&message)?)
    }

    fn commit(&mut self, changes: &[Change]) -> anyhow::Result<Committed> {
        let group = self.group.as_mut().context("in no group")?;
        let proposals = changes.iter().map(|change| proposal(group, change));
        let proposals = proposals.collect::<anyhow::Result<_>>()?;
        let (psks, key) = (&self.psks, &self.identity.key);
        let made = group.commit(proposals, psks, key, &mut SystemRandomness)?;
        self.pending = Some(made.pending);
        let welcome = made.welcome.map(MlsMessage::Welcome);
        Ok(Committed {
            commit: encode(&made.commit)?,
            welcome: welcome.map(|welcome| encode(&welcome)).transpose()?,
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
}
