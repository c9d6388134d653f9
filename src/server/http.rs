//! What answers plain requests of HTTP.

use crate::handshake::server::{HttpRequest, HttpResponse};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// The user's function that answers plain requests.
pub(super) type Pages = Arc<dyn Fn(HttpRequest) -> Answer + Send + Sync>;

type Answer = Pin<Box<dyn Future<Output = Option<HttpResponse>> + Send>>;

/// The place for that function.
#[derive(Default)]
pub(super) struct PagesCell(Mutex<Option<Pages>>);

impl PagesCell {
    pub(super) fn get(&self) -> Option<Pages> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set(&self, pages: Pages) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(pages);
    }
}

/// Boxes what the user's function returns.
pub(super) fn pages<F, A>(answer: F) -> Pages
where
    F: Fn(HttpRequest) -> A + Send + Sync + 'static,
    A: Future<Output = Option<HttpResponse>> + Send + 'static,
{
    Arc::new(move |request| Box::pin(answer(request)))
}
