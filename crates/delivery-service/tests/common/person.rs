//! A device: how it registers, signs in, and keeps its KeyPackages in stock.

use conclave_engine::{Device, Effects, Engine, MemoryState};
use conclave_protocol::{
    Challenge, DeviceAddress, DeviceCertificate, DeviceClaims, DeviceId, KeyPossession, SigningKey,
};
use conclave_rpc::{AUTHORIZATION, BEARER, v1};
use tonic::{Request, Status, transport::Channel};

use super::{Rpc, World, draw, id, now, spread};

pub struct Person {
    pub engine: Engine,
    pub key: SigningKey,
    pub state: MemoryState,
    pub rpc: Rpc,
    pub token: String,
    pub cursor: u64,
    /// What it has sent that can be reported.
    pub said: Vec<Vec<u8>>,
}

impl Person {
    pub fn new(world: &World, name: &str) -> Self {
        Self::with(world, name, draw(), draw())
    }

    /// A device whose keys and id come from `device`, of a user whose key comes from `identity`.
    pub fn with(world: &World, name: &str, device: u64, identity: u64) -> Self {
        let key = SigningKey::from_seed(&spread(device));
        let address = DeviceAddress {
            user: format!("{name}@localhost").parse().unwrap(),
            device: DeviceId::from_bytes(spread(device)),
        };
        let claims = DeviceClaims::starting(address, key.verifying_key(), now());
        let identity = SigningKey::from_seed(&spread(identity));
        let certificate = DeviceCertificate::issue(claims, &identity);
        Self {
            engine: Engine::new(Device::new(certificate, key.clone()).unwrap()),
            key,
            state: MemoryState::default(),
            rpc: world.rpc(),
            token: String::new(),
            cursor: 0,
            said: Vec::new(),
        }
    }

    /// A device that speaks over a connection of its own.
    pub fn over(world: &World, channel: Channel, name: &str) -> Self {
        Self {
            rpc: Rpc::new(channel),
            ..Self::new(world, name)
        }
    }

    /// A device over a connection that it may share, with the id that `device` spreads to.
    pub fn with_device(world: &World, channel: Channel, name: &str, device: u64) -> Self {
        Self {
            rpc: Rpc::new(channel),
            ..Self::with(world, name, device, device)
        }
    }

    /// The same, registered and signed in.
    pub async fn admitted_alone(mut self) -> Self {
        self.register().await.unwrap();
        self.sign_in().await;
        self
    }

    /// The same, registered, signed in, and with KeyPackages in stock.
    pub async fn admitted(mut self) -> Self {
        self.register().await.unwrap();
        self.sign_in().await;
        self.publish(4).await.unwrap();
        self
    }

    /// The same device once more, over the same connection.
    pub fn twin(&self) -> Self {
        let certificate = self.engine.device().certificate().clone();
        Self {
            engine: Engine::new(Device::new(certificate, self.key.clone()).unwrap()),
            key: self.key.clone(),
            state: MemoryState::default(),
            rpc: self.rpc.clone(),
            token: self.token.clone(),
            cursor: 0,
            said: Vec::new(),
        }
    }

    pub fn device(&self) -> DeviceId {
        self.engine.device().address().device
    }

    pub fn possession(&self, server: &str) -> KeyPossession {
        let address = self.engine.device().address().clone();
        KeyPossession {
            server: server.into(),
            user: address.user,
            device: address.device,
        }
    }

    pub async fn register(&mut self) -> Result<(), Status> {
        self.register_with("").await
    }

    pub async fn register_with(&mut self, code: &str) -> Result<(), Status> {
        let proof = self.possession("localhost").prove(&self.key);
        let request = v1::RegisterRequest {
            certificate: self.engine.device().certificate().to_bytes().into(),
            proof_of_possession: proof.to_vec().into(),
            registration_code: code.to_owned(),
        };
        self.rpc.register(request).await.map(drop)
    }

    pub async fn challenge(&mut self) -> Challenge {
        let device_id = id(self.device().as_bytes());
        let request = v1::RequestChallengeRequest { device_id };
        let response = self.rpc.request_challenge(request).await.unwrap();
        Challenge::from_bytes(&response.into_inner().challenge).unwrap()
    }

    pub async fn answer(
        &mut self,
        challenge: &Challenge,
        signature: [u8; 64],
    ) -> Result<String, Status> {
        let request = v1::AuthenticateRequest {
            challenge: challenge.to_bytes().into(),
            signature: signature.to_vec().into(),
        };
        let response = self.rpc.authenticate(request).await?;
        Ok(response.into_inner().token)
    }

    pub async fn sign_in(&mut self) {
        let challenge = self.challenge().await;
        let signature = challenge.answer(&self.key);
        self.token = self.answer(&challenge, signature).await.unwrap();
    }

    pub fn signed<T>(&self, body: T) -> Request<T> {
        let mut request = Request::new(body);
        let value = format!("{BEARER}{}", self.token);
        request
            .metadata_mut()
            .insert(AUTHORIZATION, value.parse().unwrap());
        request
    }

    pub fn apply<T>(&mut self, effects: Effects<T>) -> T {
        self.state.apply(effects.writes);
        effects.value
    }

    pub async fn publish(&mut self, count: usize) -> Result<u32, Status> {
        let packages = self.engine.key_packages(&self.state, count, now());
        let packages = self.apply(packages.unwrap());
        self.publish_these(packages, Vec::new()).await
    }

    pub async fn publish_these(
        &mut self,
        packages: Vec<Vec<u8>>,
        last_resort: Vec<u8>,
    ) -> Result<u32, Status> {
        let request = self.signed(v1::PublishKeyPackagesRequest {
            key_packages: packages.into_iter().map(Into::into).collect(),
            last_resort_key_package: last_resort.into(),
        });
        let response = self.rpc.publish_key_packages(request).await?;
        Ok(response.into_inner().stock)
    }

    pub async fn take(
        &mut self,
        request: u64,
        names: &[&str],
    ) -> Result<Vec<v1::UserKeyPackages>, Status> {
        let request = self.signed(v1::TakeKeyPackagesRequest {
            request_id: id(&spread(request)),
            users: names
                .iter()
                .map(|name| format!("{name}@localhost"))
                .collect(),
        });
        let response = self.rpc.take_key_packages(request).await?;
        Ok(response.into_inner().users)
    }
}
