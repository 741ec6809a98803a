//! What a device does in a group.

use conclave_engine::{
    Change, Effects, EngineError, KeyPackage, Opening, PreparedCommit, Processed, State,
};
use conclave_protocol::{GroupRules, UnixMillis};
use conclave_rpc::{v1, v1::stream_request::Request as Say};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{GROUP, Person, draw, id, now, spread};

impl Person {
    pub async fn create(&mut self) -> Result<(), Status> {
        let rules = GroupRules::default();
        let created = self.engine.create_group(&self.state, GROUP, &rules, now());
        let created = self.apply(created.unwrap());
        self.create_with(created.group_info, created.ratchet_tree)
            .await
    }

    pub async fn create_with(
        &mut self,
        group_info: Vec<u8>,
        ratchet_tree: Vec<u8>,
    ) -> Result<(), Status> {
        let request = self.signed(v1::CreateGroupRequest {
            group_id: id(GROUP.as_bytes()),
            group_info: group_info.into(),
            ratchet_tree: ratchet_tree.into(),
        });
        self.rpc.create_group(request).await.map(drop)
    }

    /// Makes a Commit and keeps it as pending.
    pub fn prepare(&mut self, change: Change) -> PreparedCommit {
        let prepared = self.engine.commit(&self.state, GROUP, change, now());
        self.apply(prepared.unwrap())
    }

    pub async fn prepare_add(&mut self, names: &[&str]) -> PreparedCommit {
        let taken = self.take(draw(), names).await.unwrap();
        let packages = taken
            .iter()
            .flat_map(|user| &user.key_packages)
            .map(|package| KeyPackage::from_bytes(package, now()).unwrap())
            .collect();
        self.prepare(Change::add(packages))
    }

    pub fn merge(&mut self) {
        let merged = self.engine.merge_pending(&self.state, GROUP).unwrap();
        self.apply(merged);
    }

    pub fn discard(&mut self) {
        let discarded = self.engine.discard_pending(&self.state, GROUP).unwrap();
        self.apply(discarded);
    }

    pub async fn submit(
        &mut self,
        request: u64,
        body: v1::submit_request::Body,
    ) -> Result<u64, Status> {
        let request = self.signed(v1::SubmitRequest {
            group_id: id(GROUP.as_bytes()),
            request_id: id(&spread(request)),
            body: Some(body),
        });
        let response = self.rpc.submit(request).await?;
        Ok(response.into_inner().sequence)
    }

    pub async fn submit_new(&mut self, body: v1::submit_request::Body) -> Result<u64, Status> {
        self.submit(draw(), body).await
    }

    pub async fn add(&mut self, names: &[&str]) -> Result<u64, Status> {
        let prepared = self.prepare_add(names).await;
        self.commit(prepared).await
    }

    pub async fn commit(&mut self, prepared: PreparedCommit) -> Result<u64, Status> {
        let sequence = self.submit_new(bundle(&prepared)).await?;
        self.merge();
        self.cursor = sequence;
        Ok(sequence)
    }

    pub fn encrypt(&mut self, text: &str) -> v1::submit_request::Body {
        self.encrypt_with(text.as_bytes(), None)
    }

    /// With what stands in the Safe AAD.
    pub fn encrypt_with(
        &mut self,
        content: &[u8],
        franking: Option<&[u8]>,
    ) -> v1::submit_request::Body {
        let effects = self.engine.encrypt(&self.state, GROUP, content, franking);
        let message = self.apply(effects.unwrap());
        v1::submit_request::Body::ApplicationMessage(message.into())
    }

    pub async fn send(&mut self, text: &str) -> Result<u64, Status> {
        let body = self.encrypt(text);
        self.submit_new(body).await
    }

    pub async fn mail(&mut self) -> Vec<v1::mailbox_item::Item> {
        let request = self.signed(v1::ReadMailboxRequest::default());
        let response = self.rpc.read_mailbox(request).await.unwrap();
        let items = response.into_inner().items.into_iter();
        items.filter_map(|item| item.item).collect()
    }

    pub async fn mailbox(&mut self) -> Vec<v1::Welcome> {
        let items = self.mail().await.into_iter();
        items
            .filter_map(|item| match item {
                v1::mailbox_item::Item::Welcome(welcome) => Some(welcome),
                _ => None,
            })
            .collect()
    }

    /// What an external Commit is made from, and the tree.
    pub async fn opening(&mut self) -> Result<(v1::FetchGroupInfoResponse, Vec<u8>), Status> {
        let request = self.signed(v1::FetchGroupInfoRequest {
            group_id: id(GROUP.as_bytes()),
        });
        let mut parts = self.rpc.fetch_group_info(request).await?.into_inner();
        let first = parts.message().await?.unwrap();
        let mut tree = first.tree_part.to_vec();
        while let Some(part) = parts.message().await? {
            tree.extend_from_slice(&part.tree_part);
        }
        Ok((first, tree))
    }

