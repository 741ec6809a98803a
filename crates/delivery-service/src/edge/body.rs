//! What the bodies of requests may take of memory: each only so much, and all together only so
//! much, whatever is sent at the same moment.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body, codegen::Bytes};

use super::connection::Watch;
use crate::error::Refusal;

/// Bytes that are left for bodies.
#[derive(Debug)]
pub(super) struct Budget(AtomicUsize);

impl Budget {
    pub(super) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(bytes)))
    }

    fn take(&self, bytes: usize) -> bool {
        let take = |left: usize| left.checked_sub(bytes);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }
}

/// What one request has taken from a budget; given back when it is answered.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Arc<Budget>,
    taken: AtomicUsize,
}

impl Charge {
    pub(super) fn on(budget: &Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            budget: Arc::clone(budget),
            taken: AtomicUsize::new(0),
        })
    }

    fn take(&self, bytes: usize) -> bool {
        let is_granted = self.budget.take(bytes);
        if is_granted {
            self.taken.fetch_add(bytes, Ordering::Relaxed);
        }
        is_granted
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let taken = *self.taken.get_mut();
        self.budget.0.fetch_add(taken, Ordering::Relaxed);
    }
}

/// A request's body that ends in an error where it grows too large.
pub(super) struct Bounded {
    inner: Body,
    left: usize,
    charge: Option<Arc<Charge>>,
}

impl Bounded {
    pub(super) fn new(inner: Body, most: usize, charge: Option<Arc<Charge>>) -> Self {
        Self {
            inner,
            left: most,
            charge,
        }
    }

    fn admit(&mut self, bytes: usize) -> Result<(), Refusal> {
        let too_large = Refusal::TooLarge("the request is too large");
        self.left = self.left.checked_sub(bytes).ok_or(too_large)?;
        if self.charge.as_ref().is_none_or(|charge| charge.take(bytes)) {
            Ok(())
        } else {
            Err(Refusal::Overloaded)
        }
    }
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(bytes) = frame.data_ref()
            && let Err(refusal) = self.admit(bytes.len())
        {
            return Poll::Ready(Some(Err(refusal.into())));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body, whose reader has to get on with it.
pub(super) struct Watched {
    pub(super) inner: Body,
    pub(super) watch: Watch,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        // The transport asks for a frame once it is rid of the one before.
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.watch.moved(bytes);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
