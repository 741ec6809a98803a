//! Users, devices and their KeyPackages. Everything here blocks.

mod endings;

use std::{sync::Arc, time::Duration};

use conclave_protocol::{
    DeviceCertificate, DeviceId, GroupId, KeyPossession, RequestId, UnixMillis, UserId,
    limits::{
        CERTIFICATE_BYTES_MAX, KEY_PACKAGE_BYTES_MAX, KEY_PACKAGE_REMAINING_MIN, KEY_PACKAGES_MAX,
    },
};

use crate::{
    auth::{Authenticator, Token},
    error::Refusal,
    follower::CheckedKeyPackage,
    hub::{Hub, Topic},
    limits::USERS_PER_TAKE_MAX,
    registration::hash,
    server::Registration,
    stamping::Stamper,
    store::{Device, Published, Registered, Shown, Store, Take, Taken},
};

/// Knows users and devices.
pub(crate) struct Accounts {
    store: Arc<dyn Store>,
    hub: Arc<Hub>,
    auth: Arc<Authenticator>,
    registration: Registration,
    stamper: Arc<Stamper>,
}

/// The KeyPackages of a user's devices; `None` where the user is not known here.
pub(crate) type OfUser = (UserId, Option<Vec<Vec<u8>>>);

impl Accounts {
    /// Accounts that are kept in `store`; what devices are told goes through `hub`.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        hub: Arc<Hub>,
        auth: Arc<Authenticator>,
        registration: Registration,
        stamper: Arc<Stamper>,
    ) -> Self {
        Self {
            store,
            hub,
            auth,
            registration,
            stamper,
        }
    }

    /// Who is asking.
    pub(crate) fn auth(&self) -> &Authenticator {
        &self.auth
    }

    /// Registers a device, and its user with the first one.
    pub(crate) fn register(
        &self,
        certificate: &[u8],
        proof: &[u8],
        code: &str,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        if certificate.len() > CERTIFICATE_BYTES_MAX {
            return Err(Refusal::Invalid("certificate: too large"));
        }
        let invalid = |_| Refusal::Invalid("certificate: not valid");
        let certificate = DeviceCertificate::from_bytes(certificate).map_err(invalid)?;
        let key = certificate.claims().signature_key;
        certificate.check(key.as_bytes(), now).map_err(invalid)?;
        let address = certificate.address();
        if address.user.domain() != self.auth.server_name() {
            return Err(Refusal::Invalid(
                "certificate: the user is of another server",
            ));
        }
        let possession = KeyPossession {
            server: self.auth.server_name().to_owned(),
            user: address.user.clone(),
            device: address.device,
        };
        possession.verify(&key, proof).map_err(|_| {
            Refusal::Unauthenticated("proof_of_possession: not signed by the device's key")
        })?;
        let registered = match self.registration {
            Registration::Open => self.store.register(&certificate)?,
            Registration::Code => {
                let code = hash(code);
                self.store.register_with_code(&certificate, &code, now)?
            }
        };
        match registered {
            Registered::Done => {
                self.auth.readmit(address.device);
                Ok(())
            }
            Registered::NameTaken => Err(Refusal::Taken("the name belongs to somebody else")),
            Registered::DeviceTaken => Err(Refusal::Taken("the device id belongs to another")),
            Registered::CodeRefused => Err(Refusal::NotAllowed(
                "this server asks for a registration code, and this is none, or it was used or \
                 has expired",
            )),
            Registered::Unlisted => Err(Refusal::NotAllowed(
                "the user's device list does not name this device with these keys",
            )),
            Registered::TooMany => Err(Refusal::Busy("the user has as many devices as may be")),
        }
    }

    /// Exchanges the answer to a challenge for a token.
    pub(crate) fn authenticate(
        &self,
        challenge: &[u8],
        signature: &[u8],
        now: UnixMillis,
    ) -> Result<Token, Refusal> {
        let challenge = self.auth.recognise(challenge, now)?;
        let device = self.store.device(challenge.device)?;
        self.auth
            .answer(&challenge, signature, device.as_ref(), now)
    }

    /// Whether what a device shows of its state is the latest that was seen of it.
    /// `None` where it is; else the groups of the device, of which that state may not know all.
    pub(crate) fn check_instance(
        &self,
        device: DeviceId,
        shown: &Shown,
    ) -> Result<Option<Vec<GroupId>>, Refusal> {
        match self.store.check_instance(device, shown)? {
            Some(true) => Ok(None),
            Some(false) => Ok(Some(self.store.memberships(device)?)),
            None => Err(UNREGISTERED),
        }
    }

    /// The groups that a device may join because others of its user are there.
    pub(crate) fn groups_of_user(&self, device: DeviceId) -> Result<Vec<GroupId>, Refusal> {
        let user = self.registered(device)?.address.user;
        Ok(self.store.groups_of_user(&user)?)
    }

    /// Puts KeyPackages into the device's stock and gives how many it then has. An empty
    /// `last_resort` leaves that one as it is.
    pub(crate) fn publish(
        &self,
        device: DeviceId,
        packages: &[impl AsRef<[u8]>],
        last_resort: &[u8],
        now: UnixMillis,
    ) -> Result<usize, Refusal> {
        if packages.len() > KEY_PACKAGES_MAX {
            return Err(Refusal::Invalid("key_packages: too many"));
        }
        let device = self.registered(device)?;
        let stock = packages
            .iter()
            .map(|message| Ok(own_package(&device, message.as_ref(), now)?.stocked))
            .collect::<Result<Vec<_>, Refusal>>()?;
        let last_resort = match last_resort {
            [] => None,
            message => Some(own_package(&device, message, now)?),
        };
        // RFC 9420 §16.8: what may be used more than once has to say so.
        if last_resort
            .as_ref()
            .is_some_and(|package| !package.is_last_resort)
        {
            return Err(Refusal::Invalid(
                "last_resort_key_package: not marked as one",
            ));
        }
        let last_resort = last_resort.map(|package| package.stocked);
        let published = self.store.publish_key_packages(
            device.address.device,
            &stock,
            last_resort.as_ref(),
            now,
        )?;
        match published {
            Published::Stock(stock) => Ok(stock),
            Published::NoSuchDevice => Err(UNREGISTERED),
            Published::Full => Err(Refusal::Busy("the device has enough KeyPackages in stock")),
        }
    }

    /// Takes one KeyPackage of each device of each user. Each user is a transaction of its own;
    /// a request that broke off is completed by its repetition.
    pub(crate) fn take(
        &self,
        taker: DeviceId,
        request: RequestId,
        users: &[String],
        now: UnixMillis,
    ) -> Result<Vec<OfUser>, Refusal> {
        if users.len() > USERS_PER_TAKE_MAX {
            return Err(Refusal::Invalid("users: too many"));
        }
        self.require(taker)?;
        let usable_until_seconds = now.after(KEY_PACKAGE_REMAINING_MIN).as_seconds();
        let take_one = |user: UserId| {
            let taken = self.store.take_key_packages(&Take {
                taker,
                request,
                user: &user,
                usable_until_seconds,
                now,
            })?;
            match taken {
                Taken::UnknownUser => Ok((user, None)),
                Taken::TooMany(until) => {
                    let wait = until.0.saturating_sub(now.0);
                    Err(Refusal::TooOften(Duration::from_millis(wait)))
                }
                Taken::Packages { packages, low } => {
                    for device in low {
                        self.hub.hint(Topic::Mailbox(device));
                    }
                    Ok((user, Some(packages)))
                }
            }
        };
        parse_users(users)?.into_iter().map(take_one).collect()
    }

    /// Holds that a device is registered: a token may have outlived it.
    pub(crate) fn require(&self, device: DeviceId) -> Result<(), Refusal> {
        self.registered(device).map(drop)
    }

    fn registered(&self, device: DeviceId) -> Result<Device, Refusal> {
        let device = self.store.device(device)?;
        device.ok_or(UNREGISTERED)
    }
}

const UNREGISTERED: Refusal = Refusal::Unauthenticated("the device is not registered");

fn parse_users(users: &[String]) -> Result<Vec<UserId>, Refusal> {
    let parsed: Result<_, _> = users.iter().map(|user| user.parse()).collect();
    parsed.map_err(|_| Refusal::Invalid("users: not a name@domain"))
}

fn own_package(
    device: &Device,
    message: &[u8],
    now: UnixMillis,
) -> Result<CheckedKeyPackage, Refusal> {
    if message.len() > KEY_PACKAGE_BYTES_MAX {
        return Err(Refusal::Invalid("key_packages: too large"));
    }
    let package = CheckedKeyPackage::check(message, now)?;
    if device.is_of(&package.certificate) {
        Ok(package)
    } else {
        Err(Refusal::Invalid(
            "key_packages: of another device than the caller",
        ))
    }
}
