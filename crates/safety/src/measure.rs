//! What is decided about somebody, and what follows from it at a moment.

use std::time::Duration;

use conclave_protocol::{DeviceAddress, DeviceId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};

use crate::encoding::{millis, text};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MeasureKind {
    /// A word to the person, and nothing else.
    Warning,
    /// Few messages a minute.
    Slow,
    /// No messages.
    Suspension,
}

/// Whom it is about: all devices of a user, or one of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The user.
    #[serde(with = "text")]
    pub user: UserId,
    /// The one device; `None` for all.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "optional_device"
    )]
    pub device: Option<DeviceId>,
}

impl Target {
    /// Whether a device is meant.
    #[must_use]
    pub fn covers(&self, who: &DeviceAddress) -> bool {
        self.user == who.user && self.device.is_none_or(|device| device == who.device)
    }
}

/// What is done to whom, until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// What.
    pub kind: MeasureKind,
    /// To whom.
    pub target: Target,
    /// The first moment at which it counts no more; a warning's is the moment of the decision.
    #[serde(with = "millis")]
    pub until_millis: UnixMillis,
}

impl Measure {
    /// The longest that a measure counts: ten years. There is no decision for ever.
    pub const DURATION_MAX: Duration = Duration::from_hours(10 * 365 * 24);
}

/// A measure that counts now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// The number of the decision.
    pub decision: u64,
    /// Until when.
    pub until: UnixMillis,
    /// Why, in words for the person.
    pub reason: String,
}

/// What somebody may do now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Who may send nothing.
    pub suspended: Option<Active>,
    /// Who may send little.
    pub slowed: Option<Active>,
}

impl Standing {
    /// Adds a measure that counts now; of two of a kind the one that counts longer stays.
    pub(crate) fn add(&mut self, kind: MeasureKind, active: Active) {
        let place = match kind {
            MeasureKind::Suspension => &mut self.suspended,
            MeasureKind::Slow => &mut self.slowed,
            MeasureKind::Warning => return,
        };
        if place
            .as_ref()
            .is_none_or(|known| known.until < active.until)
        {
            *place = Some(active);
        }
    }
}

mod optional_device {
    use conclave_protocol::DeviceId;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[allow(clippy::ref_option)] // The form that serde asks for.
    pub(super) fn serialize<S: Serializer>(
        device: &Option<DeviceId>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match device {
            Some(device) => to.collect_str(device),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<DeviceId>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let device = text.map(|text| text.parse().map_err(D::Error::custom));
        device.transpose()
    }
}
