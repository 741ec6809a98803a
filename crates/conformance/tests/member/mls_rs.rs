use mls_rs::{
    CipherSuiteProvider, CryptoProvider, ExtensionList, Group, MlsMessage,
    client_builder::MlsConfig,
    group::ReceivedMessage,
    identity::{
        SigningIdentity,
        basic::{BasicCredential, BasicIdentityProvider},
    },
};
use mls_rs_crypto_awslc::AwsLcCryptoProvider;

use super::{Client, EXPORTED_BYTES, LABEL};

struct MlsRs<C: MlsConfig> {
    client: mls_rs::Client<C>,
    group: Option<Group<C>>,
}

pub(crate) fn boxed(name: String, suite: u16) -> Box<dyn Client> {
    let crypto = AwsLcCryptoProvider::new();
    let provider = crypto.cipher_suite_provider(suite.into()).unwrap();
    let (secret, public) = provider.signature_key_generate().unwrap();
    let credential = BasicCredential::new(name.into_bytes()).into_credential();
    let client = mls_rs::Client::builder()
        .crypto_provider(crypto)
        .identity_provider(BasicIdentityProvider::new())
        .signing_identity(
            SigningIdentity::new(credential, public),
            secret,
            suite.into(),
        )
        .build();
    Box::new(MlsRs {
        client,
        group: None,
    })
}

impl<C: MlsConfig> MlsRs<C> {
    fn group(&mut self) -> &mut Group<C> {
        self.group.as_mut().unwrap()
    }
}

fn message(bytes: &[u8]) -> MlsMessage {
    MlsMessage::from_bytes(bytes).unwrap()
}

impl<C: MlsConfig> Client for MlsRs<C> {
    fn create(&mut self) {
        let none = ExtensionList::default();
        let group = self
            .client
            .create_group_with_id(b"history".to_vec(), none.clone(), none, None);
        self.group = Some(group.unwrap());
    }

    fn key_package(&mut self) -> Vec<u8> {
        let none = ExtensionList::default();
        let package = self
            .client
            .generate_key_package_message(none.clone(), none, None);
        package.unwrap().to_bytes().unwrap()
    }

    fn join(&mut self, welcome: &[u8]) {
        let joined = self.client.join_group(None, &message(welcome), None);
        self.group = Some(joined.unwrap().0);
    }

    fn join_externally(&mut self, group_info: &[u8]) -> Vec<u8> {
        let (group, commit) = self.client.commit_external(message(group_info)).unwrap();
        self.group = Some(group);
        commit.to_bytes().unwrap()
    }

    fn group_info(&mut self) -> Vec<u8> {
        let info = self.group().group_info_message_allowing_ext_commit(true);
        info.unwrap().to_bytes().unwrap()
    }

    fn commit(&mut self, add: Option<&[u8]>, remove: Option<u32>) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut builder = self.group().commit_builder();
        if let Some(package) = add {
            builder = builder.add_member(message(package)).unwrap();
        }
        if let Some(leaf) = remove {
            builder = builder.remove_member(leaf).unwrap();
        }
        let made = builder.build().unwrap();
        let mut welcomes = made.welcome_messages.iter();
        let welcome = welcomes.next().map(|welcome| welcome.to_bytes().unwrap());
        (made.commit_message.to_bytes().unwrap(), welcome)
    }

    fn merge(&mut self) {
        self.group().apply_pending_commit().unwrap();
    }

    fn propose_update(&mut self) -> Vec<u8> {
        let proposal = self.group().propose_update(Vec::new()).unwrap();
        proposal.to_bytes().unwrap()
    }

    fn propose_remove(&mut self, leaf: u32) -> Vec<u8> {
        let proposal = self.group().propose_remove(leaf, Vec::new()).unwrap();
        proposal.to_bytes().unwrap()
    }

    fn receive(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let received = self.group().process_incoming_message(message(bytes));
        match received.unwrap() {
            ReceivedMessage::ApplicationMessage(message) => Some(message.data().to_vec()),
            _ => None,
        }
    }

    fn encrypt(&mut self, data: &[u8]) -> Vec<u8> {
        let message = self.group().encrypt_application_message(data, Vec::new());
        message.unwrap().to_bytes().unwrap()
    }

    fn leaf(&self) -> u32 {
        self.group.as_ref().unwrap().current_member_index()
    }

    fn secrets(&self) -> (Vec<u8>, Vec<u8>) {
        let group = self.group.as_ref().unwrap();
        let exported = group.export_secret(LABEL.as_bytes(), b"context", EXPORTED_BYTES);
        let authenticator = group.epoch_authenticator().unwrap();
        (authenticator.to_vec(), exported.unwrap().to_vec())
    }
}
