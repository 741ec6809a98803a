//! Which live streams a device has. One more than it may have ends the oldest, which is most likely
//! on a connection that died unseen.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use conclave_protocol::DeviceId;
use tokio::sync::Notify;

use crate::limits::STREAMS_PER_DEVICE_MAX;

/// The live streams of all devices.
#[derive(Default)]
pub(super) struct Attendance(Mutex<HashMap<DeviceId, VecDeque<Arc<Notify>>>>);

/// That a stream is there; dropped when it ends.
pub(super) struct Presence {
    attendance: Arc<Attendance>,
    device: DeviceId,
    replaced: Arc<Notify>,
}

impl Attendance {
    pub(super) fn enter(self: &Arc<Self>, device: DeviceId) -> Presence {
        let replaced = Arc::new(Notify::new());
        let mut present = self.lock();
        let streams = present.entry(device).or_default();
        streams.push_back(Arc::clone(&replaced));
        if streams.len() > STREAMS_PER_DEVICE_MAX
            && let Some(oldest) = streams.pop_front()
        {
            oldest.notify_one();
        }
        Presence {
            attendance: Arc::clone(self),
            device,
            replaced,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, VecDeque<Arc<Notify>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Presence {
    /// Completes when newer streams took this one's place.
    pub(super) async fn replaced(&self) {
        self.replaced.notified().await;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut present = self.attendance.lock();
        if let Some(streams) = present.get_mut(&self.device) {
            streams.retain(|stream| !Arc::ptr_eq(stream, &self.replaced));
            if streams.is_empty() {
                present.remove(&self.device);
            }
        }
    }
}
