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

    pub(super) fn set<F, A>(&self, answer: F)
    where
        F: Fn(HttpRequest) -> A + Send + Sync + 'static,
        A: Future<Output = Option<HttpResponse>> + Send + 'static,
    {
        let pages: Pages = Arc::new(move |request| Box::pin(answer(request)));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(pages);
    }
}