    /// An external Commit and what it would write.
    pub fn external_commit(
        &self,
        opening: &v1::FetchGroupInfoResponse,
        tree: &[u8],
    ) -> Effects<PreparedCommit> {
        let proposals: Vec<_> = opening
            .pending_proposals
            .iter()
            .map(|it| it.to_vec())
            .collect();
        let opening = Opening {
            group_info: &opening.group_info,
            ratchet_tree: tree,
            proposals: &proposals,
            approval: &opening.approval,
        };
        let joined = self
            .engine
            .external_join(&self.state, GROUP, opening, now());
        joined.unwrap()
    }

    /// Comes in by an external Commit.
    pub async fn come_in(&mut self) -> Result<u64, Status> {
        let (opening, tree) = self.opening().await?;
        let joined = self.external_commit(&opening, &tree);
        let sequence = self.submit_new(bundle(&joined.value)).await?;
        self.apply(joined);
        self.cursor = sequence;
        Ok(sequence)
    }

    pub fn authenticator(&self) -> Vec<u8> {
        self.engine.epoch_authenticator(&self.state, GROUP).unwrap()
    }

    pub async fn tree(&mut self, epoch: u64) -> Result<Vec<u8>, Status> {
        let request = self.signed(v1::FetchTreeRequest {
            group_id: id(GROUP.as_bytes()),
            epoch,
            tree_hash: Vec::new().into(),
        });
        let mut parts = self.rpc.fetch_tree(request).await?.into_inner();
        let mut tree = Vec::new();
        while let Some(part) = parts.message().await? {
            tree.extend_from_slice(&part.part);
        }
        Ok(tree)
    }

    /// Joins by the last Welcome in the mailbox.
    pub async fn join(&mut self) {
        let welcome = self.mailbox().await.pop().unwrap();
        let tree = self.tree(welcome.epoch).await.unwrap();
        let joined = self.engine.join(&self.state, &welcome.welcome, &tree);
        self.apply(joined.unwrap());
        self.cursor = welcome.sequence;
    }

    pub async fn page(&mut self, after: u64, limit: u32) -> Result<v1::ReadLogResponse, Status> {
        let request = self.signed(v1::ReadLogRequest {
            group_id: id(GROUP.as_bytes()),
            after_sequence: after,
            limit,
            ..v1::ReadLogRequest::default()
        });
        Ok(self.rpc.read_log(request).await?.into_inner())
    }

    /// Reads what is new, and gives the texts in it.
    pub async fn read(&mut self) -> Result<Vec<String>, Status> {
        let page = self.page(self.cursor, 0).await?;
        Ok(page
            .entries
            .into_iter()
            .filter_map(|entry| self.take_in(&entry))
            .collect())
    }

    /// Reads what is new, whatever was said.
    pub async fn read_up(&mut self) {
        let page = self.page(self.cursor, 0).await.unwrap();
        for entry in &page.entries {
            self.cursor = entry.sequence;
            let processed = self.process(&entry.message, UnixMillis(entry.accepted_millis));
            if let Ok(processed) = processed
                && matches!(self.apply(processed), Processed::OwnCommit)
            {
                self.merge();
            }
        }
    }

    pub fn take_in(&mut self, entry: &v1::LogEntry) -> Option<String> {
        self.cursor = entry.sequence;
        if matches!(entry.kind(), v1::EntryKind::Report | v1::EntryKind::Vote) {
            return None;
        }
        let at = UnixMillis(entry.accepted_millis);
        let processed = self.process(&entry.message, at).unwrap();
        match self.apply(processed) {
            Processed::Application { content, .. } => Some(String::from_utf8(content).unwrap()),
            Processed::OwnCommit => {
                self.merge();
                None
            }
            _ => None,
        }
    }

    fn process(&self, message: &[u8], at: UnixMillis) -> Result<Effects<Processed>, EngineError> {
        let state: &dyn State = &self.state;
        self.engine.process(state, GROUP, message, at)
    }
}

pub fn bundle(prepared: &PreparedCommit) -> v1::submit_request::Body {
    v1::submit_request::Body::Commit(v1::CommitBundle {
        commit: prepared.commit.clone().into(),
        welcome: prepared.welcome.clone().unwrap_or_default().into(),
        group_info: prepared.group_info.clone().into(),
    })
}

/// A live stream of the device's mailbox and of the group, as long as what says more of it is kept.
pub async fn follow(
    person: &mut Person,
) -> (
    mpsc::Sender<v1::StreamRequest>,
    Streaming<v1::StreamResponse>,
) {
    let (requests, receiver) = mpsc::channel(4);
    let groups = vec![v1::FollowGroup {
        group_id: id(GROUP.as_bytes()),
        after_sequence: 0,
    }];
    let open = Say::Open(v1::OpenStream {
        mailbox_after_cursor: 0,
        groups,
    });
    let open = v1::StreamRequest {
        request: Some(open),
    };
    requests.send(open).await.unwrap();
    let request = person.signed(ReceiverStream::new(receiver));
    let mut events = person.rpc.stream(request).await.unwrap().into_inner();
    events.message().await.unwrap();
    (requests, events)
}
