//! What decides about compression in place of `DeflateOptions`.

use super::{PerMessageDeflateOffer, PerMessageDeflateOfferAccept};
use super::{PerMessageDeflateResponse, PerMessageDeflateResponseAccept};
use std::fmt;
use std::sync::Arc;

/// Chooses among the offers of a client.
pub(crate) type OfferPolicy =
    Policy<dyn Fn(&[PerMessageDeflateOffer]) -> Option<PerMessageDeflateOfferAccept> + Send + Sync>;

/// Judges the response of a server.
pub(crate) type ResponsePolicy = Policy<
    dyn Fn(&PerMessageDeflateResponse) -> Option<PerMessageDeflateResponseAccept> + Send + Sync,
>;

/// A closure; equal to its clones alone.
pub(crate) struct Policy<F: ?Sized>(pub(crate) Arc<F>);

impl<F: ?Sized> Policy<F> {
    pub(crate) fn new(policy: Arc<F>) -> Self {
        Self(policy)
    }
}

impl<F: ?Sized> Clone for Policy<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: ?Sized> PartialEq for Policy<F> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }
}

impl<F: ?Sized> fmt::Debug for Policy<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").finish_non_exhaustive()
    }
}
