//! The one place that reads the clock: once for each request, which is passed down from there.

use std::time::SystemTime;

use conclave_protocol::UnixMillis;

/// This moment.
pub(crate) fn now() -> UnixMillis {
    SystemTime::now().into()
}
