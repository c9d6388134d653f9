//! A handle that does not keep its hub.

use super::handle::Hub;
use super::inner::Inner;
use std::fmt;
use std::sync::Weak;

/// A [`Hub`] that ends when its last other handle is dropped; made by [`Hub::downgrade`].
#[derive(Clone)]
pub struct WeakHub(pub(super) Weak<Inner>);

impl WeakHub {
    /// Returns the hub, unless it is gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<Hub> {
        self.0.upgrade().map(Hub)
    }
}

impl fmt::Debug for WeakHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakHub").finish_non_exhaustive()
    }
}
