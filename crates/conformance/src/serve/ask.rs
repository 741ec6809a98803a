//! Between requests and what clients are asked.

use anyhow::{Context as _, bail};
use conclave_mls_public::wire::{self, ExternalSender, decode, encode};
use tonic::Status;

use crate::{
    client::{Change, Form, ReInit, Unsupported},
    mls_client::{Extension, ProposalDescription},
};

pub(super) fn status(error: &anyhow::Error) -> Status {
    let text = format!("{error:#}");
    match error.downcast_ref::<Unsupported>() {
        Some(_) => Status::unimplemented(text),
        None => Status::aborted(text),
    }
}

pub(super) fn suite(number: u32) -> Result<u16, Status> {
    u16::try_from(number).map_err(|_| Status::invalid_argument("a suite has 16 bits"))
}

/// Empty is how this interface says that there is none.
pub(super) fn optional(bytes: Vec<u8>) -> Option<Vec<u8>> {
    (!bytes.is_empty()).then_some(bytes)
}

pub(super) fn form(force_path: bool, external_tree: bool) -> Form {
    Form {
        path: force_path,
        tree: !external_tree,
    }
}

pub(super) fn extensions(list: &[Extension]) -> anyhow::Result<Vec<u8>> {
    let one = |extension: &Extension| -> anyhow::Result<_> {
        let number = u16::try_from(extension.extension_type).context("an extension's type")?;
        Ok(wire::Extension {
            extension_type: wire::ExtensionType(number),
            extension_data: extension.extension_data.as_slice().into(),
        })
    };
    let list = list.iter().map(one).collect::<anyhow::Result<_>>()?;
    Ok(encode(&wire::Extensions(list))?)
}

/// The change that a description means; `find` knows the leaf of a name.
pub(super) fn change(
    description: &ProposalDescription,
    find: impl FnOnce(&[u8]) -> anyhow::Result<u32>,
) -> anyhow::Result<Change> {
    Ok(match &*description.proposal_type {
        b"add" => Change::Add(description.key_package.clone()),
        b"remove" => Change::Remove(find(&description.removed_id)?),
        b"externalPSK" => Change::ExternalPsk(description.psk_id.clone()),
        b"resumptionPSK" => Change::ResumptionPsk(description.epoch_id),
        b"groupContextExtensions" => Change::Extensions(extensions(&description.extensions)?),
        b"reinit" => Change::ReInit(ReInit {
            group_id: description.group_id.clone(),
            suite: u16::try_from(description.cipher_suite).context("a suite has 16 bits")?,
            extensions: extensions(&description.extensions)?,
        }),
        _ => bail!("a proposal of unknown type"),
    })
}

/// The GroupContext's extensions with one more external sender.
pub(super) fn with_sender(list: &[u8], sender: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut list: wire::Extensions = decode(list)?;
    let mut senders = list.external_senders()?.unwrap_or_default();
    senders.push(decode::<ExternalSender>(sender)?);
    let kind = wire::ExtensionType::EXTERNAL_SENDERS;
    list.0.retain(|extension| extension.extension_type != kind);
    list.0.push(wire::Extension {
        extension_type: kind,
        extension_data: encode(&senders)?.into(),
    });
    Ok(encode(&list)?)
}
