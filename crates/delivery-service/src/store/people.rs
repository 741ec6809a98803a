//! Users, devices, and their KeyPackages.

use conclave_protocol::{
    DeviceAddress, DeviceCertificate, DeviceId, RequestId, UnixMillis, UserId, VerifyingKey,
};

use crate::limits::TAKES_WINDOW;

/// Which server the data belongs to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The name it was created with.
    pub(crate) server_name: String,
    /// Under which tokens and challenges are authenticated.
    pub(crate) secret: [u8; 32],
}

/// A registered device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// Whose it is, and which.
    pub(crate) address: DeviceAddress,
    /// Its leaf's key in every group.
    pub(crate) signature_key: VerifyingKey,
    /// Its user's key.
    pub(crate) identity_key: VerifyingKey,
}

impl Device {
    /// Whether the certificate is this device's.
    pub(crate) fn is_of(&self, certificate: &DeviceCertificate) -> bool {
        self.address == *certificate.address()
            && self.signature_key == certificate.claims().signature_key
            && self.identity_key == *certificate.identity_key()
    }
}

/// What became of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registered {
    /// The device is registered, now or before.
    Done,
    /// The user's name belongs to another identity key.
    NameTaken,
    /// The device id belongs to another device.
    DeviceTaken,
    /// A code is needed, and the one given is none, or was used, or has expired.
    CodeRefused,
    /// The user has a device list, and it does not name this device with these keys.
    Unlisted,
    /// The user has as many devices as there may be.
    TooMany,
}

/// A KeyPackage that waits to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StockedKeyPackage {
    /// Its KeyPackageRef (RFC 9420 §5.2).
    pub(crate) reference: Vec<u8>,
    /// The last second it may be used, since 1970-01-01 UTC.
    pub(crate) expires_seconds: u64,
    /// The MLSMessage.
    pub(crate) message: Vec<u8>,
}

/// What became of published KeyPackages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    /// They are in stock, which now has this many.
    Stock(usize),
    /// The stock would grow past its limit.
    Full,
    /// The device is registered no longer.
    NoSuchDevice,
}

/// Who takes KeyPackages of whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Take<'a> {
    /// The device that asks.
    pub(crate) taker: DeviceId,
    /// Under which id: a repeated request gets the same packages.
    pub(crate) request: RequestId,
    /// Whose.
    pub(crate) user: &'a UserId,
    /// Packages that expire before this second are not handed out.
    pub(crate) usable_until_seconds: u64,
    /// The present, for how much was taken lately.
    pub(crate) now: UnixMillis,
}

impl Take<'_> {
    /// When a requester may come back, of whose takings within the window this was the first.
    pub(crate) fn again_after(&self, first: UnixMillis) -> UnixMillis {
        UnixMillis(first.after(TAKES_WINDOW).0.max(self.now.0 + 1))
    }

    /// Since when packages that the same user took count against the limit.
    pub(crate) fn window_start(&self) -> UnixMillis {
        self.now.before(TAKES_WINDOW)
    }
}

/// What became of a taking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    /// There is no such user.
    UnknownUser,
    /// The requester's user took too many of one of these devices lately, and may come back then.
    /// Nothing was taken.
    TooMany(UnixMillis),
    /// One package of each device that has any.
    Packages {
        packages: Vec<Vec<u8>>,
        /// Devices that were told that their stock is low.
        low: Vec<DeviceId>,
    },
}
