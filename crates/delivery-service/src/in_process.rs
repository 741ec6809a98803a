//! The service without sockets, tokens, limits and disks: for simulations and tests that want its
//! logic as it is, under a clock of their own.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use conclave_protocol::{DeviceId, UnixMillis};
use conclave_rpc::v1::delivery_service_server::DeliveryServiceServer;
use tokio::sync::watch;
use tonic::{body::Body, codegen::BoxFuture, codegen::Service as TowerService, codegen::http};

use crate::{
    accounts::Accounts,
    auth::{Authenticator, Caller},
    blobs::Blobs,
    clock::Clock,
    edge::{RateLimits, Rates},
    groups::Groups,
    hub::Hub,
    metrics::Refusals,
    moderation::Moderation,
    retention::Retention,
    server::Registration,
    service::{Rooms, Service},
    stamping::Stamper,
    store::{MemoryStore, Store},
};

/// A delivery service inside this process. What it acknowledged it keeps in memory, over any number
/// of restarts; everything else a restart loses.
pub struct InProcess {
    server_name: String,
    store: Arc<dyn Store>,
    millis: Arc<AtomicU64>,
    service: DeliveryServiceServer<Service>,
    /// Live streams end when it is dropped.
    stop: watch::Sender<bool>,
}

impl InProcess {
    /// A service with this name that knows nobody yet. Its time stands still at `now`.
    #[must_use]
    pub fn new(server_name: &str, now: UnixMillis) -> Self {
        Self::on(Arc::new(MemoryStore::default()), server_name, now)
    }

    /// A service on what a store holds.
    pub(crate) fn on(store: Arc<dyn Store>, server_name: &str, now: UnixMillis) -> Self {
        let millis = Arc::new(AtomicU64::new(now.0));
        let (stop, stopping) = watch::channel(false);
        Self {
            service: service(server_name, &store, &millis, stopping),
            server_name: server_name.to_owned(),
            store,
            millis,
            stop,
        }
    }

    /// Moves the service's time. It never goes back.
    pub fn set_time(&self, now: UnixMillis) {
        self.millis.fetch_max(now.0, Ordering::Relaxed);
    }

    /// Ends the process and starts another on what was durable. Connections to the old one go on
    /// working as long as they are held, as requests do that overlap a restart.
    pub fn restart(&mut self) {
        let (stop, stopping) = watch::channel(false);
        self.stop.send_replace(true);
        self.stop = stop;
        self.service = service(&self.server_name, &self.store, &self.millis, stopping);
    }

    /// What a client's stub calls, for a device that has proved who it is. `None` is somebody
    /// without a token, who may register.
    #[must_use]
    pub fn connect(&self, device: Option<DeviceId>) -> Connection {
        Connection {
            caller: device.map(|device| Caller {
                device,
                user: [0; 16],
            }),
            service: self.service.clone(),
        }
    }
}

fn service(
    server_name: &str,
    store: &Arc<dyn Store>,
    millis: &Arc<AtomicU64>,
    stopping: watch::Receiver<bool>,
) -> DeliveryServiceServer<Service> {
    let hub = Arc::new(Hub::default());
    let rates = Arc::new(Rates::new(&RateLimits::unlimited()));
    // Nobody shows a token here, so its secret protects nothing.
    let secret = [0; 32];
    let auth = Arc::new(Authenticator::new(server_name.to_owned(), secret));
    let stamper = Arc::new(Stamper::new(server_name, &secret));
    let rooms = Rooms {
        clock: Clock::Given(Arc::clone(millis)),
        accounts: Accounts::new(
            Arc::clone(store),
            Arc::clone(&hub),
            auth,
            Registration::Open,
            Arc::clone(&stamper),
        ),
        groups: Groups::new(Arc::clone(store), Arc::clone(&hub), Arc::clone(&stamper)),
        moderation: Moderation::new(
            Arc::clone(store),
            Arc::clone(&hub),
            Arc::clone(&rates),
            (stamper, server_name.to_owned()),
        ),
        blobs: Blobs::new(Arc::clone(store), &Retention::default()),
        hub,
        store: Arc::clone(store),
        rates,
        refusals: Refusals::default(),
    };
    DeliveryServiceServer::new(Service::new(rooms, stopping))
}

/// A transport for the generated client that ends in this process.
#[derive(Clone)]
pub struct Connection {
    caller: Option<Caller>,
    service: DeliveryServiceServer<Service>,
}

impl TowerService<http::Request<Body>> for Connection {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        if let Some(caller) = self.caller {
            request.extensions_mut().insert(caller);
        }
        TowerService::call(&mut self.service, request)
    }
}

#[cfg(test)]
mod tests {
    use conclave_protocol::{
        DeviceAddress, DeviceCertificate, DeviceClaims, KeyPossession, SigningKey, UserId,
    };
    use conclave_rpc::v1::{self, delivery_service_client::DeliveryServiceClient};
    use tonic::Code;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    #[tokio::test]
    async fn a_restart_keeps_what_was_acknowledged_and_time_is_what_it_is_told() {
        let mut service = InProcess::new("here", NOW);
        let key = SigningKey::from_seed(&[7; 32]);
        let address = DeviceAddress {
            user: UserId::new("alice", "here").unwrap(),
            device: DeviceId::from_bytes([1; 16]),
        };
        let possession = KeyPossession {
            server: "here".to_owned(),
            user: address.user.clone(),
            device: address.device,
        };
        let device = address.device;
        let claims = DeviceClaims::starting(address, key.verifying_key(), NOW);
        let certificate = DeviceCertificate::issue(claims, &key);
        let request = v1::RegisterRequest {
            certificate: certificate.to_bytes().into(),
            proof_of_possession: possession.prove(&key).to_vec().into(),
            registration_code: String::new(),
        };
        let mut anybody = DeliveryServiceClient::new(service.connect(None));
        anybody.register(request).await.unwrap();

        service.restart();
        let read = v1::ReadMailboxRequest::default();
        let mut alice = DeliveryServiceClient::new(service.connect(Some(device)));
        let mail = alice.read_mailbox(read).await.unwrap().into_inner();
        assert!(mail.items.is_empty());
        let refused = DeliveryServiceClient::new(service.connect(None))
            .read_mailbox(read)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);

        service.set_time(NOW.after(std::time::Duration::from_secs(5)));
        service.set_time(NOW);
        let described = anybody.describe(v1::DescribeRequest {}).await.unwrap();
        assert_eq!(described.into_inner().now_millis, NOW.0 + 5_000);
    }
}
