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
use crate::{error::Refusal, limits::ANSWER_PIECE_BYTES};

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
///
/// The transport takes frames before it can send them, so what counts is when it is rid of their
/// bytes. They go in small pieces, since a piece is let go as a whole.
pub(super) struct Watched {
    inner: Body,
    /// Of a frame that has begun.
    rest: Bytes,
    watch: Arc<Watch>,
}

impl Watched {
    pub(super) fn new(inner: Body, watch: Watch) -> Self {
        Self {
            inner,
            rest: Bytes::new(),
            watch: Arc::new(watch),
        }
    }

    fn next_piece(&mut self) -> Frame<Bytes> {
        let bytes = self.rest.len().min(ANSWER_PIECE_BYTES);
        Frame::data(Bytes::from_owner(Piece {
            bytes: self.rest.split_to(bytes),
            watch: Arc::clone(&self.watch),
        }))
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.rest.is_empty() {
            match Pin::new(&mut self.inner).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => self.rest = bytes,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return other,
            }
        }
        Poll::Ready(Some(Ok(self.next_piece())))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }
}

/// Bytes that the transport holds until it has sent them.
struct Piece {
    bytes: Bytes,
    watch: Arc<Watch>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.watch.moved(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use http_body::Body as _;

    use super::*;
    use crate::{
        edge::Peer,
        limits::{IDLE_TIMEOUT, TRANSFER_BYTES_PER_SECOND_MIN},
    };

    /// A body of one frame.
    struct Whole(Option<Bytes>);

    impl http_body::Body for Whole {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_none()
        }
    }

    /// The transport takes an answer at once, and sends it as its reader lets it.
    #[tokio::test(start_paused = true)]
    async fn what_the_transport_holds_is_not_read_yet() {
        let peer = Peer::new(([127, 0, 0, 1], 1).into());
        let content = Bytes::from(vec![7; 10 * ANSWER_PIECE_BYTES + 1]);
        let whole = Body::new(Whole(Some(content.clone())));
        let mut answer = Watched::new(whole, peer.watch());
        let mut held = Vec::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut answer).poll_frame(cx)).await {
            held.push(frame.unwrap().into_data().unwrap());
        }
        assert!(answer.is_end_stream());
        drop(answer);
        assert_eq!((held.concat(), held.len()), (content.to_vec(), 11));
        let slowest = ANSWER_PIECE_BYTES as u64 / TRANSFER_BYTES_PER_SECOND_MIN;
        for piece in held.drain(..9) {
            tokio::time::sleep(Duration::from_secs(slowest)).await;
            drop(piece);
        }
        tokio::time::sleep(IDLE_TIMEOUT - Duration::from_secs(1)).await;
        assert!(!peer.is_cut(), "it was sent as fast as it has to be");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(peer.is_cut(), "the rest is not sent");
    }
}
